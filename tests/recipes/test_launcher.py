"""How the recipes start a training on several GPUs or machines."""

import os
import subprocess
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "tools" / "recipe.sh"


@pytest.mark.parametrize(
    ("ngpu", "nodes", "port", "words"),
    [
        ("auto", 1, "", "voicediff"),
        ("0", 1, "", "env CUDA_VISIBLE_DEVICES= voicediff"),
        ("2", 1, "", "torchrun --standalone --nproc-per-node 2 -m voicediff"),
        ("2", 1, "4000", "--master-addr localhost --master-port 4000 -m voicediff"),
        ("2", 3, "", "--nnodes 3 --node-rank 0 --master-addr localhost --master-port 29500"),
    ],
)
def test_trainings_on_one_machine_share_no_port(ngpu, nodes, port, words):
    script = f"usage= stage=1 stop_stage=1; . {RECIPE}; launcher {ngpu} {nodes}"
    env = os.environ | {"MASTER_PORT": port}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0 and words in done.stdout, done.stderr
    assert ("29500" in done.stdout) == (nodes > 1)
