"""Whom a message is for: everybody, or one of the people online."""

from PyQt5.QtCore import QSignalBlocker
from PyQt5.QtWidgets import QComboBox, QWidget

from webchat.codecs.braces import ALL


class Recipients(QComboBox):
    """`ALL`, and the people online. The choice stays what it was when they come and go."""

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
        """Whether the chosen person is not here any more."""
        return self.choice != ALL and self.choice not in self._online

    def set_online(self, names: tuple[str, ...]) -> None:
        """Offer these people. While the list is open it stays as it is: nobody is to be hit by a click on another."""
        self._online = names
        if not self.view().isVisible():
            self._fill()

    def hidePopup(self) -> None:
        """The list closes, and may change again."""
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
