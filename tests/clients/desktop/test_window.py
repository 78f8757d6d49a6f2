"""The window as its users see it: real keys, real clicks, a real server."""

import signal
import socket

import pytest

from tests.clients.desktop.window_user import ConnectionState, LinkTimes, QApplication, Qt, QTest, until
from tests.program import Program

pytestmark = pytest.mark.usefixtures("app")


class TestConnecting:
    def test_the_buttons_and_the_status_show_the_state_of_the_connection(self, server, open_window):
        hugo = open_window(server.braces_port, "Hugo")
        assert hugo.window.status.text() == "Not connected"
        assert hugo.window.connect_button.isEnabled() and not hugo.window.disconnect_button.isEnabled()
        hugo.clicks(hugo.window.connect_button)
        assert hugo.window.status.text() == f"Connecting to 127.0.0.1:{server.braces_port} …"
        hugo.reads_status("Connected as Hugo")
        assert not hugo.window.connect_button.isEnabled() and hugo.window.disconnect_button.isEnabled()
        assert not any(field.isEnabled() for field in (hugo.window.host, hugo.window.port, hugo.window.name))
        hugo.clicks(hugo.window.disconnect_button)
        hugo.reads_status("Disconnected")
        assert hugo.window.connect_button.isEnabled() and hugo.window.name.isEnabled()

    def test_enter_in_a_field_connects_and_moves_on_to_the_message(self, server, open_window):
        guest = open_window(server.braces_port, "keyboard")
        guest.presses(Qt.Key_Return, field=guest.window.name)
        guest.reads_status("Connected as keyboard")
        assert guest.window.focusWidget() is guest.window.message

    def test_without_a_name_it_asks_for_one(self, server, open_window):
        guest = open_window(server.braces_port)
        guest.clicks(guest.window.connect_button)
        assert guest.window.status.text() == "What is your name?"
        assert guest.window.focusWidget() is guest.window.name

    def test_a_refused_name_is_explained_and_can_be_corrected(self, server, open_window):
        open_window(server.braces_port, "first").connects()
        second = open_window(server.braces_port, "first")
        second.clicks(second.window.connect_button)
        second.reads_status("Refused: Somebody here already has that name.")
        assert second.window.focusWidget() is second.window.name
        second.types(second.window.name, "born")
        second.connects()
        assert second.window.link.name == "firstborn"

    def test_an_account_needs_its_password_which_is_not_shown(self, server, open_window):
        sue = open_window(server.braces_port, "Sue")
        sue.clicks(sue.window.connect_button)
        sue.reads_status("Refused: That name belongs to an account")
        assert sue.window.focusWidget() is sue.window.password
        sue.types(sue.window.password, "password")
        assert "password" not in sue.window.password.displayText()
        sue.connects()
        assert sue.window.status.text() == "Connected as Sue*"

    def test_a_host_without_a_server_is_reported(self, open_window):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            guest = open_window(nobody.getsockname()[1], "guest")
            guest.clicks(guest.window.connect_button)
            guest.reads_status("Cannot reach 127.0.0.1:")
            guest.reads_status("nobody listens there.")
            assert guest.window.connect_button.isEnabled()

    def test_a_server_that_does_not_answer_blocks_nothing_and_can_be_given_up(self, open_window):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            guest = open_window(silent.getsockname()[1], "guest")
            guest.clicks(guest.window.connect_button)
            connection, _ = silent.accept()
            guest.types(guest.window.message, "meanwhile")
            assert guest.written == "meanwhile"
            guest.clicks(guest.window.disconnect_button)
            assert guest.window.status.text() == "Disconnected"
            connection.close()

    def test_a_server_that_does_not_answer_is_given_up(self, open_window):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            guest = open_window(silent.getsockname()[1], "guest", times=LinkTimes(answer=0.05))
            guest.clicks(guest.window.connect_button)
            guest.reads_status("the server does not answer.")


