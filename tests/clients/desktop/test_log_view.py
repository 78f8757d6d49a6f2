"""The conversation in the window: legible on every background, bounded, and characters only."""

import pytest

from tests.clients.desktop.window_user import QtGui
from tests.clients.test_colours import luminance
from webchat.clients.desktop.log_view import LogEntry, LogView

DESKTOPS = {"light": ("#ffffff", "#000000"), "dark": ("#1e1f22", "#e6e6e6"), "black": ("#000000", "#ffffff")}


CAPACITY = 50


@pytest.fixture
def view(app):
    view = LogView(capacity=CAPACITY)
    yield view
    view.deleteLater()


def fragments(view):
    """The text, its colour and the colour behind it, for each run of characters with the same format."""
    block = view.document().begin()
    while block.isValid():
        background = block.blockFormat().background()
        paper = background.color().name() if background.style() else view.palette().color(QtGui.QPalette.Base).name()
        run = block.begin()
        while not run.atEnd():
            ink = run.fragment().charFormat().foreground()
            yield (run.fragment().text(),
                   ink.color().name() if ink.style() else view.palette().color(QtGui.QPalette.Text).name(), paper)
            run += 1
        block = block.next()


@pytest.mark.parametrize("desktop", DESKTOPS)
def test_everything_is_legible_on_light_and_dark_desktops(view, desktop):
    base, text = DESKTOPS[desktop]
    palette = QtGui.QPalette()
    for role, colour in ((QtGui.QPalette.Base, base), (QtGui.QPalette.Text, text)):
        palette.setColor(role, QtGui.QColor(colour))
    for number in range(12):
        view.add(LogEntry("hello", f"guest{number}"))
    view.add(LogEntry("mine", "Hugo", own=True))
    view.add(LogEntry("psst", "ada", "Hugo"))
    view.add(LogEntry("ada has left"))
    view.add(LogEntry("That did not work.", alert=True))
    view.setPalette(palette)  # while it is in use, as when the desktop turns dark in the evening
    for text, ink, ground in fragments(view):
        bright, dim = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3.5, (text, ink, ground)


def test_own_private_and_other_messages_have_different_backgrounds(view):
    for entry in (LogEntry("a", "ada"), LogEntry("b", "Hugo", own=True), LogEntry("c", "ada", "Hugo")):
        view.add(entry)
    assert len({ground for _, _, ground in fragments(view)}) == 3


def test_the_oldest_entries_are_removed(view):
    for number in range(4 * CAPACITY):
        view.add(LogEntry(f"line {number}"))
    assert CAPACITY <= len(view.entries) <= 1.1 * CAPACITY
    assert view.document().blockCount() == len(view.entries)
    assert "line 199" in view.toPlainText() and "line 140" not in view.toPlainText()


def test_a_text_without_spaces_is_wrapped(view):
    view.resize(300, 200)
    view.show()
    view.add(LogEntry("x" * 4096, "ada"))
    assert view.horizontalScrollBar().maximum() == 0
