#!/usr/bin/env bash
# Makes tools/venv, the Python environment of the recipes and tests, and brings it up to date.
#   tools/setup.sh             the versions of tools/constraints.txt, which were tested together
#   tools/setup.sh --newest    the newest versions that setup.cfg allows
#   tools/setup.sh --cpu       torch without CUDA; --cuda with it. Without either: with CUDA where there is an
#                              NVIDIA driver, else without it if your package index serves such a build
#   tools/setup.sh --print     as above, and prints the path of the interpreter (for scripts)
# The choice is kept: later calls without options keep the environment as it was chosen.
# VOICEDIFF_PYTHON=/path/to/python uses another environment as it is; nothing is installed into it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/tools/venv log=$root/tools/venv/install.log
extras=train,video,corpora,g2pk,sweep,wandb,docs,test # all but `align`: torchaudio must fit the build of torch
say() { echo "$*" >&2; }
fail() { say "tools/setup.sh: $*"; exit 2; }

versions= build= print=
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --newest) versions=newest ;;
    --locked) versions=locked ;;
    --cpu) build=cpu ;;
    --cuda) build=cuda ;;
    --print) print=1 ;;
    *) fail "unknown option $word, see --help" ;;
  esac
done

if [ -n "${VOICEDIFF_PYTHON:-}" ]; then
  [ -x "$(dirname "$VOICEDIFF_PYTHON")/voicediff" ] ||
    fail "no voicediff beside VOICEDIFF_PYTHON=$VOICEDIFF_PYTHON; install it there: $VOICEDIFF_PYTHON -m pip install -e '$root[all]' -c '$root/tools/constraints.txt'"
  [ -z "$print" ] || echo "$VOICEDIFF_PYTHON"
  exit 0
fi

# What tools/venv holds is written into tools/venv/installed when all of it is there: versions, build, checksum.
recorded() { cut -d' ' -f"$1" "$venv/installed" 2>/dev/null || true; }
versions=${versions:-$(recorded 1)} versions=${versions:-locked}
build=${build:-$(recorded 2)}
wanted() { cat "$root/setup.cfg" "$root/pyproject.toml" "$root/tools/setup.sh" "$root/tools/constraints.txt" | cksum | tr ' ' -; }
current() { [ "$(cat "$venv/installed" 2>/dev/null)" = "$versions $build $(wanted)" ]; }

find_python() {
  local candidate
  for candidate in python3 python python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "needs Python 3.10 or newer (python3)"
}

# Only one process installs: a folder is made by one process alone, on every file system.
lock() {
  local waited=0 holder
  until mkdir "$root/tools/venv.lock" 2>/dev/null; do
    holder=$(cat "$root/tools/venv.lock/pid" 2>/dev/null || true)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then rm -rf "$root/tools/venv.lock"; continue; fi
    [ -n "$holder" ] || [ "$waited" -lt 10 ] || { rm -rf "$root/tools/venv.lock"; continue; }
    [ "$waited" -gt 0 ] || say "Waiting for another installation of tools/venv (process ${holder:-unknown})."
    sleep 1
    waited=$((waited + 1))
  done
  echo $$ >"$root/tools/venv.lock/pid"
  trap 'rm -rf "$root/tools/venv.lock"' EXIT
}

# An installation that did not end leaves `unfinished`: pip may have left half a package, so begin anew.
make_venv() {
  if [ -e "$venv/unfinished" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then rm -rf "$venv"; fi
  if [ ! -d "$venv" ]; then
    "$1" -m venv "$venv" ||
      fail "$1 cannot make environments; install its venv module (Debian: apt install python3-venv)"
  fi
  rm -f "$venv/installed"
  touch "$venv/unfinished"
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
served() { pip install -q --dry-run --no-deps --ignore-installed "$1" >/dev/null 2>&1; }
locked_version() { grep -E "^$1==" "$root/tools/constraints.txt" | head -n 1 | sed 's/^[^=]*==\([^ ;]*\).*/\1/'; }
nvidia_driver() { [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null 2>&1; }

# The build of torch: on Linux the package index's own build has CUDA, which is most of an installation.
choose_build() {
  local cpu="torch==$(locked_version torch)+cpu"
  if [ "$(uname -s)" != Linux ]; then build=default; return; fi
  [ -z "$build" ] || [ "$build" = default ] || return 0
  if nvidia_driver; then
    build=cuda
  elif [ "$versions" = locked ] && served "$cpu"; then
    build=cpu
  else
    build=cuda
    say "There is no NVIDIA driver, and your package index serves no $cpu: taking the build with CUDA, which runs"
    say "on the CPU as well. PyTorch's own index has the small build: https://pytorch.org/get-started/locally/"
  fi
}

# Extra requirements of the chosen build, one a line.
requirements() {
  [ "$versions" = newest ] || echo "-c $root/tools/constraints.txt"
  if [ "$build" = cpu ]; then
    if [ "$versions" = locked ]; then echo "torch==$(locked_version torch)+cpu"; else echo "torch"; fi
  fi
}

fits_torchaudio() { [ "$build" != cpu ] || served "torchaudio==$(locked_version torchaudio)+cpu"; }

install() {
  local began=$SECONDS size=7
  choose_build
  [ "$build" != cpu ] || size=2
  [ "$build" != default ] || size=2
  if fits_torchaudio; then extras=$extras,align; else say "Left out: torchaudio, of which your index serves no build without CUDA."; fi
  say "Setting up tools/venv ($("$venv/bin/python" --version), $versions versions, torch build: $build): once, 2 to 5 minutes, ${size} GB on disk."
  requirements >"$venv/requirements.txt"
  # setuptools of the lock builds this package too, so that a new setuptools cannot break an old checkout
  if ! {
    pip install -q --no-compile -c "$([ "$versions" = newest ] && echo /dev/null || echo "$root/tools/constraints.txt")" --upgrade setuptools &&
      pip install -q --no-compile --upgrade --upgrade-strategy "$([ "$versions" = newest ] && echo eager || echo only-if-needed)" \
        --no-build-isolation -r "$venv/requirements.txt" -e "$root[$extras]"
  } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "the installation failed; the whole log is $log. Run it again to go on."
  fi
  "$venv/bin/python" -m voicediff.optional >&2 || fail "a package was installed that cannot be loaded, see above"
  rm -f "$venv/unfinished"
  echo "$versions $build $(wanted)" >"$venv/installed"
  say "Environment ready after $((SECONDS - began)) s, $(du -sh "$venv" | cut -f1 | tr -d ' ') on disk."
}

if ! current; then
  lock
  if ! current; then
    make_venv "$(find_python)"
    install
  fi
fi
[ -z "$print" ] || echo "$venv/bin/python"
