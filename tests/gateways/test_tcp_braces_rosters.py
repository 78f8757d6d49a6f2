"""When the braces door sends the list of people: at once in a small chat, once a second and listener under load."""

import pytest
from tornado.testing import gen_test

from tests.gateways.doors import DoorTest, Timers
from webchat.chat import names
from webchat.gateways.braces import CHANGES_BUDGET, FRAME_GAP, REQUESTS_BUDGET, ROSTER_INTERVAL, RosterThrottle

SMALL, LARGE = CHANGES_BUDGET // 16, CHANGES_BUDGET + 1


class Crowd(DoorTest):
    """A chat so large that each change of the list is load. Intervals, and gaps between writes, end on demand."""

    def setUp(self):
        super().setUp()
        self.timers = Timers()
        self.port = self.open_braces(call_later=self.timers.call_later)
        self.crowd = [names.parse(f"{number:03}{'x' * 29}") for number in range(500)]
        for name in self.crowd:
            self.hub.remote_joined("elsewhere", name, authenticated=False)

    def tearDown(self):
        for name in self.crowd:
            self.hub.remote_left("elsewhere", name.key)
        super().tearDown()

    def next_interval(self):
        for timer in self.timers.pending_for(ROSTER_INTERVAL):
            timer.expire()

    async def quiet(self):
        """Let intervals pass until no list is due any more."""
        while self.timers.pending_for(ROSTER_INTERVAL):
            self.next_interval()
            await self.served()

    async def people(self):
        """Two listeners who have the list, and somebody at the lines door who changes their name."""
        self.hugo, self.ada = await self.bracer(self.port, "Hugo"), await self.bracer(self.port, "ada")
        self.lines = await self.typist(self.open_lines(), "typist")
        for each in (self.hugo, self.ada):
            await each.until("{ALL}typist has joined the chat!\n")
        await self.quiet()

    async def served(self):
        """Wait until everything has been written to both listeners that the server had for them; return it."""
        told = []
        for peer, name in ((self.hugo, "Hugo"), (self.ada, "ada")):
            text = ""
            for step in ("one", "two"):
                peer.send(f"{{{name}}}{step}\n")
                text += await peer.until(f"{{{name}}}{name}: {step}\n")
            told.append(text)
        return told

    async def rename(self, name):
        """Rename the typist; return what both listeners are told about it."""
        self.lines.send(f"/nick {name}\n")
        told = [await peer.until(f"{{ALL}}{name} has joined the chat!\n") for peer in (self.hugo, self.ada)]
        return [one + two for one, two in zip(told, await self.served(), strict=True)]

    @gen_test
    async def test_a_list_after_a_quiet_time_is_sent_at_once_and_the_newest_of_a_second_at_its_end(self):
        await self.people()
        for told in await self.rename("first"):
            assert told.count("{CLIENTS}") == 1 and "|first\n" in told
        for name in ("second", "third"):
            for told in await self.rename(name):
                assert "{CLIENTS}" not in told
        self.next_interval()
        for told in await self.served():
            assert told.count("{CLIENTS}") == 1 and "|third\n" in told
        for told in await self.rename("fourth"):
            assert "{CLIENTS}" not in told
        self.next_interval()
        for told in await self.served():
            assert told.count("{CLIENTS}") == 1 and "|fourth\n" in told
        await self.quiet()
        for told in await self.rename("fifth"):
            assert told.count("{CLIENTS}") == 1 and "|fifth\n" in told

    @gen_test
    async def test_a_list_that_has_become_what_it_was_is_not_sent_again(self):
        await self.people()
        await self.rename("first")
        guest = await self.typist(self.open_lines(), "guest")
        for each in (self.hugo, self.ada):
            await each.until("{ALL}guest has joined the chat!\n")
        guest.close()
        for each in (self.hugo, self.ada):
            await each.until("{ALL}guest has left the chat.\n")
        self.next_interval()
        assert "{CLIENTS}" not in "".join(await self.served())

    @gen_test
    async def test_the_list_of_ones_own_registration_is_always_sent(self):
        await self.people()
        for name in ("first", "second", "third"):
            await self.rename(name)
        for name in ("Zoë", "Zoe B", "Zoe C"):
            self.hugo.send(f"{{REGISTER}}{name}\n")
            await self.hugo.until(f"{{{name}}}Welcome, {name}!\n{{CLIENTS}}")
            await self.hugo.until(f"|{name}\n")

    @gen_test
    async def test_a_list_that_is_asked_for_is_sent_at_once(self):
        await self.people()
        for name in ("first", "second"):
            await self.rename(name)
        self.hugo.send("{CLIENTS}\n")
        await self.hugo.until("{CLIENTS}")
        await self.hugo.until("|second\n")

    @gen_test
    async def test_a_client_without_newlines_gets_the_newest_list_at_the_end_of_the_second_too(self):
        await self.people()
        bare = await self.connect(self.port)
        bare.send("{REGISTER}bare")
        await bare.until("{bare}Welcome, bare!")
        self.end_gaps()
        await bare.until("|bare")
        for name in ("first", "second"):
            await self.rename(name)
        self.next_interval()
        self.end_gaps()
        assert "{CLIENTS}" not in await bare.until("second has joined the chat!")
        self.end_gaps()
        await bare.until("{CLIENTS}")
        await bare.until("|second")

    def end_gaps(self):
        while pending := self.timers.pending_for(FRAME_GAP):
            for timer in pending:
                timer.expire()


