"""A folder of files, as it is served from memory."""

import gzip
from pathlib import Path

import pytest

from webchat.net import assets

INDEX = b"""<!doctype html>
<link rel="stylesheet" href="style.css"><link rel="help" href="https://elsewhere.example/style.css">
<a href="#style.css">top</a> <a href="unknown.html">other</a> <p data-src="style.css">src="style.css"</p>
<script type="module" src="js/main.js"></script>
"""
STYLE = b".box { margin: 0 }\n" * 200
FILES = {"index.html": INDEX, "style.css": STYLE, "js/main.js": b"import './wire.js'\n", "logo.png": bytes(range(256))}


def write(root, files):
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


@pytest.fixture
def root(tmp_path):
    write(tmp_path, FILES)
    return tmp_path


def test_every_file_has_its_relative_path_and_its_content(root):
    tree = assets.load(root)
    assert set(tree.assets) == set(FILES)
    for name in ("style.css", "js/main.js", "logo.png"):
        assert tree.assets[name].body == FILES[name]


def test_hidden_files_and_the_files_in_hidden_folders_are_left_out(root):
    write(root, {".draft": b"x", "js/.draft.js": b"x", ".git/config": b"x", "js/.cache/main.js": b"x"})
    assert set(assets.load(root).assets) == set(FILES)


def test_a_hidden_folder_above_the_root_hides_nothing(tmp_path):
    write(tmp_path / ".venv" / "static", FILES)
    assert set(assets.load(tmp_path / ".venv" / "static").assets) == set(FILES)


def test_a_missing_entry_page_is_an_error_that_names_it(tmp_path):
    write(tmp_path, {"style.css": STYLE})
    with pytest.raises(FileNotFoundError) as error:
        assets.load(tmp_path)
    assert str(tmp_path / "index.html") in str(error.value)
    with pytest.raises(FileNotFoundError):
        assets.load(tmp_path / "no such folder")


def test_another_page_may_be_the_entry(root):
    write(root, {"chat.html": INDEX})
    tree = assets.load(root, "chat.html")
    assert tree.assets["index.html"].body == INDEX
    assert tree.version.encode() in tree.assets["chat.html"].body


def test_in_the_entry_page_links_to_files_of_the_folder_get_the_version_and_nothing_else_changes(root):
    tree = assets.load(root)
    version = tree.version.encode()
    assert tree.assets["index.html"].body == (
        INDEX.replace(b' href="style.css"', b' href="%s/style.css"' % version)
        .replace(b' src="js/main.js"', b' src="%s/js/main.js"' % version))


def test_the_version_is_the_same_for_the_same_files(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write(other, FILES)
    assert assets.load(root).version == assets.load(other).version


class Backwards(type(Path())):
    """A folder that lists its files in the other order."""

    def rglob(self, pattern):
        return reversed(list(super().rglob(pattern)))


def test_the_version_does_not_depend_on_the_order_in_which_the_system_lists_files(root):
    assert assets.load(Backwards(root)).version == assets.load(root).version


@pytest.mark.parametrize("change", [
    {"js/main.js": b"import './wires.js'\n"}, {"index.html": INDEX + b"\n"}, {"js/wire.js": b""},
])
def test_a_changed_or_a_new_file_changes_the_version(root, change):
    before = assets.load(root).version
    write(root, change)
    assert assets.load(root).version != before


def test_a_renamed_file_changes_the_version(root):
    before = assets.load(root).version
    (root / "logo.png").rename(root / "logos.png")  # still between the same two files
    assert assets.load(root).version != before


def test_a_version_is_16_hexadecimal_digits(root):
    version = assets.load(root).version
    assert len(version) == 16
    assert set(version) <= set("0123456789abcdef")


def test_the_files_are_read_once(root):
    tree = assets.load(root)
    write(root, {"style.css": b"changed"})
    assert tree.assets["style.css"].body == STYLE


@pytest.mark.parametrize(("name", "media_type"), [
    ("a.html", "text/html; charset=utf-8"), ("a.css", "text/css; charset=utf-8"),
    ("a.js", "text/javascript; charset=utf-8"), ("a.txt", "text/plain; charset=utf-8"), ("a.json", "application/json"),
    ("a.webmanifest", "application/manifest+json"), ("a.svg", "image/svg+xml"), ("a.png", "image/png"),
    ("a.ico", "image/vnd.microsoft.icon"), ("a.jpg", "image/jpeg"), ("a.webp", "image/webp"), ("a.woff2", "font/woff2"),
    ("a.unknown", "application/octet-stream"), ("LICENSE", "application/octet-stream"),
])
def test_the_media_type_follows_from_the_suffix(root, name, media_type):
    write(root, {name: b"x"})
    assert assets.load(root).assets[name].type == media_type


def test_a_client_that_accepts_gzip_gets_it_with_an_etag_of_its_own(root):
    style = assets.load(root).assets["style.css"]
    body, etag, coding = style.coded(True)
    assert coding == "gzip"
    assert gzip.decompress(body) == STYLE
    assert len(body) < len(STYLE)
    assert style.coded(False) == (STYLE, style.coded(False)[1], None)
    assert style.coded(False)[1] != etag


def test_a_file_that_compresses_badly_is_sent_as_it_is(root):
    logo = assets.load(root).assets["logo.png"]
    assert logo.gzipped is None
    assert logo.coded(True) == logo.coded(False) == (FILES["logo.png"], logo.coded(False)[1], None)


def test_etags_are_quoted_and_equal_for_equal_contents_alone(root):
    write(root, {"same.css": STYLE, "other.css": STYLE + b"\n"})
    tree = assets.load(root)
    for accepts_gzip in (True, False):
        style, same, other = [tree.assets[name].coded(accepts_gzip)[1]
                              for name in ("style.css", "same.css", "other.css")]
        assert style == same != other
        assert style[0] == style[-1] == '"'


def test_two_servers_with_the_same_files_send_the_same_bytes(root):
    assert assets.load(root) == assets.load(root)
    assert assets.load(root).assets["style.css"].gzipped[4:8] == bytes(4)  # the time of the compression (RFC 1952)
