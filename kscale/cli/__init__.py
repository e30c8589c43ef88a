"""The command line: parse, one library call, one print."""

import errno
import logging
import time
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

import click

from kscale import __version__
from kscale.cli.output import WarningLines
from kscale.errors import KscaleError, cause_of, unknown_name
from kscale.text import listed

COMMANDS = {
    "data": "Show what kscale understands of data; nothing is trained.",
    "plan": "Say what a search would train, and how long that takes.",
    "tune": "Search depth and width within a budget.",
    "report": "Show the front, the best and the recommended network of RUN.",
    "forecast": "Say what a size that was not trained would reach, by a law.",
    "predict": "Predict each example of raw FILEs with the trained model of RUN.",
    "export": "Write the trained model of RUN for use without kscale.",
    "compress": "Make smaller files of a trained model of RUN, and measure each.",
    "board": "Show RUN in TensorBoard until Ctrl-C.",
    "size": "Count a network exactly, or list what fits a budget.",
    "families": "List the families; with NAME, the knobs of one.",
    "train": "Train one network of FAMILY and score it on the test part.",
    "node": "Let this machine train for kscale tune --cluster, until Ctrl-C.",
    "doctor": "Show versions, devices and memory, and what is missing.",
}
"""The commands, in the order in which one needs them, and what each does.

The module of a command has its name, and is imported when it is called: listing the
commands must not wait for what they need.
"""


def load_command(name: str) -> click.Command:
    """A command of the table, imported."""
    command: click.Command = getattr(import_module(f"kscale.cli.{name}"), name)
    return command


def _is_needed(error: ModuleNotFoundError) -> bool:
    """Whether a module of kscale imports what is missing, and not a user's code."""
    files = [frame.filename for frame in extract_tb(error.__traceback__)]
    importers = [Path(name) for name in files if "importlib" not in name]
    return importers[-1].is_relative_to(Path(__file__).parents[1])


def _commands_with(option: str) -> list[str]:
    """The commands that have an option."""
    return [
        f"kscale {name}"
        for name in COMMANDS
        if any(option in each.opts for each in load_command(name).params)
    ]


class _Group(click.Group):
    """Imports commands; makes one line of an error that kscale raises on purpose."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None if there is none."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """The table, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj = time.monotonic()  # when the command began
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if having := _commands_with(error.option_name):
                says = f"{error.option_name} is an option of {listed(having, 3)}."
                raise click.UsageError(says, error.ctx) from error
            raise
        except KscaleError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            if not _is_needed(error):
                raise
            raise click.ClickException(
                f"kscale needs the package {error.name}, which is not installed here; "
                "pip install . in kscale's source folder installs all that it needs."
            ) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{cause_of(error)}.") from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kscale", message="%(prog)s %(version)s")
def main() -> None:
    """How deep and how wide should my Keras model be within what I can afford?

    \b
    Examples:
      kscale tune --max-params 50k
      kscale report
      kscale size vgg16
    """
    logger = logging.getLogger("kscale")
    if not any(isinstance(handler, WarningLines) for handler in logger.handlers):
        logger.addHandler(WarningLines())
        # Without one, TensorFlow gives the root a handler, and each line comes twice.
        logging.getLogger().addHandler(logging.NullHandler())
