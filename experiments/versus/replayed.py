"""Every method on every table: regrets at each cost, their statistics, and a plot."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from replay import OWN, SHARED, TABLES, Replay
from tables.reading import read_table

from kscale.search import SEARCHERS
from versus.on_tables import METHODS, Grid, Problem
from versus.rows import append_row, read_rows
from versus.scoring import holm, median_and_interval, p_value, regret_at

OURS = "kscale auto"
KSCALE = ("auto", "bayesian", "halving", "evolution")
SHARES = (5, 30, 90)
COSTS = (1, 2, 4, 8, 16)

_SLOW = "BayesianOptimization"  # takes some 10 s a search
_AT_ONCE = 4  # repeats in a row of the file
_NEEDS_CURVES = ("Hyperband", "one-epoch top-K")
_LEVEL = 0.05

Row = Mapping[str, Any]


def table_files() -> list[Path]:
    """The tables that are there: those of others, and those of kscale."""
    shared = [SHARED / name for name in TABLES]
    return [*(path for path in shared if path.exists()), *sorted(OWN.glob("*.npz"))]


@cache
def _grids(path: Path, most: int) -> list[Grid]:
    """Tasks of a table, evenly chosen where there are more."""
    tasks = read_table(path)
    places = np.linspace(0, len(tasks) - 1, min(most, len(tasks))).round().astype(int)
    return [Grid(tasks[place]) for place in places.tolist()]


def run_replays(
    path: Path,
    tables: Sequence[Path],
    shares: Sequence[int],
    repeats: int,
    slow_repeats: int,
    most_tasks: int,
    wanted: str = "",
) -> None:
    """Run what is not among the rows of a file yet, the quick methods first.

    Args:
        path: The file.
        tables: Files of tables.
        shares: Per cent of the networks that fit.
        repeats, slow_repeats: Seeds, and those of a method that is slow.
        most_tasks: Tasks of a table, at most.
        wanted: What the name of a method must have in it.
    """
    methods = [*METHODS, *(f"kscale {name}" for name in KSCALE if name in SEARCHERS)]
    methods = sorted((n for n in methods if wanted in n), key=lambda n: _SLOW in n)
    for first, method, table, share in product(
        range(0, repeats, _AT_ONCE), methods, tables, shares
    ):
        key = {"table": table.name, "fits": share, "method": method}
        rows = [row for row in read_rows(path) if key.items() <= row.items()]
        done = sum(len(row["regret"]) for row in rows)
        end = min(first + _AT_ONCE, slow_repeats if _SLOW in method else repeats)
        grids = _grids(table, most_tasks)
        if done >= end or not _is_suited(method, grids):
            continue
        began = time.perf_counter()
        regrets = [_regrets(method, grids, share, r) for r in range(done, end)]
        seconds = round(time.perf_counter() - began, 1)
        found = {"tasks": len(grids), "seconds": seconds, "regret": regrets}
        append_row(path, {**key, **found})
        print(f"{table.name}, {share} % fit: {method}, {seconds} s", flush=True)


def _is_suited(method: str, grids: Sequence[Grid]) -> bool:
    has_curves = any(grid.task.epochs > 1 for grid in grids)
    return has_curves or not any(name in method for name in _NEEDS_CURVES)


def _regrets(
    method: str, grids: Sequence[Grid], share: int, repeat: int
) -> list[float]:
    """Regret at each cost, the mean over the tasks."""
    found = [_regrets_of(method, grid, share, repeat) for grid in grids]
    return [round(value, 4) for value in np.mean(found, axis=0).tolist()]


def _regrets_of(method: str, grid: Grid, share: int, repeat: int) -> list[float]:
    task, limit = grid.task, grid.task.limit(share / 100)
    if method not in METHODS:
        name = method.removeprefix("kscale ")
        return [Replay(task, limit, repeat).regret(name, cost) for cost in COSTS]
    if method == "one-epoch top-K":  # knows beforehand what it may cost
        return [_searched(method, Problem(grid, limit, repeat, n))[-1] for n in COSTS]
    return _searched(method, Problem(grid, limit, repeat, COSTS[-1]))


def _searched(method: str, problem: Problem) -> list[float]:
    steps = list(METHODS[method](problem))
    task, fitting = problem.grid.task, problem.replay.fitting
    return [
        regret_at(steps, task, fitting, cost * task.epochs)
        for cost in COSTS
        if cost <= problem.fits
    ]


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row for each table, share and method, with all of its repeats."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = row["table"], row["fits"], row["method"]
        known = found.setdefault(key, {**row, "regret": []})
        known["regret"] = [*known["regret"], *row["regret"]]
    return list(found.values())


def blocks(rows: Sequence[Row]) -> Iterator[tuple[str, int, list[Row]]]:
    """Rows of each table and share, in the order of the methods."""
    order = [*(f"kscale {name}" for name in KSCALE), *METHODS]
    for table in dict.fromkeys(row["table"] for row in rows):
        for share in sorted({row["fits"] for row in rows if row["table"] == table}):
            here = [r for r in rows if (r["table"], r["fits"]) == (table, share)]
            yield table, share, sorted(here, key=lambda r: order.index(r["method"]))


def compared(rows: Sequence[Row]) -> dict[tuple[str, int], int]:
    """For each method and cost of a block: 1 where kscale's auto is better, -1 where
    it is worse, 0 where neither is shown at the 5 % level over all methods."""
    ours = [np.array(row["regret"]) for row in rows if row["method"] == OURS]
    found = {}
    for place, cost in enumerate(COSTS if ours else ()):
        pairs = {}
        for row in rows:
            theirs = np.array(row["regret"])
            if row["method"] != OURS and place < theirs.shape[1]:
                count = min(len(ours[0]), len(theirs))
                pairs[row["method"]] = ours[0][:count, place], theirs[:count, place]
        adjusted = holm([p_value(*pair) for pair in pairs.values()])
        for (method, (own, other)), p in zip(pairs.items(), adjusted, strict=True):
            sign = 1 if own.mean() < other.mean() else -1
            found[method, cost] = sign if p < _LEVEL else 0
    return found


def markdown(rows: Sequence[Row]) -> str:
    """A table of each block, and what it says of the time to a tuner's quality."""
    lines = _summary(rows)
    for table, share, here in blocks(rows):
        marks = compared(here)
        tasks = here[0]["tasks"]
        lines += [
            f"### {table}, {share} % fit ({tasks} task{'s' * (tasks > 1)})",
            "",
            "| method | seeds |" + "".join(f" {cost} |" for cost in COSTS),
            "|---|---:|" + "---:|" * len(COSTS),
            *(_line(row, marks) for row in here),
            "",
            *_time_to_quality(here),
        ]
    return "\n".join(lines)


