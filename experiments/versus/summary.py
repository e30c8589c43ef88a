"""What the searches say: anytime curves of the truth, a table, and a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from versus.searches import METHODS
from versus.space import Point

NO_ANSWER = 0.1  # of ten classes: what a search has before its first trial ends
SHOWN_POINTS = 40  # below the best, in a panel
MOMENTS = (2.5, 5.0, 10.0, 20.0)
Row = Mapping[str, Any]
Truth = Mapping[Point, float]


@dataclass(frozen=True)
class Curve:
    """True score of a search's pick at each moment, a step function of seconds.

    Args:
        seconds: When the pick changed; the first is 0.
        scores: True score of the pick from then on.
    """

    seconds: tuple[float, ...]
    scores: tuple[float, ...]

    def at(self, second: float) -> float:
        """True score of the pick at a moment."""
        return self.scores[int(np.searchsorted(self.seconds, second, "right")) - 1]

    def first(self, score: float) -> float:
        """The first second with at least a score; infinity if there is none."""
        reached = [
            at
            for at, found in zip(self.seconds, self.scores, strict=True)
            if found >= score - 1e-9
        ]
        return min(reached, default=float("inf"))


def curve_of(row: Row, truth: Truth) -> Curve:
    """The anytime curve of a search: nothing after its time is up counts.

    The pick is the trial of the best validation score; once finalists are trained, the
    one of the best mean over its new seeds.
    """
    seconds, scores = [0.0], [NO_ANSWER]
    found: dict[str, dict[Point, list[float]]] = {"search": {}, "finalist": {}}
    for at, depth, width, rate, score, stage in row["found"]:
        if at > row["seconds"]:
            break
        found[stage].setdefault((depth, width, rate), []).append(score)
        seconds.append(at)
        scores.append(truth[_pick(found)])
    return Curve(tuple(seconds), tuple(scores))


def _pick(found: Mapping[str, Mapping[Point, Sequence[float]]]) -> Point:
    searched, finals = found["search"], found["finalist"]
    if finals:
        return max(finals, key=lambda point: np.mean(finals[point]))
    return max(searched, key=lambda point: max(searched[point]))


def summary_rows(
    rows: Sequence[Row], truth: Truth, params: Mapping[Point, int]
) -> list[dict[str, Any]]:
    """One row a limit and method: medians over the seeds."""
    made = []
    for limit in sorted({row["limit"] for row in rows}):
        here = [row for row in rows if row["limit"] == limit]
        best = max(truth[point] for point in truth if params[point] <= limit)
        target = _best_peer([row for row in here if not _is_ours(row)], truth)
        for name in METHODS:
            own = [row for row in here if row["method"] == name]
            if own:
                made.append(_summary(name, limit, own, truth, best, target))
    return made


def _is_ours(row: Row) -> bool:
    return METHODS[row["method"]].tool == "kscale"


def _best_peer(rows: Sequence[Row], truth: Truth) -> float:
    """True score that the best of KerasTuner's methods ends with, by the median."""
    finals: dict[str, list[float]] = {}
    for row in rows:
        finals.setdefault(row["method"], []).append(_final(row, truth))
    return max((float(np.median(found)) for found in finals.values()), default=1.0)


def _final(row: Row, truth: Truth) -> float:
    return curve_of(row, truth).scores[-1]


def _summary(
    name: str,
    limit: int,
    rows: Sequence[Row],
    truth: Truth,
    best: float,
    target: float,
) -> dict[str, Any]:
    curves = [curve_of(row, truth) for row in rows]

    def median(values: Sequence[float]) -> float:
        return float(np.median(list(values)))

    return {
        "limit": limit,
        "method": name,
        "seeds": len(rows),
        "trials": median([len(_in_time(row)) for row in rows]),
        "oversized": median(
            [sum(at <= row["seconds"] for at in row["oversized"]) for row in rows]
        ),
        "died": sum(row["ended"] in ("died", "killed") for row in rows),
        "no_answer": sum(not _in_time(row) for row in rows),
        "score": median([curve.scores[-1] for curve in curves]),
        "regret": {
            moment: median([best - curve.at(moment) for curve in curves])
            for moment in MOMENTS
        },
        "target": target,
        "seconds_to_target": median([curve.first(target) for curve in curves]),
        "best": best,
    }


