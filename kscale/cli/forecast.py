"""`kscale forecast`: what a size that was not trained would reach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show
from kscale.reports.forecast import forecast as forecast_of
from kscale.reports.law_section import write_plot
from kscale.runs.law.points import parse_sizes


@click.command()
@click.argument("source", metavar="[RUN|FILE]", type=options.PATH, required=False)
@click.option(
    "--params",
    type=options.Parsed("size", parse_sizes),
    multiple=True,
    help="Sizes to forecast: 20e6, or several: 5M,20M; may be repeated.",
)
@click.option(
    "--score", metavar="VALUE", help="Which size reaches a value: 95%, or a loss."
)
@click.option(
    "--double",
    is_flag=True,
    help="What twice the recommended size buys; of a file, twice the best size.",
)
@click.option(
    "--examples",
    metavar="2x",
    help="What so many more training examples would buy, beside more params.",
)
@click.option(
    "--beyond",
    is_flag=True,
    help="Also answer beyond four times the largest size trained.",
)
@options.json_option
@options.output_option("Also draw the law (.png, .svg).", dir_okay=False)
def forecast(
    source: str | None,
    params: Sequence[Sequence[int]],
    as_json: bool,
    output: Path | None,
    **asked: Any,
) -> None:
    """Say what a size that was not trained would reach, by a law.

    The law is fitted to the trainings of RUN, by default the run in runs/ that was
    changed last, or to a CSV FILE with columns params and loss, error or a score such
    as accuracy; stderr, seeds, depth and width may be there. Without a question: the
    largest size trained, twice and four times that.

    \b
    Examples:
      kscale forecast --params 20e6
      kscale forecast runs/demo --score 95% --double
      kscale forecast points.csv --params 5M,20M --json
    """
    known = source if source is not None else options.opened_run(None)
    found = forecast_of(known, [size for group in params for size in group], **asked)
    if output is not None:
        write_plot(found, output)
    show(as_json, found.to_json, found.to_text)
