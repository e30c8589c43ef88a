"""Options that several commands share: one meaning each, defined once."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

import click

from kscale.cli.output import start_tensorflow
from kscale.data.loading import KERAS_DATASETS, Dataset, Options, load_dataset
from kscale.networks.families import FAMILIES, find_family
from kscale.task.inputs import INPUT_RANKS
from kscale.units import parse_bytes, parse_count, parse_seconds

Command = TypeVar("Command", bound=Callable[..., Any])


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A number as people write it."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class FamilyName(click.ParamType[str]):
    """A name of a family, checked at once: TensorFlow takes seconds to start.

    Args:
        others: Words that may stand for a family.
    """

    name = "family"

    def __init__(self, *others: str) -> None:
        self.others = others

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        return str(value) if value in self.others else find_family(value).name


COUNT = Parsed("count", parse_count)
BYTES = Parsed("bytes", parse_bytes)
SECONDS = Parsed("time", parse_seconds)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise ValueError(f"a setting is NAME=VALUE, not {text!r}.")
    return name.strip().replace("-", "_"), value.strip()


SETTING = Parsed("name=value", _setting)


def _size(text: str) -> tuple[int, int]:
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"a size is written 32 or 32x48, not {text!r}.")
    return int(sides[0]), int(sides[-1])


SIZE = Parsed("size", _size)


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """One decorator of several options, shown in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


budget_options = together(
    click.option("--max-params", type=COUNT, help="Most parameters: 50k, 1.5m, 5e6."),
    click.option(
        "--max-flops",
        type=COUNT,
        help="Most FLOPs of one example forward; a multiply-add is 2.",
    ),
    click.option(
        "--max-bytes", type=BYTES, help="Most bytes of the float32 weights: 2MB."
    ),
    click.option(
        "--max-memory",
        type=BYTES,
        help="Most bytes that training holds, as predicted from the size: 500MB.",
    ),
)

latency_options = together(
    click.option(
        "--max-latency-ms",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MS",
        help="Most milliseconds of a forward pass, measured on this device.",
    ),
    click.option(
        "--latency-batch",
        type=click.IntRange(min=1),
        metavar="N",
        default=1,
        show_default=True,
        help="Examples of that forward pass.",
    ),
)

settings_option = click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Fix a knob that kscale families NAME lists; may be repeated.",
)

hypermodel_options = together(
    click.option(
        "--hypermodel",
        metavar="MODULE:NAME",
        help="Search your own keras_tuner.HyperModel or function build(hp) instead of "
        "a family.",
    ),
    click.option(
        "--depth-knob",
        metavar="NAME",
        help="Its whole hyperparameter that is shown as depth.  [default: depth]",
    ),
    click.option(
        "--width-knob",
        metavar="NAME",
        help="Its whole hyperparameter that is shown as width.  [default: width]",
    ),
)

code_option = click.option(
    "--hypermodel",
    metavar="MODULE:NAME",
    help="Run your own code first, of which a model of your own is made.",
)

weights_option = click.option(
    "--weights",
    metavar="imagenet|none|FILE",
    help="Where pretrained networks start: --set weights=...  [default: imagenet]",
)


def with_weights(
    settings: Iterable[tuple[str, str]], weights: str | None
) -> tuple[tuple[str, str], ...]:
    """The knobs named by `--set`, and the one that `--weights` stands for."""
    if weights is None:
        return tuple(settings)
    if "weights" in dict(settings):
        raise click.UsageError("--weights and --set weights=... exclude each other.")
    return (*settings, ("weights", weights))


shape_options = together(
    click.option(
        "--depth",
        type=COUNT,
        help="Depth, as the family counts it.  [default: the family's]",
    ),
    click.option(
        "--width",
        type=COUNT,
        help="Width, as the family counts it.  [default: the family's]",
    ),
)


