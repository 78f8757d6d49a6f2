"""The window's connection, against a server that sends what each test tells it to."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from tests.clients.desktop.window_user import ConnectionState, LinkTimes, QtNetwork, until
from webchat.clients.desktop.brace_link import BraceLink, ConnectionTarget, OutgoingMessage

TARGET = ConnectionTarget("127.0.0.1", 0, "Hugo")


class Session:
    """A link, what it has reported, and the server's end of its connection."""

    def __init__(self, **settings):
        self.server = QtNetwork.QTcpServer()
        assert self.server.listen(QtNetwork.QHostAddress("127.0.0.1"))
        self.link = BraceLink(**{"pauses": lambda: repeat(0), **settings})
        self.delivered, self.refused, self.returned, self.received, self.people = [], [], [], [], []
        self.link.delivered.connect(lambda message: self.delivered.append(message.text))
        self.link.refused.connect(lambda message, reason: self.refused.append((message.text, reason)))
        self.link.returned.connect(self.returned.extend)
        self.link.received.connect(lambda received: self.received.append(received.text))
        self.link.people.connect(self.people.append)
        self.requests = b""

    def connects(self) -> "Session":
        """Open the link and let it in."""
        self.link.open(TARGET._replace(port=self.server.serverPort()))
        return self.lets_in()

    def lets_in(self) -> "Session":
        self.people.clear()
        self.accepts()
        self.hears("{REGISTER}Hugo\n")
        self.says("{Hugo}Welcome, Hugo!", "{CLIENTS}Hugo|ada")
        until(lambda: self.people == [("Hugo", "ada")], "the list of people has arrived")
        return self

    def accepts(self) -> None:
        until(self.server.hasPendingConnections, "a connection")
        self.peer = self.server.nextPendingConnection()

    def says(self, *frames: str) -> None:
        self.peer.write("".join(f"{frame}\n" for frame in frames).encode())

    def hears(self, wanted: str) -> None:
        """Wait for exactly these requests."""
        def all_read() -> bool:
            self.requests += bytes(self.peer.readAll())
            return len(self.requests) >= len(wanted.encode())

        until(all_read, lambda: f"{wanted!r}, only {self.requests!r}")
        received, self.requests = self.requests.decode(), b""
        assert received == wanted

    def is_up_to_date(self) -> None:
        """Wait until the link has handled everything that was sent to it."""
        self.says("{ALL}ada: Are you up to date?")
        until(lambda: "Are you up to date?" in self.received, "the last frame has arrived")
        self.received.remove("Are you up to date?")

    def close(self) -> None:
        self.link.close()
        until(lambda: self.link.state is ConnectionState.OFFLINE, "the link is closed")
        self.link.deleteLater()
        self.server.close()


@pytest.fixture
def open_session(app) -> Iterator:
    sessions: list[Session] = []

    def open_session(**settings) -> Session:
        sessions.append(Session(**settings))
        return sessions[-1]

    yield open_session
    for session in sessions:
        session.close()


@pytest.fixture
def session(open_session) -> Session:
    return open_session().connects()


