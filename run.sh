#!/usr/bin/env bash
# Start webchat: sets everything up the first time, and takes the flags of `webchat` (see ./run.sh --help).
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$top/scripts/environment.sh"

install run requirements.txt
exec "$venv/bin/python" -P -m webchat.main "$@"
