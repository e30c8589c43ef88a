"""Does a search of an effort keep within it, and is its answer good?

Goal: all trainings of `--searcher auto --effort normal` within 5 times one full
training of its winner, which is trained alone, in a process of its own. Beside it
`--searcher random --trials 20`. Command: `python experiments/effort.py --data FOLDER`
(`--smoke`: digits alone, of quick effort; `--only TEXT`: the data whose name has it);
FOLDER holds the sets of `experiments/real_data.py`. Times are processor seconds, which
a busy machine leaves as they are; on small data an effort is at least 20 seconds. The
figures go to `experiments/results/effort.md`.

Result: on 5,000 images of MNIST 4.1 full trainings of the winner, the goal; on digits
and Adult, whose winners train in 2 s, the least of 20 seconds is what is used (21 s).
Random search with 20 trials takes 60 s on the digits, for a winner 0.9 points better on
the validation part and 0.4 worse on the test part; with MNIST it was not run to the
end. Before, an effort paid for two finalists whatever they cost, and that of MNIST took
290 s for a winner of some 45 s.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

DATA = {
    "digits": ("--data", "digits", "--max-params", "50k"),
    "Adult": ("--data", "{adult}", "--label", "income", "--max-params", "50k"),
    "MNIST, 5,000 images": ("--data", "{mnist}", "--max-params", "20k"),
}
WAYS = {
    "auto, normal": ("--searcher", "auto", "--effort", "normal"),
    "random, 20": ("--searcher", "random", "--trials", "20"),
}
SMOKE = {"auto, quick": ("--searcher", "auto", "--effort", "quick")}
CLOCK = "import time; time.monotonic = time.process_time\n"
RUN = CLOCK + "from kscale.cli import main; main()"
ALONE = CLOCK + (
    "import json, sys, kscale\n"
    "best = kscale.Run(sys.argv[1]).best()\n"
    "knobs = {**dict(best.spec.knobs), 'learning_rate': best.learning_rate}\n"
    "asked = json.loads(sys.argv[3])\n"
    "data = kscale.load_dataset(asked.pop('data'), **asked)\n"
    "run = kscale.train(best.family, knobs, data, run=sys.argv[2])\n"
    "print(sum(t.seconds for t in run.trainings if t.stage == 'search'))"
)


def printed(code: str, *words: str) -> str:
    """What a Python process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def searched(words: Sequence[str], way: Sequence[str]) -> dict[str, Any]:
    """A search, and its winner trained alone."""
    given = {words[at][2:]: words[at + 1] for at in range(0, len(words), 2)}
    given.pop("max-params")
    with tempfile.TemporaryDirectory() as place:
        folder, again = f"{place}/run", f"{place}/again"
        printed(RUN, "tune", *words, *way, "--run", folder, "-q")
        shown = json.loads(printed(RUN, "report", folder, "--json"))
        alone = float(printed(ALONE, folder, again, json.dumps(given)))
        lines = (Path(folder) / "results.jsonl").read_text().splitlines()
    trained = [r for r in map(json.loads, lines) if r["type"] == "training"]
    return {
        "trainings": len(trained),
        "seconds": sum(record["seconds"] for record in trained),
        "alone": alone,
        "best": shown["best"],
    }


def row_of(data: str, way: str, found: dict[str, Any]) -> str:
    best, ratio = found["best"], found["seconds"] / found["alone"]
    return (
        f"| {data} | {way} | {found['trainings']} | {found['seconds']:.0f} s "
        f"| {found['alone']:.1f} s | {ratio:.1f} | {best['params']:,} "
        f"| {100 * best['score']:.2f} | {100 * best['test_score']:.2f} |"
    )


def main() -> None:
    """Search, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    heads = ("data", "search", "trainings", "all", "winner alone", "ratio", "params")
    rows = [f"| {' | '.join((*heads, '%', 'test %'))} |", "|---" * 9 + "|"]
    with tempfile.TemporaryDirectory() as place:
        mnist = asked.data / "mnist.npz"
        if not asked.smoke:
            with np.load(mnist) as file:
                parts = {"x": file["x_train"][:5000], "y": file["y_train"][:5000]}
            np.savez(f"{place}/mnist.npz", **parts)
        paths = {
            "adult": str(asked.data / "adult_train.csv.gz"),
            "mnist": f"{place}/mnist.npz",
        }
        for name, words in DATA.items():
            if asked.only not in name or (asked.smoke and name != "digits"):
                continue
            for way, options in (SMOKE if asked.smoke else WAYS).items():
                found = searched([word.format(**paths) for word in words], options)
                rows.append(row_of(name, way, found))
                print(rows[-1], flush=True)
    if not (asked.smoke or asked.only):
        target = Path(__file__).parent / "results" / "effort.md"
        about = (
            "`python experiments/effort.py --data FOLDER`, seed 0, processor seconds."
        )
        target.write_text("\n".join(["# Efforts", "", about, "", *rows, ""]))


if __name__ == "__main__":
    main()
