"""Tables of whole grids of networks that kscale trained: ground truth for searches.

Command: `python experiments/ground_truth.py --data ../shared/data --cache FOLDER`
(`--only NAME` for one table). Each finished training is a line of `FOLDER/NAME.jsonl`,
so the command may be stopped and started again. A table that is complete is written to
`experiments/tables/NAME.npz`, and the figures of all tables to
`experiments/results/ground_truth.md`. `--smoke`: four small networks on the digits, two
epochs, nothing kept (10 s).

A table holds `val_right[depth, width, learning_rate, seed, epoch]`, the right answers
on the validation part after each epoch, and `test_right` and `seconds`, what a training
took on that busy machine, without the last axis; the
`examples` of the three parts; `params` and `work` (`Size.training_work`) by `[depth,
width]`; the axes by their names. `experiments/replay.py` replays searches on them.
"""

import argparse
import logging
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tables.figures import figures  # noqa: E402
from tables.grids import GRIDS, Grid  # noqa: E402
from tables.training import GridTraining  # noqa: E402

HERE = Path(__file__).parent
TABLES, RESULTS = HERE / "tables", HERE / "results"
DATA = HERE.parents[1] / "shared" / "data"


def main() -> None:
    """Train what is missing, write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="four small networks")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the files")
    parser.add_argument("--cache", type=Path, help="folder of what was trained")
    parser.add_argument("--only", action="append", choices=GRIDS, help="one table")
    asked = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # every network is traced
    if asked.smoke:
        smoke()
        return
    if asked.cache is None:
        parser.error("--cache is needed, or --smoke.")
    for name in asked.only or GRIDS:
        make(GRIDS[name], asked.data, asked.cache, TABLES / f"{name}.npz")
        RESULTS.joinpath("ground_truth.md").write_text(report())


def make(grid: Grid, data: Path, cache: Path, path: Path) -> None:
    """Train what is missing of a table, and write the table."""
    dataset = grid.data(data, cache)
    training = GridTraining(grid, dataset, cache / f"{grid.name}.jsonl")
    wanted = int(np.prod(grid.shape()))
    for row in training.train():
        known = len(training.rows())
        shown = f"{row['depth']} x {row['width']}, {row['rate']:g}"
        share = row["right"][-1] / len(dataset.validation)
        about = f"{known}/{wanted} {shown}: {share:.2%}, {row['seconds']} s"
        print(f"{grid.name} {about}", file=sys.stderr, flush=True)
    training.write(path)
    print(f"{grid.name}: {sum(row['seconds'] for row in training.rows()):.0f} s")


def report() -> str:
    """The figures of all tables that are there."""
    paths = [TABLES / f"{name}.npz" for name in GRIDS]
    texts = ["\n".join(figures(read(path))) for path in paths if path.exists()]
    return "\n\n".join([HEAD, *texts]) + "\n"


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a table."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def smoke() -> None:
    """Four small networks of one rate and two seeds."""
    small = replace(
        GRIDS["digits_mlp"],
        depths=(1, 2),
        widths=(4, 8),
        rates=(3e-3,),
        seeds=(1, 2),
        epochs=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npz"
        make(small, DATA, Path(folder), path)
        print(*figures(read(path)), sep="\n")


HEAD = """\
# Ground truth: whole grids that kscale trained

`python experiments/ground_truth.py --data ../shared/data --cache FOLDER` on 2 CPU cores
with TensorFlow 2.21 and Keras 3.15.1, 49 minutes in all beside some ten other processes
(digits 10, few rows of Adult 2, spoken digits 7, Adult 5, MNIST 26); the seeds stand
with each table, parts are cut with seed 0. Scores are accuracies in per cent, means
over the seeds at the last epoch. A training that is repeated gives the same counts.
What the files hold says `experiments/ground_truth.py`; what searches reach on them,
`experiments/replay.py`."""


if __name__ == "__main__":
    main()
