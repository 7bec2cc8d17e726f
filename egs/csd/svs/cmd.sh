# Launcher of the commands. Empty: run on this machine. On a cluster, for example
#   train_cmd="srun --gres=gpu:1 --cpus-per-task=8"
train_cmd=
decode_cmd=
cpu_cmd=
