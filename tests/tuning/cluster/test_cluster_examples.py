"""The examples for Slurm and Kubernetes: commands that exist, and a job that runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ray_nodes import environment, free_block

from kscale.cli import load_command

EXAMPLES = Path(__file__).parents[3] / "experiments" / "cluster"
_COMMAND = re.compile(r"(?<![\w/.:`-])kscale (?:tune|node|report|doctor)\b[^\n;&|`#]*")
_VARIABLE = re.compile(r"\$(\w*(?:PORT|PER_TASK)\w*)|\$\(?\w+\)?|\"?\$@\"?")


def commands_of(path: Path) -> list[str]:
    """The commands of kscale in a file, with values for its variables."""
    text = path.read_text().replace("\\\n", " ")
    text = re.sub(r"command: \[(kscale, .*)\]", lambda found: _plain(found[1]), text)
    found = (each[0] for each in _COMMAND.finditer(text))
    return [
        _VARIABLE.sub(lambda name: "6379" if name[1] else "host", each)
        for each in found
    ]


def _plain(items: str) -> str:
    return " ".join(item.strip(' "') for item in items.split(","))


@pytest.mark.parametrize("name", ["slurm.sh", "kubernetes.yaml", "README.md"])
def test_the_commands_of_the_examples_exist(name: str) -> None:
    commands = commands_of(EXAMPLES / name)
    assert {each.split()[1] for each in commands} >= {"node", "tune"}
    for text in commands:
        _, command, *arguments = shlex.split(text)
        if command == "tune" and arguments[-1] == "host":  # what "$@" stands for
            arguments.pop()
        load_command(command).make_context(command, arguments)


def test_the_job_for_slurm_is_a_script_of_bash() -> None:
    subprocess.run(["bash", "-n", EXAMPLES / "slurm.sh"], check=True)


_SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
set -m
trap 'for job in $(jobs -p); do kill -- "-$job"; done; wait' TERM
for SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@" & done
wait
"""
# Both nodes are on this machine, so the second needs ports of its own.
_KSCALE = """#!/bin/bash
more=()
if [ "${SLURM_NODEID:-0}" = 1 ]; then more=(--port $((KSCALE_PORT + 1000))); fi
exec PYTHON -m kscale "$@" "${more[@]}"
"""


_SEARCH = ["--max-params", "2k", "--family", "mlp", "--trials", "4", "--epochs", "2"]


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


@pytest.mark.slow
def test_the_job_for_slurm_searches_on_two_nodes(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    script(programs / "srun", _SRUN)
    script(programs / "scontrol", "#!/bin/bash\nhostname\n")
    script(programs / "kscale", _KSCALE.replace("PYTHON", sys.executable))
    job = free_block(20_000) // 1000 - 20
    done = subprocess.run(
        ["bash", EXAMPLES / "slurm.sh", *_SEARCH],
        env=environment(
            tmp_path,
            PATH=f"{programs}:/usr/bin:/bin",
            SLURM_SUBMIT_DIR=str(tmp_path),
            SLURM_JOB_ID=str(job),
            SLURM_JOB_NAME="search",
            SLURM_JOB_NODELIST="here",
            SLURM_JOB_NUM_NODES="2",
            SLURM_CPUS_PER_TASK="1",
        ),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "runs/search/results.jsonl").read_text().splitlines()) >= 4
