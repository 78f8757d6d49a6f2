"""`webchat accounts`: creates and changes the accounts file safely, and never shows a password."""

import errno
import os
import stat
import subprocess
import sys

import pexpect
import pytest
from click.testing import CliRunner

from tests.program import PATIENCE, ROOT
from webchat import accounts_command
from webchat.chat import passwords
from webchat.chat.accounts_file import read


def failing(number):
    """A function that always fails with this error."""
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))
    return fail


def deny(monkeypatch, step, number):
    """Let one of the steps that replace a file fail: opening a new one beside it, giving it away, taking the place."""
    if step == "open":
        monkeypatch.setattr(accounts_command, "NamedTemporaryFile", failing(number))
    else:
        monkeypatch.setattr(os, step, failing(number))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accounts.toml"


@pytest.fixture
def accounts(path):
    """Runs the command on the file, `accounts("add", "ada", input=…)`, and returns its result."""
    def run(*args, input=None, file=path):
        return CliRunner().invoke(accounts_command.main, ["--file", str(file), *args], input=input)
    return run


def add(accounts, name, *args, password="secret"):
    return accounts("add", name, *args, "--password-stdin", input=f"{password}\n")


def password_of(path, name):
    """Return a function that checks a password against an account in the file."""
    account = next(account for account in read(path) if account.name.text == name)
    return lambda password: passwords.matches(account.hash, password)


class TestAdd:
    def test_creates_the_file_with_an_account_that_a_server_can_use(self, accounts, path):
        assert add(accounts, "Zoë", "--group", "Lab", "--group", "8 out of 10 cats").exit_code == 0
        (account,) = read(path)
        assert (account.name.text, account.rooms) == ("Zoë", ("Lab", "8 out of 10 cats"))
        assert password_of(path, "Zoë")("secret") and not password_of(path, "Zoë")("other")

    def test_asks_for_the_password_twice(self, accounts, path):
        assert accounts("add", "ada", input="one\ntwo\nsecret\nsecret\n").exit_code == 0
        assert password_of(path, "ada")("secret")

    def test_does_not_accept_a_password_as_an_argument(self, accounts, path):
        assert accounts("add", "ada", "secret").exit_code == 2
        assert not path.exists()

    @pytest.mark.parametrize("args", [("add", "#ada"), ("add", "server"), ("add", "ada", "--group", "a:b")])
    def test_refuses_bad_names_before_it_asks_for_anything(self, accounts, path, args):
        result = accounts(*args, input="secret\nsecret\n")
        assert result.exit_code == 1 and "Password" not in result.output and not path.exists()

    def test_refuses_a_name_that_clashes_with_an_account(self, accounts):
        add(accounts, "Bob")
        assert "Bob has an account already." in add(accounts, "b0B").output

    @pytest.mark.parametrize("password", ["", "bell\a", "x" * 2000])
    def test_refuses_a_password_that_cannot_be_used(self, accounts, path, password):
        result = add(accounts, "ada", password=password)
        assert result.exit_code == 1 and "A password " in result.output and not path.exists()


class TestChanges:
    def test_passwd_changes_nothing_but_the_password(self, accounts, path):
        add(accounts, "Ada L", "--group", "Lab")
        assert accounts("passwd", "ada l", "--password-stdin", input="better\n").exit_code == 0
        assert password_of(path, "Ada L")("better") and not password_of(path, "Ada L")("secret")
        assert read(path)[0].rooms == ("Lab",)

    def test_remove_removes_one(self, accounts, path):
        add(accounts, "ada")
        add(accounts, "bob")
        assert accounts("remove", "ADA").exit_code == 0
        assert [account.name.text for account in read(path)] == ["bob"]

    def test_list_prints_names_and_groups(self, accounts):
        add(accounts, "ada", "--group", "Lab", "--group", "Taskmaster")
        add(accounts, "bob")
        assert accounts("list").output == "ada\tLab, Taskmaster\nbob\n"

    def test_list_leaves_out_what_cannot_be_written(self, accounts, path):
        add(accounts, "ada")
        command = [sys.executable, "-m", "webchat.main", "accounts", "--file", path, "list"]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("command", ["passwd", "remove"])
    def test_an_account_that_does_not_exist_is_an_error(self, accounts, command):
        add(accounts, "ada")
        result = accounts(command, "bob", input="x\nx\n")
        assert result.exit_code == 1 and "has no account named bob." in result.output

    def test_keep_comments_and_order(self, accounts, path):
        add(accounts, "ada")
        path.write_text("# The people of the lab\n" + path.read_text() + "# the last line\n")
        add(accounts, "bob")
        accounts("passwd", "ada", "--password-stdin", input="x\n")
        text = path.read_text()
        assert text.startswith("# The people of the lab\n[accounts.ada]") and "# the last line" in text
        assert [account.name.text for account in read(path)] == ["ada", "bob"]

    def test_passwd_repairs_an_account_whose_hash_is_broken(self, accounts, path):
        path.write_text('[accounts.ada]\nhash = "plain"\n')
        assert accounts("passwd", "ada", "--password-stdin", input="x\n").exit_code == 0
        assert password_of(path, "ada")("x")


