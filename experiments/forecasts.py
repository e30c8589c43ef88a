"""Does the law tell what larger networks reach, as often as its interval says?

Command: `python experiments/forecasts.py laws --tables FOLDER` (half a minute) for laws
that are simulated and tables of networks that others trained, and
`python experiments/forecasts.py trained --data FOLDER` for ladders that kscale trains
itself, on the sets of `experiments/real_data.py`: resumable, one row a network in
`experiments/results/forecasts.jsonl`. `--smoke` does a part of the first, in seconds.
Tables come out as Markdown.

Laws: errors `E + A N^-a` of sizes that a factor lies between, with normal noise; asked
is the law itself at 2, 4 and 10 times the largest size. Tables: ladders as the README
of the tables has them, each rung told from those at most 1/3.4 ("4x") or 1/9 ("10x") of
its size, of which there are 4 or more. Beside the law of kscale stand those that one
would fit by least squares, with intervals by a parametric bootstrap of 300 draws.

Trained: a family of one depth, widths such that sizes grow by 1.4 to 2, two seeds for
each; the law is fitted to sizes up to a quarter of the largest, which is then told, and
trained over three seeds. Scores are those of the test part.

Results: `experiments/results/forecasts.md`. On simulated laws the 90 % interval holds
90 to 97 times of 100 at 2, 4 and 10 times the largest size (least squares with a
bootstrap: 80 to 88), and the error is about half of that of least squares. On the
tables it holds 92 times of 100 at 4x (109 rungs) and 88 at 10x (77): least squares 75
and 74, with narrower intervals. The error is below that of least squares on openlm and
scan-bench, below at 4x and above at 10x on fcnet (14 % against 12 %), and level on
hpobench, whose ladders have levelled off: 0.25 and 0.27 points against 0.24 and 0.30,
and 0.23 and 0.28 if nothing improves.

Of eleven ladders that kscale trained, the truth at 4 to 8.7 times lies in eight of the
intervals (CIFAR-10: 68.4 % told, 67.7 % reached, at 8.7 times). The set with
10,000 test examples, MNIST: cnn 98.98 % told, 99.19 % reached,
at 6.8 times; mlp 97.42 % told, 97.85 % reached, at 4.2 times, outside. California
Housing was told 5 % too low, after 30 epochs and after 120: from 3,000 params on the
error hardly falls, where seven sizes below show no sign of that.
"""

import argparse
import csv
import json
import math
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kscale.runs.law.law import fit_law
from kscale.runs.law.points import Point
from kscale.runs.law.quantities import Quantity

ROWS = Path(__file__).parent / "results" / "forecasts.jsonl"
Curve = Callable[[float], float]


class Told(NamedTuple):
    """An error that was told, with its interval, and the truth."""

    low: float
    middle: float
    high: float
    truth: float


# How one may tell an error.


def by_law(points: Sequence[Point], size: float) -> tuple[float, float, float]:
    (found,) = fit_law(points).predict([size], beyond=True)
    return found.low, found.predicted, found.high


def by_power(points: Sequence[Point], size: float) -> tuple[float, float, float]:
    return _bootstrapped(points, size, has_limit=True)


def by_pure_power(points: Sequence[Point], size: float) -> tuple[float, float, float]:
    return _bootstrapped(points, size, has_limit=False)


def by_last(points: Sequence[Point], size: float) -> tuple[float, float, float]:
    """Nothing improves: no interval."""
    return points[-1].error, points[-1].error, points[-1].error


WAYS = {
    "kscale": by_law,
    "E + A N^-a": by_power,
    "A N^-a": by_pure_power,
    "last": by_last,
}
_EXPONENTS = np.geomspace(0.02, 3, 200)


def _bootstrapped(
    points: Sequence[Point], size: float, has_limit: bool
) -> tuple[float, float, float]:
    sizes = np.array([point.size for point in points]) / points[-1].size
    errors = np.array([point.error for point in points])
    asked = size / points[-1].size
    middle, fitted = _least_squares(sizes, errors, asked, has_limit)
    freedom = max(len(points) - 2 - has_limit, 1)
    spread = math.sqrt(((errors - fitted) ** 2).sum() / freedom)
    generator = np.random.default_rng(0)
    told = []
    for _ in range(300):
        noisy = fitted + spread * generator.standard_normal(len(points))
        told.append(_least_squares(sizes, noisy, asked, has_limit)[0])
    low, high = np.quantile(told, (0.05, 0.95))
    return float(low), middle, float(high)


