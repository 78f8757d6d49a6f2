# Sourced by test.sh after environment.sh: the programs that tests talk to, and the page's own test tools.

# What tests need and pip cannot install: its name, its Debian package, and the tests that are skipped without it.
PROGRAMS='
chromium            chromium            the page in a browser: tests/page, tests/specs, tests/test_all_doors.py
redis-server        redis-server        several servers as one chat: tests/backplane, tests/test_supervisor.py, tests/test_nginx.py
nginx               nginx               three servers behind a proxy: tests/test_nginx.py
haproxy             haproxy             clients behind another proxy: tests/test_entrance.py
openssl             openssl             HTTPS: tests/test_server.py, tests/test_nginx.py
curl                curl                curl: tests/gateways/test_tcp_other_protocols.py
ssh                 openssh-client      ssh: tests/gateways/test_tcp_other_protocols.py
telnet              telnet              telnet: tests/gateways/test_tcp_tools.py, tests/test_all_doors.py
nc.openbsd          netcat-openbsd      nc: tests/gateways/test_tcp_tools.py
ncat                ncat                ncat: tests/gateways/test_tcp_tools.py
socat               socat               socat: tests/gateways/test_tcp_tools.py
tf5                 tf5                 a MUD client: tests/gateways/test_tcp_tools.py
chromium-headless-shell  chromium-headless-shell  none, but those in tests/page take longer
fc-list             fontconfig          none, but it is not known which fonts are there
'
LIBRARIES='
libGL.so.1          libgl1
libEGL.so.1         libegl1
libdbus-1.so.3      libdbus-1-3
libfontconfig.so.1  libfontconfig1
libglib-2.0.so.0    libglib2.0-0
libxkbcommon-x11.so.0  libxkbcommon-x11-0
libxcb-icccm.so.4   libxcb-icccm4
libxcb-image.so.0   libxcb-image0
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-randr.so.0   libxcb-randr0
libxcb-render-util.so.0  libxcb-render-util0
libxcb-shape.so.0   libxcb-shape0
libxcb-xinerama.so.0  libxcb-xinerama0
libxcb-xkb.so.1     libxcb-xkb1
'
FONTS='
Liberation          fonts-liberation
Noto                fonts-noto-core
Emoji               fonts-noto-color-emoji
'

# /usr/sbin, where Debian installs nginx, is not on the PATH of every user.
has_program() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }
has_library() { [[ $libraries == *"$1 "* ]]; }
has_font() { [[ $fonts == *"$1"* ]]; }

# Print a line for each thing that is missing: its Debian package, a tab, and the tests that are skipped without it.
missing() {
    local libraries fonts kind name package tests
    libraries=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null || true)
    fonts=$(fc-list : family 2>/dev/null || true)
    for kind in program library font; do
        case $kind in
            program) set -- "$PROGRAMS" '' ;;
            library) set -- "$LIBRARIES" 'the window: tests/clients/desktop, tests/specs/test_desktop_window.py' ;;
            font) set -- "$FONTS" 'none, but the page looks different from what users see' ;;
        esac
        while read -r name package tests; do
            [ -z "$name" ] || "has_$kind" "$name" || printf '%s\t%s\n' "$package" "${tests:-$2}"
        done <<< "$1"
    done
}

# As root on Debian: install what is missing, after naming it.
install_programs() {
    local package packages
    packages=$(missing | cut -f 1 | tr '\n' ' ')
    [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    say "Installing Debian packages for the tests (./test.sh --no-install does not): $packages"
    apt update || true
    # All at once is faster. One by one, a package that this release does not have keeps no other away.
    apt install -y --no-install-recommends $packages || for package in $packages; do
        apt install -y --no-install-recommends "$package" || say "$package could not be installed."
    done
}

# RUNLEVEL=1: services such as redis-server and nginx are not started by their packages; the tests start their own.
apt() {
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

# Install the page's test tools with npm, and that with Node.js if the machine has none.
install_node_modules() {
    local wanted
    if ! command -v npm >/dev/null; then
        [ "$may_install" = yes ] || return 0
        say "Installing Node.js into the virtual environment …"
        install_node || say "Node.js could not be installed."
    fi
    wanted=$(cat package.json package-lock.json | cksum)
    if [ "$(cat node_modules/.installed 2>/dev/null)" != "$wanted" ]; then
        say "Installing the page's test tools into node_modules …"
        quietly npm_ci || { say "The page's test tools could not be installed; is there a network?"; return 0; }
        printf '%s\n' "$wanted" > node_modules/.installed
    fi
}

npm_ci() {
    (trust_this_machine; npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1)
}

# Name what is missing now, and the tests that are skipped for it.
report_missing() {
    local lines package tests
    if ! command -v node >/dev/null; then
        say "Node.js is missing. Skipped: the page's unit tests in tests/js, and the tests of the official Socket.IO client."
    fi
    lines=$(missing)
    [ -n "$lines" ] || return 0
    while IFS=$'\t' read -r package tests; do
        say "$package is missing. Skipped: $tests"
    done <<< "$lines"
    say "To install them on Debian: sudo apt-get install $(cut -f 1 <<< "$lines" | tr '\n' ' ')"
}

# The files are named, because what `node --test` makes of a folder differs between versions of Node.js.
node_tests() {
    local file files=()
    command -v node >/dev/null || return 0
    while IFS= read -r file; do files+=("$file"); done < <(find tests/js -name '*.test.js' | sort)
    [ ${#files[@]} -gt 0 ] || return 0
    node --test --test-reporter=dot "${files[@]}"
}
