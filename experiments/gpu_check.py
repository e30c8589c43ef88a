"""All that a GPU must show of kscale, in one run of at most five minutes.

Command: `python experiments/gpu_check.py --mnist PATH/mnist.npz` on a machine with a
GPU (`--smoke`: some two minutes, on any machine). Each part is a process of its own
that is stopped when its time is over, and leaves what it does not need to those that
follow. What the parts print, a line for each thing measured, goes to standard output,
rows of `training_speed` and `precision` into `experiments/results`. The parts, that of
most use first:

- `search`: trainings of a search on MNIST (cnn, 200k parameters) that end in 80 s, one
  line each.
- `equal`: XLA and the plain graph give the same losses and outputs after an epoch, for
  each family.
- `at_once`: seconds of each epoch of one and of eight networks in a program.
- `speed`: `training_speed.py --chosen` on the GPU, ten rows as far as the time goes.
- `precision`: `precision.py`, bfloat16 beside float32.
- `workers`: as `search`, with eight processes on the GPU; only with `--part workers`.

Result, on one H200 with CUDA 13 and 16 cores (seven processes at once but where said):

- `equal`, alone: losses of mlp, cnn, resnet and transformer are the same to six digits,
  outputs differ by at most 0.0001. XLA does not compile cuDNN's recurrent layers, which
  are trained without since then.
- one network, MNIST, milliseconds an epoch of 480 steps, and seconds of the first: mlp
  2 x 64 99 and 6.0, cnn 2 x 16 357 and 8.5, cnn 3 x 24 598 and 17.6. Without XLA's
  autotuning the first epochs take half as long, and those of cnns up to ten times as
  long. Alone, on the digits: mlp 2 x 64 2.6 ms an epoch (`fit` 135), 2.2 s the first
  training and 0.3 s the second.
- eight mlps 2 x 64 in one program: 152 ms an epoch, 19 ms each; but XLA compiled every
  epoch of a first training anew, for 3 s and more. For that reason `search` was stopped
  after 110 s with no answer. Epochs are compiled once since then (on a CPU the first
  training of eight mlps takes 2.2 s, 28 s before); that was not measured on a GPU yet.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FOLDER = Path(__file__).parent
SEARCH_SECONDS, START_SECONDS = 80.0, 20.0
PARTS = {
    "search": 110.0,
    "equal": 50.0,
    "at_once": 45.0,
    "speed": 50.0,
    "precision": 45.0,
    "workers": 110.0,
}
"""Seconds of each part, with the start of its process."""
USUAL = [*PARTS][:-1]
WORKERS = ("equal", "at_once", "search", "workers")
"""Parts that are functions of this file."""


def main() -> None:
    """Run the parts, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, on any machine")
    parser.add_argument("--mnist", help="NPZ file of MNIST; without it, the digits")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=USUAL)
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    data = asked.mnist or "digits"
    if asked.worker == "equal":
        check_equal()
    elif asked.worker == "at_once":
        time_epochs(data, asked.smoke)
    elif asked.worker:
        seconds = 10.0 if asked.smoke else SEARCH_SECONDS
        some = 2 if asked.smoke else 8
        count_trainings(data, seconds, some if asked.worker == "workers" else None)
    else:
        until = time.perf_counter()
        for part in asked.part:
            until += PARTS[part]
            run_part(part, data, asked.smoke, until - time.perf_counter())


def run_part(part: str, data: str, smoke: bool, seconds: float) -> None:
    """Run a part until it ends, or with all its processes until its time is over."""
    small, rest = ["--smoke"] * smoke, ["--seconds", str(seconds - START_SECONDS)]
    commands = {
        **{
            name: [__file__, "--worker", name, "--mnist", data, *small]
            for name in WORKERS
        },
        "speed": [
            *(str(FOLDER / "training_speed.py"), *rest),
            *(small or ["--device", "gpu", "--chosen", "--fresh"]),
        ],
        "precision": [str(FOLDER / "precision.py"), *rest, *small],
    }
    print(f"== {part}", flush=True)
    start = time.perf_counter()
    command = [sys.executable, *commands[part]]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            how = f"ended with {process.wait(seconds)}"
        except subprocess.TimeoutExpired:
            how = "was stopped"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
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


def time_epochs(data: str, smoke: bool) -> None:
    """Train one network and eight at once, from two seeds each; seconds an epoch."""
    from kscale import find_family, load_dataset
    from kscale.engine.engines import make_engine
    from kscale.engine.family_network import family_network
    from kscale.engine.recipe import Recipe

    dataset, engine = load_dataset(data), make_engine("auto")
    placed, recipe = engine.place(dataset), Recipe.for_examples(len(dataset.train))
    cases = (("mlp", 64), ("cnn", 16), ("cnn", 24))
    for family, width in cases[: 1 if smoke else None]:
        found = find_family(family)
        spec = found.spec(depth=2, width=width)
        network = family_network(spec, dataset.task)
        for count in (1, 8):
            program = engine.program([network] * count, placed, recipe)
            for first in (0, count):
                seeds, seconds = range(first, first + count), []
                program.start(seeds, [1e-3] * count)
                for epoch in range(4):
                    start = time.perf_counter()
                    program.run_epoch(
                        [recipe.order(len(dataset.train), s, epoch) for s in seeds]
                    )
                    seconds.append(round(time.perf_counter() - start, 3))
                print(f"{family} 2 x {width}, {count} at once: {seconds}", flush=True)


def count_trainings(data: str, seconds: float, workers: int | None) -> None:
    """Search cnns of at most 200,000 parameters, and count what was trained."""
    import kscale

    class Printed(kscale.Listener):
        """A line for each training, which stays if the part is stopped."""

        begun, count = time.perf_counter(), 0

        def result_recorded(self, result: "kscale.Training") -> None:
            self.count += 1
            after = time.perf_counter() - self.begun
            print(f"{self.count} after {after:.1f} s: {result.spec}", flush=True)

    asked = {"family": "cnn", "max_params": 200_000, "trials": 10_000}
    if workers:
        asked["workers"] = workers
    with tempfile.TemporaryDirectory() as folder:
        about = {"time_limit": seconds, "run": f"{folder}/run", "listener": Printed()}
        run = kscale.tune(data, **about, **asked)
        trained = [it for it in run.results if isinstance(it, kscale.Training)]
        cnns = [it for it in trained if it.family == "cnn" and it.score is not None]
        print(f"{len(cnns)} trainings of cnns in {seconds:.0f} s on {data}")


if __name__ == "__main__":
    main()
