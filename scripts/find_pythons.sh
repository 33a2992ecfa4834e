#!/usr/bin/env bash
# Prints one line "VERSION PATH" for each wanted CPython found, in the order asked:
#     scripts/find_pythons.sh 3.11 3.12 3.14t
# Looks on PATH, then in pyenv's versions. An interpreter counts when it runs, is the version its name
# says, with a t for a free-threaded build, and can make a virtual environment.
set -euo pipefail

probe='
import importlib.util, sys, sysconfig
wanted = sys.argv[1]
fits = (
    "%d.%d" % sys.version_info[:2] + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")) == wanted
    and sys.implementation.name == "cpython"
    and any(importlib.util.find_spec(name) for name in ("ensurepip", "virtualenv"))
)
if fits:
    print(sys.executable)
'

versions_dirs=()
if command -v pyenv >/dev/null 2>&1; then
    root=$(pyenv root 2>/dev/null || true)
    [ -n "$root" ] && versions_dirs+=("$root/versions")
fi
versions_dirs+=("${HOME:-/nonexistent}/.pyenv/versions")

for version in "$@"; do
    candidates=()
    # Every directory of PATH, not only the first: a shim in front may refuse to run.
    while IFS= read -r found; do candidates+=("$found"); done < <(type -aP "python$version" python3 2>/dev/null)
    for dir in "${versions_dirs[@]}"; do
        while IFS= read -r found; do candidates+=("$found"); done < <(
            compgen -G "$dir/${version%t}[.t-]*/bin/python$version" | sort -rV
        )
    done
    for candidate in ${candidates[@]+"${candidates[@]}"}; do
        path=$("$candidate" -c "$probe" "$version" 2>/dev/null || true)
        if [ -n "$path" ]; then
            printf '%s %s\n' "$version" "$path"
            break
        fi
    done
done
