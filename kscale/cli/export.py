"""`kscale export`: a trained model to take elsewhere."""

import json
from typing import Any

import click
from msgspec import to_builtins

from kscale.cli import options
from kscale.cli.output import start_tensorflow, tidy_on_sigterm
from kscale.reports.artifacts import artifact_text
from kscale.ship.extras import check_extra
from kscale.ship.formats import FORMATS, check_target


@click.command()
@options.run_argument
@options.model_option
@options.choice_option(
    "--format",
    "format",
    FORMATS,
    "A Keras file, a folder for TensorFlow Serving, or a file of LiteRT or ONNX.",
)
@options.output_option(
    "File or folder to write.  [default: one in the run folder]", "path"
)
@options.overwrite_option
@options.moved_option
@options.code_option
@options.json_option
@options.quiet_option
def export(run: str | None, hypermodel: str | None, quiet: bool, **how: Any) -> None:
    """Write the trained model of RUN for use without kscale; its path is printed.

    Preprocessing and class names are part of a Keras file and a SavedModel. LiteRT and
    ONNX know no texts, and ONNX no spectrograms: files beside the model describe the
    rest of the preprocessing, and kscale predict reads all of them. The written model
    is run again on examples of the test part; the result is on standard error. Without
    RUN, the run in runs/ that was changed last is taken.

    \b
    Examples:
      kscale export -o digits.keras
      kscale export runs/demo --format saved-model -o served/digits/1
      kscale export runs/demo --format litert -o digits.tflite
    """
    as_json = how.pop("as_json")
    chosen, form = options.opened_run(run), FORMATS[how["format"]]
    check_extra(f"The format {how['format']}", form.extra)  # before a start of seconds
    if how["path"] is not None:
        check_target(how["path"], form, how["overwrite"])
    start_tensorflow(quiet)
    tidy_on_sigterm()
    from kscale.guests.hypermodels.user_code import known_objects

    with known_objects(hypermodel):
        path = chosen.export(**how)
    found = chosen.exports[-1]
    if as_json:
        click.echo(json.dumps(to_builtins(found), indent=2))
        return
    click.echo(path)
    if not quiet:
        click.echo(artifact_text(found, chosen.objective), err=True)
