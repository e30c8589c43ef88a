"""How commands end."""

import os
import signal
import time
from pathlib import Path

import click
from click.testing import CliRunner

from kscale.cli.output import tidy_on_sigterm
from kscale.ship.formats.base import write_whole


def test_sigterm_leaves_no_half_written_file(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def write(partial: Path) -> None:
        partial.write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    @click.command()
    def command() -> None:
        tidy_on_sigterm()
        write_whole(tmp_path / "new" / "model.tflite", write)

    done = CliRunner().invoke(command, [])
    assert done.exit_code == 128 + signal.SIGTERM
    assert [*tmp_path.iterdir()] == []
    assert signal.getsignal(signal.SIGTERM) == before