def _line(row: Row, marks: Mapping[tuple[str, int], int]) -> str:
    values = np.array(row["regret"])
    cells = [row["method"], str(len(values))]
    for place, cost in enumerate(COSTS):
        if place >= values.shape[1]:
            cells.append("")
            continue
        middle, low, high = median_and_interval(values[:, place])
        mark = {1: " +", -1: " -"}.get(marks.get((row["method"], cost), 0), "")
        cells.append(f"{middle:.3g} ({low:.3g} to {high:.3g}){mark}")
    return "| " + " | ".join(cells) + " |"


def _summary(rows: Sequence[Row]) -> list[str]:
    """How often kscale's auto is shown to be better or worse than each method."""
    counts: dict[str, dict[int, list[int]]] = {}
    for _, _, here in blocks(rows):
        for (method, cost), sign in compared(here).items():
            counts.setdefault(method, {}).setdefault(cost, []).append(sign)
    if not counts:
        return []
    lines = [
        "| auto against | " + " | ".join(map(str, COSTS)) + " |",
        "|---|" + "---:|" * len(COSTS),
    ]
    for method, by_cost in counts.items():
        cells = [
            f"{found.count(1)} / {found.count(0)} / {found.count(-1)}"
            if (found := by_cost.get(cost, []))
            else ""
            for cost in COSTS
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _time_to_quality(rows: Sequence[Row]) -> list[str]:
    """What auto pays to be as good as the best tuner of KerasTuner is at 16."""
    medians = {row["method"]: np.median(row["regret"], axis=0) for row in rows}
    ends = {name: float(found[-1]) for name, found in medians.items()}
    tuners = [name for name in ends if name.startswith("KerasTuner")]
    if OURS not in medians or not tuners:
        return []
    best = min(tuners, key=ends.__getitem__)
    reached = [c for c, v in zip(COSTS, medians[OURS], strict=True) if v <= ends[best]]
    when = f"after {reached[0]}" if reached else "not after 16"
    text = f"{best} is at {ends[best]:.3g} after 16 trainings, auto {when}."
    return [text, ""]


def plot(rows: Sequence[Row], path: Path) -> None:
    """Median regret against the cost, one panel for each table and share."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "kscale", "svg.fonttype": "none"}
    from matplotlib import pyplot

    found = list(blocks(rows))
    tables = list(dict.fromkeys(table for table, _, _ in found))
    shares = sorted({share for _, share, _ in found})
    figure, axes = pyplot.subplots(
        len(tables),
        len(shares),
        figsize=(4.2 * len(shares), 2.6 * len(tables)),
        squeeze=False,
        layout="constrained",
    )
    names = list(dict.fromkeys(row["method"] for _, _, here in found for row in here))
    colors = dict(zip(names, pyplot.get_cmap("tab20").colors, strict=False))
    for table, share, here in found:
        axis = axes[tables.index(table)][shares.index(share)]
        for row in here:
            median = np.median(row["regret"], axis=0)
            width = 2.4 if row["method"] == OURS else 1.0
            style = "-" if row["method"].startswith("kscale") else "--"
            axis.plot(
                COSTS[: len(median)],
                np.maximum(median, 1e-3),
                style,
                color=colors.get(row["method"], "0.5"),
                linewidth=width,
                label=row["method"],
            )
        axis.set(xscale="log", yscale="log", title=f"{table}, {share} % fit")
        axis.title.set_fontsize(8)
        axis.minorticks_off()
    axes[-1][0].set(xlabel="full trainings", ylabel="median regret")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, ncols=4, loc="outside lower center")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