def _least_squares(
    sizes: Any, errors: Any, asked: float, has_limit: bool
) -> tuple[float, Any]:
    """The error asked for and those fitted, of the best exponent in a grid: for each,
    `E` and `A` at least 0."""
    x = sizes[None, :] ** -_EXPONENTS[:, None]
    count = len(sizes)
    mean_x, mean_y = x.mean(axis=1), errors.mean()
    slope = ((x - mean_x[:, None]) * (errors - mean_y)).sum(axis=1)
    slope = np.maximum(slope / ((x - mean_x[:, None]) ** 2).sum(axis=1), 0)
    limit = mean_y - slope * mean_x
    through = (x @ errors) / (x**2).sum(axis=1)
    is_pure = (limit < 0) | (not has_limit)
    slope, limit = np.where(is_pure, through, slope), np.where(is_pure, 0.0, limit)
    misfit = ((errors - limit[:, None] - slope[:, None] * x) ** 2).sum(axis=1) / count
    best = int(misfit.argmin())
    told = limit[best] + slope[best] * asked ** -_EXPONENTS[best]
    return float(told), limit[best] + slope[best] * x[best]


# Laws that are simulated.


def simulated(number: int, noise: float, decades: float) -> Iterator[tuple[Any, Any]]:
    """Points of six sizes around a law, and the law; a quarter of the laws has a limit
    of 0."""
    generator = np.random.default_rng(round(1000 * noise + decades))
    sizes = np.geomspace(1e4, 1e4 * 10**decades, 6)
    for _ in range(number):
        a = generator.uniform(0.2, 0.8)
        floor = max(generator.uniform(-0.17, 0.5), 0.0)

        def law(size: float, a: float = a, floor: float = floor) -> float:
            return float(0.3 * (floor + (1 - floor) * (size / 1e4) ** -a))

        factors = 1 + noise * generator.standard_normal(6)
        yield (
            [
                Point(round(size), law(size) * factor)
                for size, factor in zip(sizes, factors, strict=True)
            ],
            law,
        )


