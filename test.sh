#!/usr/bin/env bash
# Run every test: sets up what they need first. Arguments go to pytest.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$top/scripts/environment.sh"
. "$top/scripts/programs.sh"
cd "$top"

install test requirements.txt requirements-test.txt
export PATH=$venv/bin:$PATH
bring_programs
bring_node_modules

failed=()
ruff check --quiet . || failed+=("ruff check")
node_tests || failed+=("node --test")
# Files stay together, because their tests share servers and browsers.
python -m pytest -q --numprocesses 3 --dist loadfile "$@" || failed+=("pytest")

[ ${#failed[@]} -eq 0 ] || die "Failed: $(IFS=,; printf '%s' "${failed[*]}")"
