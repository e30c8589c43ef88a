"""`kscale data`: what is understood of data, before anything is trained."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show
from kscale.data.describing import dataset_text
from kscale.errors import SpecError
from kscale.tuning.auto_families import AUTO, families_for


@click.command()
@click.argument("path", metavar="NAME|PATH")
@options.data_options
@options.json_option
def data(path: str, as_json: bool, **asked: Any) -> None:
    """Show what kscale understands of data; nothing is trained.

    Inputs, classes with their examples in each part, how the parts came about, what a
    constant answer scores, and what to know before a search.

    \b
    Examples:
      kscale data mnist.npz
      kscale data people.csv --label income --ignore name
      kscale data pairs.tsv --source en --target de
    """
    dataset = options.load_asked(path, asked)
    found = {"source": path, **dataset.describe(), "families": []}
    try:
        found["families"] = [each.name for each in families_for((AUTO,), dataset.task)]
    except SpecError as error:
        found["warnings"].append(str(error))
    show(as_json, lambda: found, lambda width: dataset_text(found, width))
