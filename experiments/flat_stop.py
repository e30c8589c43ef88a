"""When is further search worth less than it costs?

A search that stops by itself stops where what the searcher expects of the next job,
`Beliefs.gain`, was less than a part of the standard error of the best score for so many
jobs in a row. Command: `python experiments/flat_stop.py --repeats 6` replays `auto` on
four of kscale's own tables and four tasks of LCBench, where all networks fit, up to 20
full trainings, and prints for each part and number: the searches that stop, where they
stop in full trainings, the regret there, the regret that the same searches have at the
end, and the searches that lose more than half a point. Standard errors are those of as
many validation examples as the own tables have, and of 2,000 on LCBench. `--smoke`: two
repeats of one table.

Result (seeds 10^6 apart, 48 searches of 8 tasks; ten minutes of two
busy cores; networks of the own tables were worth their mean validation scores then,
and are worth those on the test part now), the loss being what stopping adds to the
regret, and its standard error:

| part | in a row | stopped | at | regret there | at the end | loss | of > .5 points |
|---|---|---|---|---|---|---|---|
| .3 | 3 | 100 % | 4.5 | 1.29 | .24 | 1.05 (.30) | 31 % |
| .3 | 8 | 100 % | 6.4 | 1.24 | .24 | 1.00 (.30) | 29 % |
| .1 | 3 | 100 % | 7.6 | .98 | .24 | .74 (.27) | 19 % |
| .1 | 5 | 100 % | 8.5 | .88 | .24 | .64 (.25) | 17 % |
| .1 | 8 | 98 % | 10.5 | .34 | .23 | .11 (.07) | 4 % |
| .03 | 3 | 90 % | 10.3 | .37 | .21 | .16 (.08) | 7 % |
| .03 | 8 | 85 % | 12.8 | .34 | .21 | .13 (.07) | 5 % |

A searcher is sure of itself for a few jobs long before it is right (`albert` of LCBench
gives most of the losses), so kscale waits for eight in a row below a tenth: half of the
cost of 20 trainings for a tenth of a point. A search of `normal` effort mostly ends
before that, but for small data, on which it may train for 20 seconds.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from replay import OWN, SHARED, Replay
from tables.reading import TableTask, read_table

from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.contract import Allowance, Job

TRAININGS = 20
PARTS = (0.3, 0.1, 0.03)
IN_A_ROW = (3, 5, 8)
OF_OWN = (
    "adult_few_mlp.npz",
    "adult_mlp.npz",
    "digits_mlp.npz",
    "spoken_digits_rnn.npz",
)
EXAMPLES = {"digits": 600, "adult_few": 3000, "adult": 4884, "spoken_digits": 1100}


@dataclass(frozen=True)
class Step:
    """A job of a search.

    Args:
        cost: What was spent before, in full trainings.
        gain: What the searcher expects of the next job, in standard errors of the best.
        regret: What the most promising network misses, in points.
    """

    cost: float
    gain: float
    regret: float


def steps_of(task: TableTask, repeat: int, examples: int) -> Iterator[Step]:
    """What a search expects and has, before each of its jobs and at the end."""
    replay = Replay(task, int(task.params.max()), repeat)
    searcher = SEARCHERS["auto"](replay._settings())
    history: list[Training] = []
    spent = 0.0
    while True:
        beliefs = searcher.beliefs(history)
        if beliefs is not None:
            pick = beliefs.trained[0]
            place = replay.places[pick.spec, float(pick.learning_rate or 0.0)]
            best = float(np.clip(pick.score, 1.0, 99.0))
            stderr = (best * (100.0 - best) / examples) ** 0.5
            regret = float(task.truth.max() - task.truth[place])
            yield Step(spent / task.epochs, beliefs.gain / stderr, regret)
        left = TRAININGS * task.epochs - spent
        allowance = Allowance(left, cost=lambda job: job.epochs_to - job.epochs_from)
        job = searcher.propose(tuple(history), (), allowance)
        if not isinstance(job, Job):
            return
        spent += allowance.cost(job)
        history += replay._trained(job)


def stop_of(steps: Sequence[Step], part: float, in_a_row: int) -> Step | None:
    """Where a search stops; None where it goes on to the end."""
    flat = 0
    for step in steps:
        flat = flat + 1 if step.gain < part else 0
        if flat == in_a_row:
            return step
    return None


def tasks_of(paths: Sequence[Path]) -> Iterator[tuple[str, TableTask, int]]:
    for path in paths:
        if not path.exists():
            print(f"{path} is not there: skipped.")
            continue
        tasks = read_table(path)
        for task in tasks if len(tasks) == 1 else tasks[::4]:
            name = path.stem.removesuffix("_mlp").removesuffix("_rnn")
            yield f"{name} {task.name}", task, EXAMPLES.get(name, 2000)


def main() -> None:
    """Replay, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--smoke", action="store_true", help="two repeats, one table")
    asked = parser.parse_args()
    paths = [OWN / name for name in OF_OWN] + [SHARED / "lcbench_given.npz"]
    repeats = 2 if asked.smoke else asked.repeats
    found: dict[str, list[list[Step]]] = {}
    for name, task, examples in tasks_of(paths[2:3] if asked.smoke else paths):
        found[name] = [list(steps_of(task, r, examples)) for r in range(repeats)]
        ends = [run[-1] for run in found[name]]
        print(name, *(f"{np.mean([e.regret for e in ends]):.3f}",), flush=True)
    print("part  in a row  stopped  at (trainings)  regret  at the end  loss of > .5")
    for part in PARTS:
        for number in IN_A_ROW:
            runs = [run for each in found.values() for run in each]
            stops = [(stop_of(run, part, number), run[-1]) for run in runs]
            done = [(stop, end) for stop, end in stops if stop is not None]
            row = [len(done) / len(runs)]
            if done:
                row += [float(np.mean([stop.cost for stop, _ in done]))]
                row += [float(np.mean([stop.regret for stop, _ in done]))]
                row += [float(np.mean([end.regret for _, end in done]))]
                lost = [stop.regret - end.regret for stop, end in done]
                row += [float(np.mean(np.array(lost) > 0.5))]
            print(
                f"{part:<6g}{number:<8}" + "".join(f"{value:>12.2f}" for value in row)
            )


if __name__ == "__main__":
    main()
