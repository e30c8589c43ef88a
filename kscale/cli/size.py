"""`kscale size`: what a network costs, or what fits a budget; nothing is built."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from kscale.cli import options
from kscale.cli.output import show, start_tensorflow
from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES
from kscale.reports.counting import (
    change_task,
    count_network,
    published_task,
    task_of_shape,
)
from kscale.task.tasks import Task

_MODEL_FILES = (".keras", ".h5", ".hdf5")
_OF_A_FILE = ("name", "shape", "as_json")


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
    help="Shape of an example, 32x32x3, instead of --data; for a file, of what it "
    "leaves open, and may be repeated for each input.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    metavar="N",
    help="Number of classes.  [default: as the data or the published network; 10 with "
    "--input]",
)
@options.budget_options
@click.option(
    "--family",
    "families",
    type=options.FamilyName(),
    multiple=True,
    help="List this family only; may be repeated.  [default: all that take the input]",
)
@options.json_option
@click.pass_context
def size(ctx: click.Context, /, name: str | None, as_json: bool, **asked: Any) -> None:
    """Count a network exactly, or list what fits a budget.

    NAME is a family (with --depth and --width), a published network in any spelling, or
    the .keras file of any model; no code of the file is run. Without NAME, the specs
    that fit the limits: the largest of each family and depth.

    \b
    Examples:
      kscale size cnn --depth 3 --width 16
      kscale size vgg16 --classes 10
      kscale size transformer --input 128 --vocabulary 10k
      kscale size --max-params 50k --family cnn
      kscale size my_model.keras
    """
    if name is not None and _is_file(name):
        show(_model_size(ctx), as_json)
        return
    limits = ("max_params", "max_flops", "max_bytes", "max_memory")
    budget = Budget(**{limit: asked[limit] for limit in limits})
    knobs = options.knobs_of(
        asked["settings"], depth=asked["depth"], width=asked["width"]
    )
    _refuse_conflicts(ctx, budget)
    task = _task(ctx)
    if name is not None:
        show(count_network(name, task, knobs), as_json)
        return
    from kscale.reports.fitting_specs import list_fitting

    show(list_fitting(task, budget, asked["families"], knobs), as_json)


def _is_file(name: str) -> bool:
    path = Path(name)
    is_there = path.is_file() or (path / "saved_model.pb").is_file()
    is_named = path.suffix.lower() in _MODEL_FILES
    return is_named or (name.lower() not in FAMILIES and is_there)


def _model_size(ctx: click.Context) -> Any:
    """The size of the model in a file; the other options would have no effect."""
    for option in ctx.command.params:
        given = option.name is not None and _is_given(ctx, option.name)
        if given and option.name not in _OF_A_FILE:
            raise click.UsageError(
                f"{option.opts[0]} does not go with a file; --input and --json do."
            )
    start_tensorflow(quiet=True)
    from kscale.guests.sizes.model_size import count_model

    return count_model(Path(ctx.params["name"]), ctx.params["shape"] or None)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE


def _refuse_conflicts(ctx: click.Context, budget: Budget) -> None:
    """Refuse options that would have no effect."""
    if _is_given(ctx, "data") and _is_given(ctx, "shape"):
        raise click.UsageError("--data and --input exclude each other.")
    if len(ctx.params["shape"]) > 1:
        raise click.UsageError("--input may be repeated for the file of a model only.")
    for name in options.LOADING:
        is_of_use = name == "vocabulary" or _reads_data(ctx)
        if _is_given(ctx, name) and not is_of_use:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} is for --data, which is not read here.")
    if ctx.params["name"] is None and not budget.is_limited:
        raise click.UsageError(
            "Name a network (kscale size vgg16) or give a limit (--max-params 50k)."
        )
    if ctx.params["name"] and (budget.is_limited or ctx.params["families"]):
        raise click.UsageError(
            "Limits and --family list what fits; leave out the name for that."
        )


def _task(ctx: click.Context) -> Task:
    """The task of --data or --input, or else the published network's own, changed."""
    name, shapes = ctx.params["name"], ctx.params["shape"]
    shape: Any = shapes[0] if shapes else None
    changes = (ctx.params["classes"], ctx.params["vocabulary"])
    if not _reads_data(ctx):
        if _is_published(ctx):
            return change_task(published_task(name), shape, *changes)
        return task_of_shape(shape, *changes)
    from kscale.data.loading import peek_task

    loading = {name: ctx.params[name] for name in options.LOADING}
    task = peek_task(ctx.params["data"], **loading)
    return change_task(task, None, ctx.params["classes"], None)


def _is_published(ctx: click.Context) -> bool:
    """Whether the task is a published network's own."""
    name = ctx.params["name"]
    return bool(name) and name.lower() not in FAMILIES and not _is_given(ctx, "data")


def _reads_data(ctx: click.Context) -> bool:
    return not ctx.params["shape"] and not _is_published(ctx)
