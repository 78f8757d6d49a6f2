from collections.abc import Iterator

import pytest

from tests.program import Program


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    """A server for the tests of one file; each test uses names of its own."""
    with Program("--message-rate", "0") as program:
        yield program
