"""Every method on every table: regrets at each cost, their statistics, and a plot."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from replay import OWN, SHARED, TABLES, Replay
from tables.reading import read_table

from versus.on_tables import METHODS, Grid, Problem, first_bracket
from versus.rows import append_row, read_rows
from versus.scoring import first_at, holm, median_and_interval, p_value, regret_at

OURS = "kscale auto"
ONE_SEARCH = "kscale auto, one search"
KSCALE = (OURS, ONE_SEARCH, "kscale bayesian", "kscale halving", "kscale evolution")
SHARES = (5, 30, 90)
COSTS = (1, 2, 4, 8, 16)

_SLOW = "BayesianOptimization"  # takes some 10 s a search
_AT_ONCE = 4  # repeats in a row of the file
_NEEDS_CURVES = ("Hyperband", "one-epoch top-K", ONE_SEARCH)
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
    methods = [name for name in (*METHODS, *KSCALE) if wanted in name]
    methods.sort(key=lambda name: _SLOW in name)
    for first, method, table, share in product(
        range(0, repeats, _AT_ONCE), methods, tables, shares
    ):
        key = {"table": table.name, "fits": share, "method": method}
        rows = [row for row in read_rows(path) if key.items() <= row.items()]
        done = sum(len(row["regret"]) for row in rows)
        end = min(first + _AT_ONCE, slow_repeats if _SLOW in method else repeats)
        grids = _grids(table, most_tasks)
        if done >= end or not _is_suited(method, grids, share):
            continue
        began = time.perf_counter()
        regrets = [_regrets(method, grids, share, r) for r in range(done, end)]
        seconds = round(time.perf_counter() - began, 1)
        found = {"tasks": len(grids), "seconds": seconds, "regret": regrets}
        append_row(path, {**key, **found})
        print(f"{table.name}, {share} % fit: {method}, {seconds} s", flush=True)


def _is_suited(method: str, grids: Sequence[Grid], share: int) -> bool:
    """Whether a method has curves where it needs them, and Hyperband, helped, enough
    networks for its first bracket; else KerasTuner ends before a second rung."""
    tasks = [grid.task for grid in grids]
    if any(name in method for name in _NEEDS_CURVES) and tasks[0].epochs == 1:
        return False
    if "Hyperband, helped" not in method:
        return True
    return all(
        np.sum(task.params <= task.limit(share / 100)) >= first_bracket(task.epochs)
        for task in tasks
    )


def _regrets(
    method: str, grids: Sequence[Grid], share: int, repeat: int
) -> list[float]:
    """Regret at each cost, the mean over the tasks."""
    found = [_regrets_of(method, grid, share, repeat) for grid in grids]
    return [round(value, 4) for value in np.mean(found, axis=0).tolist()]


def _regrets_of(method: str, grid: Grid, share: int, repeat: int) -> list[float]:
    task, limit = grid.task, grid.task.limit(share / 100)
    if method not in METHODS:
        name, replay = method.split(",")[0].split()[1], Replay(task, limit, repeat)
        if method == ONE_SEARCH or (method == OURS and task.epochs == 1):
            return replay.regrets(name, COSTS)
        return [replay.regret(name, cost) for cost in COSTS]
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
    order = [*KSCALE, *METHODS]
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
            if OURS not in row["method"] and place < theirs.shape[1]:
                count = min(len(ours[0]), len(theirs))
                pairs[row["method"]] = ours[0][:count, place], theirs[:count, place]
        adjusted = holm([p_value(*pair) for pair in pairs.values()])
        for (method, (own, other)), p in zip(pairs.items(), adjusted, strict=True):
            sign = 1 if own.mean() < other.mean() else -1
            found[method, cost] = sign if p < _LEVEL else 0
    return found


def markdown(rows: Sequence[Row]) -> str:
    """Counts over the blocks, the costs of a tuner's quality, a table of each block."""
    lines = [*_summary(rows), *_races(rows)]
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
    """In how many blocks the median of kscale's auto is better, equal and worse."""
    counts: dict[str, dict[int, list[int]]] = {}
    for _, _, here in blocks(rows):
        ours = [np.array(row["regret"]) for row in here if row["method"] == OURS]
        for row in here if ours else ():
            theirs = np.array(row["regret"])
            own = np.median(ours[0][: len(theirs)], axis=0)
            other = np.median(theirs[: len(ours[0])], axis=0)
            signs = np.sign(np.round(other - own, 6)).astype(int)
            for cost, sign in zip(COSTS, signs.tolist(), strict=True):
                by_cost = counts.setdefault(row["method"], {})
                by_cost.setdefault(cost, []).append(sign)
    counts.pop(OURS, None)
    lines = [
        "| auto better / equal / worse than | " + " | ".join(map(str, COSTS)) + " |",
        "|---|" + "---:|" * len(COSTS),
    ]
    for method, by_cost in counts.items():
        found = [
            [signs.count(sign) for sign in (1, 0, -1)] for signs in by_cost.values()
        ]
        cells = (" / ".join(map(str, numbers)) for numbers in found)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""] if counts else []


