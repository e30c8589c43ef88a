"""`kscale families`: what can be searched."""

import click

from kscale.cli import options
from kscale.cli.output import output_width, print_json
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
    if as_json:
        print_json(families_json(chosen))
    elif name is None:
        click.echo(families_text(chosen, output_width()), nl=False)
    else:
        click.echo(family_text(chosen[name], output_width()), nl=False)