def _in_time(row: Row) -> list[Any]:
    return [item for item in row["found"] if item[0] <= row["seconds"]]


def markdown_table(
    summaries: Sequence[Mapping[str, Any]], fits: Mapping[int, float]
) -> str:
    """The table for the README, one part a limit."""
    lines = []
    for limit in sorted({row["limit"] for row in summaries}):
        here = [row for row in summaries if row["limit"] == limit]
        first = here[0]
        lines += [
            f"At most {limit:,} parameters, which {fits[limit]:.0%} of the space fits; "
            f"its best is {first['best']:.1%}; medians over {first['seeds']} seeds.",
            "",
            "| method | trials | oversized | died | true score % |"
            + "".join(f" regret at {moment:g} s |" for moment in MOMENTS)
            + f" s to {first['target']:.1%} |",
            "|---|" + "---:|" * (5 + len(MOMENTS)),
            *map(_line, here),
            "",
        ]
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    seconds = row["seconds_to_target"]
    cells = [
        row["method"],
        f"{row['trials']:g}",
        f"{row['oversized']:g}",
        f"{row['died']} of {row['seeds']}",
        f"{100 * row['score']:.2f}",
        *(f"{100 * row['regret'][moment]:.2f}" for moment in MOMENTS),
        "never" if np.isinf(seconds) else f"{seconds:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


COLORS = {
    "kscale": "#1b6ca8",
    "RandomSearch": "#d1495b",
    "BayesianOptimization": "#7a9e3a",
    "Hyperband": "#8a5fa8",
}


def plot_curves(
    rows: Sequence[Row],
    truth: Truth,
    params: Mapping[Point, int],
    fits: Mapping[int, float],
    path: Path,
) -> None:
    """Median and quartiles over the seeds of the true score, one panel a limit.

    A search without an answer is below its panel.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "kscale", "svg.fonttype": "none"}
    import matplotlib.pyplot as plt

    limits = sorted({row["limit"] for row in rows})
    figure, panels = plt.subplots(
        1,
        len(limits),
        figsize=(4.4 * len(limits), 4.8),
        squeeze=False,
        layout="constrained",
    )
    for panel, limit in zip(panels[0], limits, strict=True):
        here = [row for row in rows if row["limit"] == limit]
        best = max(truth[point] for point in truth if params[point] <= limit)
        _draw_panel(panel, here, truth, best)
        panel.set_title(f"at most {limit:,} parameters ({fits[limit]:.0%} fit)")
        panel.set_xlabel("seconds")
    panels[0][0].set_ylabel("true score of the best so far, %")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=8, ncols=len(limits), loc="outside lower center"
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw_panel(panel: Any, rows: Sequence[Row], truth: Truth, best: float) -> None:
    seconds = np.linspace(0, rows[0]["seconds"], 201)
    for name, method in METHODS.items():
        own = [curve_of(row, truth) for row in rows if row["method"] == name]
        if not own or method.own_stack or method.finalist_seeds:
            continue
        scores = np.array([[curve.at(at) for at in seconds] for curve in own])
        low, middle, high = 100 * np.quantile(scores, (0.25, 0.5, 0.75), axis=0)
        color, dashed = COLORS[method.tool], name.endswith("as shipped")
        style = "--" if dashed else "-"
        panel.plot(seconds, middle, style, color=color, linewidth=1.6, label=name)
        if not dashed:
            panel.fill_between(seconds, low, high, color=color, alpha=0.15, linewidth=0)
    panel.axhline(100 * best, color="0.4", linestyle=":", label="best within the limit")
    panel.set_ylim(100 * best - SHOWN_POINTS, 100 * best + SHOWN_POINTS / 20)
    panel.set_xlim(0, rows[0]["seconds"])
    panel.grid(alpha=0.3)
