"""The conversation in the window: legible on every paper, bounded, and characters only."""

import pytest

from tests.clients.desktop.qt import app  # noqa: F401
from tests.clients.test_colours import luminance
from webchat.clients.desktop import log_view
from webchat.clients.desktop.log_view import Entry, LogView

QtGui = pytest.importorskip("PyQt5.QtGui")

PAPERS = {"light": ("#ffffff", "#000000"), "dark": ("#1e1f22", "#e6e6e6"), "black": ("#000000", "#ffffff")}


@pytest.fixture
def view(app):  # noqa: F811
    view = LogView()
    yield view
    view.deleteLater()


def fragments(view):
    """Each run of characters with the colours it stands in: (text, ink, paper)."""
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


@pytest.mark.parametrize("paper", PAPERS)
def test_everything_is_legible_on_light_and_dark_desktops(view, paper):
    base, text = PAPERS[paper]
    palette = QtGui.QPalette()
    for role, colour in ((QtGui.QPalette.Base, base), (QtGui.QPalette.Text, text)):
        palette.setColor(role, QtGui.QColor(colour))
    for number in range(12):
        view.add(Entry("hello", f"guest{number}"))
    view.add(Entry("mine", "Hugo", own=True))
    view.add(Entry("psst", "ada", "Hugo"))
    view.add(Entry("ada has left"))
    view.add(Entry("That did not work.", alert=True))
    view.setPalette(palette)  # while it is in use, as when the desktop turns dark in the evening
    for text, ink, ground in fragments(view):
        bright, dim = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3.5, (text, ink, ground)


def test_ones_own_private_and_other_messages_stand_on_different_grounds(view):
    for entry in (Entry("a", "ada"), Entry("b", "Hugo", own=True), Entry("c", "ada", "Hugo")):
        view.add(entry)
    assert len({ground for _, _, ground in fragments(view)}) == 3


def test_it_does_not_grow_for_ever(view, monkeypatch):
    monkeypatch.setattr(log_view, "MOST", 50)
    for number in range(200):
        view.add(Entry(f"line {number}"))
    assert len(view.entries) <= 55
    assert view.document().blockCount() == len(view.entries)
    assert "line 199" in view.toPlainText() and "line 140" not in view.toPlainText()


def test_a_text_without_spaces_is_wrapped(view):
    view.resize(300, 200)
    view.show()
    view.add(Entry("x" * 4096, "ada"))
    assert view.horizontalScrollBar().maximum() == 0