def simulation_table(number: int, ways: Sequence[str]) -> str:
    """Coverage, width and error by noise and range."""
    lines = [
        "| noise | decades | told by | 2x | 4x | 10x |",
        "|---|---|---|---|---|---|",
    ]
    for noise, decades in ((0.02, 2), (0.05, 2), (0.02, 1)):
        for way in ways:
            cells = []
            for times in (2, 4, 10):
                told = []
                for points, law in simulated(number, noise, decades):
                    size = times * points[-1].size
                    told.append(Told(*WAYS[way](points, size), law(size)))
                cells.append(summary(told))
            lines.append(f"| {noise:.0%} | {decades} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(told: Sequence[Told], in_points: bool = False) -> str:
    """Coverage, median width and mean error, relative or in points."""
    holds = np.mean([each.low <= each.truth <= each.high for each in told])
    unit = [1.0 if in_points else each.middle for each in told]
    width = np.median([(e.high - e.low) / u for e, u in zip(told, unit, strict=True)])
    unit = [1.0 if in_points else each.truth for each in told]
    error = np.mean(
        [abs(e.middle - e.truth) / u for e, u in zip(told, unit, strict=True)]
    )
    mark = "" if in_points else " %"
    return f"{holds:.2f}, {100 * width:.2g}{mark}, {100 * error:.2g}{mark}"


# Tables of networks that others trained.


def tabled(folder: Path) -> dict[str, list[list[Point]]]:
    """Ladders by table. Sizes of scan-bench are FLOPs, in units of 1e10."""
    ladders: dict[str, dict[Any, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for row in _read(folder / "scaling_openlm_given.csv"):
        if float(row["token_multiplier"]) == 1:
            key = row["train_set"], row["eval"]
            point = Point(int(row["N"]), float(row["loss"]))
            ladders["openlm"][key].append(point)
    ladders["scan-bench"][""] = _scan_bench(folder)
    for row in _read(folder / "scaling_small_given.csv"):
        seeds = int(row["seeds"])
        stderr = float(row["sd"]) / math.sqrt(seeds)
        point = Point(int(row["N"]), float(row["error"]), stderr, seeds)
        ladders[row["source"]][row["dataset"], row["depth"]].append(point)
    return {
        table: [sorted(each, key=lambda p: p.size) for each in by.values()]
        for table, by in ladders.items()
    }


def _scan_bench(folder: Path) -> list[Point]:
    """The best small network in each third of a decade of FLOPs, and the large ones."""
    best: dict[int, Point] = {}
    large = []
    for row in _read(folder / "scaling_scanbench_llm.csv"):
        flops = float(row["C"])
        point = Point(round(flops / 1e10), float(row["test_loss"]))
        place = math.floor(3 * math.log10(flops))
        if row["role"] != "small":
            large.append(point)
        elif place not in best or point.error < best[place].error:
            best[place] = point
    return [*best.values(), *large]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


_TARGETS = {"fcnet": 8, "scan-bench": 5}  # largest rungs only


def table_table(folder: Path, ways: Sequence[str]) -> str:
    """Coverage, width and error by table."""
    lines = ["| table | rungs | told by | 4x | 10x |", "|---|---|---|---|---|"]
    for table, ladders in tabled(folder).items():
        for way in ways:
            cells, counts = [], []
            for apart in (3.4, 9):
                told = [*_told(ladders, way, apart, _TARGETS.get(table, 99))]
                cells.append(summary(told, in_points=table == "hpobench"))
                counts.append(str(len(told)))
            row = f"{table} | {', '.join(counts)} | {way} | {' | '.join(cells)}"
            lines.append(f"| {row} |")
    return "\n".join(lines)


def _told(
    ladders: Sequence[Sequence[Point]], way: str, apart: float, most: int
) -> Iterator[Told]:
    for ladder in ladders:
        for target in ladder[-most:]:
            points = [each for each in ladder if each.size <= target.size / apart]
            if len(points) >= 4:
                yield Told(*WAYS[way](points, target.size), target.error)


# Ladders that kscale trains.


class Ladder(NamedTuple):
    """A set, and the networks that are trained on it."""

    path: str
    family: str
    depth: int
    widths: tuple[int, ...]
    epochs: int
    label: str = ""
    options: Mapping[str, Any] = {}
    objective: str | None = None


LADDERS = {
    "adult": Ladder(
        "adult_train.csv.gz", "mlp", 2, (2, 3, 4, 6, 8, 12, 16, 24, 32), 10, "income"
    ),
    "california_housing": Ladder(
        "california_housing.csv.gz",
        *("mlp", 2, (3, 4, 6, 8, 12, 16, 24, 32, 48, 64), 30),
        "median_house_value",
    ),
    "sst2": Ladder("sst2_train.csv.gz", "mlp", 1, (1, 2, 3, 4, 6, 8, 12, 16, 32), 6),
    "spoken_digits": Ladder(
        "spoken_digits.zip", "cnn", 4, (2, 3, 4, 6, 8, 12, 16, 24), 15
    ),
    "mnist": Ladder("mnist.npz", "cnn", 4, (1, 2, 3, 4, 6, 8, 12, 16), 3),
    "cifar10": Ladder("cifar10_images.zip", "cnn", 4, (2, 3, 4, 6, 8, 12, 16, 24), 12),
    "mnist_mlp": Ladder("mnist.npz", "mlp", 2, (2, 3, 4, 6, 8, 12, 16, 32, 64), 5),
    "ag_news": Ladder("ag_news_7600.csv.gz", "mlp", 1, (1, 2, 3, 4, 6, 8, 16, 32), 10),
    "housing_long": Ladder(
        "california_housing.csv.gz",
        *("mlp", 2, (3, 4, 6, 8, 12, 16, 24, 32, 48, 64), 120),
        "median_house_value",
    ),
    "digits": Ladder("digits", "mlp", 1, (2, 3, 4, 6, 8, 12, 16, 32, 64), 40),
    "multi30k_en": Ladder(
        *("multi30k_train.tsv.gz", "gpt", 2, (8, 12, 16, 24, 64), 4),
        options={"next": "en", "vocabulary": 1000},
        objective="loss",
    ),
}


def train_ladders(data: Path, names: Sequence[str]) -> None:
    """Train what is missing, each set in turn, and keep a row a network at once."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            ladder = LADDERS[name]
            is_embedded = name == "digits"
            path = data / ladder.path
            source = name if is_embedded else _unpacked(path, Path(folder))
            for width in ladder.widths:
                is_last = width == ladder.widths[-1]
                if (name, width) not in {(r["set"], r["width"]) for r in rows()}:
                    row = trained(ladder, source, width, 3 if is_last else 2)
                    with ROWS.open("a") as file:
                        file.write(json.dumps({"set": name, **row}) + "\n")


def trained(
    ladder: Ladder, source: Path | str, width: int, seeds: int
) -> dict[str, Any]:
    """A network trained over some seeds, and its test scores."""
    import kscale

    data = kscale.load_dataset(
        source, **({"label": ladder.label} if ladder.label else {}), **ladder.options
    )
    knobs = {"depth": ladder.depth, "width": width}
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = kscale.train(
                *(ladder.family, knobs, data),
                epochs=ladder.epochs,
                objective=ladder.objective,
                seed=seed,
                run=f"{folder}/run",
            )
            rows = run.report().rows
        found.append(next(each for each in rows if each.width == width))
    first = found[0]
    return {
        "width": width,
        "params": first.params,
        "scores": [each.test_score for each in found],
        "stderr": first.test_stderr,
        "examples": first.tests[0].examples,
        "seconds": round(sum(each.results[0].seconds for each in found), 1),
    }


def _unpacked(path: Path, folder: Path) -> Path:
    if path.suffix != ".zip":
        return path
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        return folder / archive.namelist()[0].split("/")[0]


def rows() -> list[dict[str, Any]]:
    """What was trained so far."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    return [json.loads(line) for line in lines]


def error_of(score: float) -> float:
    """Of a share of right answers, the share of wrong ones; of an error, itself."""
    return 1 - score if score <= 1 else score


def trained_table() -> str:
    """For each set, what the law told of the largest size, and the truth."""
    lines = [
        "| set | sizes | largest / fitted | told | 90 % | truth, SD of seeds | held |",
        "|---|---|---|---|---|---|---|",
    ]
    by_set = defaultdict(list)
    for row in sorted(rows(), key=lambda row: row["params"]):
        by_set[row["set"]].append(row)
    for name, ladder in by_set.items():
        *_, last = ladder
        errors = [error_of(score) for score in last["scores"]]
        points = [
            Point(row["params"], float(np.mean([*map(error_of, row["scores"])])))
            for row in ladder
            if row["params"] <= last["params"] / 4
        ]
        if len(points) < 4:
            continue
        low, middle, high = by_law(points, last["params"])
        is_share = max(last["scores"]) <= 1
        share = Quantity("error", step=1 / last["examples"] if is_share else 0.0)
        low, high = share.interval(low, high)
        truth = float(np.mean(errors))
        sizes = f"{len(points)}, {points[0].size:,} to {points[-1].size:,}"
        held = "yes" if low <= truth <= high else "no"
        cells = (
            *(name, sizes, f"{last['params'] / points[-1].size:.1f}"),
            *(f"{middle:.4g}", f"{low:.4g} to {high:.4g}"),
            *(f"{truth:.4g}, {np.std(errors, ddof=1):.2g}", held),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables of one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("laws", "trained"), default="laws")
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", default=[*LADDERS], choices=[*LADDERS])
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.part == "trained":
        if given.data is not None:
            train_ladders(given.data, given.only)
        print(trained_table())
        return
    print(simulation_table(*((5, ("kscale",)) if given.smoke else (200, [*WAYS][:2]))))
    if given.tables is not None:
        print(table_table(given.tables, [*WAYS]))


if __name__ == "__main__":
    main()