class FakeListener:
    """Somebody who gets lists of this many bytes; `sent` counts them."""

    def __init__(self, throttle, size):
        self.sent = 0
        self.reasons = []
        self.size = size
        self._throttle = throttle

    def send_roster(self, *, if_changed=False):
        self.reasons.append("changed" if if_changed else "due")
        self.sent += 1
        self._throttle.record(self, self.size)

    def changes(self, times=1):
        for _ in range(times):
            self._throttle.changed(self, self.size)

    def asks(self, times=1):
        for _ in range(times):
            self._throttle.requested(self)


class TestRosterThrottle:
    @pytest.fixture
    def timers(self):
        return Timers()

    @pytest.fixture
    def throttle(self, timers):
        return RosterThrottle(timers.call_later)

    @pytest.fixture
    def listener(self, throttle):
        return lambda size: FakeListener(throttle, size)

    def next_interval(self, timers):
        [timer] = timers.pending_for(ROSTER_INTERVAL)
        timer.expire()

    def test_in_a_small_chat_every_list_is_sent_at_once(self, listener, timers):
        hugo = listener(SMALL)
        for sent in (16, 32, 48):
            hugo.changes(16)
            assert hugo.sent == sent
            self.next_interval(timers)
        assert hugo.sent == 48

    def test_under_load_every_listener_gets_one_list_each_second(self, listener, timers):
        people = [listener(CHANGES_BUDGET // 4) for _ in range(8)]
        for seconds in range(1, 5):
            for _ in range(10):
                for each in people:
                    each.changes()
            assert {each.sent for each in people} == {seconds}
            self.next_interval(timers)

    def test_after_load_the_newest_list_comes_at_the_end_of_the_second_and_then_nothing(self, listener, timers):
        hugo = listener(LARGE)
        hugo.changes(5)
        assert hugo.sent == 1
        self.next_interval(timers)
        assert hugo.sent == 2
        self.next_interval(timers)
        assert hugo.sent == 2
        assert not timers.pending

    def test_the_first_list_of_a_listener_in_a_second_never_waits(self, listener):
        hugo, ada = listener(LARGE), listener(LARGE)
        hugo.changes(5)
        ada.changes()
        assert (hugo.sent, ada.sent) == (1, 1)

    def test_a_small_chat_is_prompt_again_one_second_after_the_load(self, listener, timers):
        hugo, crowd = listener(SMALL), listener(LARGE)
        crowd.changes(2)
        hugo.changes(2)
        assert hugo.sent == 1
        self.next_interval(timers)  # strict, because there was load in the second before
        hugo.changes(2)
        assert hugo.sent == 2
        self.next_interval(timers)
        hugo.changes(2)
        assert hugo.sent == 5

    def test_a_list_that_was_sent_for_another_reason_need_not_be_sent_again(self, listener, timers, throttle):
        hugo = listener(LARGE)
        hugo.changes(2)
        throttle.record(hugo, LARGE)
        self.next_interval(timers)
        assert hugo.sent == 1

    def test_asking_for_small_lists_is_free_and_for_large_ones_waits(self, listener, timers):
        hugo, ada = listener(10), listener(REQUESTS_BUDGET)
        hugo.asks(1000)
        ada.asks(1000)
        assert (hugo.sent, ada.sent) == (1000, 1)
        self.next_interval(timers)
        assert (hugo.sent, ada.sent) == (1000, 2)

    def test_a_list_that_has_waited_for_a_change_alone_is_only_sent_if_there_is_one(self, listener, timers):
        hugo, ada = listener(REQUESTS_BUDGET), listener(REQUESTS_BUDGET)
        hugo.changes(3)
        for act in (ada.changes, ada.changes, ada.asks, ada.changes):
            act()
        self.next_interval(timers)
        assert (hugo.reasons, ada.reasons) == (["due", "changed"], ["due", "due"])

    def test_what_one_listener_asks_for_delays_nobody_elses_changes(self, listener):
        hugo, ada = listener(REQUESTS_BUDGET), listener(SMALL)
        hugo.asks(2)
        ada.changes(3)
        assert ada.sent == 3

    def test_nothing_is_kept_of_a_listener_that_has_left(self, listener, timers, throttle):
        hugo, ada = listener(LARGE), listener(LARGE)
        hugo.changes(2)
        ada.changes(2)
        throttle.forget(hugo)
        self.next_interval(timers)
        assert (hugo.sent, ada.sent) == (1, 2)
        throttle.forget(ada)
        assert not timers.pending
