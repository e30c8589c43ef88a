"""The size of one network for people and programs, with where the size sits."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kscale.networks.sizing import Size, SizeRow
from kscale.reports.on_device import OnDevice, on_device
from kscale.text import plain_text, printable
from kscale.units import format_bytes, format_count

WEIGHT_TYPES = ("float32", "float16", "int8", "int4")
"""Types in which the bytes of the weights are shown."""

_FEW_ROWS = 8
_FIGURES = (
    "depth",
    "width",
    "copies",
    "params",
    "share",
    "FLOPs",
    "bytes",
    "flash",
    "RAM",
    "of budget",
    "networks",
    "trainings",
    "epochs",
    "time",
)


class Part(NamedTuple):
    """A top-level piece of a network, such as all blocks of one kind."""

    name: str
    params: int
    flops: int
    copies: int


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
    pieces: dict[str, list[SizeRow]] = {}
    for row in rows:
        pieces.setdefault(row.path.split("/")[0], []).append(row)
    parts: list[Part] = []
    for name, group in pieces.items():
        _, first, last = _numbers(name)
        flops = sum(row.flops or 0 for row in group)
        part = Part(name, sum(row.params for row in group), flops, last - first + 1)
        merged = _merged(parts[-1], part) if parts else None
        parts[-1:] = [merged] if merged else [*parts[-1:], part]
    return parts


def _numbers(name: str) -> tuple[str | None, int, int]:
    """Stem, first and last number of `block2-12`; no stem without a number."""
    match = re.fullmatch(r"(.*?)(\d+)(?:-(\d+))?", name)
    if match is None:
        return None, 0, 0
    return match[1], int(match[2]), int(match[3] or match[2])


def _merged(left: Part, right: Part) -> Part | None:
    """Two neighbours as one if their names go on and their copies are equal."""
    (stem, first, middle), (other, following, last) = map(
        _numbers, (left.name, right.name)
    )
    goes_on = stem == other and following == middle + 1
    if not goes_on or left.params * right.copies != right.params * left.copies:
        return None
    sums = (mine + its for mine, its in zip(left[1:], right[1:], strict=True))
    return Part(f"{stem}{first}-{last}", *sums)


@dataclass(frozen=True)
class ModelSize:
    """The exact size of one network, where it sits and what each layer adds.

    Args:
        title: What the network is.
        size: The figures, without what unknown layers compute and need while they run.
        rows: A row for each layer, equal copies in one, with None for unknown FLOPs.
        depth, width: As the family counts, for the shortcut depth x width^2.
        stored_bytes: Bytes of the weights in the types of the model file, int8 if
            quantized; 0 if all are float32.
        about: Further items of the JSON document.
        limits: Most `max_flash` and `max_ram` of a microcontroller, where one is asked
            about: then the size says whether the network fits.
    """

    title: str
    size: Size
    rows: Sequence[SizeRow]
    depth: int | None = None
    width: int | None = None
    stored_bytes: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def device(self) -> OnDevice | None:
        """What the network needs on the microcontroller that is asked about."""
        return on_device(self.size, self.limits) if self.limits else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Paths of the layers whose FLOPs are unknown: the total is without them."""
        return tuple(row.path for row in self.rows if row.flops is None)

    @property
    def shortcut_params(self) -> int | None:
        """The often-quoted estimate depth x width^2; None where either is missing."""
        return self.depth * self.width**2 if self.depth and self.width else None

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
            **size.figures,
            "unknown_flops": list(self.unknown),
            "weight_bytes": {dtype: size.weight_bytes(dtype) for dtype in WEIGHT_TYPES},
            "shortcut_params": self.shortcut_params,
            "parts": [part._asdict() for part in parts_of(self.rows)],
            "layers": [
                {**row._asdict(), "shape": list(row.shape)} for row in self.rows
            ],
            **({"device": self.device.to_json()} if self.device else {}),
            **self.about,
        }

    def to_text(self, width: int = 100) -> str:
        """Tables for people: the figures, the parts and the layers."""
        items: list[Any] = [Text(printable(self.title)), _headline(self)]
        if shortcut := self.shortcut_params:
            share = _percent(shortcut, self.size.params)
            text = f"The shortcut depth x width^2 gives {shortcut:,}: "
            items.append(f"{text}{share} of the params.")
        parts = parts_of(self.rows)
        if len(parts) < max(len(self.rows), _FEW_ROWS):  # else both tables are the same
            items += ["", "Where it sits", _parts_table(self.size, parts, self.width)]
        items += ["", "Layers", _layers_table(self)]
        return plain_text(Group(*items), width)

    def __str__(self) -> str:
        return self.to_text()


