"""The settings: their sources, which source wins, and the error messages for bad values."""

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from webchat.backplane.address import parse
from webchat.config import SETTINGS, Config, ConfigError, is_loopback, load, mistyped_variables


def refusal(flags=None, environ=None, file=None) -> str:
    with pytest.raises(ConfigError) as refused:
        load(flags or {}, environ or {}, file)
    return str(refused.value)


@pytest.fixture
def toml(tmp_path):
    def write(text: str):
        path = tmp_path / "chat.toml"
        path.write_text(text, encoding="utf-8")
        return path
    return write


class TestSources:
    def test_by_default_the_chat_listens_on_loopback_on_its_documented_ports(self):
        config = load({}, {})
        assert (config.host, config.port, config.lines_port, config.braces_port) == ("127.0.0.1", 8000, 7007, 33002)
        assert (config.history, config.message_rate, config.workers) == (10, 100, 1)

    def test_a_flag_overrides_the_environment_which_overrides_the_file(self, toml):
        file = toml("port = 1\nlines-port = 1\nbraces-port = 3")
        config = load({"port": "9"}, {"WEBCHAT_PORT": "8", "WEBCHAT_LINES_PORT": "7"}, file)
        assert (config.port, config.lines_port, config.braces_port) == (9, 7, 3)

    def test_an_empty_variable_counts_as_not_set(self):
        assert load({}, {"WEBCHAT_PORT": "", "WEBCHAT_REDIS": ""}) == Config()

    def test_a_repeatable_flag_is_comma_separated_in_the_environment_and_a_list_in_the_file(self, toml):
        origins = ("https://a.example", "http://b.example:8080")
        assert load({"allow_origin": origins}, {}).allow_origin == origins
        assert load({}, {"WEBCHAT_ALLOW_ORIGIN": ", ".join(origins)}).allow_origin == origins
        assert load({}, {}, toml(f"allow-origin = {list(origins)}")).allow_origin == origins

    def test_the_environment_can_name_the_file(self, toml):
        assert load({}, {"WEBCHAT_CONFIG": str(toml("history = 3"))}).history == 3

    def test_a_path_in_the_file_is_relative_to_the_files_folder(self, toml, tmp_path):
        (tmp_path / "people.toml").touch()
        assert load({}, {}, toml('accounts = "people.toml"')).accounts == tmp_path / "people.toml"

    @pytest.mark.parametrize(("raw", "value"), [("1", True), ("yes", True), ("TRUE", True), ("0", False)])
    def test_a_switch_can_be_written_in_the_usual_words(self, raw, value):
        assert load({}, {"WEBCHAT_DEMO_ACCOUNTS": raw}).demo_accounts is value

    def test_a_file_that_notepad_on_windows_has_saved_is_read(self, tmp_path):
        (tmp_path / "chat.toml").write_bytes(b"\xef\xbb\xbfhistory = 3\r\nport = 9\r\n")
        config = load({}, {}, tmp_path / "chat.toml")
        assert (config.history, config.port) == (3, 9)

    @pytest.mark.parametrize("where", ["~/people.toml", "people.toml"])
    def test_a_path_may_begin_with_the_home_folder(self, where, toml, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "people.toml").touch()
        assert load({}, {}, toml(f'accounts = "{where}"')).accounts == tmp_path / "people.toml"
        if where.startswith("~"):
            assert load({"accounts": where}, {}).accounts == tmp_path / "people.toml"
            assert load({}, {"WEBCHAT_CONFIG": "~/chat.toml"}).accounts == tmp_path / "people.toml"