class TestTalking:
    def test_a_message_to_all_reaches_the_others_and_is_shown_once_to_its_sender(self, server, open_window):
        ada = open_window(server.braces_port, "ada").connects()
        with server.say("ear") as ear:
            ada.says("hello everybody")
            assert ada.entry("hello everybody").own
            ear.hear("^ada: hello everybody$")
            assert ada.written == ""
            ear.write("hello ada")
            assert not ada.entry("hello ada").own
            assert [each.text for each in ada.window.log.entries].count("hello everybody") == 1

    def test_private_messages_are_marked_in_both_directions(self, server, open_window):
        bob, eve = open_window(server.braces_port, "bob").connects(), open_window(server.braces_port, "eve").connects()
        bob.chooses("eve")
        bob.says("psst")
        assert (eve.entry("psst").sender, eve.entry("psst").to, eve.entry("psst").own) == ("bob", "eve", False)
        assert (bob.entry("psst").sender, bob.entry("psst").to, bob.entry("psst").own) == ("bob", "eve", True)
        assert "bob → eve" in bob.window.log.toPlainText()

    def test_shift_enter_begins_a_new_line_and_pasted_text_keeps_its_lines(self, server, open_window):
        poet = open_window(server.braces_port, "poet").connects()
        with server.say("public") as ear:
            poet.types(poet.window.message, "one")
            poet.presses(Qt.Key_Return, Qt.ShiftModifier)
            poet.window.message.insertPlainText("two\n\nthree")
            poet.presses(Qt.Key_Return)
            poet.reads("three")
            assert [ear.hear("poet: ") for _ in range(3)] == ["poet: one", "poet: two", "poet: three"]

    def test_a_long_pasted_text_arrives_completely_at_a_server_that_limits_messages(self, open_window):
        with Program("--message-rate", "20") as server:
            pasting = open_window(server.braces_port, "pasting").connects()
            with server.say("ear") as ear:
                lines = [f"line {number}" for number in range(50)]
                pasting.window.message.insertPlainText("\n".join(lines))
                pasting.presses(Qt.Key_Return)
                pasting.reads("line 49")
                assert [ear.hear("pasting: ") for _ in lines] == [f"pasting: {line}" for line in lines]
            pasting.leaves()

    def test_markup_is_shown_as_text(self, server, open_window):
        reader = open_window(server.braces_port, "reader").connects()
        with server.say("author") as author:
            author.write("<b>bold</b> <img src=x> &amp; {ALL} \x1b[31m")
            reader.reads("author   <b>bold</b> <img src=x> &amp; ｛ALL} \ufffd[31m")

    def test_arrivals_and_departures_are_shown(self, server, open_window):
        watcher = open_window(server.braces_port, "watcher").connects()
        with server.say("passer-by"):
            assert watcher.entry("passer-by has joined the chat!").sender is None
        assert not watcher.entry("passer-by has left the chat.").alert

    def test_every_entry_has_its_local_time(self, server, open_window):
        punctual = open_window(server.braces_port, "punctual").connects()
        punctual.says("now")
        punctual.reads("now")
        for line in punctual.window.log.toPlainText().splitlines():
            hours, minutes = line.partition("\t")[0].split(":")
            assert 0 <= int(hours) < 24 and 0 <= int(minutes) < 60


class TestRecipients:
    def test_all_comes_first_and_then_the_other_people_online(self, server, open_window):
        host = open_window(server.braces_port, "host").connects()
        with server.say("zoe"):
            until(lambda: "zoe" in host.offered, lambda: host.offered)
            assert host.offered[0] == "ALL" and "host" not in host.offered
        until(lambda: "zoe" not in host.offered, lambda: host.offered)

    def test_the_choice_stays_when_the_list_changes(self, server, open_window):
        steady = open_window(server.braces_port, "steady").connects()
        with server.say("mia"):
            steady.chooses("mia")
            with server.say("anna"), server.say("zelda"):
                until(lambda: {"anna", "zelda"} <= set(steady.offered), lambda: steady.offered)
                assert steady.window.to.choice == "mia"

    def test_an_open_list_does_not_change_under_the_pointer(self, server, open_window):
        picker = open_window(server.braces_port, "picker").connects()
        with server.say("otto"):
            until(lambda: "otto" in picker.offered, lambda: picker.offered)
            picker.window.to.showPopup()
            with server.say("nora"):
                picker.reads("nora has joined")
                assert "nora" not in picker.offered
                picker.window.to.hidePopup()
                until(lambda: "nora" in picker.offered, lambda: picker.offered)

    def test_when_the_chosen_person_leaves_a_hint_says_so_and_the_text_is_kept(self, server, open_window):
        loyal = open_window(server.braces_port, "loyal").connects()
        with server.say("fleeting"):
            loyal.chooses("fleeting")
            loyal.types(loyal.window.message, "wait for me")
        until(lambda: loyal.window.to.gone, "gone")
        assert "fleeting has left" in loyal.window.hint.text()
        loyal.presses(Qt.Key_Return)
        assert (loyal.written, loyal.window.to.choice) == ("wait for me", "fleeting")
        with server.say("fleeting") as fleeting:
            until(lambda: not loyal.window.to.gone, "back")
            assert loyal.window.hint.text() == ""
            loyal.presses(Qt.Key_Return)
            loyal.reads("wait for me")
            fleeting.hear(r"^\[private\] loyal: wait for me$")


