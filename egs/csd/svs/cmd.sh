# How commands are started.
# train_cmd and cpu_cmd are put before the command. Empty: on this machine. For example
#   train_cmd="srun --gres=gpu:1 --cpus-per-task=8"
# decode_cmd is called as `$decode_cmd [JOB=1:N] LOG COMMAND ...`, as Kaldi's and ESPnet's run.pl and slurm.pl are: it
# runs COMMAND N times with the job's number in place of JOB.
train_cmd=
decode_cmd=../../../tools/run_jobs.sh
cpu_cmd=
