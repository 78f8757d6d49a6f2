"""The chat as a window."""

from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import (
    QApplication,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from webchat.clients.desktop import icons
from webchat.clients.desktop.brace_link import BraceLink, Outgoing, State, Target
from webchat.clients.desktop.composer import Composer
from webchat.clients.desktop.log_view import Entry, LogView
from webchat.clients.desktop.recipients import Recipients
from webchat.codecs import braces
from webchat.codecs.braces import ALL

LONGEST = 4096
"""Characters of a message."""

LIGHTS = {
    State.OFFLINE: "#767676", State.CONNECTING: "#d78700", State.ONLINE: "#00a35c", State.WAITING: "#d75f00",
    State.LEAVING: "#767676",
}

class Window(QWidget):
    """Fields for the connection, the conversation, and a field for what one says."""

    def __init__(self, link: BraceLink, target: Target):
        super().__init__()
        self.link = link
        self._before = link.state
        self._closing = False
        self._unread = 0
        self._build(target)
        self._arrange()
        link.setParent(self)
        link.changed.connect(self._refresh)
        link.people.connect(self._set_people)
        link.heard.connect(self._hear)
        link.delivered.connect(self._delivered)
        link.refused.connect(self._refused)
        link.returned.connect(lambda unsaid: self.message.give_back("\n".join(each.text for each in unsaid)))
        self._refresh()

    # The pieces.

    def _build(self, target: Target) -> None:
        self.host = _field("Host", target.host)
        self.port = QSpinBox(minimum=1, maximum=65535, value=target.port, accessibleName="Port")
        self.port.setButtonSymbols(QSpinBox.NoButtons)
        self.name = _field("Name", target.name)
        self.password = _field("Password", target.password)
        self.password.setEchoMode(QLineEdit.Password)
        self.password.setPlaceholderText("optional")
        self.password.setToolTip("Only for a name that belongs to an account")
        self.connect_button = QPushButton("&Connect", clicked=self._connect)
        self.disconnect_button = QPushButton("&Disconnect", clicked=self.link.close)
        for each in (self.host, self.port.lineEdit(), self.name, self.password):
            each.returnPressed.connect(self.connect_button.click)
        self.light = QLabel()
        self.status = QLabel(accessibleName="Status", wordWrap=True, textInteractionFlags=Qt.TextSelectableByMouse)
        self.status.setTextFormat(Qt.PlainText)
        self.log = LogView()
        self.to = Recipients()
        self.to.currentIndexChanged.connect(self._refresh_hint)
        self.hint = QLabel(accessibleName="Hint", textFormat=Qt.PlainText, wordWrap=True)
        self.message = Composer()
        self.message.submitted.connect(self._send)
        self.message.textChanged.connect(self._refresh_hint)
        self.send_button = QPushButton("&Send", clicked=self._send)

    def _arrange(self) -> None:
        fields = QGridLayout()
        fields.setHorizontalSpacing(10)
        fields.setVerticalSpacing(4)
        for column, (label, field, stretch) in enumerate([
            ("&Host", self.host, 3), ("&Port", self.port, 0), ("&Name", self.name, 3), ("Pass&word", self.password, 2),
        ]):
            fields.addWidget(_label(label, field), 0, column)
            fields.addWidget(field, 1, column)
            fields.setColumnStretch(column, stretch)
        for column, button in ((4, self.connect_button), (5, self.disconnect_button)):
            button.setMinimumWidth(self.disconnect_button.sizeHint().width() + 14)
            fields.addWidget(button, 1, column)
        status = QHBoxLayout(spacing=8)
        status.addWidget(self.light)
        status.addWidget(self.status, 1)
        recipient = QHBoxLayout(spacing=10)
        recipient.addWidget(_label("&To", self.to))
        recipient.addWidget(self.to)
        recipient.addWidget(self.hint, 1)
        composing = QHBoxLayout(spacing=10)
        composing.addWidget(self.message, 1)
        composing.addWidget(self.send_button, 0, Qt.AlignBottom)
        whole = QVBoxLayout(self, spacing=12)
        whole.setContentsMargins(16, 14, 16, 16)
        whole.addLayout(fields)
        whole.addLayout(status)
        whole.addWidget(self.log, 1)
        whole.addLayout(recipient)
        whole.addLayout(composing)
        order = [self.host, self.port, self.name, self.password, self.connect_button, self.disconnect_button, self.to,
                 self.message, self.send_button, self.log]
        for before, after in zip(order, order[1:], strict=False):
            self.setTabOrder(before, after)
        self.setWindowIcon(icons.bubble())
        self.resize(780, 600)

    # What one does.

    def _connect(self) -> None:
        name, host = self.name.text().strip(), self.host.text().strip()
        for field, text, question in ((self.host, host, "Which host?"), (self.name, name, "What is your name?")):
            if not text:
                self.status.setText(question)
                field.setFocus()
                return
        self.link.open(Target(host, self.port.value(), name, self.password.text()))

    def _send(self) -> None:
        if self.message.toPlainText().strip() and not self._problem():
            self.link.send(self.to.choice, self.message.take())
        self._refresh_hint()

    def _problem(self) -> str:
        """Why what is written cannot be sent now, if so."""
        longest = max(map(len, self.message.toPlainText().split("\n")))
        if self.link.state is not State.ONLINE:
            return "Not connected. Your text is kept." if self.message.toPlainText() else ""
        if self.to.gone:
            return f"{self.to.choice} has left. Your text is kept."
        if longest > LONGEST:
            return f"A message has at most {LONGEST:,} characters; this one has {longest:,}."
        return ""

    # What happens.

    def _refresh(self) -> None:
        """Show how the connection stands."""
        state = self.link.state
        offline = state is State.OFFLINE
        for field in (self.host, self.port, self.name, self.password):
            field.setEnabled(offline)
        self.connect_button.setEnabled(offline)
        self.disconnect_button.setEnabled(not offline and state is not State.LEAVING)
        self.status.setText(self.link.status)
        self.light.setPixmap(icons.dot(LIGHTS[state], 10, self.devicePixelRatioF()))
        if state is State.ONLINE:
            self.message.setFocus()
        elif offline and self.link.status.startswith("Refused"):
            (self.password if "password" in self.link.status else self.name).setFocus()
        self._note(state)
        if offline and self._closing:
            QApplication.quit()
        self._refresh_hint()
        self._refresh_title()

    def _note(self, state: State) -> None:
        """The conversation, too, tells when one was here to hear it."""
        if state is State.ONLINE and self._before is not State.ONLINE:
            self.log.add(Entry(f"{self.link.status}."))
        elif self._before is State.ONLINE and state is State.WAITING:
            self.log.add(Entry(f"{self.link.status}.", alert=True))
        elif self._before is State.LEAVING and state is State.OFFLINE:
            self.log.add(Entry(f"{self.link.status}."))
        self._before = state

    def _refresh_hint(self) -> None:
        problem = self._problem()
        self.hint.setText(problem)
        self.send_button.setEnabled(not problem and self.link.state is State.ONLINE)

    def _refresh_title(self) -> None:
        who = f"{self.link.name} – " if self.link.state is State.ONLINE else ""
        self.setWindowTitle(f"({self._unread}) {who}webchat" if self._unread else f"{who}webchat")

    def _set_people(self, names: tuple[str, ...]) -> None:
        self.to.set_online(tuple(name for name in names if name != self.link.name))
        self._refresh_hint()

    def _hear(self, heard: braces.ReceivedMessage | braces.ServerLine) -> None:
        if isinstance(heard, braces.ServerLine):
            self.log.add(Entry(heard.text, alert=not braces.is_presence(heard.text)))
            return
        own = heard.from_user == self.link.name
        self.log.add(Entry(heard.text, heard.from_user, self.link.name if heard.private else None, own))
        if not own:
            self._call()

    def _delivered(self, said: Outgoing) -> None:
        if said.to not in (ALL, self.link.name):  # those come back from the server
            self.log.add(Entry(said.text, self.link.name, said.to, own=True))

    def _refused(self, said: Outgoing, reason: str) -> None:
        self.log.add(Entry(reason, alert=True))
        self.message.give_back(said.text)

    def _call(self) -> None:
        """Somebody said something; whoever looks elsewhere is told."""
        if not self.isActiveWindow():
            self._unread += 1
            self._refresh_title()
            QApplication.alert(self)

    def changeEvent(self, event: QEvent) -> None:
        """Looked at again, all has been read."""
        super().changeEvent(event)
        if event.type() == QEvent.ActivationChange and self.isActiveWindow() and self._unread:
            self._unread = 0
            self._refresh_title()

    def closeEvent(self, event: QCloseEvent) -> None:
        """A goodbye first: the window is gone at once, the program when the server has heard it."""
        if self.link.state is not State.OFFLINE:
            event.ignore()
            self._closing = True
            self.hide()
            self.link.close()


def _field(name: str, text: str) -> QLineEdit:
    return QLineEdit(text, accessibleName=name)


def _label(text: str, field: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(field)
    label.setMinimumWidth(label.sizeHint().width() + 2)
    return label
