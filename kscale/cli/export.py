"""`kscale export`: a trained model to take elsewhere."""

from pathlib import Path
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import start_tensorflow
from kscale.ship.formats import FORMATS


@click.command()
@options.run_argument
@options.model_option
@options.choice_option(
    "--format", "format", FORMATS, "A Keras file, or a folder for TensorFlow Serving."
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    help="File or folder to write.  [default: one in the run folder]",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a model that is there already."
)
@options.code_option
@options.quiet_option
def export(run: str | None, hypermodel: str | None, quiet: bool, **how: Any) -> None:
    """Write the trained model of RUN for use without kscale; its path is printed.

    Preprocessing and class names are part of the model. Without RUN, the run in runs/
    that was changed last is taken.

    \b
    Examples:
      kscale export -o digits.keras
      kscale export runs/demo --format saved-model -o served/digits/1
    """
    chosen = options.opened(run)
    start_tensorflow(quiet)
    from kscale.guests.hypermodels.user_code import known_objects

    with known_objects(hypermodel):
        click.echo(chosen.export(**how))
