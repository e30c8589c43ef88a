"""What more examples would buy, beside more parameters: table, sentence, plain data."""

from collections.abc import Iterator
from typing import Any

from kscale.runs.law.data_law import Cell, ExamplesTable, Gain
from kscale.runs.law.quantities import Quantity
from kscale.text import Grid


def examples_grid(of: Quantity, table: ExamplesTable) -> Grid:
    """What each size would reach on each number of examples, over 90 % intervals."""
    header = ["params", *(f"{cell.examples:,} examples" for cell in table.rows[0])]
    rows: list[list[str]] = []
    for row in table.rows:
        values = (of.text(of.value(cell.predicted)) for cell in row)
        rows.append([f"{row[0].params:,}", *values])
        rows.append(["", *(_interval(of, cell) for cell in row)])
    return Grid(header, [True] * len(header), rows)


def examples_sentences(table: ExamplesTable) -> Iterator[str]:
    """Whether more parameters or more data pay."""
    first, times = table.rows[0], f"{table.times:g} times"
    data = f"{times} the examples would take away {_part(table.by_examples)}"
    params = f"{times} the params {_part(table.by_params)}"
    pays = {"examples": "More data pays more", "params": "More params pay more"}
    yield (
        f"{pays.get(table.better, 'Neither clearly pays more')}: at "
        f"{first[0].params:,} params and {first[-2].examples:,} examples, {data}, and "
        f"{params}."
    )


def examples_json(of: Quantity, table: ExamplesTable) -> dict[str, Any]:
    """Raw numbers, in the unit in which values were given."""
    gains = {"params": table.by_params, "examples": table.by_examples}
    return {
        "times": table.times,
        "predictions": [_cell(of, cell) for row in table.rows for cell in row],
        "error_taken_away": {name: vars(gain).copy() for name, gain in gains.items()},
        "pays_more": table.better or None,
    }


def _interval(of: Quantity, cell: Cell) -> str:
    return " to ".join(map(of.text, of.interval(cell.low, cell.high)))


def _part(gain: Gain) -> str:
    low, middle, high = (100 * each for each in (gain.low, gain.predicted, gain.high))
    return f"{middle:.0f} % of the error (90 % interval {low:.0f} to {high:.0f})"


def _cell(of: Quantity, cell: Cell) -> dict[str, Any]:
    low, high = of.interval(cell.low, cell.high)
    sizes = {"params": cell.params, "examples": cell.examples}
    return {**sizes, "predicted": of.value(cell.predicted), "low": low, "high": high}
