#!/usr/bin/env bash
# Runs a command on this machine, or several jobs of it at once, each with a log of its own:
#   tools/run_jobs.sh LOG COMMAND ...
#   tools/run_jobs.sh JOB=1:4 exp/log/decode.JOB.log voicediff decode --shard JOB/4 ...
# JOB stands for the job's number in LOG and COMMAND. A single job also prints its output. Options before JOB (--mem 4G,
# --gpu 1 ...) are for schedulers and ignored here. When a job fails, the others finish; then the last lines of its log
# are printed, and the exit status is that job's. Ctrl-C or SIGTERM stops all jobs.
set -uo pipefail

while [[ ${1:-} == --* ]]; do
  [[ $1 == *=* ]] && shift || shift 2
done
first=1 last=1
if [[ ${1:-} =~ ^JOB=([0-9]+):([0-9]+)$ ]]; then
  first=${BASH_REMATCH[1]} last=${BASH_REMATCH[2]}
  shift
fi
if [ $# -lt 2 ] || [ "$first" -gt "$last" ]; then
  echo "usage: run_jobs.sh [JOB=FIRST:LAST] LOG COMMAND ..." >&2
  exit 2
fi
pattern=$1 count=$((last - first + 1))
shift
[ "$count" -eq 1 ] || [[ $pattern == *JOB* ]] || { echo "run_jobs.sh: $pattern: several jobs need JOB in the name of the log" >&2; exit 2; }
mkdir -p "$(dirname "$pattern")"

# jobs share the processor cores, else every job would start a thread for each core
cores=$(getconf _NPROCESSORS_ONLN)
[ "$count" -eq 1 ] || export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > count ? cores / count : 1))}

pids=() logs=()
stop() {
  trap - INT TERM
  kill -TERM "${pids[@]}" 2>/dev/null
  wait
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

for ((job = first; job <= last; job++)); do
  log=${pattern//JOB/$job}
  {
    printf '#'
    printf ' %q' "${@//JOB/$job}"
    printf '\n# started %s\n' "$(date)"
  } >"$log"
  if [ "$count" -eq 1 ]; then
    "${@//JOB/$job}" > >(tee -a "$log") 2> >(tee -a "$log" >&2) &
  else
    "${@//JOB/$job}" >>"$log" 2>&1 &
  fi
  pids+=($!) logs+=("$log")
done

failed=0
for index in "${!pids[@]}"; do
  status=0
  wait "${pids[index]}" || status=$?
  echo "# ended $(date), exit status $status" >>"${logs[index]}"
  [ "$status" -ne 0 ] || continue
  [ "$failed" -ne 0 ] || failed=$status
  [ "$count" -gt 1 ] || continue # its output was printed
  grep -v '^#' "${logs[index]}" | tail -n 5 >&2
  echo "run_jobs.sh: job $((first + index)) of $count failed with exit status $status, see ${logs[index]}" >&2
done
exit "$failed"