def _headline(model: ModelSize) -> Table:
    size, unknown = model.size, model.unknown
    trainable = "all" if size.trainable == size.params else f"{size.trainable:,}"
    weights = (
        f"{format_bytes(size.weight_bytes(dtype))} {dtype}" for dtype in WEIGHT_TYPES
    )
    least = "at least " if any(None in row.shape for row in model.rows) else ""
    rows = [
        ("params", f"{size.params:,} ({trainable} trainable)"),
        ("FLOPs", f"{size.flops:,} for one example forward"),
        ("weights", ", ".join(weights)),
        (
            "activations",
            f"{least}{format_bytes(size.activation_bytes)} at most at once; training "
            f"holds {format_bytes(size.training_activation_bytes)} an example",
        ),
    ]
    if model.stored_bytes not in (0, size.weight_bytes()):
        rows.insert(3, ("", f"{format_bytes(model.stored_bytes)} as they are"))
    if model.device:
        rows += model.device.rows()
    if unknown:
        several = f"{len(unknown)} layers" if len(unknown) > 1 else "a layer"
        names = ", ".join(unknown[:3]) + ", ..." * (len(unknown) > 3)
        rows.insert(2, ("", f"without {several} of unknown cost: {names}"))
    return figure_table(("", ""), rows)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def figure_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], total: Sequence[str] = ()
) -> Table:
    """A table of `rich`, columns of figures aligned to the right; long cells wrap."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(headers)
    )
    for header in headers:
        justify: Any = "right" if header in _FIGURES else "left"
        table.add_column(header, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if total:
        table.add_row(*total, style="bold")
    return table


def _parts_table(size: Size, parts: Sequence[Part], width: int | None) -> Table:
    rows = [
        (
            part.name,
            f"{part.params:,}",
            _percent(part.params, size.params),
            format_count(part.flops),
            _per_copy(part, width),
        )
        for part in parts
        if part.params or part.flops
    ]
    total = ("all", f"{size.params:,}", _percent(1, 1), format_count(size.flops), "")
    return figure_table(("part", "params", "share", "FLOPs", ""), rows, total)


def _per_copy(part: Part, width: int | None) -> str:
    """Params of one of several copies, in squares of the width if known."""
    if part.copies < 2:
        return ""
    each = part.params / part.copies
    squares = f" = {each / width**2:.3g} width^2" if width else ""
    return f"{part.copies} x {format_count(round(each))}{squares}"


def _layers_table(model: ModelSize) -> Table:
    headers = ("layer", "kind", "output", "copies", "params", "FLOPs")
    rows = [
        (
            row.path,
            row.kind,
            " x ".join("?" if n is None else str(n) for n in row.shape) or "1",
            f"x {row.copies}" if row.copies > 1 else "",
            f"{row.params:,}",
            "unknown" if row.flops is None else f"{row.flops:,}",
        )
        for row in model.rows
    ]
    least = "at least " if model.unknown else ""
    figures = (f"{model.size.params:,}", f"{least}{model.size.flops:,}")
    return figure_table(headers, rows, ("all", "", "", "", *figures))
