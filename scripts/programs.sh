# Sourced by test.sh after environment.sh: the programs that tests talk to, and the page's own test tools.

# A program or library that tests need, and Debian's package for it.
PROGRAMS='
chromium            chromium
chromium-headless-shell  chromium-headless-shell
chromedriver        chromium-driver
telnet              telnet
nc.openbsd          netcat-openbsd
ncat                ncat
socat               socat
tf5                 tf5
redis-server        redis-server
nginx               nginx
Xvfb                xvfb
fc-list             fontconfig
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

# /usr/sbin, where Debian keeps nginx, is not on everybody's path.
has_program() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }
has_library() { [[ $libraries == *"$1 "* ]]; }
has_font() { [[ $fonts == *"$1"* ]]; }

missing() {
    local libraries fonts kind name package
    libraries=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null || true)
    fonts=$(fc-list : family 2>/dev/null || true)
    for kind in program library font; do
        case $kind in program) set -- "$PROGRAMS" ;; library) set -- "$LIBRARIES" ;; font) set -- "$FONTS" ;; esac
        while read -r name package; do
            [ -z "$name" ] || "has_$kind" "$name" || printf '%s\n' "$package"
        done <<< "$1"
    done
}

# As root on Debian, installs what is missing; otherwise says what is, and the tests that need it are skipped.
bring_programs() {
    local package packages
    packages=$(missing | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing what the tests talk to: $packages"
        apt update || true
        # All at once is faster; one by one, whatever this release does not have keeps nothing else away.
        apt install -y --no-install-recommends $packages || for package in $packages; do
            apt install -y --no-install-recommends "$package" ||
                say "$package could not be installed; the tests that need it are skipped."
        done
    else
        say "Missing, so the tests that need them are skipped: $packages"
        say "On Debian: sudo apt-get install $packages"
    fi
}

# Services that a package would start at once are left alone: the tests start their own.
apt() {
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

# The page's test tools, from npm; Node.js itself from PyPI where the machine has none.
bring_node_modules() {
    local wanted
    if ! command -v npm >/dev/null; then
        say "Installing Node.js into the virtual environment …"
        pip install "$(sed -n 's/^NODE = "\(.*\)"$/\1/p' setup.py)" || say "Without Node.js the page's own tests fail."
    fi
    wanted=$(cat package.json package-lock.json | cksum)
    if [ "$(cat node_modules/.installed 2>/dev/null)" != "$wanted" ]; then
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >&2 || return 0
        printf '%s\n' "$wanted" > node_modules/.installed
    fi
}

# By name, because what `node --test` makes of a folder differs between its versions.
node_tests() {
    local file files=()
    while IFS= read -r file; do files+=("$file"); done < <(find tests/js -name '*.test.js' | sort)
    [ ${#files[@]} -gt 0 ] || return 0
    node --test --test-reporter=dot "${files[@]}"
}