class TestPrivateMessages:
    def test_a_list_that_came_unrequested_does_not_show_that_a_message_is_delivered(self, session):
        session.link.send("ada", "psst")
        session.hears("{ada}psst\n{CLIENTS}\n")
        session.says("{ALL}bob has joined the chat!", "{CLIENTS}Hugo|ada|bob")
        session.is_up_to_date()
        assert session.delivered == []
        session.hears("{CLIENTS}\n")
        session.says("{ALL}Nobody of that name is here.", "{CLIENTS}Hugo|ada|bob")
        until(lambda: session.refused or session.delivered, "the message is settled")
        assert (session.delivered, session.refused) == ([], [("psst", "Nobody of that name is here.")])

    def test_the_list_requested_with_a_refused_message_does_not_show_that_the_next_one_is_delivered(self, session):
        session.link.send("nobody", "one\ntwo")
        session.hears("{nobody}one\n{CLIENTS}\n")
        session.says("{ALL}Nobody of that name is here.")
        session.is_up_to_date()
        session.says("{CLIENTS}Hugo|ada")
        session.hears("{nobody}two\n{CLIENTS}\n")
        session.says("{ALL}Nobody of that name is here.", "{CLIENTS}Hugo|ada")
        until(lambda: len(session.refused) == 2, "both messages are refused")
        assert [text for text, _ in session.refused] == ["one", "two"]
        assert session.delivered == []

    def test_a_refusal_belongs_to_its_own_message_only(self, session):
        session.link.send("ada", "one\ntwo")
        session.hears("{ada}one\n{CLIENTS}\n")
        session.says("{ALL}A message needs some text.", "{CLIENTS}Hugo|ada")
        session.hears("{ada}two\n{CLIENTS}\n")
        session.says("{CLIENTS}Hugo|ada")
        until(lambda: session.delivered == ["two"], "the second message is delivered")
        assert [text for text, _ in session.refused] == ["one"]

    def test_what_the_server_says_after_a_refusal_is_shown(self, session):
        session.link.send("nobody", "psst")
        session.says("{ALL}Nobody of that name is here.", "{ALL}The server is going down.", "{CLIENTS}Hugo|ada")
        until(lambda: session.refused, "the message is refused")
        assert session.received == ["The server is going down."]

    def test_the_requested_list_shows_that_a_message_is_delivered(self, session):
        session.link.send("ada", "psst")
        session.hears("{ada}psst\n{CLIENTS}\n")
        session.says("{CLIENTS}Hugo|ada")
        until(lambda: session.delivered == ["psst"], "psst is delivered")

    def test_after_an_unrequested_list_the_next_one_shows_that_a_message_is_delivered(self, session):
        session.link.send("ada", "psst")
        session.says("{CLIENTS}Hugo|ada|bob", "{CLIENTS}Hugo|ada|bob")
        until(lambda: session.delivered == ["psst"], "psst is delivered")

    def test_the_users_own_message_to_all_does_not_show_that_a_private_one_is_delivered(self, session):
        session.link.send("ada", "psst")
        session.says("{ALL}Hugo: from elsewhere")
        session.is_up_to_date()
        assert session.delivered == []


class TestMessagesToAll:
    def test_a_message_is_delivered_when_it_comes_back(self, session):
        session.link.send("ALL", "hello")
        session.hears("{ALL}hello\n")
        session.says("{ALL}Hugo: hello")
        until(lambda: session.delivered == ["hello"], "hello is delivered")
        assert session.received == ["hello"]

    @pytest.mark.parametrize("frame", [
        "{ALL}ada: hello", "{Hugo}Hugo: hello", "{CLIENTS}Hugo|ada", "{ALL}bob has joined the chat!",
    ])
    def test_nothing_else_shows_that_it_is_delivered(self, session, frame):
        session.link.send("ALL", "hello")
        session.says(frame)
        session.is_up_to_date()
        assert (session.delivered, session.refused) == ([], [])

    def test_the_next_message_waits_for_the_one_before(self, session):
        session.link.send("ALL", "one\n \ntwo")
        session.link.send("ALL", "three")
        session.hears("{ALL}one\n")
        session.is_up_to_date()
        session.says("{ALL}Hugo: one")
        session.hears("{ALL}two\n")

    def test_braces_are_sent_as_typed_but_for_keywords_and_the_names_of_people_who_are_here(self, session):
        session.link.send("ALL", "{x} {ALL} {ada} {bob}")
        session.hears("{ALL}{x} ｛ALL} ｛ada} {bob}\n")
        session.says("{CLIENTS}Hugo|bob*", "{ALL}Hugo: {x} ｛ALL} ｛ada} {bob}")
        session.link.send("bob*", "{ada} {bob} {bob*}")
        session.hears("{bob*}{ada} ｛bob} ｛bob*}\n{CLIENTS}\n")

    def test_a_refused_message_is_reported_with_the_reason_and_the_next_one_is_sent(self, session):
        session.link.send("ALL", "one\ntwo")
        session.hears("{ALL}one\n")
        session.says("{ALL}A message needs some text.")
        session.hears("{ALL}two\n")
        assert session.refused == [("one", "A message needs some text.")]

    def test_a_message_that_came_too_fast_is_sent_again_before_the_next_one(self, open_session):
        session = open_session(times=LinkTimes(slow_down=0.01)).connects()
        session.link.send("ALL", "one\ntwo")
        session.hears("{ALL}one\n")
        session.says("{ALL}Too many messages at once; wait a moment.")
        session.hears("{ALL}one\n")
        session.says("{ALL}Hugo: one")
        session.hears("{ALL}two\n")
        assert (session.delivered, session.refused) == (["one"], [])

    def test_nothing_is_sent_while_it_waits_to_send_again(self, open_session):
        session = open_session(times=LinkTimes(slow_down=60)).connects()
        session.link.send("ALL", "one")
        session.hears("{ALL}one\n")
        session.says("{ALL}Too many messages at once; wait a moment.")
        session.is_up_to_date()
        session.link.send("ALL", "two")
        session.link.close()
        session.hears("{QUIT}\n")