def kept_from(regrets: Sequence[float], goal: float) -> float:
    """The cost from which on regrets are at most a goal; infinite if never."""
    worths = [(c, -regret) for c, regret in zip(COSTS, regrets, strict=True)]
    cost = first_at(worths, -goal)
    return inf if cost is None else float(cost)


@dataclass(frozen=True)
class Race:
    """What auto and the best tuner of KerasTuner pay for the tuner's quality at 16.

    Args:
        tuner: The tuner whose median is least at the highest cost, and there soonest.
        goal: That median.
        costs: Of the tuner and of auto, from where the medians keep the goal.
        ratios: Of each seed, auto's cost over the tuner's, for what the tuner has with
            that seed in the end; infinite where auto does not get there.
    """

    tuner: str
    goal: float
    costs: tuple[float, float]
    ratios: Sequence[float]

    @property
    def ratio(self) -> float:
        """Of the costs, auto's over the tuner's."""
        return self.costs[1] / self.costs[0]


def race(rows: Sequence[Row]) -> Race | None:
    """Of a block; None where auto or every tuner is missing."""
    regrets = {row["method"]: np.array(row["regret"]) for row in rows}
    medians = {name: np.median(found, axis=0) for name, found in regrets.items()}
    tuners = [name for name in medians if name.startswith("KerasTuner")]
    if OURS not in medians or not tuners:
        return None
    ends = {name: float(medians[name][-1]) for name in tuners}
    best = min(tuners, key=lambda n: (ends[n], kept_from(medians[n], ends[n])))
    costs = [kept_from(medians[name], ends[best]) for name in (best, OURS)]
    pairs = zip(regrets[best].tolist(), regrets[OURS].tolist(), strict=False)
    ratios = [kept_from(b, a[-1]) / kept_from(a, a[-1]) for a, b in pairs]
    return Race(best, ends[best], (costs[0], costs[1]), ratios)


def _races(rows: Sequence[Row]) -> list[str]:
    """Of all blocks, and in how many auto pays little."""
    found = {(table, share): race(here) for table, share, here in blocks(rows)}
    races = {key: each for key, each in found.items() if each is not None}
    if not races:
        return []
    ratios = [each.ratio for each in races.values()]
    counts = [sum(r <= most for r in ratios) for most in (0.1, 0.25, 0.5, 1)]
    of_seeds = [ratio for each in races.values() for ratio in each.ratios]
    tenths = sum(ratio <= 0.1 for ratio in of_seeds)
    lines = [
        "### From which cost on the quality of KerasTuner's best tuner after 16 "
        "trainings is kept",
        "",
        f"By the medians, auto pays at most a tenth of what the tuner pays in "
        f"{counts[0]} of {len(ratios)} blocks, at most a quarter in {counts[1]}, half "
        f"in {counts[2]}, as much in {counts[3]}; more in "
        f"{sum(1 < r < inf for r in ratios)}, and it does not get there in "
        f"{ratios.count(inf)}. By single seeds: at most a tenth in {tenths} of "
        f"{len(of_seeds)}, at most as much in {sum(r <= 1 for r in of_seeds)}, never "
        f"in {of_seeds.count(inf)}.",
        "",
        "| table, fits | tuner | its regret at 16 | from, tuner | from, auto | ratio "
        "| ratio of each seed: median, never |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for (table, share), each in races.items():
        never = f"{[*each.ratios].count(inf)} of {len(each.ratios)}"
        cells = [
            f"{table}, {share} %",
            each.tuner,
            f"{each.goal:.3g}",
            *(_or_never(value) for value in (*each.costs, each.ratio)),
            f"{_or_never(float(np.median(each.ratios)))}, {never}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _or_never(value: float) -> str:
    return "never" if value == inf else f"{value:.3g}"


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
