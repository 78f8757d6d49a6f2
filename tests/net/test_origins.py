"""Which web pages may connect."""

import pytest

from webchat.net.origins import Origins

HOST = "chat.example:8080"


@pytest.mark.parametrize("allowed", [[], ["https://friend.example"]])
def test_a_program_that_sends_no_origin_is_allowed(allowed):
    assert Origins(allowed).allows(None, HOST)
    assert Origins(allowed).allows(None, None)


@pytest.mark.parametrize("origin", ["http://chat.example:8080", "https://chat.example:8080"])
def test_a_page_of_the_same_host_and_port_is_allowed_by_either_scheme(origin):
    assert Origins().allows(origin, HOST)


@pytest.mark.parametrize(("origin", "host"), [
    ("http://Chat.Example:8080", HOST), ("http://chat.example:8080", "CHAT.example:8080"),
])
def test_hosts_are_compared_without_case(origin, host):
    assert Origins().allows(origin, host)


@pytest.mark.parametrize("origin", [
    "http://chat.example", "http://chat.example:8081", "http://evil.example", "http://evil.example:8080",
    "http://sub.chat.example:8080", "http://chat.example:8080.evil.example", "http://chat.example:8080@evil.example",
    "chat.example:8080", "null", "", "http://[", "http://",
])
def test_other_pages_are_not_allowed(origin):
    assert not Origins().allows(origin, HOST)
    assert not Origins(["https://friend.example"]).allows(origin, HOST)


@pytest.mark.parametrize("origin", ["null", "", "http://", "http://chat.example"])
@pytest.mark.parametrize("host", [None, ""])
def test_without_a_host_no_page_has_the_same_one(origin, host):
    assert not Origins().allows(origin, host)


@pytest.mark.parametrize("allowed", ["https://friend.example", "https://friend.example/", "https://Friend.Example"])
@pytest.mark.parametrize("origin", ["https://friend.example", "https://FRIEND.example"])
def test_an_origin_that_the_operator_allowed_is_compared_without_case_and_final_slash(allowed, origin):
    assert Origins(["https://other.example", allowed]).allows(origin, HOST)


@pytest.mark.parametrize("origin", [
    "http://friend.example", "https://friend.example:444", "https://friend.example.evil.example", "https://friend",
])
def test_an_allowed_origin_is_compared_whole_and_with_its_scheme(origin):
    assert not Origins(["https://friend.example"]).allows(origin, HOST)


@pytest.mark.parametrize("origin", ["https://anyone.example", "null", ""])
def test_an_asterisk_allows_every_page(origin):
    assert Origins(["*"]).allows(origin, HOST)


def test_engineio_passes_the_host_in_its_environment():
    assert Origins().allows_request("http://chat.example:8080", {"HTTP_HOST": HOST})
    assert not Origins().allows_request("http://evil.example", {"HTTP_HOST": HOST})
    assert not Origins().allows_request("http://evil.example", {})
    assert Origins().allows_request(None, {})
