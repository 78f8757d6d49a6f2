"""The choice of a recipient: everyone, or one of the people online."""

from PyQt5.QtCore import QSignalBlocker
from PyQt5.QtWidgets import QComboBox, QWidget

from webchat.codecs.braces import ALL


class Recipients(QComboBox):
    """A list of `ALL` and the people online. The choice stays the same when people come and go."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setAccessibleName("To")
        self.setSizeAdjustPolicy(QComboBox.AdjustToContents)
        self.setMinimumContentsLength(12)
        self._online: tuple[str, ...] = ()
        self._fill()

    @property
    def choice(self) -> str:
        """`ALL`, or a shown name."""
        return self.currentData() or ALL

    @property
    def gone(self) -> bool:
        """Whether the chosen person has left."""
        return self.choice != ALL and self.choice not in self._online

    def set_online(self, names: tuple[str, ...]) -> None:
        """Offer these people. An open list changes after it has been closed, so that a click hits the name under it."""
        self._online = names
        if not self.view().isVisible():
            self._fill()

    def hidePopup(self) -> None:
        """Close the list, and bring it up to date."""
        super().hidePopup()
        self._fill()

    def _fill(self) -> None:
        choice = self.choice
        with QSignalBlocker(self):
            self.clear()
            for name in (ALL, *self._online):
                self.addItem(name, name)
            if self.findData(choice) < 0:
                self.addItem(f"{choice} (has left)", choice)
            self.setCurrentIndex(self.findData(choice))
        self.currentIndexChanged.emit(self.currentIndex())