class TestRefusals:
    """Each message names the source of the bad value."""

    def test_a_flag_that_is_not_a_number(self):
        assert refusal({"port": "eighty"}) == "--port must be a whole number, not 'eighty'."

    def test_a_variable_that_is_not_a_number(self):
        assert refusal(environ={"WEBCHAT_HISTORY": "ten"}) == "WEBCHAT_HISTORY must be a whole number, not 'ten'."

    def test_a_line_of_the_file_that_is_not_a_number(self, toml):
        file = toml("lines-port = true")
        assert refusal(file=file) == f"lines-port in {file} (line 1) must be a whole number, not True."

    @pytest.mark.parametrize(("name", "raw", "reason"), [
        ("history", "-3", "must be between 0 and 1,000, not -3."),
        ("log_level", "loud", "must be one of debug, info, warning, error, not 'loud'."),
        ("accounts", "/nowhere/a.toml", "there is no file /nowhere/a.toml."),
        ("tls_key", __file__, "."),
        ("port", "7007", "and --lines-port are both 7007."),
        ("redis", "localhost", "must be a URL that begins with redis://"),
        ("workers", "3", "3 processes need --redis URL"),
    ])
    def test_a_value_that_is_not_allowed_wherever_it_comes_from(self, toml, name, raw, reason):
        key = name.replace("_", "-")
        file = toml(f"# ours\n\n{key} = {raw if raw.strip('-').isdecimal() else repr(raw)}  # here\n")
        for said, where in ((refusal({name: raw}), f"--{key}"),
                            (refusal(environ={f"WEBCHAT_{name.upper()}": raw}), f"WEBCHAT_{name.upper()}"),
                            (refusal(file=file), f"{key} in {file} (line 3)")):
            assert where in said and reason in said
            assert where.startswith("--") or f"--{key}" not in said

    def test_a_file_that_a_variable_names(self):
        assert refusal(environ={"WEBCHAT_CONFIG": "/none.toml"}).startswith("WEBCHAT_CONFIG: /none.toml cannot be read")

    @pytest.mark.parametrize("name", [each.name for each in SETTINGS if not each.repr])
    def test_a_secret_of_another_type_without_showing_it(self, toml, name):
        assert "4711" not in refusal(file=toml(f"{name.replace('_', '-')} = 4711"))

    @pytest.mark.parametrize(("line", "kind"), [
        ("message-rate = true", "a number"), ("log-level = 3", "text"), ("accounts = 1", "a file's path"),
        ("host = 3", "an address or a host name, without a port"),
        ("allow-origin = [1]", "an origin such as https://chat.example"),
    ])
    def test_a_line_of_the_file_with_a_value_of_another_type(self, toml, line, kind):
        file = toml(line)
        assert refusal(file=file).startswith(f"{line.partition(' ')[0]} in {file} (line 1) must be {kind}, not ")

    def test_a_setting_that_does_not_exist_with_the_most_similar_one_that_does(self, toml):
        file = toml("port = 1\nline-port = 1")
        assert refusal(file=file) == f"{file}, line 2: 'line-port' is no setting; did you mean lines-port?"

    def test_a_table_which_settings_are_not_in(self, toml):
        file = toml("port = 1\n\n[server]\nhistory = 3")
        assert refusal(file=file) == f"{file}, line 3: 'server' is no setting."

    def test_a_file_that_is_not_toml_with_the_line_number(self, toml):
        assert "line 2" in refusal(file=toml("port = 1\nhost =\n"))

    def test_a_file_that_does_not_exist(self, tmp_path):
        file = tmp_path / "none.toml"
        assert refusal(file=file) == f"--config: {file} cannot be read: No such file or directory."

    def test_a_file_that_is_not_utf8_with_the_line_number(self, tmp_path):
        (tmp_path / "latin.toml").write_bytes(b"port = 1\n# \xeb\n")
        assert refusal(file=tmp_path / "latin.toml") == f"{tmp_path}/latin.toml, line 2: This is not UTF-8."

    @pytest.mark.parametrize("port", ["-1", "65536"])
    def test_a_port_out_of_range(self, port):
        assert refusal({"braces_port": port}) == f"--braces-port must be between 0 and 65,535, not {port}."

    @pytest.mark.parametrize("rate", ["-1", "nan", "inf"])
    def test_a_message_rate_that_makes_no_sense(self, rate):
        assert refusal({"message_rate": rate}).startswith("--message-rate must be between 0 and")
        assert refusal({"address_rate": rate}).startswith("--address-rate must be between 0 and")

    def test_two_doors_on_one_port(self):
        assert refusal({"port": "7007"}) == (
            "Each door needs a port of its own: --port and --lines-port are both 7007.")

    @pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
    def test_a_certificate_without_a_key_and_a_key_without_a_certificate(self, given, tmp_path):
        (tmp_path / "half.pem").touch()
        assert refusal({given: str(tmp_path / "half.pem")}) == "TLS needs both --tls-cert and --tls-key."

    def test_an_accounts_file_that_does_not_exist(self):
        assert refusal({"accounts": "/nowhere/a.toml"}) == "--accounts: there is no file /nowhere/a.toml."

    @pytest.mark.parametrize(("path", "reason"), [
        ("", "must be a file's path, not ''."), ("~nobody-of-that-name/a.toml", "there is no file"),
        ("/", "there is no file /."), ("/proc/self/mem/a.toml", "there is no file"), ("x" * 300, "--accounts: "),
    ])
    def test_an_accounts_file_that_cannot_be_a_file(self, path, reason):
        assert reason in refusal({"accounts": path})

    def test_an_accounts_file_that_this_user_may_not_read(self, tmp_path, monkeypatch):
        def denied(*_):
            raise PermissionError(13, "Permission denied")
        (tmp_path / "a.toml").touch()
        monkeypatch.setattr(Path, "open", denied)  # because root may read everything
        assert refusal({"accounts": str(tmp_path / "a.toml")}) == (
            f"--accounts: {tmp_path}/a.toml cannot be read: Permission denied.")

    def test_several_workers_without_redis(self):
        assert refusal({"workers": "3"}) == "--workers: 3 processes need --redis URL, which makes them one chat."

    def test_several_workers_on_any_free_port(self):
        assert refusal({"workers": "2", "redis": "redis://h", "port": "0"}) == (
            "--port cannot be 0 with 2 processes, because they share the port.")

    @pytest.mark.parametrize("host", [
        "127.0.0.1:8000", "[::1]:8000", "[::1", "::1]", "[localhost]", "[]", "http://localhost", "localhost/", "::g",
        "a b", " ", "me@x", "a..b", "x" * 64, "*", "localhost,chat.example",
    ])
    def test_a_host_that_is_more_or_less_than_a_host(self, host):
        assert refusal({"host": host}) == f"--host must be an address or a host name, without a port, not {host!r}."

    def test_a_redis_url_of_another_scheme(self):
        assert refusal({"redis": "localhost:6379"}).startswith("--redis must be a URL that begins with redis://")

    @pytest.mark.parametrize("host", [
        "https://chat.example", "chat.example:8000", "a/", "me@x", "a b", "[x]", "*.example", "[1:2", "[1.2.3.4]",
        "1::2::3",
    ])
    def test_an_allowed_host_that_is_more_than_a_name(self, host):
        assert refusal({"allow_host": (host,)}).startswith("--allow-host must be a host name such as chat.example")

    def test_a_redis_url_with_an_unknown_option_wherever_it_is_set(self, toml):
        url, sentence = "redis://:s3cret@h?foo=s3cret", "has the option 'foo', which is none of db, ssl_ca_certs, "
        assert refusal({"redis": url}).startswith(f"--redis {sentence}")
        assert refusal(environ={"WEBCHAT_REDIS": url}).startswith(f"WEBCHAT_REDIS {sentence}")
        file = toml(f'redis = "{url}"')
        assert refusal(file=file).startswith(f"redis in {file} (line 1) {sentence}")

    @pytest.mark.parametrize(("setting", "raw"), [
        ("redis", "redis://:p@ss/w:rd#1%@h"), ("redis", "s3cret@h"), ("redis", 12345), ("redis-key", 12345),
        ("redis-key", ["s3cret"]), ("metrics-token", 12345),
    ])
    def test_a_secret_is_not_repeated(self, toml, setting, raw):
        said = refusal(file=toml(f"{setting} = {raw!r}"))
        assert not any(part in said for part in ("p@", "w:rd", "#1", "s3cret", "12345"))

    @pytest.mark.parametrize("origin", [
        "chat.example", "ftp://x", "https://x/y", "https://me@x", "http://x:y", "null", "http://a b", "http://a,b",
        "http://[1.2.3.4]",
    ])
    def test_an_allowed_origin_that_no_browser_sends(self, origin):
        assert refusal({"allow_origin": (origin,)}).startswith("--allow-origin must be an origin such as")

    def test_a_trusted_proxy_that_is_not_an_address(self):
        assert refusal({"trusted_proxy": ("proxy.example",)}).startswith("--trusted-proxy must be an IP address")

    @pytest.mark.parametrize("setting", ["allow-host", "allow-origin", "trusted-proxy"])
    @pytest.mark.parametrize("raw", ["3", "true", "{a = 1}"])
    def test_what_is_no_list(self, toml, setting, raw):
        assert refusal(file=toml(f"{setting} = {raw}")).startswith(f"{setting} in ")

    def test_a_log_level_that_does_not_exist(self):
        assert refusal({"log_level": "loud"}) == "--log-level must be one of debug, info, warning, error, not 'loud'."

    def test_an_empty_metrics_token(self):
        assert refusal({"metrics_token": ""}) == "--metrics-token is empty."


