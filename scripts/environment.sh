# Sourced by run.sh and test.sh with $top set: makes the virtual environment .venv, and installs into it on demand.

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Print the first Python that is new enough; $PYTHON, if set, is tried first.
find_python() {
    local python
    for python in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    die "webchat needs Python 3.11 or newer, and none was found; name one with PYTHON=/path/to/python3."
}

make_venv() {
    local python
    if "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return
    fi
    python=$(find_python)
    say "Making a virtual environment in $venv …"
    "$python" -m venv --clear "$venv" ||
        die "The virtual environment could not be made; on Debian and Ubuntu: apt install python3-venv"
}

# Print one hash of everything that decides what is installed: another checkout, Python or requirement changes it.
fingerprint() {
    "$venv/bin/python" - "$top" "$@" <<'EOF'
import hashlib, pathlib, sys
top, *names = sys.argv[1:]
total = hashlib.sha256(repr((top, sys.version)).encode())
for name in ["setup.py", "pyproject.toml", "package-lock.json", "webchat/__init__.py", *names]:
    total.update(pathlib.Path(top, name).read_bytes())
print(total.hexdigest())
EOF
}

# is_complete FILE…: whether the requirements in the files, and the page's Socket.IO client, are there already.
is_complete() {
    local file options=()
    for file in "$@"; do options+=(-r "$top/$file"); done
    [ -f "$client" ] && pip install --dry-run --no-index "${options[@]}" 2>/dev/null
}

# install NAME FILE…: install the requirements in the files, and webchat itself from this checkout with its page.
install() {
    local name=$1 stamp wanted file options=()
    shift
    stamp=$venv/.installed-$name
    wanted=$(fingerprint "$@")
    if [ -f "$client" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    for file in "$@"; do options+=(-r "$top/$file"); done
    say "Installing what webchat needs into $venv; this takes a minute the first time …"
    pip install "${options[@]}" || die "The packages could not be installed; is there a network?"
    pip install --no-deps --editable "$top" || die "webchat could not be installed."
    printf '%s\n' "$wanted" > "$stamp"
}

pip() { "$venv/bin/python" -m pip -qq --disable-pip-version-check --no-input "$@" </dev/null >&2; }

venv=$top/.venv
client=$top/static/chat/vendor/socket.io.esm.min.js
make_venv
