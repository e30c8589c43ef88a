"""`kscale tune`: search depth and width within a budget."""

import sys
from contextlib import redirect_stdout
from typing import Any

import click
from rich.console import Console

from kscale.cli import options
from kscale.cli.output import is_terminal, output_width, print_json, start_tensorflow
from kscale.cli.progress import progress_listener
from kscale.reports.run_tables import report_table, report_text
from kscale.search import SEARCHERS
from kscale.searches import SearchInterrupted, plan_search, search
from kscale.tuning.request import SearchRequest


@click.command(short_help="Search depth and width within a budget.")
@options.budget_options
@options.latency_options
@options.data_option
@options.data_options
@click.option(
    "--family",
    type=options.FamilyName("auto"),
    multiple=True,
    default=("auto",),
    show_default=True,
    help=f"{options.family_names}, or auto; may be repeated.",
)
@click.option(
    "--search",
    multiple=True,
    metavar="KNOB",
    help="Vary a knob besides depth, width and learning rate; may be repeated.",
)
@options.settings_option
@options.weights_option
@options.hypermodel_options
@click.option(
    "--searcher",
    type=click.Choice(list(SEARCHERS)),
    default="random",
    show_default=True,
    help="How networks are proposed.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Most specs to try before the finalists.",
)
@click.option(
    "--time",
    "time_limit",
    type=options.SECONDS,
    help="Most time, finalists included: 90s, 10m, 2h.  [default: no limit]",
)
@options.training_options
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Trainings of each spec tried.",
)
@click.option(
    "--finalist-seeds",
    type=click.IntRange(min=0),
    metavar="N",
    default=3,
    show_default=True,
    help="New trainings of each finalist; 0 for no finalists.",
)
@click.option(
    "--finalists",
    "most_finalists",
    type=click.IntRange(min=2),
    metavar="N",
    default=5,
    show_default=True,
    help="Most finalists.",
)
@options.baseline_options
@options.run_option
@options.json_option
@options.quiet_option
@click.pass_context
def tune(ctx: click.Context, /, **asked: Any) -> None:
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
    as_json, quiet = asked.pop("as_json"), asked.pop("quiet")
    _refuse_knobs_of_no_hypermodel(asked)
    settings = options.with_weights(asked["settings"], asked.pop("weights"))
    asked["settings"] = dict(settings)
    asked["data"] = options.load_asked(asked["data"], asked, quiet)
    run_search(ctx, SearchRequest(**asked), as_json, quiet)


def _refuse_knobs_of_no_hypermodel(asked: dict[str, Any]) -> None:
    for what in ("depth", "width"):
        if asked[f"{what}_knob"] is not None and asked["hypermodel"] is None:
            raise click.UsageError(
                f"--{what}-knob names a hyperparameter of --hypermodel, which is not "
                f"given; the {what} of a family is set with --set {what}=N."
            )


def run_search(
    ctx: click.Context,
    request: SearchRequest,
    as_json: bool,
    quiet: bool,
    all_rows: bool = False,
) -> None:
    """Plan a search, run it, and print its answer.

    A search of families is planned, and refused, before TensorFlow takes its seconds.
    """
    if request.hypermodel is not None:
        start_tensorflow(quiet)
    # What a user's code prints is no part of the answer.
    with redirect_stdout(sys.stderr):
        plan = plan_search(request)
    if request.hypermodel is None:
        start_tensorflow(quiet)
    try:
        with redirect_stdout(sys.stderr):
            run = search(plan, progress_listener(quiet))
    except SearchInterrupted as interrupted:
        click.echo("Interrupted; the same command goes on from here.", err=True)
        show_run(interrupted.run, as_json, all_rows=all_rows)
        ctx.exit(130)
    show_run(run, as_json, all_rows=all_rows)


def show_run(
    run: Any, as_json: bool, rank_by: str = "knee", all_rows: bool = False
) -> None:
    """The answer of a run on standard output."""
    report = run.report(rank_by)
    if as_json:
        print_json(run.to_json(rank_by))
        return
    if is_terminal():
        Console(width=output_width()).print(report_table(report, all_rows))
    else:
        click.echo(report_text(report, output_width(), all_rows), nl=False)
    click.echo(f"Files: {run.folder}")
