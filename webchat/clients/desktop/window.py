"""The window of the chat."""

from collections.abc import Callable
from itertools import pairwise

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
from webchat.clients.desktop.brace_link import BraceLink, ConnectionState, ConnectionTarget, OutgoingMessage
from webchat.clients.desktop.composer import Composer
from webchat.clients.desktop.log_view import LogEntry, LogView
from webchat.clients.desktop.recipients import Recipients
from webchat.codecs import braces
from webchat.codecs.braces import ALL

TLS_SCHEME = "tls://"
"""Before the host, where the server speaks TLS."""

MAX_MESSAGE_LENGTH = 4096
"""Characters of a message that the server accepts."""

STATE_COLOURS = {
    ConnectionState.OFFLINE: "#767676",
    ConnectionState.CONNECTING: "#d78700",
    ConnectionState.ONLINE: "#00a35c",
    ConnectionState.WAITING: "#d75f00",
    ConnectionState.LEAVING: "#767676",
}


class Window(QWidget):
    """Fields for the connection, the conversation, and a field for a message. `target` fills the fields."""

    def __init__(self, link: BraceLink, target: ConnectionTarget):
        super().__init__()
        self.link = link
        self._previous_state = link.state
        self._closing = False
        self._unread = 0
        self._build(target)
        self._arrange()
        link.setParent(self)
        link.changed.connect(self._refresh)
        link.people.connect(self._set_people)
        link.received.connect(self._show_received)
        link.delivered.connect(self._show_delivered)
        link.refused.connect(self._show_refused)
        link.returned.connect(self._put_back)
        self._refresh()

    # Widgets.

    def _build(self, target: ConnectionTarget) -> None:
        self.host = _field("Host", TLS_SCHEME * target.tls + target.host)
        self.port = QSpinBox()
        self.port.setRange(1, 65535)
        self.port.setValue(target.port)
        self.port.setAccessibleName("Port")
        self.port.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.name = _field("Name", target.name)
        self.password = _field("Password", target.password)
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("optional")
        self.password.setToolTip("Only for a name that belongs to an account")
        self.connect_button = _button("&Connect", self._connect)
        self.disconnect_button = _button("&Disconnect", self.link.close)
        for field in (self.host, self.port.lineEdit(), self.name, self.password):
            field.returnPressed.connect(self.connect_button.click)
        self.light = QLabel()
        self.status = _text("Status")
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.log = LogView()
        self.to = Recipients()
        self.to.currentIndexChanged.connect(self._refresh_hint)
        self.hint = _text("Hint")
        self.message = Composer()
        self.message.submitted.connect(self._send)
        self.message.textChanged.connect(self._refresh_hint)
        self.send_button = _button("&Send", self._send)

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
        status = QHBoxLayout()
        status.setSpacing(8)
        status.addWidget(self.light)
        status.addWidget(self.status, 1)
        recipient = QHBoxLayout()
        recipient.setSpacing(10)
        recipient.addWidget(_label("&To", self.to))
        recipient.addWidget(self.to)
        recipient.addWidget(self.hint, 1)
        composing = QHBoxLayout()
        composing.setSpacing(10)
        composing.addWidget(self.message, 1)
        composing.addWidget(self.send_button, 0, Qt.AlignmentFlag.AlignBottom)
        whole = QVBoxLayout(self)
        whole.setSpacing(12)
        whole.setContentsMargins(16, 14, 16, 16)
        whole.addLayout(fields)
        whole.addLayout(status)
        whole.addWidget(self.log, 1)
        whole.addLayout(recipient)
        whole.addLayout(composing)
        order = [self.host, self.port, self.name, self.password, self.connect_button, self.disconnect_button, self.to,
                 self.message, self.send_button, self.log]
        for before, after in pairwise(order):
            self.setTabOrder(before, after)
        self.setWindowIcon(icons.bubble())
        self.resize(780, 600)

    # What the user does.

    def _connect(self) -> None:
        name, host = self.name.text().strip(), self.host.text().strip()
        for field, text, question in ((self.host, host, "Which host?"), (self.name, name, "What is your name?")):
            if not text:
                self.status.setText(question)
                field.setFocus()
                return
        plain_host, tls = host.removeprefix(TLS_SCHEME), host.startswith(TLS_SCHEME)
        self.link.open(ConnectionTarget(plain_host, self.port.value(), name, self.password.text(), tls))

    def _send(self) -> None:
        if self.message.toPlainText().strip() and not self._problem():
            self.link.send(self.to.choice, self.message.take())
        self._refresh_hint()

    def _problem(self) -> str:
        """Why the text in the field cannot be sent now; empty if it can."""
        text = self.message.toPlainText()
        length = max(map(len, text.split("\n")))
        if self.link.state is not ConnectionState.ONLINE:
            return "Not connected. Your text is kept." if text else ""
        if self.to.gone:
            return f"{self.to.choice} has left. Your text is kept."
        if length > MAX_MESSAGE_LENGTH:
            return f"A message has at most {MAX_MESSAGE_LENGTH:,} characters; this one has {length:,}."
        return ""

    # The connection.

    def _refresh(self) -> None:
        """Show the state of the connection."""
        state = self.link.state
        offline = state is ConnectionState.OFFLINE
        for field in (self.host, self.port, self.name, self.password):
            field.setEnabled(offline)
        self.connect_button.setEnabled(offline)
        self.disconnect_button.setEnabled(not offline and state is not ConnectionState.LEAVING)
        self.status.setText(self.link.status)
        self.light.setPixmap(icons.dot(STATE_COLOURS[state], 10, self.devicePixelRatioF()))
        if state is ConnectionState.ONLINE:
            self.message.setFocus()
        elif offline and self.link.status.startswith("Refused"):
            (self.password if "password" in self.link.status else self.name).setFocus()
        self._note(state)
        if offline and self._closing:
            QApplication.quit()
        self._refresh_hint()
        self._refresh_title()

    def _note(self, state: ConnectionState) -> None:
        """Write into the conversation from when to when the user was connected: messages in between may be missing."""
        previous, self._previous_state = self._previous_state, state
        connected = state is ConnectionState.ONLINE and previous is not ConnectionState.ONLINE
        lost = state is ConnectionState.WAITING and previous is ConnectionState.ONLINE
        left = state is ConnectionState.OFFLINE and previous is ConnectionState.LEAVING
        if connected or lost or left:
            self.log.add(LogEntry(f"{self.link.status}.", alert=lost))

    def _refresh_hint(self) -> None:
        problem = self._problem()
        self.hint.setText(problem)
        self.send_button.setEnabled(not problem and self.link.state is ConnectionState.ONLINE)

    def _refresh_title(self) -> None:
        who = f"{self.link.name} – " if self.link.state is ConnectionState.ONLINE else ""
        self.setWindowTitle(f"({self._unread}) {who}webchat" if self._unread else f"{who}webchat")

    # The conversation.

    def _set_people(self, names: tuple[str, ...]) -> None:
        self.to.set_online(tuple(name for name in names if name != self.link.name))
        self._refresh_hint()

    def _show_received(self, received: braces.ReceivedMessage | braces.ServerLine) -> None:
        if isinstance(received, braces.ServerLine):
            self.log.add(LogEntry(received.text, alert=not braces.is_presence(received.text)))
            return
        own = received.from_user == self.link.name
        to = self.link.name if received.private else None
        self.log.add(LogEntry(received.text, received.from_user, to, own))
        if not own:
            self._draw_attention()

    def _show_delivered(self, message: OutgoingMessage) -> None:
        if message.to not in (ALL, self.link.name):  # those come back from the server
            self.log.add(LogEntry(message.text, self.link.name, message.to, own=True))

    def _show_refused(self, message: OutgoingMessage, reason: str) -> None:
        self.log.add(LogEntry(reason, alert=True))
        self._put_back([message])

    def _put_back(self, messages: list[OutgoingMessage]) -> None:
        self.message.put_back("\n".join(message.text for message in messages))

    def _draw_attention(self) -> None:
        """Count a message in the title, and have the desktop highlight the window, unless it is the active one."""
        if not self.isActiveWindow():
            self._unread += 1
            self._refresh_title()
            QApplication.alert(self)

    def changeEvent(self, event: QEvent) -> None:
        """Count everything as read when the window becomes the active one."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow() and self._unread:
            self._unread = 0
            self._refresh_title()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave the chat first. The window disappears at once, and the program ends after the server has answered."""
        if self.link.state is not ConnectionState.OFFLINE:
            event.ignore()
            self._closing = True
            self.hide()
            self.link.close()


def _field(name: str, text: str) -> QLineEdit:
    field = QLineEdit(text)
    field.setAccessibleName(name)
    return field


def _button(text: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(action)
    return button


def _text(name: str) -> QLabel:
    """A label for a text that changes; it is never taken for markup."""
    label = QLabel()
    label.setAccessibleName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _label(text: str, field: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(field)
    label.setMinimumWidth(label.sizeHint().width() + 2)
    return label
