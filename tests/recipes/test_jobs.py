"""Options of run.sh that take a value or none, and commands that run as several jobs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
USAGE = """usage
  --stage N              first
  --skip-train           skip stage 3
  --tag NAME             name"""


def recipe(*options: str, after: str = "") -> subprocess.CompletedProcess:
    """What tools/recipe.sh makes of options, and then `after`."""
    before = f"set -euo pipefail; caller=$PWD usage='{USAGE}' stage=1 stop_stage=5 tag= skip_train="
    before += " inference_nj=1 inference_config= inference_args= corpora='where from'"
    script = f"{before}; . {TOOLS / 'recipe.sh'}; {after}"
    return subprocess.run(
        ["bash", "-c", script, "run.sh", *options], capture_output=True, text=True
    )


def jobs(*words: str, folder: Path) -> subprocess.CompletedProcess:
    command = [TOOLS / "run_jobs.sh", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize(
    ("words", "skipped", "tag"),
    [
        (["--skip-train"], "true", ""),
        (["--skip-train", "--tag", "a"], "true", "a"),
        (["--skip_train", "true", "--tag=a"], "true", "a"),
        (["--skip-train", "false"], "", ""),
        (["--skip_train=false", "--tag", "false"], "", "false"),
    ],
)
def test_flags_with_and_without_a_value(words, skipped, tag):
    done = recipe(*words, after='echo "<$skip_train> <$tag>"')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"<{skipped}> <{tag}>"


def test_a_flag_takes_true_or_false_only():
    done = recipe("--skip-train=maybe")
    assert done.returncode == 2 and "--skip-train takes true or false" in done.stderr


def test_stage_0_prints_the_corpora_and_runs_nothing():
    done = recipe("--stage", "0", after="echo more")
    assert done.returncode == 0 and done.stdout == "where from\n"


def test_files_are_looked_for_in_the_folder_of_the_caller_first(tmp_path):
    (tmp_path / "mine.yaml").touch()
    after = f"caller={tmp_path} tag=mine.yaml other=conf/theirs.yaml; from_caller tag other"
    done = recipe(after=f'{after}; echo "$tag $other"')
    assert done.stdout.split() == [str(tmp_path / "mine.yaml"), "conf/theirs.yaml"]


def test_every_job_has_its_number_and_its_log(tmp_path):
    done = jobs("JOB=1:3", "log/a.JOB.log", "echo", "part JOB of 3", folder=tmp_path)
    assert done.returncode == 0 and done.stdout == ""
    for job in (1, 2, 3):
        lines = (tmp_path / f"log/a.{job}.log").read_text().splitlines()
        assert lines[2] == f"part {job} of 3" and lines[-1].endswith("exit status 0")


def test_a_single_job_prints_its_output_as_well(tmp_path):
    done = jobs("--mem", "4G", "one.log", "echo", "text", folder=tmp_path)
    assert done.stdout == "text\n" and "text\n" in (tmp_path / "one.log").read_text()


def test_a_failing_job_shows_the_end_of_its_log_and_its_status(tmp_path):
    fails = "echo last words; exit $((JOB == 2 ? 7 : 0))"
    done = jobs("JOB=1:3", "JOB.log", "bash", "-c", fails, folder=tmp_path)
    assert done.returncode == 7
    assert done.stderr.splitlines()[0] == "last words"
    assert "job 2 of 3 failed with exit status 7, see 2.log" in done.stderr
    assert (tmp_path / "3.log").read_text().splitlines()[-1].endswith("exit status 0")


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_jobs(sent, status, tmp_path):
    words = ["JOB=1:2", "JOB.log", "bash", "-c", "echo $$ > pid.JOB; exec sleep 60"]
    process = subprocess.Popen(
        [TOOLS / "run_jobs.sh", *words],
        cwd=tmp_path,
        # a shell that runs the tests in the background ignores SIGINT, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pids = [tmp_path / "pid.1", tmp_path / "pid.2"]
    while not all(path.is_file() and path.read_text().endswith("\n") for path in pids):
        time.sleep(0.01)
    process.send_signal(sent)
    assert process.wait(20) == status
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


def test_several_jobs_need_a_log_each(tmp_path):
    assert jobs("JOB=1:2", "one.log", "true", folder=tmp_path).returncode == 2
    assert jobs("one.log", folder=tmp_path).returncode == 2


def test_decode_jobs_split_and_then_join(tmp_path):
    after = f"cd {tmp_path}; inference_nj=2 decode_cmd={TOOLS / 'run_jobs.sh'}; "
    done = recipe(after=after + "decode_jobs log/decode echo decode")
    assert done.returncode == 0, done.stderr
    assert "decode --shard 2/2" in (tmp_path / "log/decode.2.log").read_text()
    assert "\ndecode\n" in (tmp_path / "log/decode.log").read_text()


@pytest.mark.parametrize("recipe_folder", ["csd/svs", "lrs3/avss"])
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_path_sh_can_be_sourced_from_each_shell(shell, recipe_folder):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    environment = os.environ | {"VOICEDIFF_PYTHON": sys.executable}
    done = subprocess.run(
        [shell, "-c", ". ./path.sh && command -v voicediff"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=TOOLS.parent / "egs" / recipe_folder,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == Path(sys.executable).parent
