"""How far from the best do searchers end, on tables of networks trained before?

Command: `python experiments/replay.py TABLE... --searcher random --searcher halving
--repeats 30 --fits 5 --fits 20 --fits 50` prints tables and draws a picture (`--plot
FILE`, else `runs/replay.svg`); `--json`: the figures alone. A searcher of the product
is asked as in a search; what it proposes is looked up instead of trained. Costs are
counted in epochs: a training to epoch e costs e, going on from there costs only the
rest. A search may spend as much as 5, 10, 20 or 50 trainings of full length take, which
it is told at its begin. The answer is the network that the searcher believes in most,
or else the highest score of a training of full length. The regret is what the best
network inside the limit is truly worth, less what the answer is truly worth: in points
of accuracy, or in log10 of the squared error. On kscale's own tables the worth is the
mean over the seeds on the test part, which no search sees: the best there is in part
luck, so that no search gets to 0. The limit is the size under which so many per cent of
the networks fit. Figures are means over the tasks of a table and the repeats, with the
standard error over the repeats (none of one repeat); all searchers have the same seeds,
10^6 apart. Without TABLE: those in `../shared/tables` that are there, and kscale's own
(`ground_truth.py`). `--smoke`: two repeats at one limit (10 s).

Result of `--searcher auto`: `results/searches.md`, with what was tried and dropped. The
matrices are small: `OPENBLAS_NUM_THREADS=1` makes a replay three times as fast.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables.reading import TableTask, read_table

from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.contract import Allowance, Belief, Job, Searcher
from kscale.search.draws import Draw, Settings
from kscale.task.heads.base import Objective

SHARED = Path(__file__).parents[2] / "shared" / "tables"
TABLES = (
    "nas-bench-macro_cifar10.json.gz",
    "lcbench_given.npz",
    "hpobench_mlp_given.npz",
    "fcnet_given.npz",
)
OWN = Path(__file__).parent / "tables"  # of experiments/ground_truth.py
PLOT = Path("runs") / "replay.svg"
BUDGETS = (5, 10, 20, 50)
_SEED_DISTANCE = 10**6


@dataclass(frozen=True, eq=False)
class TableDraws:
    """The networks of a task inside a limit, in an order that a seed decides."""

    task: TableTask
    order: tuple[int, ...]
    most_refused = None

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """As `kscale.search.draws.Draws`."""
        task = self.task
        return [
            Draw(
                task.specs[i],
                float(task.learning_rates[i]),
                int(task.work[i]),
                int(task.params[i]),
            )
            for i in self.order[first : first + number]
        ]


class Replay:
    """One search on a task within a limit.

    Args:
        task: Where results are looked up.
        limit: Most parameters.
        repeat: Decides the seed, and which of the table's seeds is seen.
    """

    def __init__(self, task: TableTask, limit: int, repeat: int) -> None:
        self.task = task
        self.seed = 1 + repeat * _SEED_DISTANCE
        self.seen = task.curves[repeat % len(task.curves)]
        self.fitting = np.flatnonzero(task.params <= limit)
        self.places = {
            (task.specs[i], float(task.learning_rates[i])): int(i) for i in self.fitting
        }

    def regret(self, name: str, fits: int) -> float:
        """What a searcher misses at the cost of so many trainings of full length."""
        return self.regrets(name, (fits,))[0]

    def regrets(self, name: str, costs: Sequence[int]) -> list[float]:
        """What a search misses that is asked for its answer at several costs.

        Args:
            name: Name of the searcher.
            costs: In trainings of full length, from the least up; the searcher is told
                that it may spend the last.
        """
        searcher = SEARCHERS[name](self._settings())
        history: list[Training] = []
        found: list[float] = []
        most, spent = float(costs[-1] * self.task.epochs), 0.0
        while spent < most:
            allowance = Allowance(most - spent, _cost)
            job = searcher.propose(tuple(history), (), allowance)
            if not isinstance(job, Job) or _cost(job) > most - spent:
                break
            spent += _cost(job)
            while spent > costs[len(found)] * self.task.epochs:
                found.append(self._missed(searcher, history))
            history += self._trained(job)
        rest = len(costs) - len(found)
        return found + [self._missed(searcher, history)] * rest

    def _missed(self, searcher: Searcher, history: Sequence[Training]) -> float:
        """Regret of the answer; without a training, of the worst network that fits."""
        task = self.task
        sign = 1 if task.higher_is_better else -1
        truth = sign * task.truth
        best = truth[self.fitting].max()
        beliefs = searcher.beliefs(history)
        whole = [t for t in history if t.epochs == task.epochs] or history
        pick: Belief | Training
        if beliefs is not None:
            pick = beliefs.trained[0]
        elif whole:
            pick = max(whole, key=lambda training: sign * (training.score or 0.0))
        else:
            return float(best - truth[self.fitting].min())
        chosen = self.places[pick.spec, float(pick.learning_rate or 0.0)]
        return float(best - truth[chosen])

    def _settings(self) -> Settings:
        order = np.random.default_rng(self.seed).permutation(self.fitting)
        objective = Objective("score", self.task.higher_is_better)
        draws = TableDraws(self.task, tuple(map(int, order)))
        return Settings(draws, len(order), self.task.epochs, objective, self.seed)

    def _trained(self, job: Job) -> Iterator[Training]:
        for member in range(len(job.seeds)):
            rate = float(job.learning_rates[member] or 0.0)
            place = self.places[job.spec, rate]
            curve = self.seen[place, : job.epochs_to]
            params, flops = int(self.task.params[place]), int(self.task.work[place])
            yield job.training(
                member,
                Size(params, params, flops, 0, 0),
                learning_rate=rate,
                full_epochs=self.task.epochs,
                score=float(curve[-1]),
                stderr=0.0,
                seconds=float(job.epochs_to - job.epochs_from),
                examples=1,
                curve={"score": curve.tolist()},
            )


def _cost(job: Job) -> float:
    """Epochs of a job."""
    return float((job.epochs_to - job.epochs_from) * len(job.seeds))


def replayed(
    tasks: Sequence[TableTask],
    searchers: Sequence[str],
    shares: Sequence[int],
    repeats: int,
    budgets: Sequence[int] = BUDGETS,
) -> Iterator[dict[str, Any]]:
    """Regrets of all repeats: a row for each searcher, share and budget, without a
    standard error where there is one repeat."""
    for share in shares:
        limits = [task.limit(share / 100) for task in tasks]
        for name in searchers:
            for fits in budgets:
                found = [
                    [Replay(task, limit, r).regret(name, fits) for r in range(repeats)]
                    for task, limit in zip(tasks, limits, strict=True)
                ]
                of_tasks = np.mean(found, axis=1)
                of_repeats = np.mean(found, axis=0)
                error = None
                if repeats > 1:
                    error = float(of_repeats.std(ddof=1) / np.sqrt(repeats))
                yield {
                    "searcher": name,
                    "fits": share,
                    "trainings": fits,
                    "regret": float(of_tasks.mean()),
                    "stderr": error,
                }


def main() -> None:
    """Replay, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="*", type=Path, help="file of a table")
    parser.add_argument("--smoke", action="store_true", help="a few repeats")
    known = sorted(SEARCHERS)
    parser.add_argument("--searcher", action="append", choices=known)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--fits", action="append", type=int, help="per cent that fit")
    parser.add_argument("--json", action="store_true", help="the figures alone")
    parser.add_argument("--plot", type=Path, default=PLOT, help="file of the picture")
    given = parser.parse_args()
    shares = given.fits or ([20] if given.smoke else [5, 20, 50])
    if given.smoke:
        given.repeats = 2
    own = sorted(OWN.glob("*.npz"))
    tables = given.table or [*(SHARED / name for name in TABLES), *own]
    if given.repeats < 1 or not all(0 < share <= 100 for share in shares):
        parser.error("--repeats must be above 0, --fits above 0 and at most 100")
    found: dict[str, list[dict[str, Any]]] = {}
    for path in tables:
        try:
            tasks = read_table(path)
        except FileNotFoundError:
            print(f"{path} is not there: skipped.", file=sys.stderr)
            continue
        except (OSError, ValueError) as error:
            parser.error(str(error))
        rows = replayed(tasks, given.searcher or known, shares, given.repeats)
        found[path.name] = list(rows)
    if given.json:
        print(json.dumps(as_json(found)))
        return
    for name, rows in found.items():
        print_table(name, rows)
    if found:
        given.plot.parent.mkdir(parents=True, exist_ok=True)
        plot(found, given.plot)
        print(f"\nPicture: {given.plot}")


