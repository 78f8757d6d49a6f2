#!/usr/bin/env bash
# Run every check: style, types, the page's unit tests, and pytest. Installs what they need first.
#
#     ./test.sh [--no-install] [PYTEST ARGUMENT…]
#
# As root on Debian, missing programs are installed with apt, after a line that names them. With --no-install nothing is
# installed but what .venv and node_modules lack. Either way, what is still missing is named, and its tests are skipped.
set -euo pipefail
unset CDPATH
file=${BASH_SOURCE[0]}
while link=$(readlink "$file"); do
    file=$(cd "$(dirname "$file")" && cd "$(dirname "$link")" && pwd -P)/${link##*/}
done
top=$(cd "$(dirname "$file")" && pwd -P)
may_install=yes
for argument in "$@"; do
    shift
    if [ "$argument" = --no-install ]; then may_install=no; else set -- "$@" "$argument"; fi
done
. "$top/scripts/environment.sh"
. "$top/scripts/programs.sh"
cd "$top"

if [ $may_install = yes ] || ! is_complete requirements-test.txt; then
    install requirements-test.txt
fi
export PATH=$venv/bin:$PATH
if [ $may_install = yes ]; then
    install_programs
fi
install_node_modules
report_missing

failed=()
ruff check --quiet . || failed+=("ruff check")
mypy --no-error-summary || failed+=("mypy")
node_tests || failed+=("node --test")
# The tests of one file stay in one process, because they share servers and browsers.
python -m pytest -q --numprocesses 3 --dist loadfile "$@" || failed+=("pytest")

[ ${#failed[@]} -eq 0 ] || die "Failed: $(IFS=,; printf '%s' "${failed[*]}")"
