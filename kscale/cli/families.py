"""`kscale families`: what can be searched."""

from functools import partial

import click

from kscale.cli import options
from kscale.cli.output import show
from kscale.networks.families import FAMILIES, find_family
from kscale.reports.family_tables import families_json, families_text, family_text


@click.command()
@click.argument("name", required=False)
@options.json_option
def families(name: str | None, as_json: bool) -> None:
    """List the families; with NAME, the knobs of one.

    \b
    Examples:
      kscale families
      kscale families cnn
    """
    chosen = FAMILIES if name is None else {name: find_family(name)}
    to_text = partial(families_text, chosen)
    if name is not None:
        to_text = partial(family_text, chosen[name])
    show(as_json, lambda: families_json(chosen), to_text)
