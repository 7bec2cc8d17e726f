#!/usr/bin/env bash
# Runs the tests with other versions of Python and of the packages, in an environment of their own.
#   tools/versions.sh oldest|newest|locked [PYTHON] [pytest options]
#     oldest   the lower bounds of setup.cfg, with the newest of what these packages need themselves
#     newest   the newest versions that setup.cfg allows
#     locked   tools/constraints.txt
#   PYTHON is an interpreter, e.g. python3.13 [python3]. Environments stay in tools/venvs/VERSIONS-PYTHON.
#   VOICEDIFF_ENVIRONMENT_ONLY=1 makes the environment and runs no test. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n '2,8s/^# \{0,1\}//p' tools/versions.sh; }
fail() { echo "tools/versions.sh: $*" >&2; exit 2; }
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  oldest | newest | locked) versions=$1; shift ;;
  *) usage >&2; exit 2 ;;
esac
python=python3
case ${1:-} in '' | -*) ;; *) python=$1; shift ;; esac
"$python" -c '' 2>/dev/null || fail "no interpreter $python"
command -v uv >/dev/null || fail "needs uv: pip install uv"
number=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$PWD/tools/venvs/$versions-$number
mkdir -p tools/venvs

constraints() {
  case $versions in
    locked) cat tools/constraints.txt ;;
    oldest) uv pip compile setup.cfg --extra all --resolution lowest-direct --python "$python" --no-header --no-annotate -q |
      grep -v '^voicediff' ;;
    newest) ;;
  esac
}
constraints >"$venv.txt"
[ -x "$venv/bin/python" ] || uv venv -q --seed --python "$python" "$venv"
uv pip install -q --python "$venv/bin/python" -c "$venv.txt" -e '.[all]'
echo "$versions versions, $("$venv/bin/python" --version), $("$venv/bin/python" -c 'import torch; print("torch", torch.__version__)'), in $venv"
"$venv/bin/python" -m voicediff.optional
[ -n "${VOICEDIFF_ENVIRONMENT_ONLY:-}" ] || VOICEDIFF_PYTHON=$venv/bin/python exec tools/test.sh "$@"
