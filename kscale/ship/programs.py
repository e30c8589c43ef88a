"""Programs of Python that do one thing: a crash ends the program and no command."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from kscale.errors import sentence_of

Done = subprocess.CompletedProcess[str]

_SOURCE = Path(__file__).parents[2]
_RAISED = re.compile(r"[\w.]*(?:Error|Exception): (.*)")


def run_program(module: str, arguments: Iterable[str | Path]) -> Done:
    """Run a module as a program, and wait for its end.

    A user's own file of a package's name in this folder is not imported, and kscale is
    found as in this process, be it installed or not.
    """
    paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )


def last_words(done: Done) -> str:
    """Why a program failed, without a dot at the end."""
    if done.returncode < 0:
        return f"signal {-done.returncode} ended the program"
    lines = done.stderr.strip().splitlines() or ["nothing is said"]
    raised = [found[1] for found in map(_RAISED.match, lines) if found]
    return sentence_of([*lines[-1:], *raised][-1])