class TestMistypedVariables:
    def test_are_named_with_the_most_similar_setting(self):
        assert list(mistyped_variables({"WEBCHAT_HISTROY": "3", "WEBCHAT_QQQ": "", "HISTROY": "3"})) == [
            "The variable WEBCHAT_HISTROY is no setting; did you mean WEBCHAT_HISTORY?",
            "The variable WEBCHAT_QQQ is no setting."]

    def test_are_not_those_of_settings_and_of_the_other_programs(self):
        known = [*(f"WEBCHAT_{each.name.upper()}" for each in SETTINGS), "WEBCHAT_CONFIG", "WEBCHAT_PASSWORD",
                 "WEBCHAT_CA"]
        assert list(mistyped_variables(dict.fromkeys(known, "x"))) == []


class TestValues:
    @pytest.mark.parametrize(("given", "host"), [
        ("[::1]", "::1"), ("::1", "::1"), ("[::]", "::"), ("0:0:0:0:0:0:0:0", "::"), ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0"), ("", ""), ("chat.example", "chat.example"), ("localhost", "localhost"),
        ("Zoë.Example.", "xn--zo-ija.example"),
    ])
    def test_a_host_is_an_address_or_a_name_and_ipv6_may_be_in_brackets(self, given, host):
        assert load({"host": given}, {}).host == host

    @pytest.mark.parametrize(("given", "sent"), [
        ("HTTPS://Chat.Example/", "https://chat.example"),
        ("https://chat.example:443", "https://chat.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("*", "*"),
    ])
    def test_an_allowed_origin_is_normalised_to_what_browsers_send(self, given, sent):
        assert load({"allow_origin": (given,)}, {}).allow_origin == (sent,)

    def test_trusted_proxies_are_networks(self):
        config = load({"trusted_proxy": ("10.1.2.3/8", "::1")}, {})
        assert config.trusted_proxy == (ip_network("10.0.0.0/8"), ip_network("::1/128"))

    def test_secrets_are_not_in_the_repr(self):
        config = Config(metrics_token="t0ken", redis=parse("redis://user:pass@h"), redis_key="k3y")
        assert not any(secret in repr(config) for secret in ("t0ken", "user", "pass", "k3y"))


class TestDemoAccounts:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
    def test_are_on_by_default_on_loopback(self, host):
        config = Config(host=host)
        assert is_loopback(host) and config.has_demo_accounts and not config.notices

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "chat.example"])
    def test_are_off_on_other_addresses_and_one_sentence_says_so(self, host):
        config = Config(host=host)
        assert not config.has_demo_accounts
        assert len(config.notices) == 1 and "--demo-accounts" in config.notices[0]

    def test_can_be_kept_on_other_addresses(self):
        config = Config(host="0.0.0.0", demo_accounts=True)
        assert config.has_demo_accounts and not any("demo accounts" in notice for notice in config.notices)

    def test_are_replaced_by_an_accounts_file(self, tmp_path):
        (tmp_path / "a.toml").touch()
        config = Config(host="0.0.0.0", accounts=tmp_path / "a.toml", demo_accounts=True)
        assert not config.has_demo_accounts and not any("demo accounts" in notice for notice in config.notices)