def knobs_of(
    settings: Iterable[tuple[str, str]], depth: int | None, width: int | None
) -> dict[str, Any]:
    """The knobs named by `--set`, `--depth` and `--width`, each once."""
    named = {"depth": depth, "width": width}
    given = {name: value for name, value in named.items() if value is not None}
    for name in given:
        if name in dict(settings):
            raise click.UsageError(f"--{name} and --set {name}=... exclude each other.")
    return {**dict(settings), **given}


data_option = click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|PATH",
    help="A name, as digits or diabetes, or the path of a folder, a CSV or NPZ file.",
)

data_options = together(
    click.option(
        "--label",
        multiple=True,
        metavar="COLUMN",
        help="Column to predict; may be repeated.",
    ),
    click.option(
        "--text",
        multiple=True,
        metavar="COLUMN",
        help="Column that is text, read word by word; may be repeated.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        metavar="COLUMN",
        help="Column to leave out; may be repeated.",
    ),
    click.option(
        "--split-by",
        metavar="COLUMN|PATTERN",
        help="Equal values of a column stay in one part; of files, what a regular "
        "expression finds in their paths.",
    ),
    click.option(
        "--image-size",
        type=SIZE,
        metavar="SIZE",
        help="Size that images are brought to: 32, or 32x48 for height and width.",
    ),
    click.option(
        "--resize",
        type=click.Choice(["crop", "pad", "stretch"]),
        help="How: cut off what is too much, add black, or change proportions.",
    ),
    click.option(
        "--channels",
        type=click.Choice([1, 3]),
        help="Grey images, or images in colour.",
    ),
    click.option(
        "--seconds",
        type=SECONDS,
        help="Length that sounds are cut or padded to: 1s.",
    ),
    click.option("--length", type=COUNT, help="Tokens of a text that are read."),
    click.option("--vocabulary", type=COUNT, help="Most different tokens."),
    click.option(
        "--kind",
        type=click.Choice(list(INPUT_RANKS)),
        help="What an example is, where it should not be inferred.",
    ),
)


LOADING = tuple(item.name for item in fields(Options) if item.name != "memory")
"""Names of what `data_options` give."""


def load_asked(source: str, asked: dict[str, Any], quiet: bool = False) -> Dataset:
    """The data of a source and of `data_options`, which are taken out of `asked`."""
    chosen = {name: asked.pop(name) for name in LOADING}
    # They are read by Keras, which would say a lot while it starts.
    if source in KERAS_DATASETS:
        start_tensorflow(quiet)
    return load_dataset(source, **chosen)


training_options = together(
    click.option(
        "--objective",
        metavar="METRIC",
        help="A metric by its Keras name: accuracy, recall, auc, f1, rmse, ...; of "
        "several targets the mean over them, or mean for accuracy of classes and r2 of "
        "real values.  [default: accuracy, or rmse for real values; mean of several]",
    ),
    click.option(
        "--class-weights",
        type=click.Choice(["none", "balanced"]),
        default="none",
        show_default=True,
        help="Whether rare classes count as much as frequent ones in the loss.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Epochs of a training.  [default: about 1,600 steps]",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Examples a step.  [default: 32, 64 or 128, as suits the data]",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        show_default=True,
        help="Decides every random choice.",
    ),
    click.option(
        "--strategy",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Devices: auto, one, mirrored or none.",
    ),
)

baseline_options = together(
    click.option(
        "--baseline",
        metavar="FILE",
        help="Your present model (.keras), to compare with on the same data.",
    ),
    click.option(
        "--retrain-baseline",
        is_flag=True,
        help="Also train that model anew, once, with the same recipe.",
    ),
)

run_option = click.option(
    "--run",
    type=click.Path(file_okay=False),
    help="Folder of the run.  [default: a name made from the options, in runs/]",
)

model_option = click.option(
    "--model",
    "which",
    type=click.Choice(["recommended", "best"]),
    default="recommended",
    show_default=True,
    help="Which trained model of the run.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output."
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress.")

family_names = ", ".join(FAMILIES)
