"""The listening sockets: all of them, or none."""

import gc
import socket

import pytest

from tests.program import free_ports
from webchat import listeners
from webchat.config import Config
from webchat.listeners import CannotStart


# Tornado leaves the socket that it could not bind to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
def test_if_one_port_is_in_use_the_others_are_free_again():
    port, lines_port = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(port=port, lines_port=lines_port, braces_port=taken.getsockname()[1])
        with pytest.raises(CannotStart) as failure:
            listeners.bind(config, reuse_port=False)
    for number in (port, lines_port):
        socket.create_server(("127.0.0.1", number)).close()
    assert "--braces-port" in str(failure.value)  # while the failure, and what it refers to, still exists
    del failure
    gc.collect()
