"""What the code of a network says of inputs and targets: sentences, and few numbers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kscale.building.code.layout import identifier, literal
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.log_mel import LogMel
from kscale.data.preprocessing.scaled import Scaled, Scaling, Unchanged
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.data.preprocessing.text_tokens import TextTokens
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
from kscale.task.tasks import Input, Target, Task
from kscale.text import printable

_MOST_NUMBERS = 16
_MOST_NAMES = 20


class Words(NamedTuple):
    """A sentence, or the end of one, and the constants that the text speaks of."""

    text: str
    constants: Mapping[str, Any] = {}


def words_of_task(
    task: Task,
    preprocessing: Mapping[str, Preprocessing],
    scaling: Mapping[str, Scaling],
) -> tuple[list[Words], list[Words]]:
    """Of each input how to make the input, and of each output what the output is.

    The preprocessing of an input need not be known. Targets of real values may have a
    scaling, from the output to the unit of the data.
    """
    given = [*(item.name for item in task.inputs), *(it.name for it in task.targets)]
    prefixes = iter(constant_names(given))
    inputs = [
        words_of_input(item, preprocessing.get(item.name), next(prefixes))
        for item in task.inputs
    ]
    outputs = [target.name for target in task.targets]
    if len(outputs) > 1:
        outputs = [layer_name(name) for name in head_names(task)]
    return inputs, [
        _words_of_output(target, output, scaling.get(target.name), next(prefixes))
        for target, output in zip(task.targets, outputs, strict=True)
    ]


def words_of_input(
    item: Input, preprocessing: Preprocessing | None, prefix: str
) -> Words:
    """How to make an input; names of constants begin with the prefix."""
    what = f"`{printable(item.name)}` is {item.dtype} {literal((None, *item.shape))}"
    if item.vocabulary:
        what += f", ids below {item.vocabulary:,} with padding 0"
    if preprocessing is None:
        return Words(f"{what}.")
    text, constants = PREPARED[type(preprocessing)](preprocessing, prefix)
    return Words(f"{what}: {text}.", constants)


def _words_of_output(
    target: Target, output: str, scaling: Scaling | None, prefix: str
) -> Words:
    name, count = printable(output), target.head.count_text(target.outputs)
    if target.head.is_named:
        names = [printable(item) for item in target.class_names[:_MOST_NAMES]]
        more = ", ..." if len(target.class_names) > _MOST_NAMES else ""
        listed = f": {', '.join(names)}{more}" if names else ""
        return Words(f"`{name}` is logits of {count}{listed}.")
    if scaling is None or scaling.is_identity:
        return Words(f"`{name}` is {count} in the unit of the data.")
    text, constants = _scaled(scaling, prefix, "output")
    return Words(f"`{name}` is {count}; in the unit of the data: {text}.", constants)


def _of_scaled(item: Scaled, prefix: str) -> Words:
    if item.scaling.is_identity:
        return _AS_THEY_ARE
    return _scaled(item.scaling, prefix, "raw")


def _of_log_mel(item: LogMel, prefix: str) -> Words:
    return Words(
        f"decibels of {item.bands} mel bands of the waveform at {item.rate:,} Hz, "
        f"keras.layers.MelSpectrogram with windows of {item.window} samples and steps "
        f"of {item.step}; then each band times a factor plus an offset that were "
        "fitted on the training part, as run.json says"
    )


def _of_text(item: TextTokens, prefix: str) -> Words:
    what = "characters" if item.by_characters else "words"
    return Words(
        f"the first {item.length:,} {what} of the text, as "
        "keras.layers.TextVectorization makes ids of them with the "
        f"{len(item.words):,} {what} in run.json"
    )


def _of_columns(item: TableColumns, prefix: str) -> Words:
    kinds = (
        (len(item.numbers), "number", "numbers", "scaled"),
        (len(item.categories), "category", "categories", "one-hot"),
    )
    there = [
        f"{count} {one if count == 1 else many}, {how},"
        for count, one, many, how in kinds
        if count
    ]
    return Words(f"{' and '.join(there)} in the order and with the factors of run.json")


def _scaled(scaling: Scaling, prefix: str, of: str) -> Words:
    if len(scaling.scale) > _MOST_NUMBERS:
        return Words(
            f"each of the {len(scaling.scale)} features times a factor plus an offset "
            "that were fitted on the training part, as run.json says"
        )
    numbers = {"SCALE": scaling.scale, "OFFSET": scaling.offset}
    constants = {
        f"{prefix}_{name}": tuple(values) if len(values) > 1 else values[0]
        for name, values in numbers.items()
    }
    return Words(f"{of} * {prefix}_SCALE + {prefix}_OFFSET", constants)


def constant_names(names: Iterable[str]) -> list[str]:
    """Names as those of constants, no two the same.

    Example:

    >>> constant_names(["pixel values", "1st", "1ST"])
    ['PIXEL_VALUES', 'X_1ST', 'X_1ST_2']
    """
    taken: set[str] = set()
    return [identifier(name.upper(), taken).upper() for name in names]


_AS_THEY_ARE = Words("the numbers as they are")

PREPARED: dict[type[Preprocessing], Callable[[Any, str], Words]] = {
    LogMel: _of_log_mel,
    Scaled: _of_scaled,
    TableColumns: _of_columns,
    TextTokens: _of_text,
    Unchanged: lambda item, prefix: _AS_THEY_ARE,
}
"""Words for each preprocessing; `kscale.ship.preprocessing_layers` applies it."""
