"""Does one training of shared weights tell which size is best? Compared with the truth.

Command: `python experiments/shared_weights.py --data ../shared/data --cache FOLDER`
(folder of what is unpacked; `--only TABLE`; `--report`: no training). One network, the
largest of a grid inside a limit, is trained once: each step takes the largest and the
smallest size and two random ones (the sandwich rule of BigNAS, arXiv 2003.11142; sizes
share weights as in OFA, arXiv 1908.09791), at the grid's middle learning rate, with
kscale's recipe. Every size is then scored from these weights, the moments of its layers
taken anew. The tables of `ground_truth.py` say what each size is worth when it is
trained alone. Limits are those under which 20, 50 and 100 % of the specs fit; seeds are
the tables'. Way `distilled`: all but the largest learn what the largest says. Each
training is a row of `experiments/results/shared_weights.jsonl` and is not repeated; the
printed figures and the answer are kept in `shared_weights.md` there. Scores of shared
weights choose what is trained; they are never scores of a network. `--smoke`: four
sizes, two epochs, nothing kept (20 s).
"""

import argparse
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from sharing.comparing import Comparison  # noqa: E402
from sharing.training import SharedTraining  # noqa: E402
from tables.grids import GRIDS, Grid  # noqa: E402
from tables.reading import read_table  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ROWS = RESULTS / "shared_weights.jsonl"
DATA = HERE.parents[1] / "shared" / "data"
TABLES = ("digits_mlp", "adult_mlp", "mnist14_cnn")
SHARES = (20, 50, 100)
WAYS = ("labels", "distilled")

Row = dict[str, Any]


def main() -> None:
    """Train what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="four sizes, two epochs")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the files")
    parser.add_argument("--cache", type=Path, help="folder of what is unpacked")
    parser.add_argument("--only", action="append", choices=TABLES, help="one table")
    parser.add_argument("--report", action="store_true", help="train nothing")
    asked = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if asked.smoke:
        smoke()
        return
    if asked.cache is None and not asked.report:
        parser.error("--cache is needed, or --report, or --smoke.")
    names = asked.only or TABLES
    for name in [] if asked.report else names:
        for row in measured(name, asked.data, asked.cache):
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row | {"scores": "..."}), flush=True)
    for line in figures(names):
        print(line, flush=True)


def known_rows() -> list[Row]:
    """Rows of earlier calls."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    return [json.loads(line) for line in lines]


def measured(name: str, data: Path, cache: Path) -> Iterator[Row]:
    """The rows of a table that are not there yet."""
    grid = GRIDS[name]
    (task,) = read_table(HERE / "tables" / f"{name}.npz")
    dataset = grid.data(data, cache)
    known = {key(row) for row in known_rows()}
    for share in SHARES:
        limit = task.limit(share / 100)
        for way in WAYS if share == 100 else WAYS[:1]:
            for seed in grid.seeds:
                about = {"table": name, "fits": share, "way": way, "seed": seed}
                if key(about) not in known:
                    yield about | trained(grid, dataset, limit, way, seed)


def key(row: Row) -> tuple[Any, ...]:
    """What tells a row from others."""
    return row["table"], row["fits"], row["way"], row["seed"]


def trained(grid: Grid, dataset: Any, limit: float, way: str, seed: int) -> Row:
    """Costs, in full trainings of the mean network inside the limit, and scores."""
    sizes = {at: grid.network(dataset, *at).size for at in grid.sizes()}
    work = {
        at: float(size.training_work)
        for at, size in sizes.items()
        if size.params <= limit
    }
    rate = grid.rates[len(grid.rates) // 2]
    start, mean = time.perf_counter(), float(np.mean([*work.values()]))
    is_distilled = way == "distilled"
    training = SharedTraining(grid, dataset, work, rate, seed, is_distilled)
    spent = training.train()
    return {
        "rate": rate,
        "trained": round(spent / mean, 3),
        "scored": round(training.scoring_work() / mean, 3),
        "scores": [[*at, round(score, 3)] for at, score in training.scores().items()],
        "seconds": round(time.perf_counter() - start, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def figures(names: Sequence[str]) -> Iterator[str]:
    """Markdown of some tables' rows: ranks, then what choices miss and cost."""
    rows = sorted(known_rows(), key=lambda row: row["seed"])
    groups = {key(row)[:3] for row in rows if row["table"] in names}
    tasks = {name: read_table(HERE / "tables" / f"{name}.npz")[0] for name in TABLES}
    found = {}
    for name, share, way in sorted(groups, key=order):
        mine = [row for row in rows if key(row)[:3] == (name, share, way)]
        limit = tasks[name].limit(share / 100)
        found[name, share, way] = Comparison(tasks[name], limit, mine)
    for part in ("ranks", "choices", "rates"):
        for number, ((name, share, way), each) in enumerate(found.items()):
            line = getattr(each, part)()
            if not number:
                yield f"| table | fits | way | {' | '.join(line)} |"
                yield "|---" * (3 + len(line)) + "|"
            yield f"| {name} | {share} % | {way} | {' | '.join(line.values())} |"
        yield ""


def order(group: tuple[str, int, str]) -> tuple[int, ...]:
    """Place of a table, a share and a way in the figures."""
    name, share, way = group
    return TABLES.index(name), SHARES.index(share), WAYS.index(way)


def smoke() -> None:
    """Four sizes of each family, two epochs."""
    digits = replace(GRIDS["digits_mlp"], depths=(1, 2), widths=(4, 8), epochs=2)
    for family in ("mlp", "cnn"):
        grid = replace(digits, family=family)
        dataset = grid.data(DATA, DATA)
        for way in WAYS:
            row = trained(grid, dataset, np.inf, way, 1)
            print(family, way, row["scores"], f"{row['trained']} trainings")


if __name__ == "__main__":
    main()