class TestConnecting:
    def test_after_a_refused_login_nothing_more_is_shown(self, open_session):
        session = open_session()
        session.link.open(TARGET._replace(port=session.server.serverPort()))
        session.accepts()
        session.says("{ALL}Somebody here already has that name.", "{ALL}Goodbye.", "{CLIENTS}ada")
        until(lambda: session.link.state is ConnectionState.OFFLINE, "the login is refused")
        assert session.link.status == "Refused: Somebody here already has that name."
        assert (session.received, session.people) == ([], [])

    def test_a_connection_stays_open_while_every_request_is_answered(self, open_session):
        session = open_session(times=LinkTimes(answer=0.3)).connects()
        slower = open_session(times=LinkTimes(answer=0.5))  # its timeout shows that the first one's has passed
        slower.link.open(TARGET._replace(port=slower.server.serverPort()))
        until(lambda: slower.link.state is ConnectionState.OFFLINE, "the slower timeout has passed")
        assert session.link.state is ConnectionState.ONLINE


class TestLosingTheConnection:
    def test_what_has_not_arrived_for_certain_is_returned_in_order(self, session):
        session.link.send("ada", "one\ntwo")
        session.hears("{ada}one\n{CLIENTS}\n")
        session.peer.abort()
        until(lambda: session.returned, "the messages are returned")
        assert session.returned == [OutgoingMessage("ada", "one"), OutgoingMessage("ada", "two")]
        session.lets_in()
        session.link.send("ALL", "three")
        session.hears("{ALL}three\n")

    def test_a_refused_login_while_coming_back_is_tried_again(self, session):
        session.peer.abort()
        until(lambda: session.link.state is not ConnectionState.ONLINE, "the connection is lost")
        session.accepts()
        session.says("{ALL}Somebody here already has that name.")
        session.lets_in()
        assert session.link.status == "Connected as Hugo"

    def test_a_server_that_is_gone_meanwhile_is_tried_again(self, session):
        port = session.server.serverPort()
        session.server.close()
        session.peer.abort()
        until(lambda: session.link.status.startswith(
            f"Connection lost, and 127.0.0.1:{port} cannot be reached: nobody listens there. Next attempt in 1 s"),
            lambda: session.link.status)
        assert session.server.listen(QtNetwork.QHostAddress("127.0.0.1"), port)
        session.lets_in()

    def test_a_message_that_is_not_answered_in_time_is_returned(self, open_session):
        session = open_session(times=LinkTimes(answer=0.05)).connects()
        session.link.send("ALL", "hello")
        until(lambda: session.returned == [OutgoingMessage("ALL", "hello")], "the message is returned")

    def test_a_silent_server_is_asked_whether_it_is_still_there(self, open_session):
        session = open_session(times=LinkTimes(check=0.01)).connects()
        until(lambda: session.peer.bytesAvailable(), "a request")
        session.hears("{CLIENTS}\n")


class TestLeaving:
    def test_it_says_so_and_waits_for_the_server_to_close(self, session):
        session.link.close()
        assert session.link.state is ConnectionState.LEAVING
        session.hears("{QUIT}\n")
        session.peer.disconnectFromHost()
        until(lambda: session.link.state is ConnectionState.OFFLINE, "the link is closed")

    def test_a_server_that_does_not_close_is_not_waited_for_any_longer(self, open_session):
        session = open_session(times=LinkTimes(goodbye=0.01)).connects()
        session.link.close()
        until(lambda: session.link.state is ConnectionState.OFFLINE, "the link is closed")

    def test_what_arrives_meanwhile_is_not_shown(self, session):
        session.link.close()
        session.says("{ALL}ada: are you leaving?")
        session.peer.disconnectFromHost()
        until(lambda: session.link.state is ConnectionState.OFFLINE, "the link is closed")
        assert session.received == []

    def test_a_second_request_to_leave_changes_nothing(self, session):
        session.link.close()
        session.link.close()
        assert session.link.state is ConnectionState.LEAVING
        session.hears("{QUIT}\n")
