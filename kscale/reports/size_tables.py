"""The size of one network for people and programs, with where the size sits."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kscale.networks.sizing import Size, SizeRow
from kscale.text import plain_text, printable
from kscale.units import format_bytes, format_count

WEIGHT_TYPES = ("float32", "float16", "int8", "int4")
"""Types in which the bytes of the weights are shown."""

_NUMBERED = re.compile(r"(.*?)(\d+)(?:-(\d+))?")
_FEW_ROWS = 8
_WORDS = ("", "part", "layer", "kind", "output", "family")


class Part(NamedTuple):
    """A top-level piece of a network, such as all blocks of one kind."""

    name: str
    params: int
    flops: int
    copies: int


def shortcut_params(depth: int | None, width: int | None) -> int | None:
    """The often-quoted estimate depth x width^2; None where either is missing.

    Example:

    >>> shortcut_params(24, 1024)
    25165824
    """
    return depth * width**2 if depth and width else None


def parts_of(rows: Iterable[SizeRow]) -> list[Part]:
    """Params and FLOPs by the first piece of the paths; equal neighbours as one.

    Example:

    >>> rows = [
    ...     SizeRow("ids", "Embedding", (4, 8), 80, 0, 1),
    ...     SizeRow("block1/dense", "Dense", (4, 8), 72, 512, 1),
    ...     SizeRow("block2-3/dense", "Dense", (4, 8), 144, 1024, 2),
    ... ]
    >>> [(part.name, part.params, part.copies) for part in parts_of(rows)]
    [('ids', 80, 1), ('block1-3', 216, 3)]
    """
    sums: dict[str, Part] = {}
    for row in rows:
        name = row.path.split("/")[0]
        before = sums.get(name, Part(name, 0, 0, _copies(name)))
        sums[name] = before._replace(
            params=before.params + row.params, flops=before.flops + (row.flops or 0)
        )
    parts: list[Part] = []
    for part in sums.values():
        merged = _merged(parts[-1], part) if parts else None
        parts[-1:] = [merged] if merged else [*parts[-1:], part]
    return parts


def _copies(name: str) -> int:
    match = _NUMBERED.fullmatch(name)
    return int(match[3]) - int(match[2]) + 1 if match and match[3] else 1


def _merged(left: Part, right: Part) -> Part | None:
    """Two neighbours as one if their names go on and their copies are equal."""
    ends = [_NUMBERED.fullmatch(part.name) for part in (left, right)]
    first, second = ends
    if not (first and second) or first[1] != second[1]:
        return None
    follows = int(second[2]) == int(first[3] or first[2]) + 1
    if not follows or left.params * right.copies != right.params * left.copies:
        return None
    return Part(
        f"{first[1]}{first[2]}-{second[3] or second[2]}",
        left.params + right.params,
        left.flops + right.flops,
        left.copies + right.copies,
    )


@dataclass(frozen=True)
class ModelSize:
    """The exact size of one network, where it sits and what each layer adds.

    Args:
        title: What the network is.
        size: The figures, without what unknown layers compute and need while they run.
        rows: A row for each layer, equal copies in one, with None for unknown FLOPs.
        depth, width: As the family counts them, for the shortcut depth x width^2.
        stored_bytes: Bytes of the weights in their own types, int8 if quantized; 0 if
            all are float32.
        about: Further items of the JSON document.
    """

    title: str
    size: Size
    rows: Sequence[SizeRow]
    depth: int | None = None
    width: int | None = None
    stored_bytes: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Paths of the layers whose FLOPs are unknown: the total is without them."""
        return tuple(row.path for row in self.rows if row.flops is None)

    def to_json(self) -> dict[str, Any]:
        """Raw integers, under `params`, `flops` and so on.

        Example:

        >>> ModelSize("tiny", Size(10, 10, 16, 8, 8), ()).to_json()["weight_bytes"]
        {'float32': 40, 'float16': 20, 'int8': 10, 'int4': 5}
        """
        size = self.size
        return {
            "name": self.title,
            "depth": self.depth,
            "width": self.width,
            "params": size.params,
            "trainable": size.trainable,
            "flops": size.flops,
            "unknown_flops": list(self.unknown),
            "weight_bytes": {dtype: size.weight_bytes(dtype) for dtype in WEIGHT_TYPES},
            "activation_bytes": size.activation_bytes,
            "training_activation_bytes": size.training_activation_bytes,
            "shortcut_params": shortcut_params(self.depth, self.width),
            "parts": [part._asdict() for part in parts_of(self.rows)],
            "layers": [
                {**row._asdict(), "shape": list(row.shape)} for row in self.rows
            ],
            **self.about,
        }

    def to_text(self, width: int = 100) -> str:
        """Tables for people: the figures, the parts and the layers."""
        items: list[Any] = [Text(printable(self.title)), _headline(self)]
        shortcut = shortcut_params(self.depth, self.width)
        if shortcut is not None:
            items.append(_shortcut_text(self.size, shortcut))
        parts = parts_of(self.rows)
        if len(parts) < max(len(self.rows), _FEW_ROWS):  # else both tables are the same
            items += ["", "Where it sits", _parts_table(self.size, parts, self.width)]
        items += ["", "Layers", _layers_table(self)]
        return plain_text(Group(*items), width)

    def __str__(self) -> str:
        return self.to_text()


