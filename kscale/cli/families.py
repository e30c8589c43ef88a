"""`kscale families`: what can be searched."""

import click

from kscale.cli import options
from kscale.cli.output import print_json
from kscale.families import FAMILIES
from kscale.reports.families import families_json, families_text, family_text


@click.command()
@click.argument("name", required=False)
@options.json_option
def families(name: str | None, as_json: bool) -> None:
    """List the families; with NAME, the knobs of one.

    Example: kscale families cnn
    """
    from kscale.families import find_family

    if as_json:
        print_json(
            families_json(FAMILIES if name is None else {name: find_family(name)})
        )
    elif name is None:
        click.echo(families_text(FAMILIES))
    else:
        click.echo(family_text(find_family(name)))
