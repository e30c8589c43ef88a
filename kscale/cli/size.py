"""`kscale size`: what a network costs, or what fits a budget; nothing is built."""

import re
from typing import Any

import click

from kscale.budget import Budget
from kscale.cli import options
from kscale.cli.output import output_width, print_json
from kscale.counting import FittingSpecs, NetworkSize, count_network, list_fitting
from kscale.data import peek_task
from kscale.errors import SpecError
from kscale.families import FAMILIES
from kscale.task import InputKind, Task


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        raise ValueError(f"a shape is written 32x32x3, not {text!r}.")
    return tuple(int(side) for side in text.split("x"))


SHAPE = options.Parsed("shape", _shape)


@click.command()
@click.argument("name", required=False)
@click.option("--depth", type=options.COUNT, help="Depth, as the family counts it.")
@click.option("--width", type=options.COUNT, help="Width, as the family counts it.")
@options.settings_option
@options.data_option
@click.option("--input", "shape", type=SHAPE, help="Shape of an example: 32x32x3.")
@click.option("--classes", type=click.IntRange(min=2), help="Number of classes.")
@click.option("--vocabulary", type=options.COUNT, help="Number of token ids.")
@options.budget_options
@click.option(
    "--family",
    "families",
    multiple=True,
    help="List what fits the budget of this family; may be repeated.",
)
@options.json_option
def size(name: str | None, as_json: bool, **asked: Any) -> None:
    """Count a network exactly, or list what fits a budget.

    NAME is a family (with --depth and --width) or a published network (vgg16,
    bert-base). Without NAME, specs that fit --max-params, --max-flops and --max-bytes.

    Examples: kscale size cnn --depth 3 --width 16;  kscale size vgg16;
    kscale size --max-params 50k --family cnn
    """
    budget = Budget(asked["max_params"], asked["max_flops"], asked["max_bytes"])
    knobs = dict(asked["settings"])
    named = {key: asked[key] for key in ("depth", "width")}
    knobs |= {key: value for key, value in named.items() if value is not None}
    found: NetworkSize | FittingSpecs
    if name is None:
        found = list_fitting(_task(asked), budget, asked["families"], knobs)
    else:
        own_task = name not in FAMILIES and asked["shape"] is None
        found = count_network(name, None if own_task else _task(asked), knobs)
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(found.to_text(output_width()), nl=False)


def _task(asked: dict[str, Any]) -> Task:
    """The task of --input and --classes, or else of --data."""
    shape, vocabulary = asked["shape"], asked["vocabulary"]
    if shape is None:
        return peek_task(asked["data"])
    kinds: dict[int, InputKind] = {1: "vector", 2: "sequence", 3: "image"}
    if len(shape) not in kinds:
        raise SpecError(f"An input has 1 to 3 sides, but got {len(shape)}.")
    kind: InputKind = "tokens" if vocabulary else kinds[len(shape)]
    return Task.of(
        kind, shape, classes=asked["classes"] or 10, vocabulary=vocabulary or 0
    )
