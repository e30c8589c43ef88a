"""All that a GPU must show of kscale, in one run of at most five minutes.

Command: `python experiments/gpu_check.py --mnist PATH/mnist.npz` on a machine with a
GPU (`--smoke`: some two minutes, on any machine). Each part is a process of its own
with an end, so that a part that fails or is slow leaves time for the others; what the
parts print goes to standard output, rows of `training_speed` and `precision` into
`experiments/results`.

- `equal`: XLA and the plain graph give the same losses and outputs after an epoch, for
  each family.
- `search`: trainings of a search on MNIST (cnn, 200k parameters) that end in 80 s.
- `speed`: `training_speed.py` on the GPU, all networks as far as the time goes.
- `precision`: `precision.py`, bfloat16 beside float32.

Result: no GPU could be had yet; on 2 CPU cores the small form ends without an error.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FOLDER = Path(__file__).parent
START_SECONDS = 15.0
PARTS = {"equal": 45.0, "search": 80.0, "speed": 80.0, "precision": 35.0}
"""Seconds of each part, beside the start of a process."""


def main() -> None:
    """Run the parts, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, on any machine")
    parser.add_argument("--mnist", help="NPZ file of MNIST; without it, the digits")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--worker", choices=("equal", "search"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    data = asked.mnist or "digits"
    if asked.worker == "equal":
        check_equal()
    elif asked.worker == "search":
        count_trainings(data, 10.0 if asked.smoke else PARTS["search"])
    else:
        for part in asked.part:
            run_part(part, data, asked.smoke)


def run_part(part: str, data: str, smoke: bool) -> None:
    """Run a part until it ends, or until its time is over."""
    seconds, small = PARTS[part], ["--smoke"] * smoke
    commands = {
        "equal": [__file__, "--worker", "equal"],
        "search": [__file__, "--worker", "search", "--mnist", data, *small],
        "speed": [
            *(str(FOLDER / "training_speed.py"), "--seconds", str(seconds)),
            *(small or ["--device", "gpu"]),
        ],
        "precision": [
            *(str(FOLDER / "precision.py"), "--seconds", str(seconds), *small)
        ],
    }
    print(f"== {part}", flush=True)
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *commands[part]], timeout=seconds + START_SECONDS
        )
        how = f"ended with {done.returncode}"
    except subprocess.TimeoutExpired:
        how = "was stopped"
    print(f"== {part} {how} after {time.perf_counter() - start:.0f} s", flush=True)


def check_equal() -> None:
    """Compare an epoch that XLA compiles with one that it does not."""
    import numpy as np
    import tensorflow as tf
    from speed.cases import SIZES, Case
    from speed.ways import placed_for

    from kscale.engine.tensorflow.epochs import EpochProgram

    # Products of fewer digits would hide what is wrong.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for name, sizes in SIZES.items():
        case = Case(name, *sizes[0], is_random=False)
        placed, engine = placed_for(case)
        losses, outputs = [], []
        for compiled in (False, True):
            program = EpochProgram(
                case.network, placed, case.recipe, engine.strategy, compiled
            )
            program.start([1], [1e-3])
            losses += program.run_epoch([case.order(1, 0)])
            (given,) = program.predict(case.data.validation.inputs)
            outputs.append(next(iter(given.values())))
        apart = np.abs(outputs[0] - outputs[1]).max()
        spread = np.abs(outputs[0]).max()
        verdict = "equal" if apart < 1e-2 * spread else "NOT EQUAL"
        print(
            f"{case.name:<18} losses {losses[0]:.6f} and {losses[1]:.6f}, outputs up to"
            f" {spread:.2f} are at most {apart:.5f} apart: {verdict}",
            flush=True,
        )


def count_trainings(data: str, seconds: float) -> None:
    """Search cnns of at most 200,000 parameters, and count what was trained."""
    import kscale

    asked = {"family": "cnn", "max_params": 200_000, "trials": 10_000}
    with tempfile.TemporaryDirectory() as folder:
        run = kscale.tune(data, time_limit=seconds, run=f"{folder}/run", **asked)
        trained = [it for it in run.results if isinstance(it, kscale.Training)]
        cnns = [it for it in trained if it.family == "cnn" and it.score is not None]
        print(f"{len(cnns)} trainings of cnns in {seconds:.0f} s on {data}")


if __name__ == "__main__":
    main()
