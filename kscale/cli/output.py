"""Printing: the answer on standard output, and nothing else there."""

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kscale.run import Run

_WIDTH = 120


def print_json(document: Any) -> None:
    """One JSON document with raw numbers."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def show(found: Any, as_json: bool) -> None:
    """An answer that has `to_json` and `to_text`, in the form asked for."""
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(found.to_text(output_width()), nl=False)


def show_run(
    run: "Run", as_json: bool, rank_by: str = "knee", all_rows: bool = False
) -> None:
    """The answer of a run."""
    if as_json:
        print_json(run.to_json(rank_by))
        return
    from rich.console import Console

    from kscale.reports.run_tables import report_table, report_text

    report = run.report(rank_by)
    if is_terminal():
        Console(width=output_width()).print(report_table(report, all_rows))
    else:
        click.echo(report_text(report, output_width(), all_rows), nl=False)
    click.echo(f"Files: {run.folder}")


def is_terminal() -> bool:
    """Whether standard output is a terminal; it may also be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def output_width() -> int:
    """Columns for a table: the terminal's, or 120 where there is none."""
    if is_terminal():
        return max(60, shutil.get_terminal_size().columns)
    return _WIDTH


class WarningLines(logging.Handler):
    """Shows what kscale logs as plain lines on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        click.echo(f"{record.levelname.capitalize()}: {record.getMessage()}", err=True)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Import TensorFlow inside: what it says while it starts is shown only if it fails.

    Its C++ part writes to the process' standard error before any of its settings count.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def start_tensorflow(quiet: bool) -> None:
    """Import TensorFlow and find its devices; all it may say is that it starts.

    Args:
        quiet: Whether to leave out that, too.
    """
    # It warns of retracing whenever several networks are trained one after the other.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not quiet:
        click.echo("Starting TensorFlow.", err=True)
    with quiet_start():
        import tensorflow as tf

        tf.config.list_logical_devices()
