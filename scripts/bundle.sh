#!/usr/bin/env bash
# Make an archive from which ./run.sh starts webchat on a machine without a network, npm or Node.js.
#
#     scripts/bundle.sh [ARCHIVE]
#
# It is for machines of this kind with this version of Python (another one: PYTHON=/path/to/python3 scripts/bundle.sh).
# Its name is printed; if none is given, it is in dist/. Everything else that is made on the way is deleted again.
set -euo pipefail
unset CDPATH
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$top/scripts/environment.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=$work/venv
steps=4
make_venv

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$top/webchat/__init__.py")
kind=$(kind_of "$venv/bin/python")
folder=$work/webchat-$version
mkdir -p "$folder/scripts" "$folder/wheels" "$work/source"
cp -R "$top"/{LICENSE,README.md,docs,requirements.txt,run.sh} "$folder"
cp "$top/scripts/environment.sh" "$folder/scripts"
printf '%s\n' "$kind" > "$folder/wheels/PYTHON"

step "Fetching $(number_of_packages requirements.txt) packages …"
# Also those that only the first releases of this version of Python need, because the other machine may have one.
sed "s/ ; python_full_version < '[0-9.]*'//" "$top/requirements.txt" > "$work/requirements.txt"
top=$work pip_pinned download requirements.txt --only-binary :all: --dest "$folder/wheels" || die "$no_packages"
pip install --no-index --find-links "$folder/wheels" --upgrade setuptools || die "setuptools could not be installed."

cp -R "$top"/{LICENSE,README.md,package.json,package-lock.json,pyproject.toml,setup.py,static,webchat} "$work/source"
top=$work/source bring_client
step "Building webchat …"
pip wheel --no-deps --no-build-isolation --wheel-dir "$folder/wheels" "$work/source" ||
    die "webchat could not be built."

archive=${1:-$top/dist/webchat-$version-$(tr ' ' - <<< "${kind/ on / }").tar.gz}
mkdir -p "$(dirname "$archive")"
tar -czf "$archive" -C "$work" "webchat-$version"
printf '%s\n' "$archive"