class TestTheFile:
    def test_is_readable_by_its_owner_only_when_it_is_new(self, accounts, path):
        add(accounts, "ada")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
    def test_keeps_its_owner_its_group_and_its_permissions(self, accounts, path):
        add(accounts, "ada")
        os.chown(path, 1234, 4321)
        path.chmod(0o640)
        for change in (("add", "bob", "--password-stdin"), ("passwd", "bob", "--password-stdin"), ("remove", "bob")):
            assert accounts(*change, input="x\n").exit_code == 0
            status = path.stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o640)

    def test_keeps_its_extended_attributes_among_them_access_control_lists(self, accounts, path):
        add(accounts, "ada")
        try:
            os.setxattr(path, "user.note", b"ours")
        except OSError:
            pytest.skip("this file system has no extended attributes")
        add(accounts, "bob")
        assert os.getxattr(path, "user.note") == b"ours"

    def test_has_the_time_of_the_change(self, accounts, path):
        add(accounts, "ada")
        os.utime(path, (0, 0))
        add(accounts, "bob")
        assert path.stat().st_mtime > 0

    def test_keeps_windows_line_ends_and_byte_order_mark(self, accounts, path):
        path.write_bytes("\ufeff# Zoë's\r\n".encode())
        add(accounts, "ada")
        content = path.read_bytes()
        assert content.startswith("\ufeff# Zoë's\r\n".encode()) and content.count(b"\n") == content.count(b"\r\n")
        assert [account.name.text for account in read(path)] == ["ada"]

    def test_is_unchanged_if_it_cannot_be_replaced(self, accounts, path, monkeypatch):
        add(accounts, "ada")
        before = path.read_bytes()
        monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
        result = add(accounts, "bob")
        assert result.exit_code == 1 and "cannot be changed: No space left on device." in result.output
        assert path.read_bytes() == before and [each.name for each in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize(("step", "error"), [
        ("open", errno.EACCES), ("open", errno.EROFS), ("chown", errno.EPERM), ("replace", errno.EBUSY),
    ])
    def test_is_written_in_place_where_no_other_can_take_its_place(self, accounts, path, monkeypatch, step, error):
        add(accounts, "ada")
        path.chmod(0o640)
        inode = path.stat().st_ino
        deny(monkeypatch, step, error)
        add(accounts, "bob")  # makes it longer
        assert [account.name.text for account in read(path)] == ["ada", "bob"]
        accounts("remove", "ada")  # makes it shorter
        assert [account.name.text for account in read(path)] == ["bob"] and not path.read_text().endswith("\n\n")
        assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o640)
        assert [each.name for each in path.parent.iterdir()] == [path.name]

    def test_that_does_not_exist_is_not_made_where_no_file_may_be(self, accounts, path, monkeypatch):
        deny(monkeypatch, "open", errno.EACCES)
        result = add(accounts, "ada")
        assert result.exit_code == 1 and result.output.endswith("cannot be changed: Permission denied.\n")

    @pytest.mark.parametrize("change", [("add", "cyd", "--password-stdin"), ("remove", "ada")])
    def test_can_be_read_when_writing_in_place_was_interrupted(self, accounts, path, monkeypatch, change):
        add(accounts, "ada")
        add(accounts, "bob")
        bob = read(path)[1]
        deny(monkeypatch, "open", errno.EACCES)
        monkeypatch.setattr(os, "fsync", failing(errno.EIO))  # before the file gets its new length
        assert accounts(*change, input="x\n").exit_code == 1
        assert bob in read(path)

    def test_is_named_when_it_may_not_be_read(self, accounts, path):
        path.mkdir()
        result = accounts("remove", "ada")
        assert result.exit_code != 0 and str(path) in result.output and "Traceback" not in result.output

    @pytest.mark.parametrize("text", [
        "[accounts.ada\n", "accounts = 3\n", '[accounts.ada]\nhash = "plain"\n', "a = 1\n",
    ])
    def test_with_an_error_is_left_alone_and_the_error_names_the_line(self, accounts, path, text):
        path.write_text(text)
        result = add(accounts, "bob")
        assert result.exit_code == 1 and result.output.count("\n") == 1 and "line " in result.output
        assert path.read_text() == text

    def test_behind_a_symbolic_link_is_replaced_at_the_target(self, accounts, path, tmp_path):
        add(accounts, "ada")
        link = tmp_path / "link.toml"
        link.symlink_to(path)
        accounts("remove", "ada", file=link)
        assert link.is_symlink() and read(path) == ()

    def test_can_be_named_in_the_environment(self, path):
        CliRunner().invoke(accounts_command.main, ["add", "ada", "--password-stdin"], input="x\n",
                           env={"WEBCHAT_ACCOUNTS": str(path)}, catch_exceptions=False)
        assert len(read(path)) == 1


def test_at_a_terminal_the_password_is_not_shown(path):
    program = pexpect.spawn(sys.executable, ["-m", "webchat.main", "accounts", "--file", str(path), "add", "ada"],
                            encoding="utf-8", timeout=30, cwd=ROOT)
    for prompt in ("Password: ", "The same again: "):
        program.expect_exact(prompt)
        program.waitnoecho()
        program.sendline("hidden-secret")
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 0 and "hidden" not in program.before
    assert password_of(path, "ada")("hidden-secret")
