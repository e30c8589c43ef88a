"""What searches by the wall clock found, and how soon."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from versus.live import counted, name_of, picks
from versus.scoring import first_at

Row = Mapping[str, Any]
Truth = Mapping[tuple[str, str], Row]
Curve = Sequence[tuple[float, float]]
"""Seconds at which the answer changed, and what the new one is truly worth."""


def curve_of(row: Row, truth: Truth) -> Curve:
    """True scores of the answers of a search, in per cent of the test part."""
    return [
        (at, 100 * fmean(truth[row["data"], name]["test"])) for at, name in picks(row)
    ]


def markdown(rows: Sequence[Row], truth: Truth) -> str:
    """A table of each data set."""
    lines = []
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        finals = [
            c[-1][1]
            for row in here
            if row["tool"] == "KerasTuner"
            if (c := curve_of(row, truth))
        ]
        goal = median(finals) if finals else None
        loads = [row["load"] for row in here]
        wanted = "" if goal is None else f" to {goal:.1f} %"
        lines += [
            f"### {data}, {here[0]['seconds']:g} s; load of the machine "
            f"{min(loads):g} to {max(loads):g}",
            "",
            f"| tool | seeds | trainings | true score % | seconds{wanted} | ended at s "
            "| whole search / training of the winner |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for tool in dict.fromkeys(row["tool"] for row in here):
            own = [row for row in here if row["tool"] == tool]
            lines.append(_line(tool, own, truth, goal))
        lines.append("")
    return "\n".join(lines)


def _line(tool: str, rows: Sequence[Row], truth: Truth, goal: float | None) -> str:
    curves = [curve for row in rows if (curve := curve_of(row, truth))]
    ends = [curve[-1][1] for curve in curves]
    firsts = [first_at(curve, goal) for curve in curves if goal is not None]
    cells = [
        tool,
        str(len(rows)),
        f"{median(len(counted(row)) for row in rows):g}",
        _range(ends, 1),
        ", ".join("never" if at is None else f"{at:.1f}" for at in firsts),
        _range([row["ended_at"] for row in rows], 0),
        _range([share for row in rows if (share := _share(row)) is not None], 1),
    ]
    return "| " + " | ".join(cells) + " |"


def _share(row: Row) -> float | None:
    """The time of a whole search by that of one training of the winner, as finalist."""
    times: dict[str, list[float]] = {}
    for event in row["found"]:
        if event["kind"] == "finalist":
            times.setdefault(name_of(event["knobs"], event["rate"]), []).append(
                event["seconds"]
            )
    if not times:
        return None
    name = picks(row)[-1][1]
    return None if name not in times else row["ended_at"] / fmean(times[name])


def _range(values: Sequence[float], digits: int) -> str:
    """The median, and the least and largest where there are several."""
    if not values:
        return ""
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"