def as_json(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Regrets by searcher, share and budget; of several tables by table first."""
    tables: dict[str, Any] = {}
    for name, rows in found.items():
        regrets: dict[str, dict[str, dict[str, float]]] = {}
        for row in rows:
            shares = regrets.setdefault(row["searcher"], {})
            shares.setdefault(str(row["fits"]), {})[str(row["trainings"])] = row[
                "regret"
            ]
        tables[name] = {"regret": regrets}
    return next(iter(tables.values())) if len(tables) == 1 else tables


def print_table(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Regrets and their standard errors."""
    print(f"\n{name}: mean regret (standard error over the repeats)")
    print(f"{'searcher':<12}{'fits':>6}" + "".join(f"{n:>18}" for n in BUDGETS))
    lines = dict.fromkeys((row["searcher"], row["fits"]) for row in rows)
    for searcher, share in lines:
        cells = [
            _with_error(row["regret"], row["stderr"])
            for row in rows
            if (row["searcher"], row["fits"]) == (searcher, share)
        ]
        print(f"{searcher:<12}{share:>4} %" + "".join(f"{cell:>18}" for cell in cells))


def _with_error(regret: float, stderr: float | None) -> str:
    return f"{regret:.3f}" + ("" if stderr is None else f" ({stderr:.3f})")


def plot(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """A panel for each table and share: regret against the budget."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    panels = dict.fromkeys(
        (n, row["fits"]) for n, rows in found.items() for row in rows
    )
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4 * len(panels), 3.2), squeeze=False
    )
    for axis, (name, share) in zip(axes[0], panels, strict=True):
        rows = [row for row in found[name] if row["fits"] == share]
        for searcher in dict.fromkeys(row["searcher"] for row in rows):
            line = [row for row in rows if row["searcher"] == searcher]
            axis.errorbar(
                [row["trainings"] for row in line],
                [row["regret"] for row in line],
                [row["stderr"] or 0.0 for row in line],
                label=searcher,
            )
        axis.set(xscale="log", title=f"{name}\n{share} % fit", xlabel="trainings")
    axes[0][0].set_ylabel("regret")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
