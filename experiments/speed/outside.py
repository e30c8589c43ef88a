"""How much of a search's wall clock is outside trainings?

Command: `python experiments/speed/outside.py OPTIONS`, with the options of `kscale
tune` (and `--run FOLDER`, a new folder): prints seconds of the command from its start,
seconds of the trainings as its records have them, and the share of what is outside:
TensorFlow's start, planning, proposals, checkpoints, records, answer and files.

Result, on one core of two that other processes took most of (load 4.5; TensorFlow 2.21,
seed 0, commit cc45e3c8), with MNIST's first 12,000 and 2,000 images as an NPZ file:
`--data FILE --family mlp --max-params 2e6 --set width=256 --time 120`: 20 trainings,
122.2 s, 98.4 s of trainings (88.2 s of 100k parameters and more), 19.5 % outside. Some
18 s of the 23.8 s outside are the start, until the first training; 3.5 s lie between
trainings, which is 3.5 % of the time from the second training to the last.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from kscale import Run


def main() -> None:
    """Run the command, and compare its time with that of its trainings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="a new folder")
    given, options = parser.parse_known_args()
    start = time.perf_counter()
    command = [sys.executable, "-c", "from kscale.cli import main; main()", "tune"]
    subprocess.run([*command, *options, "--run", given.run], check=True)
    wall = time.perf_counter() - start
    run = Run(Path(given.run))
    trained = sum(training.seconds for training in run.trainings)
    largest = sum(t.seconds for t in run.trainings if t.params >= 10**5)
    print(
        f"{len(run.trainings)} trainings, {wall:.1f} s, {trained:.1f} s of trainings "
        f"({largest:.1f} s of 100k parameters and more), "
        f"{100 * (1 - trained / wall):.1f} % outside"
    )


if __name__ == "__main__":
    main()
