#!/usr/bin/env bash
# Runs the tests: unit, conformance and recipes.  ./tools/test.sh [--all] [pytest options]
#   --all   the full cube of processes, objectives and samplers as well
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then sed -n '2,3s/^# //p' "$0"; exit 0; fi
if [ "${1:-}" = --all ]; then shift; export VOICEDIFF_TEST_ALL=1; fi
python=$(tools/setup.sh --print)
# one thread in each of pytest's workers: threads of several processes fight for the cores
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec "$python" -m pytest -n "${VOICEDIFF_TEST_WORKERS:-2}" --dist worksteal "$@"
