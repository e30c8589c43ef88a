"""Printing: the answer on standard output, and nothing else there."""

import json
import logging
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kscale.run import Run

_WIDTH = 120  # where there is no terminal
_READABLE = 100  # characters of a line of sentences


def show(
    as_json: bool, to_json: Callable[[], Any], to_text: Callable[[int], str]
) -> None:
    """An answer, as one JSON document with raw numbers or as text of some width."""
    if as_json:
        click.echo(json.dumps(to_json(), indent=2, allow_nan=False))
    else:
        width = max(60, shutil.get_terminal_size().columns) if is_terminal() else _WIDTH
        click.echo(to_text(width), nl=False)


def show_run(run: "Run", as_json: bool, rank_by: str, all_rows: bool) -> None:
    """The report of a run."""
    from kscale.reports.run_tables import report_text

    def text(width: int) -> str:
        table = report_text(run.report(rank_by), width, all_rows, colour=is_terminal())
        return f"{table}Files: {run.folder}\n"

    show(as_json, lambda: run.to_json(rank_by), text)


def show_answer(run: "Run", as_json: bool) -> None:
    """What a search ends with."""
    from kscale.reports.summary import summary_text

    def text(width: int) -> str:
        widest = min(width, _READABLE)
        return summary_text(run.report(), run.folder, widest, is_terminal())

    show(as_json, run.to_json, text)


def is_terminal() -> bool:
    """Whether standard output is a terminal; it may also be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


class WarningLines(logging.Handler):
    """Shows what kscale logs as plain lines on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        click.echo(f"{record.levelname.capitalize()}: {record.getMessage()}", err=True)


def start_tensorflow(quiet: bool, finds_devices: bool = True) -> None:
    """Start TensorFlow, which takes seconds; say so unless all shall be quiet.

    Args:
        finds_devices: Whether this process alone decides which devices it has.
    """
    if not quiet:
        click.echo("Starting TensorFlow.", err=True)
    from kscale.engine.tensorflow.starting import start

    start(finds_devices)


def tidy_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: programs that the command started end
    too, and half-written files go."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    restore = partial(signal.signal, signal.SIGTERM, before)
    click.get_current_context().call_on_close(restore)


@contextmanager
def user_code() -> Iterator[None]:
    """Run a user's code inside: what it prints is no part of the answer."""
    with redirect_stdout(sys.stderr):
        yield
