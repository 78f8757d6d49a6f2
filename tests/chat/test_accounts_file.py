"""The accounts file: what it contains, and the sentence, with the line, for a file that cannot be used."""

import pytest

from tests.chat.fakes import at_once, immediately
from webchat.chat import accounts
from webchat.chat.accounts_file import AccountsError, parse, read
from webchat.chat.names import key
from webchat.chat.names import parse as parse_name

HASH = "$argon2id$v=19$m=1024,t=1,p=1$jQbmCxwXFYnhPlGlJpIbIQ$6sQ48X4/O/b0PFvs5XGHO8VzVoSoTs8FbcfFemDRuIs"
"""The hash of `password`."""


def refusal(text: str) -> str:
    with pytest.raises(AccountsError) as refused:
        parse(text.replace("HASH", HASH), "a.toml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_accounts_have_a_hash_and_groups(tmp_path):
    file = tmp_path / "accounts.toml"
    file.write_text(f'# ours\n[accounts."Zoë"]\nhash = "{HASH}"\ngroups = ["8 out of 10 cats", "Taskmaster"]\n'
                    f'\n[accounts."Ada L"]\nhash = "{HASH}"\n', encoding="utf-8")
    known = accounts.load(file, immediately)
    assert [account.name.text for account in known] == ["Zoë", "Ada L"]
    assert known.find(key("zoë")).rooms == ("8 out of 10 cats", "Taskmaster")
    assert at_once(known.verify(parse_name("ada l"), "password", "192.0.2.1")).rooms == ()


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "[accounts]\n"])
def test_a_file_without_accounts_is_accepted(text):
    assert parse(text, "a.toml") == ()


def test_a_room_has_the_spelling_that_comes_first_in_the_file():
    ada, bob = parse(f'[accounts.ada]\nhash="{HASH}"\ngroups=["Lab", "lab "]\n'
                     f'[accounts.bob]\nhash="{HASH}"\ngroups=["LAB"]\n', "a.toml")
    assert ada.rooms == bob.rooms == ("Lab",)


@pytest.mark.parametrize(("text", "line", "reason"), [
    ("[accounts.ada\n", 1, "Expected"),
    ('[accounts.ada]\nhash = "HASH"\ngroups = [\n\n', 3, "Invalid value (at the end"),
    ('[accounts.ada]\nhash = "HASH"\n\n[accounts.ada]\n', 4, "twice"),
    ("# x\n\n[people.ada]\n", 3, "people is not a known table"),
    ("accounts = 3\n", 1, "begins with a line"),
    ("[accounts]\nada = 3\n", 2, "ada is not an account"),
    ('\n[accounts.ada]\nhash = "HASH"\ngroup = []\n', 4, "no key group; did you mean groups?"),
    ('[accounts.ada]\nhash = "HASH"\npassword = "x"\n', 3, "no key password."),
    ('[accounts.bob]\nhash = "HASH"\n[accounts.ada]\ngroups = []\n', 3, "no hash"),
    ('[accounts.ada]\nhash = "secret"\n', 2, "not an Argon2id hash"),
    ('[accounts.ada]\nhash = 3\n', 2, "not an Argon2id hash"),
    ('[accounts.ada]\n"hash" = "$argon2id$v=19$m=8388608,t=9,p=1$jQbmCxwXFYnhPlGlJpIbIQ$6sQ48X4OOb0PFvs5"\n', 2,
     "too long to compare"),
    ('[accounts.ada]\nhash = "HASH"\ngroups = "Lab"\n', 3, "list of names"),
    ('[accounts.ada]\nhash = "HASH"\ngroups = [\n  "Lab",\n  3,\n]\n', 3, "list of names"),
    ('[accounts.ada]\nhash = "HASH"\ngroups = [\n  ["Lab", 3]\n]\n', 3, "list of names"),
    ('[accounts.ada]\nhash = "HASH"\ngroups = ["a:b"]\n', 3, "name of a room: A name cannot contain :"),
    ('[accounts."#ada"]\nhash = "HASH"\n', 1, "cannot be the name of an account: A name cannot begin with #"),
    ('[accounts.Bob]\nhash = "HASH"\n[accounts.BOB] # again\nhash = "HASH"\n', 3, "BOB and Bob are the same name"),
    ('[accounts]\nbob = { hash = "HASH", groups = ["#"] }\n', 2, "name of a room"),
    ('accounts.bob.hash = "HASH"\naccounts.bob.groups = ["#"]\n', 2, "name of a room"),
])
def test_an_error_is_one_sentence_with_the_line(text, line, reason):
    said = refusal(text)
    assert said.startswith("a.toml") and f"line {line}" in said and reason in said


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 5000, "{a=" * 5000], ids=["digits", "lists", "tables"])
def test_so_is_one_about_values_that_python_cannot_read(value):
    said = refusal(f"a = {value}\n")
    assert said == "a.toml: A number is too long, or something is nested too deeply."


def test_a_missing_file_or_one_that_is_not_utf8_is_one_sentence_too(tmp_path):
    with pytest.raises(AccountsError, match="cannot be read: No such file"):
        accounts.load(tmp_path / "none.toml", immediately)
    (tmp_path / "latin.toml").write_bytes(b"# x\n[accounts.Zo\xeb]\n")
    with pytest.raises(AccountsError, match="line 2: This is not UTF-8"):
        accounts.load(tmp_path / "latin.toml", immediately)


def test_a_file_that_notepad_on_windows_has_saved_is_read(tmp_path):
    file = tmp_path / "accounts.toml"
    file.write_bytes(f'\ufeff[accounts.ada] # ours\r\nhash = "{HASH}"\r\ngroups = []\r\n'.encode())
    assert [account.name.text for account in read(file)] == ["ada"]
    file.write_bytes(b"\xef\xbb\xbf[accounts.ada] # ours\r\ngroups = 3\r\nhash = 3\r\n")
    with pytest.raises(AccountsError, match="line 2: groups has to be|line 3: This is not an Argon2id hash"):
        read(file)
