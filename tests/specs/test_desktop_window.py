"""The window of the desktop chat exercise: what is in it, and what happens when it is used.

(The protocol is specified in test_desktop_exercise.py.)
"""

from tests.clients.desktop.window_user import until
from webchat.clients.desktop.main import BRACES_PORT, main


def test_it_has_fields_for_host_port_and_name(open_window):
    window = open_window(BRACES_PORT).window
    assert (window.host.text(), window.port.value(), window.name.text()) == ("127.0.0.1", 33002, "")
    assert next(param for param in main.params if param.name == "address").default == "localhost"


def test_of_the_connect_and_disconnect_buttons_one_is_enabled(chat_server, open_window):
    hugo = open_window(chat_server.braces_port, "Hugo")
    buttons = [hugo.window.connect_button, hugo.window.disconnect_button]
    assert [button.isEnabled() for button in buttons] == [True, False]
    hugo.connects()
    assert [button.isEnabled() for button in buttons] == [False, True]
    hugo.clicks(hugo.window.disconnect_button)
    hugo.reads_status("Disconnected")
    assert [button.isEnabled() for button in buttons] == [True, False]


def test_a_label_shows_the_status(chat_server, open_window):
    hugo = open_window(chat_server.braces_port, "Hugo")
    assert hugo.window.status.text() == "Not connected"
    hugo.clicks(hugo.window.connect_button)
    assert hugo.window.status.text().startswith("Connecting")
    hugo.reads_status("Connected as Hugo")
    second = open_window(chat_server.braces_port, "Hugo")
    second.clicks(second.window.connect_button)
    second.reads_status("Refused: Somebody here already has that name.")


def test_a_combo_box_has_all_and_everybody_who_is_online(chat_server, open_window):
    hugo = open_window(chat_server.braces_port, "Hugo").connects()
    ada = open_window(chat_server.braces_port, "ada").connects()
    until(lambda: hugo.offered == ["ALL", "ada"], lambda: hugo.offered)
    until(lambda: ada.offered == ["ALL", "Hugo"], lambda: ada.offered)
    ada.clicks(ada.window.disconnect_button)
    until(lambda: hugo.offered == ["ALL"], lambda: hugo.offered)


def test_a_message_to_all_is_shown_to_all_and_a_private_one_only_to_its_recipient(chat_server, open_window):
    hugo, ada, bob = (open_window(chat_server.braces_port, name).connects() for name in ("Hugo", "ada", "bob"))
    hugo.chooses("ada")
    hugo.says("for ada alone")
    ada.reads("for ada alone")
    hugo.chooses("ALL")
    hugo.says("for everybody")
    for each in (hugo, ada, bob):
        each.reads("for everybody")
    assert "for ada alone" not in bob.window.log.toPlainText()


def test_arrivals_and_departures_are_announced(chat_server, open_window):
    hugo, ada = (open_window(chat_server.braces_port, name).connects() for name in ("Hugo", "ada"))
    hugo.reads("ada has joined the chat!")
    ada.window.close()
    hugo.reads("ada has left the chat.")


def test_all_controls_are_drawn_inside_the_window_and_do_not_overlap(chat_server, open_window, tmp_path):
    hugo, ada = (open_window(chat_server.braces_port, name).connects() for name in ("Hugo", "ada"))
    ada.says("good morning")
    hugo.reads("good morning")
    picture = hugo.window.grab()
    assert picture.save(str(tmp_path / "window.png"))
    image = picture.toImage()
    colours = {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    assert len(colours) > 20  # controls, characters and a name's colour, not an empty sheet
    controls = [hugo.window.host, hugo.window.name, hugo.window.connect_button, hugo.window.status, hugo.window.log,
                hugo.window.to, hugo.window.message, hugo.window.send_button]
    boxes = [control.geometry() for control in controls]
    assert all(hugo.window.rect().contains(box) for box in boxes)
    assert not any(one.intersects(other) for one in boxes for other in boxes if one is not other)
