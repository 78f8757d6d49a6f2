#!/usr/bin/env bash
# Start webchat with the given flags (see ./run.sh --help). Installs everything into .venv the first time.
set -euo pipefail
unset CDPATH
file=${BASH_SOURCE[0]}
while link=$(readlink "$file"); do
    file=$(cd "$(dirname "$file")" && cd "$(dirname "$link")" && pwd -P)/${link##*/}
done
top=$(cd "$(dirname "$file")" && pwd -P)
. "$top/scripts/environment.sh"

install requirements.txt
exec "$venv/bin/python" -P -m webchat.main "$@"
