#!/usr/bin/env bash
# Writes tools/constraints.txt: the exact versions of every package that voicediff uses, direct and indirect.
#   tools/lock.sh              adds what setup.cfg needs and keeps all versions that still fit
#   tools/lock.sh --upgrade    takes the newest versions
#   tools/lock.sh 'torch<2.15' a bound for this time
# uv resolves for every system and Python at once (its --universal mode writes markers where they need
# different versions); pip-tools resolves only for the machine it runs on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
command -v uv >/dev/null || { echo "tools/lock.sh: needs uv: pip install uv" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=()
for word in "$@"; do
  case $word in --*) options+=("$word") ;; *) echo "$word" >>"$work/bounds.txt" ;; esac
done
touch "$work/bounds.txt"
cp tools/constraints.txt "$work/constraints.txt" 2>/dev/null || true
uv pip compile setup.cfg --all-extras --universal --python-version 3.10 --no-header --no-annotate -q \
  --constraint "$work/bounds.txt" -o "$work/constraints.txt" ${options[@]+"${options[@]}"}
{
  echo "# The versions that were tested together, written by tools/lock.sh. Do not edit."
  grep -vE '^(#|voicediff\b|--)' "$work/constraints.txt"
} >"$work/new"
mv "$work/new" tools/constraints.txt
echo "tools/constraints.txt: $(grep -c == tools/constraints.txt) versions"
