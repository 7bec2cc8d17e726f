# What every run.sh shares: options and stages. Source it after the defaults are set:
#   usage=$(sed -n ...)      the text of --help
#   . ../../../tools/recipe.sh "$@"
# Options are the variables that `usage` names: --stop-stage 3, --stop_stage=3 set stop_stage. An option without a value
# is a flag: --skip-train, --skip-train true and --skip_train=false are understood.

fail() { echo "$0: $*" >&2; exit 2; }

parse_options() {
  local name value
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) printf '%s\n' "$usage"; exit 0 ;;
      --*) ;;
      *) fail "unexpected argument '$1'; options begin with --, see --help" ;;
    esac
    name=${1%%=*} name=${name#--}
    known_option "$name" || fail "unknown option --$name; options: $(known_options | paste -sd ' ' -)"
    if [ "$1" != "${1#*=}" ]; then
      value=${1#*=}
      shift
    elif flag_option "$name"; then
      value=true
      case ${2:-} in true | false) value=$2; shift ;; esac
      shift
    else
      [ $# -ge 2 ] || fail "--$name needs a value"
      value=$2
      shift 2
    fi
    if flag_option "$name"; then
      case $value in
        true) ;;
        false | '') value= ;;
        *) fail "--$name takes true or false, found '$value'" ;;
      esac
    fi
    printf -v "${name//-/_}" '%s' "$value"
  done
}
known_options() { printf '%s\n' "$usage" | grep -oE '^ +--[a-z0-9-]+' | tr -d ' '; }
known_option() { known_options | grep -qx -- "--${1//_/-}"; }
# a flag is an option that --help shows without a value's name
flag_option() { printf '%s\n' "$usage" | grep -qE -- "^ +--${1//_/-} ( |\$)"; }

# from_caller NAME ...: a file that the folder of the caller has is taken from there, else from the recipe's folder
from_caller() {
  local name
  [ ! "$caller" -ef . ] || return 0
  for name; do
    [ -z "${!name}" ] || [ "${!name#/}" != "${!name}" ] || [ ! -e "$caller/${!name}" ] || printf -v "$name" '%s' "$caller/${!name}"
  done
}
# inference_suffix: what --inference-config and --inference-args add to the name of a decoding
inference_suffix() {
  [ -z "$inference_config" ] || printf '_%s' "$(basename "$inference_config" .yaml)"
  [ -z "$inference_args" ] || printf '_%s' "$inference_args" | tr -c 'A-Za-z0-9._-' '_'
}
# decode_jobs LOG COMMAND ...: COMMAND in $inference_nj jobs, each with its log; then once more to join their parts
decode_jobs() {
  local log=$1
  shift
  [ "$inference_nj" -eq 1 ] || run $decode_cmd "JOB=1:$inference_nj" "$log.JOB.log" "$@" --shard "JOB/$inference_nj"
  run $decode_cmd "$log.log" "$@"
}
# stage N TITLE: true if stage N is to be run
stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  printf '\n== Stage %s: %s (%s)\n' "$1" "$2" "$(date +%H:%M:%S)"
}
# run CMD ...: print the command so that it can be pasted, then run it
run() {
  show "$@"
  "$@"
}
show() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
}
# beside LOG CMD ...: print and start a command in the background, its output in LOG; it stops with us
beside() {
  companion_log=$1 companion= partner=
  shift
  show "$@"
  echo "  in the background, see $companion_log"
  mkdir -p "$(dirname "$companion_log")"
  "$@" > "$companion_log" 2>&1 &
  companion=$!
  trap 'kill $companion $partner 2> /dev/null || true; wait' EXIT
}
# until_joined CMD ...: print and run a training; when what runs beside it ends first, stop it with a checkpoint
until_joined() {
  local status=0
  show "$@"
  "$@" &
  partner=$!
  while kill -0 "$companion" 2> /dev/null && kill -0 "$partner" 2> /dev/null; do sleep 1; done
  kill -0 "$companion" 2> /dev/null || kill -TERM "$partner" 2> /dev/null || true
  wait "$partner" || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 143 ] || exit "$status"
}
# join: wait for what runs beside; where it fails, show how it ended and fail as well
join() {
  local status=0
  wait "$companion" || status=$?
  trap - EXIT
  [ "$status" -eq 0 ] && return
  tail -n 3 "$companion_log" >&2
  echo "$0: failed, see $companion_log" >&2
  exit "$status"
}
# spare_cores: all but one, for what trains while something else runs beside it
spare_cores() {
  local cores
  cores=$(getconf _NPROCESSORS_ONLN)
  echo $((cores > 1 ? cores - 1 : 1))
}
# launcher NGPU NODES: how training is started: one process, or torchrun's one process per GPU
launcher() {
  case $1 in
    0) echo "env CUDA_VISIBLE_DEVICES= voicediff" ;;
    auto | 1) [ "$2" -gt 1 ] && torchrun_words 1 "$2" || echo voicediff ;;
    *) torchrun_words "$1" "$2" ;;
  esac
}
torchrun_words() {
  if [ "$2" -eq 1 ] && [ -z "${MASTER_PORT:-}" ]; then # several trainings on a machine: each its own port
    echo "torchrun --standalone --nproc-per-node $1 -m voicediff"
    return
  fi
  echo "torchrun --nproc-per-node $1 --nnodes $2 --node-rank ${NODE_RANK:-0} --master-addr ${MASTER_ADDR:-localhost} --master-port ${MASTER_PORT:-29500} -m voicediff"
}

parse_options "$@"
case $stage$stop_stage in *[!0-9]*) fail "--stage and --stop-stage take numbers, found '$stage' and '$stop_stage'" ;; esac
case ${inference_nj:-1} in *[!0-9]* | 0) fail "--inference-nj takes a number from 1, found '$inference_nj'" ;; esac
if [ "$stage" -eq 0 ]; then
  printf '%s\n' "$corpora"
  exit 0
fi
