#!/usr/bin/env bash
# Pin what the lists in setup.py lead to, with the hashes of all files: requirements.txt and its two companions.
#
#     scripts/lock.sh [--upgrade | --upgrade-package NAME]
#
# Without an option, what is pinned already stays as it is. The pins are for every system and Python from 3.11 on.
set -euo pipefail
unset CDPATH
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$top/scripts/environment.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=$work/venv
steps=2
make_venv
step "Installing uv …"
pip install uv==0.13.9 || die "uv could not be installed; is there a network?"

cd "$top"
pin() {
    local file=$1
    shift
    "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command scripts/lock.sh --output-file "$file" "$@" >/dev/null
}
build=$(sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml)
node=$(sed -n 's/^NODE = "\(.*\)"$/\1/p' setup.py)
pin requirements.txt "$@" setup.py - <<< "$build"
pin requirements-test.txt "$@" --constraint requirements.txt --extra test setup.py - <<< "$build"
pin requirements-node.txt "$@" - <<< "$node"
