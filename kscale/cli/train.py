"""`kscale train`: train one spec."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import start_tensorflow
from kscale.cli.progress import progress_listener
from kscale.cli.tune import check_search, show_run
from kscale.tuning.single_point import single_point


@click.command()
@click.argument("family", type=options.FamilyName())
@options.shape_options
@options.settings_option
@options.weights_option
@options.data_option
@options.data_options
@options.training_options
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Trainings, each from another seed.",
)
@options.baseline_options
@options.run_option
@options.json_option
@options.quiet_option
def train(
    family: str,
    depth: int | None,
    width: int | None,
    settings: tuple[tuple[str, str], ...],
    weights: str | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Train one network of FAMILY and score it on the test part.

    Leaves a run folder as a search does: results, report and trained model.

    \b
    Examples:
      kscale train mlp --depth 2 --width 64
      kscale train mlp --depth 2 --width 64 --baseline my_model.keras
    """
    settings = options.with_weights(settings, weights)
    knobs = options.knobs_of(settings, depth, width)
    asked["data"] = options.load_asked(asked["data"], asked, quiet)
    check_search({**asked, **single_point(family, knobs, asked["data"])})
    start_tensorflow(quiet)
    from kscale import train as train_one

    run = train_one(family, knobs, listener=progress_listener(quiet), **asked)
    show_run(run, as_json, all_rows=True)
