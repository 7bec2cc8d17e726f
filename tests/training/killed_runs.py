"""Run trainings that are killed by SIGKILL at chosen events: `killed_runs.py MOMENTS EXP ARGS ...`.

Each process is a fork, so that one start of Python serves all. An event is a forward pass or an
access to the experiment folder (open, rename, link, remove ...). For every number in MOMENTS
(`a,b,c`) a training in EXP_a is killed at that event and restarted until it ends; numbers joined by
`+` are kills of the same training, one after another. MOMENTS `count` prints the number of events.
"""

from __future__ import annotations

import os
import signal
import sys

import torch._dynamo  # noqa: F401  (optimizers import it late: import it once for all forks)

import voicediff.training.start  # noqa: F401
from voicediff.bin.main import main


def run(moment: int, experiment: str, args: list[str]) -> int:
    """Train in a fork that kills itself at an event (0: never); returns its status."""
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        seen = 0

        def count(event: str, details: tuple) -> None:
            nonlocal seen
            if event != "toy.forward" and experiment not in str(details):
                return
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        status = main([*args, "--exp", experiment])
        print(seen if status == 0 else f"status {status}", flush=True)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    moments, experiment, *args = sys.argv[1:]
    if moments == "count":
        sys.exit(run(0, experiment, args))
    for deaths in moments.split(","):
        name = f"{experiment}_{deaths}"
        for death in map(int, deaths.split("+")):
            if run(death, name, args) != -signal.SIGKILL:
                sys.exit(f"{name} ended before event {death}")
        if run(0, name, args) != 0:
            sys.exit(f"{name} could not resume")
