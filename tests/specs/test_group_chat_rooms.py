"""The group chat exercise: rooms for the members of groups, over WebSockets, from a command line.

Alex, Sue and Sandy use `webchat chat ws://…` in terminals. Each has a password, and the groups that the exercise lists.
"""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.clients.terminal_user import TerminalUser
from tests.program import PATIENCE, Program

GROUPS = {
    "Alex": ["8 out of 10 cats", "Taskmaster"],
    "Sue": ["8 out of 10 cats", "Quite Interesting", "Taskmaster"],
    "Sandy": ["Quite Interesting", "Taskmaster"],
}


@pytest.fixture(scope="module")
def chat():
    """One server for all tests, which therefore use different texts: a room's history outlives a test."""
    with Program("--message-rate", "0") as program:
        yield program


def url(chat: Program) -> str:
    return f"ws://127.0.0.1:{chat.port}/ws"


class Member(TerminalUser):
    """Somebody with an account, at a terminal."""

    def __init__(self, chat: Program, name: str):
        super().__init__(url(chat))
        self.name = name

    def logs_in(self, password: str = "password") -> "Member":
        self.sees("Name:")
        self.enters(self.name)
        self.sees("Password")
        self.enters(password)
        return self

    def joins(self, room: str) -> "Member":
        """Choose a room from the list that is shown after the login."""
        self.sees("Join a chat room")
        self.sees("Its number or name")
        self.enters(room)
        self.sees(rf"You are in #{room}.*")
        self.sees(rf"\* #{room}>")
        return self


@contextmanager
def client(chat: Program, name: str, room: str):
    """Somebody in a room, with a client of a few lines on the websockets library."""
    with connect(url(chat), proxy=None) as socket:
        for request in ({"type": "login", "username": name, "password": "password"}, {"type": "join", "room": room}):
            socket.send(json.dumps(request))
        hear(socket, "history")
        yield socket


def hear(socket, kind: str) -> dict:
    """Return the next event of this type."""
    while True:
        frame = json.loads(socket.recv(timeout=PATIENCE))
        if frame["type"] == kind:
            return frame


class TestLogin:
    def test_it_asks_for_a_name_and_a_password_and_a_wrong_one_is_refused(self, chat):
        with Member(chat, "Alex") as alex:
            alex.logs_in("guessed")
            alex.sees("-!- .*password")
            alex.logs_in()
            alex.sees(r"You are Alex\*")

    def test_the_password_is_neither_shown_nor_in_the_process_list(self, chat):
        with Member(chat, "Alex") as alex:
            alex.logs_in("guessed")
            alex.sees("-!- .*password")
            assert "guessed" not in alex.raw
            assert b"guessed" not in Path(f"/proc/{alex.pid}/cmdline").read_bytes()


class TestJoining:
    @pytest.mark.parametrize("name", GROUPS)
    def test_after_the_login_the_menu_offers_exactly_the_rooms_of_the_users_groups(self, chat, name):
        with Member(chat, name) as member:
            member.logs_in()
            member.sees("Join a chat room")
            menu = member.sees("Its number or name")
            assert re.findall(r"\d  (.+?) *\n", menu) == GROUPS[name]

    def test_a_room_is_chosen_by_number_or_name_now_or_later(self, chat):
        with Member(chat, "Alex") as alex:
            alex.logs_in()
            alex.sees("Its number or name")
            alex.enters("2")
            alex.sees(r"Alex\* #Taskmaster>")
        with Member(chat, "Sandy") as sandy:
            sandy.logs_in()
            sandy.sees("Its number or name")
            sandy.enters("")
            sandy.sees(r"Sandy\*>")
            sandy.enters("/join quite interesting")
            sandy.sees(r"Sandy\* #Quite Interesting>")

    def test_only_members_may_join(self, chat):
        with Member(chat, "Sandy") as sandy:
            sandy.logs_in().joins("Taskmaster")
            for room in ("8 out of 10 cats", "no such room"):
                sandy.enters(f"/join {room}")
                sandy.sees(r"-!- You are not a member of that room\.")
            sandy.enters("still here")
            sandy.sees(r"\[#Taskmaster\] Sandy\*: still here")

    def test_the_previous_10_messages_are_shown_oldest_first(self, chat):
        with client(chat, "Sue", "Taskmaster") as sue:
            for number in range(1, 13):
                sue.send(json.dumps({"type": "message", "room": "Taskmaster", "message": f"task {number}"}))
            while hear(sue, "chat_message")["text"] != "task 12":
                pass
            with Member(chat, "Alex") as alex:
                alex.logs_in()
                alex.sees("Its number or name")
                alex.enters("Taskmaster")
                shown = alex.sees("What you type goes to #Taskmaster")
                assert re.findall(r"\[#Taskmaster\] Sue\*: task (\d+)", shown) == [str(n) for n in range(3, 13)]


