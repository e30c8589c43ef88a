"""`kscale train`: train one spec."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.tune import (
    asked,
    outcome_options,
    run_search,
    training_options,
    weights_option,
)
from kscale.tuning.options import single_request


@click.command()
@click.argument("family", type=options.FAMILY)
@options.shape_options
@options.settings_option
@weights_option
@options.data_option
@options.data_options
@training_options
@asked("seeds", help="Trainings, each from another seed.")
@outcome_options
@options.json_option
@options.quiet_option
def train(family: str, as_json: bool, quiet: bool, **given: Any) -> None:
    """Train one network of FAMILY and score it on the test part.

    Leaves a run folder as a search does: results, report and trained model.

    \b
    Examples:
      kscale train mlp --depth 2 --width 64
      kscale train mlp --depth 2 --width 64 --baseline my_model.keras
    """
    knobs = options.knobs_of(given, "depth", "width", "weights")
    given["data"] = options.load_asked(given["data"], given, quiet)
    run_search(single_request(family, knobs, **given), as_json, quiet)
