"""Threads for slow functions: how many run at once, and whose turn it is."""

import asyncio
import threading

import pytest

from webchat.net.fair_threads import FairThreads


class Work:
    """Functions that run until the test lets them end. `started` are their names, in the order of starting."""

    def __init__(self):
        self.threads = FairThreads(1, "test")
        self.started = []
        self._ends = threading.Semaphore(0)

    def __call__(self, name):
        self.started.append(name)
        self._ends.acquire()
        return name

    async def ask(self, owner, name):
        """Ask for a run, and return its task when the queue knows of it."""
        task = asyncio.create_task(self.threads.run(owner, self, name))
        await asyncio.sleep(0)
        return task

    def end(self, count=1):
        self._ends.release(count)


def run(scenario):
    """Run a scenario, which gets the work of one thread."""
    async def with_work():
        work = Work()
        try:
            await asyncio.wait_for(scenario(work), 10)
        finally:
            work.end(100)
            work.threads.stop()
    asyncio.run(with_work())


def test_a_function_gets_its_arguments_and_its_result_or_error_comes_back():
    async def scenario(work):
        assert await work.threads.run("ada", divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await work.threads.run("ada", divmod, 7, 0)
        assert await work.threads.run("ada", int, "11", base=2) == 3
    run(scenario)


def test_no_more_run_at_once_than_there_are_threads():
    async def scenario(work):
        tasks = [await work.ask(owner, owner) for owner in "abc"]
        work.end(1)
        await tasks[0]
        assert "c" not in work.started  # b has the only thread, and does not end
        work.end(2)
        assert await asyncio.gather(*tasks) == list("abc")
    run(scenario)


def test_owners_take_turns_and_each_is_served_in_their_order():
    async def scenario(work):
        tasks = [await work.ask(name[0], name) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
        work.end(7)
        await asyncio.gather(*tasks)
        assert work.started == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    run(scenario)


def test_whoever_gives_up_while_waiting_is_left_out():
    async def scenario(work):
        first, second, third = [await work.ask("a", name) for name in ("a1", "a2", "a3")]
        second.cancel()
        work.end(2)
        assert [await first, await third] == ["a1", "a3"]
        assert second.cancelled() and work.started == ["a1", "a3"]
    run(scenario)


def test_whoever_gives_up_when_it_is_just_their_turn_leaves_it_to_the_next():
    async def scenario(work):
        first, second, third = [await work.ask("a", name) for name in ("a1", "a2", "a3")]
        first.cancel()
        await asyncio.sleep(0)  # the first has passed its turn on, and the second has not noticed yet
        second.cancel()
        work.end(2)
        assert await third == "a3"
        assert second.cancelled() and work.started == ["a1", "a3"]
    run(scenario)


def test_a_thread_whose_function_failed_is_free_again():
    async def scenario(work):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await work.threads.run("a", divmod, 1, 0)
        work.end()
        assert await work.threads.run("b", work, "b1") == "b1"
    run(scenario)
