"""`kscale tune`: search depth and width within a budget."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.search_options import (
    asked,
    outcome_options,
    run_search,
    training_options,
    weights_option,
)
from kscale.networks.families import FAMILIES
from kscale.search import SEARCHERS
from kscale.tuning.request import SearchRequest


@click.command(short_help="Search depth and width within a budget.")
@options.budget_options
@asked("max_latency_ms", type=click.FloatRange(min=0, min_open=True), metavar="MS")
@asked("latency_batch", type=click.IntRange(min=1), metavar="N")
@options.data_option
@options.data_options
@asked(
    "family",
    type=options.FAMILY_OR_AUTO,
    multiple=True,
    default=("auto",),
    help=f"{', '.join(FAMILIES)}, or auto for those that suit the data.",
)
@asked("search", multiple=True, metavar="KNOB")
@options.settings_option
@weights_option
@asked(
    "hypermodel",
    metavar="MODULE:NAME",
    help="Search your own keras_tuner.HyperModel or function build(hp) instead of a "
    "family.",
)
@asked("depth_knob", metavar="NAME")
@asked("width_knob", metavar="NAME")
@asked("searcher", type=click.Choice(list(SEARCHERS)))
@asked("trials")
@asked(
    "time_limit",
    "--time",
    type=options.SECONDS,
    help="Most time, finalists included: 90s, 10m, 2h.  [default: no limit]",
)
@training_options
@asked("seeds")
@asked("finalist_seeds")
@asked("most_finalists", "--finalists")
@outcome_options
@options.json_option
@options.quiet_option
def tune(as_json: bool, quiet: bool, **given: Any) -> None:
    """Search how deep and how wide a network should be within a budget.

    Give a limit, or several. Ends with the front of score against size, the best and
    the recommended network, and their trained models. The same command goes on where it
    was stopped.

    \b
    Examples:
      kscale tune --max-params 5e6
      kscale tune --max-params 50k --data mnist.npz --family cnn --time 10m
      kscale tune --max-params 50k --data people.csv --label income
      kscale tune --max-params 50k --data mnist.npz --baseline my_model.keras
    """
    _refuse_knobs_of_no_hypermodel(given)
    given["settings"] = options.knobs_of(given, "weights")
    given["data"] = options.load_asked(given["data"], given, quiet)
    run_search(SearchRequest(**given), as_json, quiet)


def _refuse_knobs_of_no_hypermodel(given: dict[str, Any]) -> None:
    for what in ("depth", "width"):
        options.refuse_if(
            given[f"{what}_knob"] is not None and given["hypermodel"] is None,
            f"--{what}-knob names a hyperparameter of --hypermodel, which is not "
            f"given; the {what} of a family is set with --set {what}=N.",
        )
