"""The command line: parse, one library call, one print."""

import errno
import logging
from typing import Any

import click

from kscale import __version__
from kscale.cli.board import board
from kscale.cli.data import data
from kscale.cli.doctor import doctor
from kscale.cli.export import export
from kscale.cli.families import families
from kscale.cli.output import WarningLines
from kscale.cli.predict import predict
from kscale.cli.report import report
from kscale.cli.size import size
from kscale.cli.train import train
from kscale.cli.tune import tune
from kscale.errors import KscaleError


class _Group(click.Group):
    """Makes one line of what kscale raises on purpose, or what the system refuses."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KscaleError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise click.ClickException(f"{error}.") from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one needs them."""
        return list(self.commands)


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


COMMANDS = (
    data,
    tune,
    report,
    predict,
    export,
    board,
    size,
    families,
    train,
    doctor,
)
for command in COMMANDS:
    main.add_command(command)
