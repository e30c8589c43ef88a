"""Options that several commands share: one meaning each, defined once."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscale.cli.output import start_tensorflow
from kscale.data.load_options import Options
from kscale.errors import KscaleError
from kscale.networks.boards import find_board
from kscale.networks.families import find_family
from kscale.task.tasks import INPUT_RANKS
from kscale.text import argument_texts
from kscale.units import parse_bytes, parse_count, parse_seconds

if TYPE_CHECKING:
    from kscale.data.dataset import Dataset
    from kscale.run import Run

Decorator = Callable[[Any], Any]
_GIVEN = click.core.ParameterSource.COMMANDLINE


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """What people write, in the form that a function makes of it."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        try:
            return self.parse(value)
        except KscaleError:
            raise
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise ValueError(f"a setting is NAME=VALUE, not {text!r}.")
    return name.strip().replace("-", "_"), value.strip()


def _sides(text: str, most: int, what: str) -> tuple[int, ...]:
    sides = text.split("x")
    if len(sides) > most or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"{what}, not {text!r}.")
    return tuple(map(int, sides))


def number(least: float, most: float = math.inf) -> Parsed:
    """The type of a number in a range; the number is whole where the least is."""
    is_whole = isinstance(least, int)
    kind = f"a {'whole ' * is_whole}number of at least {least:,.0f}"
    kind = "a number above 0" if 0 < least < 1 else kind
    end = f" and at most {most:,}" if most < math.inf else ""

    def parse(text: str) -> float:
        try:
            found = int(text) if is_whole else float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise ValueError(f"{kind}{end} must be given, not {text!r}.")
        return found

    return Parsed("n", parse)


def _path(text: str) -> str:
    if not text.strip():
        raise ValueError("a path must be given, not an empty text.")
    return text


PATH = Parsed("path", _path)
COUNT = Parsed("count", parse_count)
BYTES = Parsed("bytes", parse_bytes)
SECONDS = Parsed("time", parse_seconds)
SETTING = Parsed("name=value", _setting)
SIZE = Parsed(
    "size", lambda text: (2 * _sides(text, 2, "a size is written 32 or 32x48"))[:2]
)
SHAPE = Parsed("shape", lambda text: _sides(text, 9, "a shape is written 32x32x3"))
FAMILY = Parsed("family", lambda name: find_family(name).name)


def flag_of(name: str) -> str:
    """The option of a parameter: `--max-params` of `max_params`."""
    return f"--{name.replace('_', '-')}"


def option_group(*options: Decorator) -> Decorator:
    """One decorator of several options, shown in their order."""

    return lambda command: reduce(lambda made, add: add(made), options[::-1], command)


LIMITS = {
    "max_params": (COUNT, "Most parameters: 50k, 1.5m, 5e6."),
    "max_flops": (COUNT, "Most FLOPs of one example forward; a multiply-add is 2."),
    "max_bytes": (BYTES, "Most bytes of the weights as they are stored: 2MB."),
    "max_memory": (BYTES, "Most bytes that training is predicted to hold: 500MB."),
    "max_flash": (BYTES, "Most bytes of the int8 LiteRT file on a microcontroller."),
    "max_ram": (
        BYTES,
        "Most bytes of RAM that the network needs in TensorFlow Lite Micro.",
    ),
}
"""Limits on sizes: type and help."""

board_option = click.option(
    "--board",
    type=Parsed("board", lambda name: find_board(name).name),
    help="A microcontroller board, such as esp32-s3, nrf52840-dk, raspberry-pi-pico or "
    "stm32f746 (a wrong name prints all): at most three quarters of its flash and of "
    "its RAM, or less where --max-flash or --max-ram says so.",
)

budget_options = option_group(
    *(
        click.option(flag_of(name), type=kind, help=text)
        for name, (kind, text) in LIMITS.items()
    ),
    board_option,
)

settings_option = click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Fix a knob that 'kscale families NAME' lists; may be repeated.",
)

_AS_COUNTED = "as the family counts it.  [default: the family's]"
shape_options = option_group(
    click.option("--depth", type=COUNT, help=f"Depth, {_AS_COUNTED}"),
    click.option("--width", type=COUNT, help=f"Width, {_AS_COUNTED}"),
)


def knobs_of(asked: dict[str, Any], *names: str) -> dict[str, Any]:
    """The knobs that `--set` and options of their names give, taken out of `asked`."""
    settings = dict(asked.pop("settings"))
    for name in names:
        if (value := asked.pop(name)) is not None:
            conflict = f"--{name} and --set {name}=... exclude each other."
            refuse_if(name in settings, conflict)
            settings[name] = value
    return settings


