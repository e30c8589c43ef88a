"""Processes of their own that need not import TensorFlow again: forks of one that has.

TensorFlow takes four seconds to be imported, and forbids a fork once it has computed
something. So one process imports it, computes nothing, and forks for each script.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_SERVER = """
import gc, json, os, sys, traceback
import keras, keras_tuner, tensorflow

gc.freeze()

def become(script, arguments, folder, out, err):
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    os.chdir(folder)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(script, "<string>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        status = become(**json.loads(line))
        sys.stdout.flush()
        os._exit(status)
    print(os.waitpid(child, 0)[1], flush=True)
"""
_HERE = f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"


class WarmPython:
    """Runs scripts in isolated processes in which TensorFlow and Keras are imported."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self._server = server

    def run(
        self, script: str, *arguments: object, folder: Path | str = "."
    ) -> "subprocess.CompletedProcess[str]":
        """What `python -I -c script arguments` gives that is started in a folder."""
        with TemporaryDirectory() as made:
            out, err = Path(made, "out"), Path(made, "err")
            asked = {
                "script": script,
                "folder": os.path.abspath(folder),
            }
            asked |= {"arguments": [*map(str, arguments)]}
            asked |= {"out": str(out), "err": str(err)}
            print(json.dumps(asked), file=self._server.stdin, flush=True)
            assert self._server.stdout is not None
            status = os.waitstatus_to_exitcode(int(self._server.stdout.readline()))
            said = out.read_text(), err.read_text()
        return subprocess.CompletedProcess([*map(str, arguments)], status, *said)

    def run_here(
        self, script: str, *arguments: object
    ) -> "subprocess.CompletedProcess[str]":
        """The same for a script that imports kscale and modules of the tests."""
        return self.run(_HERE + script, *arguments)


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """One process that has imported TensorFlow, for all tests of a session."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-I", "-c", _SERVER]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        yield WarmPython(server)
