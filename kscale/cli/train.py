"""`kscale train`: train one spec."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.tune import run_search
from kscale.tuning.request import single_request


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
@click.pass_context
def train(
    ctx: click.Context,
    /,
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
    request = single_request(family, knobs, **asked)
    run_search(ctx, request, as_json, quiet, all_rows=True)