class TestTalking:
    def test_the_members_in_a_room_receive_each_others_messages_and_nobody_else_does(self, chat):
        with Member(chat, "Alex") as alex, Member(chat, "Sandy") as sandy, chat.say("passer-by") as stranger:
            alex.logs_in().joins("Taskmaster")
            sandy.logs_in().joins("Taskmaster")
            with client(chat, "Sue", "Quite Interesting") as sue:
                alex.sees(r"-!- Sandy\* has joined #Taskmaster")
                alex.enters("your time starts now")
                sandy.sees(r"\[#Taskmaster\] Alex\*: your time starts now")
                sandy.enters("all right")
                alex.sees(r"\[#Taskmaster\] Sandy\*: all right")
                alex.enters("/all good night")
                assert hear(sue, "chat_message")["text"] == "good night"
                assert stranger.hear(r"(Alex|Sandy)\*: ") == "Alex*: good night"

    def test_a_user_can_be_in_several_rooms_and_each_line_names_its_room(self, chat):
        with Member(chat, "Sue") as sue, client(chat, "Alex", "Taskmaster") as alex:
            sue.logs_in().joins("Taskmaster")
            sue.enters("/join Quite Interesting")
            sue.sees(r"Sue\* #Quite Interesting>")
            sue.enters("a fact")
            sue.sees(r"\[#Quite Interesting\] Sue\*: a fact")
            alex.send(json.dumps({"type": "message", "room": "Taskmaster", "message": "a task"}))
            sue.sees(r"\[#Taskmaster\] Alex\*: a task")
            sue.enters("/join Taskmaster")
            sue.sees(r"Sue\* #Taskmaster>")
            sue.enters("done")
            while (heard := hear(alex, "chat_message"))["from_user"] != "Sue*":
                pass
            assert (heard["text"], heard["room"]) == ("done", "Taskmaster")

    def test_a_user_who_has_left_a_room_receives_no_more_of_its_messages(self, chat):
        with Member(chat, "Sandy") as sandy, client(chat, "Alex", "Taskmaster") as alex:
            sandy.logs_in().joins("Taskmaster")
            sandy.enters("/part")
            sandy.sees("You have left the room")
            for request in ({"room": "Taskmaster", "message": "a secret"}, {"message": "no secret"}):
                alex.send(json.dumps({"type": "message", **request}))
            assert "a secret" not in sandy.sees("no secret")

    def test_there_are_commands_for_private_messages_people_and_rooms(self, chat):
        with Member(chat, "Sandy") as sandy, client(chat, "Alex", "Taskmaster") as alex:
            sandy.logs_in().joins("Taskmaster")
            sandy.enters("/users")
            sandy.sees(r"-!- 2 here: Alex\* \| Sandy\*")
            sandy.enters("/rooms")
            sandy.sees(r"-!- Your rooms: Quite Interesting \| Taskmaster")
            sandy.enters("/msg Alex psst")
            sandy.sees(r"\[private\] Sandy\* → Alex: psst")
            heard = hear(alex, "chat_message")
            assert (heard["from_user"], heard["text"], heard["to_user"]) == ("Sandy*", "psst", "Alex*")


class TestLeaving:
    @pytest.mark.parametrize("goodbye", ["/quit\r", "\x04"])
    def test_quit_or_ctrl_d_ends_the_client_and_the_room_is_told(self, chat, goodbye):
        with Member(chat, "Sandy") as sandy, client(chat, "Alex", "Taskmaster") as alex:
            sandy.logs_in().joins("Taskmaster")
            while "Sandy*" not in hear(alex, "presence")["joined"]:
                pass
            sandy.types(goodbye)
            assert sandy.leaves() == 0
            while "Sandy*" not in (presence := hear(alex, "presence"))["left"]:
                pass
            assert presence["left"] == ["Sandy*"]