data_option = click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|PATH",
    help="A name, such as digits, or the path of a folder, a CSV or an NPZ file.",
)


def described(
    name: str, *flags: str, texts: Mapping[str, str], **about: Any
) -> Decorator:
    """An option of a field of a record; the help is the text of the field.

    A field in backticks becomes its option, other code is quoted. Other names of the
    option are given as `flags`; `about` goes to `click.option`, its `help` first.
    """

    def typed(code: re.Match[str]) -> str:
        return flag_of(code[1]) if code[1] in texts else f"'{code[1]}'"

    help = about.pop("help", re.sub("`([^`]+)`", typed, texts[name]))
    if about.get("multiple"):
        help = f"{help.rstrip('.')}; may be repeated."
    return click.option(*(flags or [flag_of(name)]), name, help=help, **about)


_loading = partial(described, texts=argument_texts(Options))
data_options = option_group(
    _loading("label", "--label", "--target", multiple=True, metavar="COLUMN"),
    _loading("source", metavar="COLUMN"),
    _loading("next", metavar="COLUMN"),
    _loading("text", multiple=True, metavar="COLUMN"),
    _loading("ignore", multiple=True, metavar="COLUMN"),
    _loading("decimal", type=click.Choice([".", ","])),
    _loading("split_by", metavar="COLUMN|PATTERN"),
    _loading("image_size", type=SIZE, metavar="SIZE"),
    _loading("resize", type=click.Choice(["crop", "pad", "stretch"])),
    _loading("channels", type=click.Choice([1, 3])),
    _loading("seconds", type=SECONDS),
    _loading("length", type=COUNT),
    _loading("vocabulary", type=COUNT),
    _loading("vectors", type=PATH, metavar="FILE"),
    _loading("kind", type=click.Choice(list(INPUT_RANKS))),
)

LOADING = tuple(item.name for item in fields(Options) if item.name != "memory")
"""Names of the values that `data_options` give."""


def load_asked(source: str, asked: dict[str, Any], quiet: bool = False) -> "Dataset":
    """The data of a source and of `data_options`, which are taken out of `asked`."""
    from kscale.data.loading import load_dataset
    from kscale.data.sources.named import KERAS_DATASETS

    chosen = {name: asked.pop(name) for name in LOADING}
    # Keras reads them, and would say a lot while it starts.
    if source in KERAS_DATASETS:
        start_tensorflow(quiet, asked.get("machines", 1) == 1)
    return load_dataset(source, **chosen)


def given_options() -> set[str]:
    """Names of the parameters that the command line gives."""
    context = click.get_current_context()
    source = context.get_parameter_source
    return {name for name in context.params if source(name) is _GIVEN}


def refuse_if(conflict: Any, sentence: str) -> None:
    """Refuse options that do not go together."""
    if conflict:
        raise click.UsageError(sentence)


def refuse_json_and_form(as_json: bool, form: str) -> None:
    """Refuse another form than a table together with JSON."""
    conflict = f"--json and --format {form} exclude each other."
    refuse_if(as_json and form != "table", conflict)


run_argument = click.argument("run", type=PATH, required=False)


def opened_run(run: str | None) -> "Run":
    """A run by its folder, or the run in runs/ that was changed last."""
    from kscale.run import Run

    return Run(run) if run is not None else Run.latest()


moved_option = click.option(
    "--data",
    metavar="NAME|PATH",
    help="Where the data of the run are now.  [default: where they were]",
)

code_option = click.option(
    "--hypermodel",
    metavar="MODULE:NAME",
    help="Your code that built the models, for a run of --hypermodel.",
)


def choice_option(flag: str, name: str, names: Iterable[str], help: str) -> Decorator:
    """An option that is one of several names, the first if it is not given."""
    kind = click.Choice([*names])
    return click.option(
        flag, name, type=kind, default=kind.choices[0], show_default=True, help=help
    )


model_option = choice_option(
    "--model", "which", ("recommended", "best"), "Which trained model of the run."
)


def output_option(text: str, name: str = "output", **kind: Any) -> Decorator:
    """The option of what is written besides what is printed; `kind` is of a path."""
    path = click.Path(path_type=Path, **kind)
    return click.option("-o", "--output", name, type=path, help=text)


overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what is there already."
)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output."
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress.")