def _headline(model: ModelSize) -> Table:
    size, unknown = model.size, model.unknown
    table = figure_table("", "")
    weights = ", ".join(
        f"{format_bytes(size.weight_bytes(dtype))} {dtype}" for dtype in WEIGHT_TYPES
    )
    trainable = "all" if size.trainable == size.params else f"{size.trainable:,}"
    table.add_row("params", f"{size.params:,} ({trainable} trainable)")
    table.add_row("FLOPs", f"{size.flops:,} for one example forward")
    if unknown:
        several = f"{len(unknown)} layers" if len(unknown) > 1 else "a layer"
        names = ", ".join(unknown[:3]) + ", ..." * (len(unknown) > 3)
        table.add_row(
            "", Text(printable(f"without {several} of unknown cost: {names}"))
        )
    table.add_row("weights", weights)
    if model.stored_bytes not in (0, size.weight_bytes()):
        table.add_row("", f"{format_bytes(model.stored_bytes)} as they are")
    least = "at least " if any(None in row.shape for row in model.rows) else ""
    table.add_row(
        "activations",
        f"{least}{format_bytes(size.activation_bytes)} at most at once; training holds "
        f"{format_bytes(size.training_activation_bytes)} an example",
    )
    return table


def _shortcut_text(size: Size, shortcut: int) -> str:
    share = f"{_percent(shortcut, size.params)} of the params" if size.params else ""
    return f"The shortcut depth x width^2 gives {shortcut:,}: {share}."


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def figure_table(*headers: str) -> Table:
    """An empty table of `rich`, columns of figures aligned to the right."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(headers)
    )
    for header in headers:
        table.add_column(header, justify="left" if header in _WORDS else "right")
    return table


def _parts_table(size: Size, parts: Sequence[Part], width: int | None) -> Table:
    table = figure_table("part", "params", "share", "FLOPs", "")
    for part in parts:
        if not (part.params or part.flops):
            continue
        table.add_row(
            Text(printable(part.name)),
            f"{part.params:,}",
            _percent(part.params, size.params),
            format_count(part.flops),
            _per_copy(part, width),
        )
    total = (f"{size.params:,}", _percent(1, 1), format_count(size.flops), "")
    table.add_row("all", *total, style="bold")
    return table


def _per_copy(part: Part, width: int | None) -> str:
    """Params of one of several copies, in squares of the width if known."""
    if part.copies < 2:
        return ""
    each = part.params / part.copies
    squares = f" = {each / width**2:.3g} width^2" if width else ""
    return f"{part.copies} x {format_count(round(each))}{squares}"


def _layers_table(model: ModelSize) -> Table:
    table = figure_table("layer", "kind", "output", "copies", "params", "FLOPs")
    for row in model.rows:
        table.add_row(
            Text(printable(row.path)),
            Text(row.kind),
            " x ".join("?" if n is None else str(n) for n in row.shape) or "1",
            f"x {row.copies}" if row.copies > 1 else "",
            f"{row.params:,}",
            "unknown" if row.flops is None else f"{row.flops:,}",
        )
    least = "at least " if model.unknown else ""
    total = (f"{model.size.params:,}", f"{least}{model.size.flops:,}")
    table.add_row("all", "", "", "", *total, style="bold")
    return table
