"""What the code of a network says of inputs and targets: sentences, and few numbers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kscale.building.code.layout import identifier, literal
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.log_mel import LogMel
from kscale.data.preprocessing.scaled import Averaged, Scaled, Scaling, Unchanged
from kscale.data.preprocessing.subwords import Subwords
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.data.preprocessing.text_tokens import TextTokens
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
from kscale.task.tasks import Input, Target, Task
from kscale.text import counted, printable

_MOST_NUMBERS = 16
_MOST_NAMES = 20


def words_of_task(
    task: Task,
    preprocessing: Mapping[str, Preprocessing],
    scaling: Mapping[str, Scaling],
    constants: dict[str, Any],
) -> tuple[list[str], list[str]]:
    """A sentence on how to make each input, and on what each output is.

    The preprocessing of an input need not be known. Targets of real values may have a
    scaling, from the output to the unit of the data. Numbers in the sentences are
    added to `constants`.
    """
    given = [*(item.name for item in task.inputs), *(it.name for it in task.targets)]
    prefixes = iter(constant_names(given))
    inputs = [
        words_of_input(item, preprocessing.get(item.name), next(prefixes), constants)
        for item in task.inputs
    ]
    outputs = [target.name for target in task.targets]
    if len(outputs) > 1:
        outputs = [layer_name(name) for name in head_names(task)]
    return inputs, [
        _words_of_output(
            target, name, scaling.get(target.name), next(prefixes), constants
        )
        for target, name in zip(task.targets, outputs, strict=True)
    ]


def words_of_input(
    item: Input,
    preprocessing: Preprocessing | None,
    prefix: str,
    constants: dict[str, Any],
) -> str:
    """How to make an input; names of constants begin with the prefix."""
    what = f"`{printable(item.name)}` is {item.dtype} {literal((None, *item.shape))}"
    if item.vocabulary:
        what += f", ids below {item.vocabulary:,} with padding 0"
    if item.previous:
        what += f", after a start those of `{printable(item.previous)}` but the last"
    if preprocessing is None:
        return f"{what}."
    made = PREPARED[type(preprocessing)](preprocessing)
    if isinstance(made, Scaling):
        made = _scaled(made, "raw", prefix, constants)
    return f"{what}: {made}."


def _words_of_output(
    target: Target,
    name: str,
    scaling: Scaling | None,
    prefix: str,
    constants: dict[str, Any],
) -> str:
    what = f"`{printable(name)}` is"
    count = target.head.count_text(target.outputs)
    if target.head.is_named:
        names = [printable(item) for item in target.class_names[:_MOST_NAMES]]
        names += ["..."] * (len(target.class_names) > _MOST_NAMES)
        at = " at every position" * target.head.is_sequence
        return f"{what} logits of {count}{at}{': ' * bool(names)}{', '.join(names)}."
    if scaling is None or scaling.is_identity:
        return f"{what} {count} in the unit of the data."
    text = _scaled(scaling, "output", prefix, constants)
    return f"{what} {count}; in the unit of the data: {text}."


def _scaled(scaling: Scaling, of: str, prefix: str, constants: dict[str, Any]) -> str:
    if scaling.is_identity:
        return "the numbers as they are"
    if len(scaling.scale) > _MOST_NUMBERS:
        return (
            f"each of the {len(scaling.scale)} features times a factor plus an offset "
            "that were fitted on the training part, as run.json says"
        )
    for name, values in (("SCALE", scaling.scale), ("OFFSET", scaling.offset)):
        constants[f"{prefix}_{name}"] = values if len(values) > 1 else values[0]
    return f"{of} * {prefix}_SCALE + {prefix}_OFFSET"


def _of_averaged(item: Averaged) -> str:
    return (
        "the image times a factor plus an offset a channel, which were fitted on the "
        "training part and stand in run.json; then each of the pixels is the mean of "
        f"its area of the {item.raw.shape[0]} x {item.raw.shape[1]} pixels"
    )


def _of_log_mel(item: LogMel) -> str:
    padding = "; 0 in all bands after the last frame in which something is heard"
    return (
        f"decibels of {item.bands} mel bands of the waveform at {item.rate:,} Hz, "
        f"keras.layers.MelSpectrogram with windows of {item.window} samples and steps "
        f"of {item.step}; then each band times a factor plus an offset that were "
        f"fitted on the training part, as run.json says{padding * item.is_padded}"
    )


def _of_text(item: TextTokens) -> str:
    what = "characters" if item.by_characters else "words"
    return (
        f"the first {item.length:,} {what} of the text, as "
        "keras.layers.TextVectorization makes ids of them with the "
        f"{len(item.words):,} {what} in run.json"
        f"{f'; word vectors of {item.vectors} were their start' * bool(item.vectors)}"
    )


def _of_columns(item: TableColumns) -> str:
    numbers = f"{counted(len(item.numbers), 'number')}, scaled,"
    categories = counted(len(item.categories), "category", "categories")
    there = [numbers] * bool(item.numbers)
    there += [f"{categories}, one-hot,"] * bool(item.categories)
    return f"{' and '.join(there)} in the order and with the factors of run.json"


def constant_names(names: Iterable[str]) -> list[str]:
    """Names in the form of constants, no two the same.

    Example:

    >>> constant_names(["pixel values", "1st", "1ST"])
    ['PIXEL_VALUES', 'X_1ST', 'X_1ST_2']
    """
    taken: set[str] = set()
    return [identifier(name.upper(), taken).upper() for name in names]


def _of_subwords(item: Subwords) -> str:
    return (
        f"ids of the text {printable(item.raw.name)}, which the SentencePiece "
        f"model of {len(item.names):,} sub-words in run.json makes"
    )


PREPARED: dict[type[Preprocessing], Callable[[Any], str | Scaling]] = {
    Averaged: _of_averaged,
    LogMel: _of_log_mel,
    Scaled: lambda item: item.scaling,
    Subwords: _of_subwords,
    TableColumns: _of_columns,
    TextTokens: _of_text,
    Unchanged: lambda item: Scaling(),
}
"""For each preprocessing words or what scales the numbers;
`kscale.ship.preprocessing_layers` applies the preprocessing."""
