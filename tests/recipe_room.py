"""A copy of a recipe in which a test may run it as a new user would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("run.sh", "path.sh", "cmd.sh", "db.sh", "conf", "local")


def make_room(recipe, room):
    """The recipe folder and tools, copied so that nothing is written into the checkout."""
    for name in PARTS:
        target = room / recipe.relative_to(ROOT) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", recipe / name, target], check=True)
    (room / "tools").mkdir()
    for name in ("setup.sh", "recipe.sh", "run_jobs.sh"):
        subprocess.run(["cp", ROOT / "tools" / name, room / "tools" / name], check=True)
    return room


def run(recipe, *options, room, folder=None):
    """run.sh of the copy in `room`, with this interpreter, called from `folder`."""
    environment = os.environ | {"VOICEDIFF_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    command = ["bash", str(room / recipe.relative_to(ROOT) / "run.sh"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
