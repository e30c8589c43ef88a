"""How soon does kscale find a good network, and how soon do other tools?

Command: `python experiments/versus_peers.py` (`--smoke`: a few minutes, into a folder
that is thrown away; `--part replayed`, `live` or `report` does one part; `--method`,
`--table`, `--share` and `--data` choose). What was run is a row in
`results/versus_peers.jsonl` and is not run again, so the command may be stopped and
started. Table and figures: `results/versus_peers.md`; plot: `versus_peers.svg`.

Replayed: searches on tables of networks trained before (`experiments/replay.py`), where
5, 30 and 90 % of the networks fit, the cost in epochs.

- Every method has the same 20 seeds, 10^6 apart, and sees the same seed of the table.
  KerasTuner's BayesianOptimization takes seconds a search and has 8 of them. At most 4
  tasks of a table, evenly chosen (of LCBench's 14). On kscale's own tables a search
  sees validation scores, and its answer is worth its mean on the test part.
- A network and rate that a tool trains again costs only the epochs that it did not have
  before. (On LCBench all names of a network of one layer are one network.) A tool that
  has trained everything that fits ends.
- What a search may spend is known beforehand to kscale's searchers, of which each cost
  is a search of its own, and to one-epoch top-K. `auto, one search` may spend 16
  trainings and is asked for its answer on its way, as all others are; without curves
  this makes no difference.
- A search ends with the best score of a training of full length that was paid, or of
  any where none has full length; kscale's model-based searchers end with the network
  that they believe in most. Before the first, it counts as the worst that fits.
- KerasTuner's oracles are asked as its tuners ask them. As shipped, an oversized model
  is a failed trial that costs nothing, and three in a row end the search. Helped, no
  failure ends it, and `kscale.BudgetedOracle` proposes only what fits. Hyperband goes
  on from checkpoints; without curves it is random search, and so left out, and helped
  also where fewer networks fit than its first bracket takes: it ends there before it
  trains any for longer.
- Optuna's TPE has the pruner by medians (told ten times a training), all as by default;
  what is oversized is pruned at once. With our filter it is asked again, 20 times,
  where that or a known network is proposed, and then given another that fits.
- One-epoch top-K spends a third on short trainings.
- Medians over the seeds with 95 % intervals by bootstrap; Wilcoxon's signed rank test
  against kscale's auto, Holm's correction over the methods at each cost.
- The tuner of KerasTuner with the least median after 16 trainings gives the quality
  that auto has to reach. Both pay up to where that quality is first kept to the end,
  in the medians, and for each seed in the regrets of that seed.

Live: wall clock, searches of a minute in processes of their own, tools in turn. All
search the same family within the same limit with the same epochs and batches; all but
kscale train by Keras' `fit`. Packages and data are loaded before the clock starts,
compiling is inside. kscale runs once with that minute as its time limit and once with
`--effort normal` to its end, finalists included; KerasTuner runs Hyperband, helped, its
best on the tables at few trainings. What ends after the minute counts for no tool,
unless a search has no such limit. The true score of an answer is the mean over two
trainings from other seeds on the test part.
"""

import argparse
import json
import logging
import os
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from versus import live, live_report, replayed  # noqa: E402
from versus.rows import read_rows  # noqa: E402

RESULTS = Path(__file__).parent / "results"
_MARK = "<!-- written by experiments/versus_peers.py from here on -->"
PARTS = ("replayed", "live", "report")


def main() -> None:
    """Run what is asked for, and write the table and the plot."""
    asked = _arguments()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # every network is traced
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise SystemExit(
            "Optuna is compared with, but it is missing: pip install 'optuna>=4,<6'."
        ) from None
    warnings.simplefilter("ignore")  # of sklearn and Optuna, thousands of them
    if asked.worker:
        live.run_worker(json.loads(asked.worker), Path(asked.output))
        return
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = Path(thrown_away) if asked.smoke else RESULTS
        if "replayed" in asked.part:
            _replay(asked, folder / "versus_peers.jsonl")
        if "live" in asked.part:
            _search(asked, folder / "versus_peers.jsonl")
        if "report" in asked.part:
            _report(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds, thrown away")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=20, help="seeds of a method")
    parser.add_argument("--slow-repeats", type=int, default=8, help="of slow ones")
    parser.add_argument("--tasks", type=int, default=4, help="of a table, at most")
    parser.add_argument("--method", default="", help="only methods named so")
    parser.add_argument("--table", default="", help="only tables named so")
    parser.add_argument(
        "--share", nargs="+", type=int, help="only so many per cent fit"
    )
    parser.add_argument("--seeds", type=int, default=5, help="live, of a tool")
    parser.add_argument("--data", nargs="+", help="live, only these data sets")
    parser.add_argument("--tool", nargs="+", help="live, only these tools")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    return parser.parse_args()


def _replay(asked: argparse.Namespace, path: Path) -> None:
    tables, shares = replayed.table_files(), asked.share or replayed.SHARES
    if asked.smoke:
        tables, shares = tables[-1:], shares[-1:]
        asked.repeats = asked.tasks = 1
        asked.slow_repeats = 0
    tables = [table for table in tables if asked.table in table.name]
    counts = asked.repeats, asked.slow_repeats, asked.tasks
    replayed.run_replays(path, tables, shares, *counts, asked.method)


def _search(asked: argparse.Namespace, path: Path) -> None:
    problems = [p for p in live.PROBLEMS if p.data in (asked.data or [p.data])]
    if asked.smoke:
        problems, asked.seeds = [replace(live.PROBLEMS[0], epochs=1, seconds=5.0)], 1
    tools = [tool for tool in live.TOOLS if tool in (asked.tool or [tool])]
    live.run_searches(path, problems, tools, asked.seeds)


def _report(folder: Path) -> None:
    rows = read_rows(folder / "versus_peers.jsonl")
    tables = replayed.merged(row for row in rows if "table" in row)
    searches = [row for row in rows if row.get("kind") == "live"]
    truth = {(r["data"], r["name"]): r for r in rows if r.get("kind") == "truth"}
    parts = []
    if searches:
        parts.append(live_report.markdown(searches, truth))
    if tables:
        parts.append(replayed.markdown(tables))
        replayed.plot(tables, folder / "versus_peers.svg")
    found = folder / "versus_peers.md"
    head = found.read_text().split(_MARK)[0] if found.exists() else ""
    found.write_text(f"{head}{_MARK}\n\n" + "\n".join(parts))
    print(found.read_text())


if __name__ == "__main__":
    main()
