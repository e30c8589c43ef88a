"""`kscale train`: train one spec."""

from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import start_tensorflow
from kscale.cli.progress import progress_listener
from kscale.cli.tune import show_run


@click.command()
@click.argument("family")
@click.option("--depth", type=options.COUNT, help="Depth, as the family counts it.")
@click.option("--width", type=options.COUNT, help="Width, as the family counts it.")
@options.settings_option
@options.data_option
@options.training_options
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trainings, each from another seed.",
)
@options.run_option
@options.json_option
@options.quiet_option
def train(
    family: str,
    depth: int | None,
    width: int | None,
    settings: tuple[tuple[str, str], ...],
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Train one network of FAMILY and score it on the test part.

    Example: kscale train mlp --depth 2 --width 64
    """
    knobs: dict[str, Any] = dict(settings)
    named = {"depth": depth, "width": width}
    knobs |= {name: value for name, value in named.items() if value is not None}
    start_tensorflow()
    from kscale import train as train_one

    run = train_one(family, knobs, listener=progress_listener(quiet), **asked)
    show_run(run, as_json)
