"""The URL of a Redis: what it may contain, and that no error repeats a part of a password."""

import pytest

from webchat.backplane.address import WRONG_FORM, BadRedisAddress, RedisAddress, parse


def refusal(url) -> str:
    with pytest.raises(BadRedisAddress) as refused:
        parse(url)
    return str(refused.value)


@pytest.mark.parametrize(("url", "address"), [
    ("redis://", RedisAddress(host="localhost")),
    ("redis://chat.example", RedisAddress(host="chat.example")),
    ("REDIS://chat.example:6380/", RedisAddress(host="chat.example", port=6380)),
    ("redis://10.0.0.9:1/3", RedisAddress(host="10.0.0.9", port=1, database=3)),
    ("redis://10.0.0.9?db=3", RedisAddress(host="10.0.0.9", database=3)),
    ("redis://[::1]:6380/2", RedisAddress(host="::1", port=6380, database=2)),
    ("redis://[fe80::1%25eth0]", RedisAddress(host="fe80::1%eth0")),
    ("rediss://h/1", RedisAddress(host="h", database=1, tls={})),
    ("rediss://h?ssl_cert_reqs=none&db=1", RedisAddress(host="h", database=1, tls={"ssl_cert_reqs": "none"})),
    ("unix:///run/redis/redis.sock", RedisAddress(path="/run/redis/redis.sock")),
    ("unix:///run/my%20redis?db=2", RedisAddress(path="/run/my redis", database=2)),
    ("unix://webchat:pass@/s", RedisAddress(path="/s", username="webchat", password="pass")),
    ("redis://webchat:pass@h", RedisAddress(host="h", username="webchat", password="pass")),
    ("redis://webchat@h", RedisAddress(host="h", username="webchat")),
])
def test_a_url_names_a_server_or_a_socket_the_login_and_the_database(url, address):
    assert parse(url) == address


@pytest.mark.parametrize(("typed", "password"), [
    ("p%40ss%2Fw%3Ard%231%25", "p@ss/w:rd#1%"), ("p@ss", "p@ss"), ("p:a:s:s", "p:a:s:s"), ("@:@", "@:@"),
    ("p+a", "p+a"), ("pässword", "pässword"), ("p%C3%A4ss", "päss"), ("%20", " "), ("p[a]", "p[a]"),
])
def test_a_password_may_have_any_characters_as_they_are_or_percent_encoded(typed, password):
    for url in (f"redis://:{typed}@h:1/0", f"rediss://user:{typed}@[::1]", f"unix://user:{typed}@/s?db=0"):
        assert parse(url).password == password


@pytest.mark.parametrize("password", [
    "p@ss/w:rd#1%", "p/ss", "12345/6", "p?foo=bar", "p?db=1", "p#ss", "12#ss", "p%ss", "ss%", "%FF", "p ss", "p\tss",
    "p\nss", "p\udcffss", "p@ss?protocol=3", "@ss/", "0/0",
])
@pytest.mark.parametrize("form", ["redis://:{}@h:6379/0", "rediss://user:{}@h?db=0", "unix://user:{}@/s?db=0"])
def test_a_raw_password_that_is_ambiguous_is_refused_without_a_part_of_it(form, password):
    assert refusal(form.format(password)) == WRONG_FORM  # the same sentence for every password


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "", "redis:/h", "x:s@redis://h", 6379, None])
def test_another_scheme_is_refused(url):
    assert refusal(url) == "must be a URL that begins with redis://, rediss:// or unix://"


@pytest.mark.parametrize("url", [
    "redis://h:port", "redis://h:-1", "redis://h:1:2", "redis://::1", "redis://[::1", "redis://[::x]", "redis://h/x",
    "redis://h/1/2", "redis://a..b", "redis://h%00", "redis://h/1234567890", "redis://h#1", "unix://", "unix:///",
    "unix://run/redis.sock", "unix://:1/s",
])
def test_what_is_no_url_is_refused_with_an_example(url):
    assert refusal(url) == WRONG_FORM


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_out_of_range_is_refused(port):
    assert refusal(f"redis://h:{port}") == "must have a port between 1 and 65,535"


@pytest.mark.parametrize(("query", "name"), [
    ("foo=bar", "foo"), ("protocol=3", "protocol"), ("socket_timeout=1", "socket_timeout"), ("DB=1", "DB"),
    ("password=secret", "password"), ("db=1&retry=x", "retry"), ("max_connections", "max_connections"),
    ("%1b=1", r"\x1b"), ("=1", ""),
])
@pytest.mark.parametrize("form", ["redis://:pass@h?{}", "rediss://h/?{}", "unix:///s?{}"])
def test_an_unknown_option_is_refused_by_its_name_without_its_value(form, query, name):
    known = "db, ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs"
    assert refusal(form.format(query)) == f"has the option '{name}', which is none of {known}"


@pytest.mark.parametrize(("url", "sentence"), [
    ("redis://h?db=x", "has a bad option: db must be the number of a database"),
    ("redis://h?db=", "has a bad option: db must be the number of a database"),
    ("rediss://h?ssl_ca_certs=/nowhere", "has a bad option: ssl_ca_certs must be a file's path"),
    ("rediss://h?ssl_cert_reqs=maybe", "has a bad option: ssl_cert_reqs must be required or none"),
    ("redis://h?ssl_cert_reqs=none", "needs rediss:// for the option ssl_cert_reqs"),
    ("redis://h?db=1&db=1", "has the option db twice"),
    ("redis://h/1?db=1", "names the database twice"),
])
def test_an_option_with_a_value_that_cannot_be_used_is_refused(url, sentence):
    assert refusal(url) == sentence


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_the_files_for_tls_are_options(tmp_path, name):
    file = tmp_path / "a%b.pem"
    file.touch()
    assert parse(f"rediss://h?{name}={tmp_path}/a%25b.pem").tls == {name: str(file)}


def test_the_repr_of_an_address_does_not_contain_the_login():
    for url in ("redis://user:secret@h:1/0", "redis://secret@h:1", "rediss://:secret@h:1"):
        assert "secret" not in repr(parse(url)) and "user:" not in repr(parse(url))
