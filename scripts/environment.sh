# Sourced with $top set: makes the virtual environment, and installs webchat and what it needs into it.
#
# In a checkout the packages come from the package index, and the page's Socket.IO client from npm. In an archive that
# scripts/bundle.sh made, the folder wheels has all of it.

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# step TEXT: announce the next step of setting up.
step() {
    steps_begun=$((steps_begun + 1))
    say "[$steps_begun/$steps] $*"
}

# Run a command without its output; if it fails, show the end of that.
quietly() {
    local output
    output=$("$@" 2>&1 </dev/null) && return
    say "$(tail -n 8 <<< "$output")"
    return 1
}

is_archive() { [ -f "$wheels/PYTHON" ]; }

# Print which packages a Python can use, such as "CPython 3.11 on Linux x86_64". Fails if it is too old for webchat.
kind_of() {
    "$1" -c '
import platform, sys
version = "%d.%d" % sys.version_info[:2]
print(platform.python_implementation(), version, "on", platform.system(), platform.machine())
sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Whether a Python can run webchat here. In an archive, that is only the kind that its packages were made for.
is_suitable() {
    local kind
    kind=$(kind_of "$1") && { ! is_archive || [ "$kind" = "$(cat "$wheels/PYTHON")" ]; }
}

# Print the first Python that is suitable; $PYTHON, if set, is tried first.
find_python() {
    local python
    for python in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_suitable "$python"; then
            printf '%s\n' "$python"
            return
        fi
    done
    ! is_archive || die "This archive is for $(cat "$wheels/PYTHON"), which was not found; name it with" \
        "PYTHON=/path/to/python3, or make an archive for this machine: scripts/bundle.sh in a checkout does."
    die "webchat needs Python 3.11 or newer, and none was found; name one with PYTHON=/path/to/python3."
}

has_venv() { [ -x "$venv/bin/pip" ] && is_suitable "$venv/bin/python"; }

make_venv() {
    local python
    if has_venv; then
        step "The virtual environment is there: $venv"
        return
    fi
    python=$(find_python)
    step "Making a virtual environment in $venv …"
    quietly "$python" -m venv --clear "$venv" ||
        die "The virtual environment could not be made; on Debian and Ubuntu: apt install python3-venv"
}

# fingerprint FILE: one hash of all that decides what is installed: another folder, Python or requirement changes it.
fingerprint() {
    if is_archive; then
        set -- "$1" 'wheels/webchat-*.whl'
    else
        set -- "$1" setup.py pyproject.toml package-lock.json webchat/__init__.py
    fi
    "$venv/bin/python" - "$top" "$@" <<'EOF'
import hashlib, pathlib, sys
top, *patterns = sys.argv[1:]
total = hashlib.sha256(repr((top, sys.version)).encode())
for pattern in patterns:
    for path in pathlib.Path(top).glob(pattern):
        total.update(path.read_bytes())
print(total.hexdigest())
EOF
}

# Let pip and npm trust what this machine trusts, such as the certificate of a company's proxy.
trust_this_machine() {
    local bundle
    export NODE_USE_SYSTEM_CA=1  # newer versions of Node.js then ask the system, as macOS needs; others ignore it
    for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
        /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
        [ -f "$bundle" ] || continue
        export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$bundle} REQUESTS_CA_BUNDLE=${REQUESTS_CA_BUNDLE:-$bundle}
        return
    done
}

# pip COMMAND…: run pip, and show the end of what it said only if it failed.
pip() {
    local output
    output=$(
        trust_this_machine
        export PIP_RETRIES=${PIP_RETRIES:-2}
        "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" 2>&1 </dev/null | count_packages
    ) && return
    say "$(tail -n 8 <<< "$output")"
    return 1
}

# pip_pinned COMMAND FILE [OPTION…]: run pip on the packages that a file pins, and check their hashes.
#
# The file names all that they need in turn. Left to look for that, pip may find a newer version, and refuse its hash.
pip_pinned() {
    local command=$1 file=$2 packages
    packages=$(number_of_packages "$file")
    shift 2
    pip "$command" --require-hashes --no-deps -r "$top/$file" "$@"
}

