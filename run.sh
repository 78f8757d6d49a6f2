#!/usr/bin/env bash
# Start webchat with the given flags (see ./run.sh --help). Installs everything into .venv the first time.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$top/scripts/environment.sh"

install run requirements.txt
exec "$venv/bin/python" -P -m webchat.main "$@"
