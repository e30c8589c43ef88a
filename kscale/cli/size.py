"""`kscale size`: what a network costs, or what fits a budget; nothing is built."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show, start_tensorflow
from kscale.networks.boards import limits_with
from kscale.networks.budget import DEVICE_LIMITS, Budget
from kscale.networks.families import FAMILIES
from kscale.reports.counting import (
    change_task,
    count_network,
    task_of_shape,
    usual_task,
)
from kscale.task.tasks import Task

_MODEL_FILES = (".keras", ".h5", ".hdf5")
_OF_A_FILE = ("name", "shape", "as_json", "board", *DEVICE_LIMITS)


@click.command()
@click.argument("name", required=False)
@options.shape_options
@options.settings_option
@options.data_option
@options.data_options
@click.option(
    "--input",
    "shape",
    type=options.SHAPE,
    multiple=True,
    help="Shape of an example, 32x32x3, instead of --data. For a file, the shape of an "
    "input that leaves sides open; may be repeated, once for each such input.",
)
@click.option(
    "--classes",
    type=options.number(2),
    metavar="N",
    help="Number of classes.  [default: as the data or the published network; 10 with "
    "--input]",
)
@options.budget_options
@click.option(
    "--family",
    "families",
    type=options.FAMILY,
    multiple=True,
    help="List this family only; may be repeated.  [default: all that take the input]",
)
@options.json_option
@click.pass_context
def size(ctx: click.Context, /, name: str | None, as_json: bool, **asked: Any) -> None:
    """Count a network exactly, or list what fits a budget.

    NAME is a family (with --depth and --width), a published network in any spelling, or
    the .keras file of any model; no code of the file is run. Without NAME, the specs
    that fit the limits: the largest of each family and depth. With NAME, --board and
    limits on flash and RAM say whether the network fits a microcontroller.

    \b
    Examples:
      kscale size cnn --depth 3 --width 16
      kscale size vgg16 --classes 10
      kscale size transformer --input 128 --vocabulary 10k
      kscale size --max-params 50k --family cnn
      kscale size gpt --depth 12 --width 768
      kscale size cnn --depth 4 --width 16 --board esp32-s3
      kscale size my_model.keras
    """
    given = options.given_options()
    if name is not None and _is_file(name):
        found = _count_file(ctx, given)
    else:
        found = _counted(name, given, asked)
    show(as_json, found.to_json, found.to_text)


def _is_file(name: str) -> bool:
    path = Path(name)
    is_there = path.is_file() or (path / "saved_model.pb").is_file()
    is_named = path.suffix.lower() in _MODEL_FILES
    return is_named or (name.lower() not in FAMILIES and is_there)


def _count_file(ctx: click.Context, given: set[str]) -> Any:
    """The size of the model in a file; the other options would have no effect."""
    for option in ctx.command.params:
        if option.name in given and option.name not in _OF_A_FILE:
            raise click.UsageError(
                f"{option.opts[0]} does not go with a file; --input, --board, "
                "--max-flash, --max-ram and --json do."
            )
    start_tensorflow(quiet=True)
    from kscale.guests.sizes.model_size import count_model

    asked = {name: ctx.params[name] for name in DEVICE_LIMITS}
    limits = Budget(**limits_with(asked, ctx.params["board"])).of_device
    found = count_model(Path(ctx.params["name"]), ctx.params["shape"] or None)
    return replace(found, limits=limits)


def _counted(name: str | None, given: set[str], asked: dict[str, Any]) -> Any:
    """The size of a network, or what fits a budget; options that would have no effect
    are refused."""
    names = asked["families"] if name is None else (name,)
    is_usual = len(names) == 1 and "data" not in given
    usual = usual_task(names[0]) if is_usual else None
    reads_data = not asked["shape"] and usual is None
    limits = {limit: asked[limit] for limit in options.LIMITS}
    budget = Budget(**limits_with(limits, asked["board"]))
    knobs = options.knobs_of(asked, "depth", "width")
    refuse_if = options.refuse_if
    refuse_if({"data", "shape"} <= given, "--data and --input exclude each other.")
    several = "--input may be repeated for the file of a model only."
    refuse_if(len(asked["shape"]) > 1, several)
    for option in () if reads_data else given & {*options.LOADING} - {"vocabulary"}:
        text = f"{options.flag_of(option)} is for --data, which is not read here."
        refuse_if(True, text)
    unlimited = "Name a network (kscale size vgg16) or give a limit (--max-params 50k)."
    refuse_if(name is None and not budget.is_limited, unlimited)
    listing = (
        "These limits and --family list what fits; leave out the name for that. "
        "--board, --max-flash and --max-ram go with a name."
    )
    lists = budget.limits != budget.of_device or "families" in given
    refuse_if(name is not None and lists, listing)
    task = _task(asked, usual, reads_data)
    if name is not None:
        return count_network(name, task, knobs, budget.of_device)
    from kscale.reports.fitting_specs import list_fitting

    return list_fitting(task, budget, asked["families"], knobs)


def _task(asked: Mapping[str, Any], usual: Task | None, reads_data: bool) -> Task:
    """The task of --data or --input, or else the network's usual one, changed."""
    shape: Any = next(iter(asked["shape"]), None)
    classes, vocabulary = asked["classes"], asked["vocabulary"]
    if reads_data:
        from kscale.data.loading import peek_task

        loading = {name: asked[name] for name in options.LOADING}
        return change_task(peek_task(asked["data"], **loading), None, classes, None)
    if usual is None:
        return task_of_shape(shape, classes, vocabulary)
    return change_task(usual, shape, classes, vocabulary)
