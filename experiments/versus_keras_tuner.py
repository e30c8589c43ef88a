"""How soon does a search within a limit find the best network, and does KerasTuner's?

The same 120 convolutional networks (depth 2 to 6, width 4 to 48, three learning rates),
the same 600 digits to train on, the same trainer and the same wall clock, against
KerasTuner's RandomSearch, BayesianOptimization and Hyperband with `max_model_size`, at
limits which about 5, 30 and 90 % of the space fit.

Command: `python experiments/versus_keras_tuner.py` (`--seeds 10` where three agree;
`--smoke`: about a minute, into a folder that is thrown away). On 2 quiet CPU cores some
7 minutes for the ground truth and 8 a seed for the searches are expected. What was run
is not run again, so the command may be stopped and started.

How it is made fair:

- Every search is a process of its own. TensorFlow, kscale, KerasTuner and the data are
  loaded before its clock starts; compiling is inside. Methods take turns within a seed.
- KerasTuner's tuners build `kscale.as_hypermodel` and train it by `kscale.fit_model`,
  the loop, schedule and batches of `kscale.tune`; rows marked `fit` train by Keras'
  own `fit` instead, at the middle limit only: what a user of KerasTuner would write.
- As shipped, three oversized models in a row end KerasTuner's search; `limit off` sets
  `max_consecutive_failed_trials` out of reach. Where a search as shipped lived, the
  same search with the limit off would be the same one, and its row is copied.
- Its number of trials is unlimited, so the clock alone ends a search. Its seeds are a
  million apart: neighbouring ones give shifted copies of one stream.
- kscale runs `kscale.tune(..., time_limit=20, finalist_seeds=0)`: retraining finalists
  tells true from lucky scores, which the others do not attempt, so it is left out of
  the comparison of searches and shown once, at the middle limit, as it is by default.
  kscale's linear and majority baselines are trained inside its time, and not counted
  as trials.
- The true score of a pick is the mean over three trainings from other seeds on 897 test
  digits that no search sees, looked up in a table of the whole space; regret is the
  distance to the best point within the limit. Before the first trial ends, a search's
  answer is worth a guess: 10 %.

Rows: `experiments/results/versus_keras_tuner.jsonl` and `versus_ground_truth.jsonl`;
table `versus_keras_tuner.md`, anytime plot `versus_keras_tuner.svg` beside them.

Result, on 2 CPU cores with TensorFlow 2.21, Keras 3.15.1 and KerasTuner 1.4.8 (ground
truth 24 minutes on a shared machine, searches 32 on a quiet one); medians over 10 seeds
at the first limit, over 3 at the others:

- 5 % fit: kscale has the best network (92.2 %) after 5 s. As shipped all tuners of
  KerasTuner die after three oversized trials, without an answer; with the failure limit
  off they spend some 43 trials on oversized models, train 2 or 3, and end 5 to 9 points
  below.
- 30 % fit: as shipped all die again. With the limit off RandomSearch and
  BayesianOptimization do as well as kscale or better: both end at the best network
  (97.0 %), kscale at 96.3 %, or 96.4 % with finalists, though it trained 22 networks to
  their 8. Six networks lie within a point of the best, and what a search picks among
  them by one score on 300 examples is partly luck. Hyperband ends 9 points below.
  kscale is first: 83 % after a second, where they have nothing before 3 s.
- 90 % fit: kscale ends at the best (99.1 %), the others 0.8 points below, as shipped or
  not; one of nine searches as shipped died. From 10 s on all are within a point of the
  best.
- Searches from one seed share their first points in KerasTuner, so its three tuners are
  not three samples. At 30 and 90 % ten seeds were not run.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from versus.searches import (  # noqa: E402
    AS_SHIPPED,
    FINALISTS,
    KSCALE,
    LIMIT_OFF,
    METHODS,
    OWN_STACK,
    TUNERS,
    Search,
    row_of,
    run_search,
)
from versus.space import (  # noqa: E402
    SMOKE,
    Space,
    append_row,
    read_rows,
    read_truth,
    train_truth,
)
from versus.summary import markdown_table, plot_curves, summary_rows  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SECONDS, SMOKE_SECONDS = 20.0, 8.0
START_SECONDS, MARGIN_SECONDS = 60.0, 20.0
PARTS = ("truth", "searches", "report")


def main() -> None:
    """Train the truth, run the searches, print the table, draw the plot."""
    arguments = _arguments()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # every network is traced
    if arguments.worker:
        run_search(Search(**json.loads(arguments.worker)), Path(arguments.output))
        return
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = Path(thrown_away) if arguments.smoke else RESULTS
        space = SMOKE if arguments.smoke else Space()
        if "truth" in arguments.part:
            train_truth(space, folder / "versus_ground_truth.jsonl")
        if "searches" in arguments.part:
            _run_searches(space, arguments, folder / "versus_keras_tuner.jsonl")
        if "report" in arguments.part:
            _report(space, folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small space, one seed")
    parser.add_argument("--seeds", type=int, default=3, help="searches a method")
    parser.add_argument(
        "--part", nargs="+", choices=PARTS, default=PARTS, help="what to do"
    )
    parser.add_argument(
        "--share", type=float, nargs="*", help="only limits of these shares"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_searches(space: Space, arguments: argparse.Namespace, path: Path) -> None:
    for search in _searches(space, arguments):
        rows = {_key(row): row for row in read_rows(path)}
        if _key(asdict(search)) in rows:
            continue
        row = _copied(search, rows) or _run(search)
        append_row(path, row)
        print(
            f"seed {search.seed}, {search.limit:,} parameters, {search.method}: "
            f"{len(row['found'])} trials, {len(row['oversized'])} oversized, "
            f"ended: {row['ended']}",
            flush=True,
        )


def _searches(space: Space, arguments: argparse.Namespace) -> Iterator[Search]:
    """All searches, the methods in turn within a limit, the limits within a seed."""
    shares = arguments.share or space.shares
    middle = space.shares[len(space.shares) // 2]
    seconds = SMOKE_SECONDS if arguments.smoke else SECONDS
    for seed in range(1 if arguments.smoke else arguments.seeds):
        for share, limit in space.limits().items():
            if share not in shares:
                continue
            methods = [KSCALE]
            for tool in TUNERS[: 1 if arguments.smoke else None]:
                methods += [AS_SHIPPED[tool], LIMIT_OFF[tool]]
            if share == middle and not arguments.smoke:
                methods += [FINALISTS, *OWN_STACK.values()]
            for method in methods:
                yield Search(method.name, share, limit, seed, seconds, arguments.smoke)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("method", "limit", "seed", "seconds"))


def _copied(
    search: Search, rows: dict[tuple[Any, ...], dict[str, Any]]
) -> dict[str, Any] | None:
    """The search as shipped, where it lived: with the limit off it is the same."""
    method = METHODS[search.method]
    if method is not LIMIT_OFF.get(method.tool):
        return None
    shipped = asdict(search) | {"method": AS_SHIPPED[method.tool].name}
    row = rows.get(_key(shipped))
    if row is None or row["ended"] == "died":
        return None
    return {**row, "method": search.method, "copied": True}


def _run(search: Search) -> dict[str, Any]:
    """A search in a process of its own, killed where it does not end by itself."""
    started = time.strftime("%Y-%m-%dT%H:%M:%S")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "events.jsonl"
        command = [sys.executable, __file__, "--worker", json.dumps(asdict(search))]
        most = START_SECONDS + search.seconds + MARGIN_SECONDS
        try:
            done = subprocess.run(
                [*command, "--output", str(output)],
                timeout=most,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired:
            done = None
        if done is not None and done.returncode:
            raise SystemExit(f"{search} failed:\n{done.stderr[-2000:]}")
        row = row_of(search, read_rows(output))
    return {**row, "started": started, "load": round(os.getloadavg()[0], 2)}


def _report(space: Space, folder: Path) -> None:
    rows = read_rows(folder / "versus_keras_tuner.jsonl")
    if not rows:
        raise SystemExit("There are no searches yet; run with --part searches.")
    truth = read_truth(space, folder / "versus_ground_truth.jsonl")
    params = space.params()
    fits = {
        row["limit"]: sum(n <= row["limit"] for n in params.values()) / len(params)
        for row in rows
    }
    table = markdown_table(summary_rows(rows, truth, params), fits)
    (folder / "versus_keras_tuner.md").write_text(table)
    plot_curves(rows, truth, params, fits, folder / "versus_keras_tuner.svg")
    print(table)


if __name__ == "__main__":
    main()