class TestFailures:
    def test_without_a_connection_the_text_is_kept(self, server, open_window):
        guest = open_window(server.braces_port, "offline")
        guest.says("too early")
        assert guest.written == "too early"
        assert guest.window.hint.text() == "Not connected. Your text is kept."

    def test_a_text_that_is_too_long_is_kept_and_the_reason_shown(self, server, open_window):
        verbose = open_window(server.braces_port, "verbose").connects()
        verbose.window.message.insertPlainText("x" * 4097)
        verbose.presses(Qt.Key_Return)
        assert len(verbose.written) == 4097
        assert "at most 4,096 characters" in verbose.window.hint.text()
        verbose.presses(Qt.Key_Backspace)
        verbose.presses(Qt.Key_Return)
        verbose.reads("x" * 4096)
        assert verbose.written == ""

    def test_a_refused_text_is_put_back_and_the_reason_shown(self, server, open_window):
        late = open_window(server.braces_port, "late").connects()
        late.window.link.send("nobody at all", "hello?")
        until(lambda: late.written == "hello?", "the text is back")
        assert late.window.log.entries[-1].alert

    def test_a_lost_connection_is_reported_the_text_put_back_and_the_connection_opened_again(self, open_window):
        with Program() as first:
            hugo = open_window(first.braces_port, "Hugo").connects()
            first.process.send_signal(signal.SIGSTOP)
            hugo.says("on its way")
            assert hugo.written == ""
            first.stop(signal.SIGKILL)
            hugo.reads_status("Connection lost")
            assert hugo.written == "on its way"
            assert hugo.window.disconnect_button.isEnabled()
            ports = ["--port", str(first.port), "--lines-port", str(first.lines_port), "--braces-port",
                     str(first.braces_port)]
            with Program(*ports):
                hugo.reads_status("Connected as Hugo")
                assert hugo.window.log.toPlainText().count("Connected as Hugo.") == 2
                hugo.leaves()

    def test_a_server_that_has_stopped_answering_is_noticed(self, open_window):
        with Program() as server:
            hugo = open_window(server.braces_port, "Hugo", times=LinkTimes(answer=1, check=0.01)).connects()
            server.process.send_signal(signal.SIGSTOP)
            hugo.reads_status("Connection lost: the server does not answer")

    def test_attempts_to_reconnect_can_be_stopped(self, open_window):
        with Program() as server:
            hugo = open_window(server.braces_port, "Hugo", pause=5).connects()
        hugo.reads_status("Next attempt in 5 s")
        hugo.clicks(hugo.window.disconnect_button)
        assert hugo.window.status.text() == "Disconnected"
        assert hugo.window.connect_button.isEnabled()


class TestAttention:
    def test_messages_that_arrive_while_another_window_is_active_are_counted_in_the_title(
            self, server, open_window, monkeypatch):
        calls = []
        monkeypatch.setattr(QApplication, "alert", calls.append)
        busy, other = open_window(server.braces_port, "busy").connects(), open_window(server.braces_port, "elsewhere")
        other.window.activateWindow()
        assert QTest.qWaitForWindowActive(other.window)
        with server.say("caller") as caller:
            caller.write("hello?")
            busy.reads("hello?")
            caller.write("anybody?")
            busy.reads("anybody?")
        assert busy.window.windowTitle() == "(2) busy – webchat"
        assert calls == 2 * [busy.window]
        busy.window.activateWindow()
        assert QTest.qWaitForWindowActive(busy.window)
        until(lambda: busy.window.windowTitle() == "busy – webchat", busy.window.windowTitle)

    def test_new_messages_do_not_scroll_away_what_the_user_has_scrolled_back_to(self, server, open_window):
        reader = open_window(server.braces_port, "historian").connects()
        bar = reader.window.log.verticalScrollBar()
        with server.say("chatterbox") as chatterbox:
            for number in range(60):
                chatterbox.write(f"line {number}")
            reader.reads("line 59")
            assert bar.value() == bar.maximum() > 0
            bar.setValue(0)
            chatterbox.write("news")
            reader.reads("news")
            assert bar.value() == 0


class TestLeaving:
    def test_closing_the_window_leaves_the_chat_first(self, server, open_window):
        polite = open_window(server.braces_port, "polite").connects()
        with server.say("witness") as witness:
            polite.says("I have to go")
            polite.reads("I have to go")
            witness.hear("polite: I have to go")
            polite.window.close()
            assert not polite.window.isVisible()
            until(lambda: polite.window.link.state is ConnectionState.OFFLINE, "offline")
            witness.hear("-!- polite has left")


class TestAccessibility:
    def test_tab_moves_through_the_fields_in_their_order(self, open_window):
        window = open_window(1, "guest").window
        window.host.setFocus()
        seen = []
        for _ in range(4):
            seen.append(window.focusWidget())
            QTest.keyClick(window.focusWidget(), Qt.Key_Tab)
        assert seen == [window.host, window.port, window.name, window.password]
        window.message.setFocus()
        QTest.keyClick(window.message, Qt.Key_Tab)
        assert window.focusWidget() is not window.message

    def test_every_control_has_a_name_for_screen_readers(self, open_window):
        window = open_window(1).window
        names = {each: each.accessibleName() for each in (
            window.host, window.port, window.name, window.password, window.to, window.message, window.log,
            window.status)}
        assert all(names.values()), names
        assert {window.connect_button.text(), window.disconnect_button.text(), window.send_button.text()} == {
            "&Connect", "&Disconnect", "&Send"}