class TestPasswordsInPlainText:
    """Where accounts can log in from other machines, one sentence says what to do."""

    @pytest.mark.parametrize(("settings", "remedies"), [
        ({}, ["--tls-cert and --tls-key", "--lines-port 0", "--braces-port 0"]),
        ({"lines_port": 0}, ["--tls-cert and --tls-key", "--braces-port 0"]),
        ({"trusted_proxy": (ip_network("10.0.0.1"),)},
         ["--tls-cert and --tls-key", "--lines-port 0", "--braces-port 0"]),
        ({"trusted_proxy": (ip_network("10.0.0.1"),), "braces_port": 0},
         ["--tls-cert and --tls-key", "--lines-port 0"]),
        ({"lines_port": 0, "braces_port": 0}, ["--tls-cert and --tls-key"]),
    ])
    @pytest.mark.parametrize("accounts", [{"accounts": Path(__file__)}, {"demo_accounts": True}])
    def test_are_named_with_their_remedies(self, settings, remedies, accounts):
        notice, = Config(host="192.168.1.5", **settings, **accounts).notices
        assert notice.startswith("Passwords cross the network unencrypted, so others can read them: ")
        assert re.findall("--tls-cert and --tls-key|--[a-z]+-port 0", notice) == remedies

    @pytest.mark.parametrize("settings", [
        {"host": "127.0.0.1"}, {"host": "localhost"},
        {"host": "::", "lines_port": 0, "braces_port": 0, "trusted_proxy": (ip_network("10.0.0.1"),)},
        {"host": "::", "tls_cert": Path(__file__), "tls_key": Path(__file__)},
    ])
    def test_are_no_matter_on_this_machine_or_where_every_door_is_encrypted(self, settings):
        assert Config(accounts=Path(__file__), **settings).notices == ()


class TestRedisNotices:
    @pytest.mark.parametrize("url", ["redis://127.0.0.1", "redis://[::1]:1", "redis://localhost", "unix:///s"])
    def test_a_redis_of_this_machine_needs_no_notice(self, url):
        assert Config(redis=parse(url)).notices == ()

    def test_a_redis_on_another_host_without_a_key_is_warned_of(self):
        (notice,) = Config(redis=parse("rediss://:s3cret@redis.example")).notices
        assert "redis.example" in notice and "WEBCHAT_REDIS_KEY" in notice and "s3cret" not in notice

    def test_a_connection_to_another_host_without_tls_is_warned_of(self):
        (notice,) = Config(redis=parse("redis://:s3cret@10.0.0.9"), redis_key="key").notices
        assert "10.0.0.9" in notice and "rediss://" in notice and "s3cret" not in notice

    def test_a_key_and_tls_leave_nothing_to_say(self):
        assert Config(redis=parse("rediss://h"), redis_key="key").notices == ()
