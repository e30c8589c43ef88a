"""`kscale predict`: what a trained model predicts of raw files."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import start_tensorflow
from kscale.reports.prediction_tables import FORMS
from kscale.run import Run
from kscale.ship.artifacts import Artifact, is_artifact
from kscale.ship.prediction import Prediction
from kscale.task.tasks import Task
from kscale.text import counted, listed


@click.command()
@click.argument("run", type=options.PATH)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.model_option
@click.option(
    "--top",
    type=options.number(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Name the N likeliest classes.",
)
@click.option(
    "--temperature",
    type=options.number(0.0),
    metavar="T",
    default=0.0,
    help="Of language models: how freely a text goes on. Tokens are drawn at random, "
    "at a low temperature mostly the likeliest.  [default: always the likeliest]",
)
@click.option(
    "--beams",
    type=options.number(1, 1000),
    metavar="N",
    help="Of translations and transcripts: how many beginnings of a text are followed "
    "at once.  [default: 4 of a translation, 1 of a transcript]",
)
@options.choice_option("--format", "form", ("table", "csv"), "Form of the predictions.")
@options.code_option
@options.json_option
@options.quiet_option
def predict(
    run: str, files: tuple[Path, ...], which: str, top: int, **how: Any
) -> None:
    """Predict each example of raw FILEs with the trained model of RUN.

    RUN may also be an exported file of LiteRT or ONNX, with what kscale export wrote
    beside the file; TensorFlow is not needed then. Files are read as the files of
    training were, and may be folders of such files. Labels in them are not read. A file
    that cannot be read is named on standard error and the others are predicted; the
    exit code is 1 then.

    \b
    Examples:
      kscale predict runs/demo new/*.npy
      kscale predict runs/demo new/ --top 3 --format csv > answers.csv
      kscale predict digits.tflite new/*.npy
    """
    as_json, form = how["as_json"], how["form"]
    options.refuse_json_and_form(as_json, form)
    failed = list[Prediction]()
    with _answering(run, how) as (task, predictions_of):
        predictions = _reported(predictions_of(files, which, top), failed)
        for text in FORMS["json" if as_json else form](predictions, task, top):
            click.echo(text, nl=False)
    if failed:
        raise click.ClickException(_unread([each.source for each in failed]))


@contextmanager
def _answering(run: str, how: dict[str, Any]) -> Iterator[tuple[Task, Any]]:
    """The task of a run or of an exported file, and what predicts files inside."""
    if is_artifact(Path(run)):
        options.refuse_if(
            {"which", "hypermodel", "temperature", "beams"} & options.given_options(),
            "--model, --hypermodel, --temperature and --beams are for a run: an "
            "exported file has a single model.",
        )
        artifact = Artifact.open(Path(run))
        yield artifact.task, lambda files, which, top: artifact.predict(files, top)
        return
    opened = Run(run)
    start_tensorflow(how["quiet"])
    from kscale.guests.hypermodels.user_code import known_objects

    with known_objects(how["hypermodel"]):
        chosen = {name: how[name] for name in ("temperature", "beams")}
        predict = partial(opened.predict, **chosen)
        yield opened.task, predict


def _unread(sources: list[str]) -> str:
    """How many files, and rows of files, could not be read."""
    rows = sum(bool(re.search(r":\d+$", source)) for source in sources)
    counts = {"file": len(sources) - rows, "example": rows}
    what = " and ".join(counted(n, noun) for noun, n in counts.items() if n)
    return f"{what} could not be read: {listed(sources, 3)}."


def _reported(
    predictions: Iterable[Prediction], failed: list[Prediction]
) -> Iterator[Prediction]:
    """The predictions; failed ones are kept, and are lines on standard error.

    So is the first note on each column, with the number of further ones.
    """
    notes, counts = dict[str, str](), Counter[str]()
    for prediction in predictions:
        if prediction.error:
            failed.append(prediction)
            says_where = prediction.source in prediction.error
            click.echo(prediction.error if says_where else str(prediction), err=True)
        notes = {**prediction.notes, **notes}
        counts.update(prediction.notes.keys())
        yield prediction
    for column, note in notes.items():
        others = counts[column] - 1
        more = (
            f" The same holds for {counted(others, 'further example')}."
            if others
            else ""
        )
        click.echo(f"Note: {note}{more}", err=True)
