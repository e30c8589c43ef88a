"""What the code of a network says of inputs and targets: sentences, and few numbers."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kscale.building.code.layout import literal
from kscale.data.preprocessing import Preprocessing
from kscale.data.preprocessing.column_features import TableColumns
from kscale.data.preprocessing.log_mel import LogMel
from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.preprocessing.text import TextTokens
from kscale.data.scaling import Scaling
from kscale.task.tasks import Input, Target
from kscale.text import printable

_MOST_NUMBERS = 16
_MOST_CLASSES = 20


class Words(NamedTuple):
    """A sentence, and the constants that it speaks of by name.

    Args:
        text: The sentence.
        constants: Numbers to define in the code.
    """

    text: str
    constants: Mapping[str, Any]


def words_of_input(
    item: Input, preprocessing: Preprocessing | None, prefix: str
) -> Words:
    """How to make an input of the network.

    Args:
        item: The input.
        preprocessing: What makes it of raw inputs, if that is known.
        prefix: What names of constants begin with.
    """
    what = f"`{printable(item.name)}` is {item.dtype} {literal((None, *item.shape))}"
    if item.kind == "tokens":
        what += f", ids below {item.vocabulary:,} with padding 0"
    if preprocessing is None:
        return Words(f"{what}.", {})
    text, constants = PREPARED[type(preprocessing)](preprocessing, prefix)
    return Words(f"{what}: {text}.", constants)


def words_of_target(
    target: Target, output: str, scaling: Scaling | None, prefix: str
) -> Words:
    """What an output of the network is; arguments as for `words_of_input`.

    Args:
        output: What the code calls it: its name where there are several.
    """
    name = printable(output)
    what = target.head.count_text(target.outputs)
    if not target.head.is_named:
        if scaling is None or scaling.is_identity:
            return Words(f"`{name}` is {what} in the unit of the data.", {})
        text, constants = _scaled(scaling, prefix, "output")
        return Words(f"`{name}` is {what}; in the unit of the data: {text}.", constants)
    names = [printable(item) for item in target.class_names[:_MOST_CLASSES]]
    more = ", ..." if len(target.class_names) > _MOST_CLASSES else ""
    listed = f": {', '.join(names)}{more}" if names else ""
    return Words(f"`{name}` is logits of {what}{listed}.", {})


def _of_scaled(item: Scaled, prefix: str) -> Words:
    if item.scaling.is_identity:
        return Words("the numbers as they are", {})
    return _scaled(item.scaling, prefix, "raw")


def _of_unchanged(item: Unchanged, prefix: str) -> Words:
    return Words("the numbers as they are", {})


def _of_log_mel(item: LogMel, prefix: str) -> Words:
    text = (
        f"decibels of {item.bands} mel bands of the waveform at {item.rate:,} Hz, "
        f"keras.layers.MelSpectrogram with windows of {item.window} samples and steps "
        f"of {item.step}; then each band times a factor plus an offset that were "
        "fitted on the training part, as run.json says"
    )
    return Words(text, {})


def _of_text(item: TextTokens, prefix: str) -> Words:
    text = (
        f"the first {item.length:,} words of the text, as "
        "keras.layers.TextVectorization makes ids of them with the "
        f"{len(item.words):,} words in run.json"
    )
    return Words(text, {})


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
    text = f"{' and '.join(there)} in the order and with the factors of run.json"
    return Words(text, {})


def _scaled(scaling: Scaling, prefix: str, of: str) -> Words:
    if len(scaling.scale) > _MOST_NUMBERS:
        text = (
            f"each of the {len(scaling.scale)} features times a factor plus an offset "
            "that were fitted on the training part, as run.json says"
        )
        return Words(text, {})
    constants = {
        f"{prefix}_SCALE": _short(scaling.scale),
        f"{prefix}_OFFSET": _short(scaling.offset),
    }
    return Words(f"{of} * {prefix}_SCALE + {prefix}_OFFSET", constants)


def _short(numbers: tuple[float, ...]) -> Any:
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def constant_names(names: Iterable[str]) -> list[str]:
    """Names as those of constants, each another one.

    Example:

    >>> constant_names(["pixel values", "1st", "1ST"])
    ['PIXEL_VALUES', 'X_1ST', 'X_1ST_2']
    """
    found: list[str] = []
    for name in names:
        kept = re.sub(r"\W", "_", name, flags=re.ASCII).upper()
        base = kept if kept[:1].isalpha() else f"X_{kept}"
        same = sum(re.sub(r"_\d+$", "", other) == base for other in found)
        found.append(f"{base}_{same + 1}" if same else base)
    return found


PREPARED: dict[type[Preprocessing], Callable[[Any, str], Words]] = {
    LogMel: _of_log_mel,
    Scaled: _of_scaled,
    TableColumns: _of_columns,
    TextTokens: _of_text,
    Unchanged: _of_unchanged,
}
"""How each preprocessing is told; `kscale.ship.preprocessing_layers` applies it."""
