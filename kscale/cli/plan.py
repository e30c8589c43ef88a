"""`kscale plan`: what a search would train, and how long that takes."""

from typing import Any

import click

from kscale import searches
from kscale.cli import options
from kscale.cli.output import show, user_code
from kscale.cli.tune import planned, search_options, search_request


@click.command()
@search_options
@click.option(
    "--no-measure",
    is_flag=True,
    help="Train nothing to time this machine: times come from past runs in runs/ "
    "and beside --run, or none are given.",
)
@options.json_option
@options.quiet_option
def plan(as_json: bool, quiet: bool, no_measure: bool, **given: Any) -> None:
    """Say what a search would train, and how long that takes.

    Takes the options of kscale tune and searches nothing: a few networks are trained
    for some seconds, to know how fast this machine is.

    \b
    Examples:
      kscale plan --max-params 50k
      kscale plan --max-params 50k --data mnist.npz --time 10m --no-measure
    """
    request = search_request(given, quiet)
    found = planned(request, quiet, start=not no_measure)
    if not (no_measure or quiet):
        click.echo("Timing a few networks on this machine.", err=True)
    with user_code():
        planned_search = searches.plan(found, measure=not no_measure)
    show(as_json, planned_search.to_json, planned_search.to_text)