number_of_packages() { grep -c '^[A-Za-z].*==' "$top/$1"; }

# Pass on what pip says. On a terminal, show in a line of its own how many of $packages it has come to.
count_packages() {
    local line name count=0
    while IFS= read -r line; do
        printf '%s\n' "$line"
        [ -n "${packages:-}" ] && [ -t 2 ] && [ "${TERM:-dumb}" != dumb ] || continue
        case $line in
            *"(from -r "* | "Ignoring "*)
                count=$((count + 1)) name=${line#Requirement already satisfied: } name=${name#Ignoring }
                name=${name%%[=:(]*} name=${name#* } name=${name##*/}
                printf '\r      %s of %s: %s\033[K' $count "$packages" "${name%%-[0-9]*}" >&2 ;;
            "Installing collected packages: "*) printf '\r      unpacking them\033[K' >&2 ;;
        esac
    done
    [ $count = 0 ] || printf '\r\033[K' >&2
}

# is_complete FILE: whether the packages that a file pins, and the page's Socket.IO client, are there already.
is_complete() {
    has_venv && [ -f "$client" ] && pip_pinned install "$1" --dry-run --no-index 2>/dev/null
}

# Install Node.js with npm as a package of Python, for a machine that has none.
install_node() { pip_pinned install requirements-node.txt; }

# Run a line of Python that uses setup.py.
with_setup() {
    (
        trust_this_machine
        cd "$top" || exit
        PATH=$PATH:$venv/bin exec "$venv/bin/python" -B -W ignore -c "import setup, sys; $1" </dev/null >&2
    )
}

# Bring the page's Socket.IO client from npm, unless it is there.
bring_client() {
    if with_setup 'sys.exit(not setup.has_client())'; then
        step "The page's Socket.IO client is there."
        return
    fi
    step "Fetching the page's Socket.IO client with npm, in at most 20 s …"
    if [ -x "$venv/bin/npm" ] || command -v npm >/dev/null; then
        with_setup 'setup.fetch_client()' || exit 1
    else
        say "      npm is missing, so Node.js is installed for this step …"
        install_node || true
        with_setup 'setup.fetch_client()' || exit 1
        pip uninstall --yes -r "$top/requirements-node.txt"
    fi
}

install_in_checkout() {
    step "Installing $(number_of_packages "$1") packages …"
    pip_pinned install "$1" || die "$no_packages"
    bring_client
    step "Installing webchat …"
    pip install --no-deps --no-build-isolation --editable "$top" || die "webchat could not be installed."
}

install_in_archive() {
    step "Installing $(number_of_packages "$1") packages …"
    pip_pinned install "$1" --no-index --find-links "$wheels" ||
        die "The packages of this archive could not be installed; unpack it again."
    step "Installing webchat …"
    pip install --no-index --no-deps --force-reinstall "$wheels"/webchat-*.whl || die "webchat could not be installed."
}

# is_installed FILE: whether the last installation was of the same things, and what it brought is still there.
is_installed() {
    local stamp=$venv/.installed-$1
    has_venv && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint "$1")" ] && { is_archive || [ -f "$client" ]; }
}

# install FILE: install the packages that a file pins, and webchat itself with its page, unless they are there.
install() {
    ! is_installed "$1" || return 0
    if is_archive; then steps=3; else steps=4; fi
    make_venv
    if is_archive; then install_in_archive "$1"; else install_in_checkout "$1"; fi
    fingerprint "$1" > "$venv/.installed-$1"
}

venv=$top/.venv
wheels=$top/wheels
client=$top/static/chat/vendor/socket.io.esm.min.js
steps_begun=0
no_packages="The packages could not be fetched: check the network, or start from an archive that scripts/bundle.sh made \
on another machine."
