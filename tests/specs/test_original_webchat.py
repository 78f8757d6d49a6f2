"""The original webchat of 2012, on Tornado and Socket.IO: its features, and its one known bug.

Each test is one requirement, tried with a real server, and with the page in a real browser or an official client.
"""

import json
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.net.socketio.test_clients import modules
from tests.page.browser import COMMAND, Server, Visitor
from tests.program import PATIENCE
from tests.stock import Stock

SCRIPT = Path(__file__).with_name("official.mjs")
ASTERISKS = [chr(code) for code in range(0x30000) if "ASTERISK" in unicodedata.name(chr(code), "")]
WAYS = ("auth", "connected")
"""How a client logs in: in the handshake, or with an event afterwards, as in the original."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for this file only, because wrong passwords are counted, and other files send some, too."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def stock(server) -> Iterator[Callable[..., Stock]]:
    """Makes python-socketio clients: `stock()` is not connected yet, `stock("ada")` is logged in."""
    with ExitStack() as stack:
        def make(name: str = "", password: str = "") -> Stock:
            client = stack.enter_context(Stock(server.url))
            if name:
                client.name = client.login(name, password)
            return client
        yield make


@pytest.fixture
def ada(visit, guest) -> Visitor:
    return visit(guest("ada"))


@pytest.fixture
def bob(visit, guest) -> Visitor:
    return visit(guest("bob"))


def connections(server: Server) -> int:
    """Return how many connections the server reports."""
    with urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("webchat_connections "))


def alone(server: Server) -> None:
    """Wait until one client is connected, that is, until those of the previous test are gone."""
    deadline = time.monotonic() + PATIENCE
    while connections(server) != 1:
        assert time.monotonic() < deadline, "another client is still connected"


def test_python_m_webchat_main_starts_it_and_the_page_is_at_chat_index_html(server, visit):
    assert COMMAND[1:] == ["-m", "webchat.main"]
    page = visit()
    assert page.page.url == f"{server.url}/chat/index.html"
    expect(page.page).to_have_title("webchat")
    expect(page.join_button).to_be_visible()


def test_the_root_address_redirects_to_the_page(server):
    with urlopen(server.url) as answer:
        assert answer.url == f"{server.url}/chat/index.html"
        assert b'id="login"' in answer.read()


def test_a_guest_logs_in_with_a_name_only(visit, guest):
    page, name = visit(), guest("ada")
    page.username.fill(name)
    page.username.press("Enter")
    expect(page.status).to_have_text(f"Connected as {name}")
    expect(page.message()).to_be_visible()


def test_the_hard_coded_account_admin_logs_in_with_the_password_admin(visit):
    page = visit()
    page.login("admin", "admin")
    expect(page.status).to_have_text("Connected as admin*")


def test_everybody_sees_an_asterisk_after_the_name_of_an_authenticated_user(visit, stock, ada):
    bob = stock("bob")
    admin = visit("admin")
    assert bob.hear("presence")["joined"] == ["admin*"]
    expect(ada.users.get_by_role("option", name="admin*", exact=True)).to_have_count(1)
    admin.say("it is me")
    message = bob.hear("chat_message", text="it is me")
    assert (message["from_user"], message["authenticated"]) == ("admin*", True)
    for person in (ada, admin):
        person.hears("it is me")
        expect(person.log().get_by_text("admin*", exact=True)).to_be_visible()


def test_asterisks_are_removed_from_the_names_of_guests(visit, guest, ada):
    name = guest("cleo")
    page = visit()
    page.login(f"*＊{name}∗*")
    expect(page.status).to_have_text(f"Connected as {name}")
    expect(ada.users.get_by_role("option", name=name, exact=True)).to_have_count(1)


def test_all_kinds_of_asterisk_are_removed(stock):
    assert {"*", "＊", "∗", "⁎", "﹡"} <= set(ASTERISKS)
    client = stock()
    for asterisk in ASTERISKS:
        if unicodedata.category(asterisk) == "Cf":  # an invisible tag, which is not allowed in names
            assert client.refused(username=f"ada{asterisk}") == "bad-name"
        else:
            assert client.login(f"{asterisk}a{asterisk}da{asterisk}") == "ada", unicodedata.name(asterisk)
        client.disconnect()


def test_the_name_of_an_account_without_its_password_is_refused(visit):
    page = visit()
    page.login("admin")
    expect(page.alert).to_contain_text("password")
    expect(page.regions).to_have_count(0)


@pytest.mark.parametrize("name", ["Sandy", "sandy", "Sandy*", "Ｓandy＊", "SANDY"])
def test_a_name_that_looks_like_that_of_an_account_is_refused(stock, name):
    assert stock().refused(username=name) == "bad-credentials"


@pytest.mark.parametrize("name", ["Sаndy", "Sandy⁕", "Sandy❄", "Sandyⵣ", "Sandyᚼ", "Sandy⚹", "Sandy❇"])
def test_a_name_that_could_be_taken_for_an_accounts_with_its_asterisk_is_refused(stock, name):
    assert stock().refused(username=name) == "bad-name"


def test_a_blank_recipient_sends_to_everybody_including_the_sender(visit, guest, ada, bob):
    cleo = visit(guest("cleo"))
    ada.say("hello all", to="")
    for person in (ada, bob, cleo):
        person.hears("hello all")


def test_a_message_to_a_name_is_shown_to_that_person_and_to_the_sender_only(visit, guest, ada, bob):
    cleo = visit(guest("cleo"))
    ada.say("only you", to=bob.name)
    bob.hears("only you", ada.name)
    ada.hears("only you", bob.name)
    ada.say("over", to="")
    cleo.hears("over")
    expect(cleo.page.get_by_text("only you")).to_have_count(0)


def test_presence_is_shown_as_people_come_and_go(visit, guest, ada):
    bob = visit(guest("bob"))
    option = ada.users.get_by_role("option", name=bob.name, exact=True)
    expect(option).to_have_count(1)
    expect(ada.log().get_by_text(f"{bob.name} joined")).to_be_visible()
    bob.say("hello")
    bob.leave()
    expect(option).to_have_count(0)
    expect(ada.log().get_by_text(f"{bob.name} left")).to_be_visible()


class TestAfterFailedLoginsEachMessageArrivesOnce:
    def test_on_the_page(self, server, visit, bob):
        alone(server)
        page = visit()
        for _ in range(2):
            page.login("Alex", "wrong")
            expect(page.alert).to_contain_text("password")
        assert connections(server) == 1
        page.join("Alex")
        bob.say("to everyone")
        bob.say("to one", to="Alex")
        bob.say("the end", to="")
        page.hears("the end")
        page.hears("to everyone")
        page.hears("to one", bob.name)
        assert connections(server) == 2

    @pytest.mark.parametrize("way", WAYS)
    def test_with_the_stock_client_of_python(self, server, stock, guest, way):
        bob, client = stock(guest("bob")), stock()
        alone(server)
        for _ in range(2):
            self.fail(client, way)
        assert connections(server) == 1
        if way == "connected":
            client.connect()
            assert client.ask("connected", username="Sue", password="password") == {"ok": True}
        else:
            client.connect(username="Sue", password="password")
        client.hear("welcome")
        client.ask("message", message="mine")
        self.talk_to("Sue*", bob)
        client.hear("chat_message", text="the end")
        assert client.said() == ["mine", "to everyone", "to one", "the end"]
        assert connections(server) == 2

    @pytest.mark.parametrize("way", WAYS)
    def test_with_the_official_client_of_javascript(self, stock, guest, server, way):
        bob = stock(guest("bob"))
        alone(server)
        # An account for which no other test of the shared server gives wrong passwords: five in a minute are too many.
        command = ["node", str(SCRIPT), str(modules("socket.io-client")), server.url, way, "admin", "admin"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout.readline() == "in\n"
                assert connections(server) == 2
                self.talk_to("admin*", bob)
                seen = json.loads(process.stdout.readline())
            finally:
                process.kill()
        assert seen["refusals"] == ["bad-credentials"] * 2
        assert seen["heard"] == ["mine", "to everyone", "to one", "the end"]
        assert len(set(seen["sids"])) == (3 if way == "connected" else 1)

    def fail(self, client: Stock, way: str) -> None:
        if way == "auth":
            assert client.refused(username="Sue", password="wrong") == "bad-credentials"
        else:
            client.connect()
            answer = client.ask("connected", username="Sue", password="wrong")
            assert (answer["ok"], answer["code"]) == (False, "bad-credentials")
            client.disconnected()

    def talk_to(self, name: str, speaker: Stock) -> None:
        speaker.ask("message", message="to everyone")
        speaker.ask("privmsg", to_user=name, message="to one")
        speaker.ask("message", message="the end")


def test_the_events_of_the_original_connected_message_and_privmsg_work_with_an_official_client(stock, guest):
    ada, name, cleo = stock(), guest("ada"), stock(guest("cleo"))
    ada.connect()
    assert ada.ask("connected", username=name) == {"ok": True}
    assert ada.hear("welcome")["username"] == name
    assert ada.ask("message", message="hello")["ok"]
    for person in (ada, cleo):
        assert person.hear("chat_message", text="hello")["from_user"] == name
    assert ada.ask("privmsg", to_user=cleo.name, message="psst")["ok"]
    assert cleo.hear("chat_message", text="psst")["to_user"] == cleo.name
