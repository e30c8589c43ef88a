"""What do zeros, fewer channels and a teacher buy, beside their honest baselines?

Command: `python experiments/pruning.py` (eight minutes on two busy cores; `--smoke`:
half a minute, a tiny network and one seed). Three networks (cnn, depth 4, width 32) are
trained on the embedded digits from seeds 0, 1 and 2, 40 epochs of 39 steps. Each method
of `kscale compress` that trains is applied to each, with 10 epochs of fine-tuning; the
same small network from scratch has all 50. For distillation, networks of a quarter of
the width learn from 100 labelled images alone, with and without a teacher that has seen
all labels.

Accuracies are of the validation and the test part together (540 images), the mean over
the seeds. Differences are paired by seed and image; their errors are those over images
and over seeds. Files are those of seed 0: LiteRT, in float32 and in static int8, whose
gzip is what zeros make smaller. The last table is of fine-tuning at lower learning
rates than that of the training. Result: `experiments/results/pruning.md`. In short, on
2 CPU cores with TensorFlow 2.21 and Keras 3.15.1:

- 95 % of the weights can be 0 without a loss that 540 images show (99.44 % beside 99.44
  as trained), and the gzip of the int8 file falls from 65 to 13 kB. The file itself and
  its time stay the same.
- Fewer channels make files and times smaller, but half the width from scratch for as
  many epochs is no worse: 99.57 % beside 99.01, 0.56 +- 0.37 more; and channels of the
  smallest kernels cannot be told from random ones (-0.19 +- 0.19). What is gained is
  that 10 epochs do what 50 did.
- On 100 labelled images a teacher gives 4.0 +- 1.3 points more.
- Repairs at the learning rate of the training are never worse than at a third or a
  tenth of it (narrow:75%: 98.83 %, 98.02, 96.73), so that this is what methods do.
"""

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kscale.data.dataset import Dataset  # noqa: E402
from kscale.data.loading import load_dataset  # noqa: E402
from kscale.data.parts import Part, PartName  # noqa: E402
from kscale.data.splitting import nested_rows  # noqa: E402
from kscale.engine.recipe import Recipe  # noqa: E402
from kscale.networks.families import find_family  # noqa: E402
from kscale.ship.artifacts import Artifact  # noqa: E402
from kscale.ship.compressing.contract import Subject, Trained  # noqa: E402
from kscale.ship.compressing.methods import parse_chain  # noqa: E402
from kscale.ship.compressing.quantizing import quantize_file  # noqa: E402
from kscale.ship.compressing.training import trainer_of  # noqa: E402
from kscale.ship.exporting import sizes_of  # noqa: E402
from kscale.ship.formats import litert  # noqa: E402
from kscale.ship.packaging import bare_model  # noqa: E402
from kscale.ship.runtimes import tried_apart  # noqa: E402
from kscale.task.evaluation import paired_error  # noqa: E402
from kscale.task.objectives import task_objective  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "pruning.md"
PARTS: tuple[PartName, ...] = ("validation", "test")
LABELLED = 100

ROWS = [
    ("fine-tune", ""),
    ("prune:50%", "fine-tune"),
    ("prune:80%", "fine-tune"),
    ("prune:95%", "fine-tune"),
    *(
        row
        for share in (25, 50, 75)
        for row in (
            (f"scratch:{share}%", ""),
            (f"narrow-random:{share}%", f"scratch:{share}%"),
            (f"narrow:{share}%", f"narrow-random:{share}%"),
            (f"narrow:{share}%", f"scratch:{share}%"),
        )
    ),
]
"""A method, and the baseline that it is compared with."""
TUNED = ["prune:80%", "prune:95%", "narrow:50%", "narrow:75%"]


@dataclass(frozen=True)
class Seen:
    """Networks of a method, one a seed, and whether each example is right."""

    networks: list[Trained]
    right: list[np.ndarray]

    @property
    def score(self) -> float:
        return float(np.mean(self.right))

    def minus(self, other: "Seen") -> tuple[float, float]:
        """The mean difference, and its standard error."""
        pairs = zip(self.right, other.right, strict=True)
        each = [float(mine.mean() - its.mean()) for mine, its in pairs]
        seeds = stdev(each) / math.sqrt(len(each)) if len(each) > 1 else 0.0
        left = [_left_out(np.mean(it.right, axis=0)) for it in (self, other)]
        return fmean(each), math.hypot(paired_error(left[0], left[1]), seeds)


def _left_out(right: np.ndarray) -> list[float]:
    count = len(right)
    return ((right.sum() - right) / (count - 1)).tolist()


def main() -> None:
    """Train, apply all methods, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny, one seed")
    is_smoke = parser.parse_args().smoke
    data, seeds = load_dataset("digits"), 1 if is_smoke else 3
    recipe = Recipe(2, 128) if is_smoke else Recipe(40, 32)
    rows = ROWS[:3] if is_smoke else ROWS
    with TemporaryDirectory() as folder:
        subjects = list(bases(data, recipe, seeds, 4 if is_smoke else 32, Path(folder)))
        lines = [*compared(subjects, rows, Path(folder)), ""]
        lines += [*taught(subjects, 2 if is_smoke else 200, Path(folder)), ""]
        lines += at_rates(subjects, ["prune:95%"] if is_smoke else TUNED, Path(folder))
    print(*lines, sep="\n")
    if not is_smoke:
        title = "Digits, cnn 4 x 32, seeds 0, 1, 2: `python experiments/pruning.py`\n"
        OUTPUT.write_text("\n".join([title, *lines]) + "\n")


def bases(
    data: Dataset, recipe: Recipe, seeds: int, width: int, folder: Path
) -> Iterator[Subject]:
    """A subject for each seed, with its trained network."""
    spec = find_family("cnn").spec(depth=4, width=width)
    for seed in range(seeds):
        path = folder / f"base{seed}.npz"
        objective = task_objective(None, data.task)
        subject = Subject(
            Trained(spec, path, 0.01), None, data, objective, recipe, seed=seed
        )
        trainer = trainer_of(subject)
        trainer.train(subject.network, 100 + seed, path, recipe.epochs, is_new=True)
        yield subject


def seen(subjects: Sequence[Subject], networks: list[Trained]) -> Seen:
    """Networks with what they get right."""
    right = []
    for subject, network in zip(subjects, networks, strict=True):
        trainer, data = trainer_of(subject), subject.dataset
        found = []
        for part in PARTS:
            pairs = data.pairs(part, trainer.outputs(network, part))
            ((labels, given),) = pairs.values()
            found.append(given.argmax(axis=1) == labels)
        right.append(np.concatenate(found).astype(float))
    return Seen(networks, right)


def applied(subjects: Sequence[Subject], method: str, folder: Path) -> Seen:
    """What a method makes of each subject's network."""
    (step,) = parse_chain(method).steps
    assert step.method.train is not None
    made = [
        step.method.train(subject, step.share, folder / f"{method}{subject.seed}.npz")
        for subject in subjects
    ]
    return seen(subjects, made)


def compared(
    subjects: Sequence[Subject], rows: list[tuple[str, str]], folder: Path
) -> Iterator[str]:
    """The table of pruning."""
    found = {"as trained": seen(subjects, [each.network for each in subjects])}
    for method in dict.fromkeys(method for method, _ in rows):
        found[method] = applied(subjects, method, folder)
    yield "| method | params | accuracy | kB | gzip | int8 gzip | ms | difference to |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for name, each in found.items():
        task, network = subjects[0].dataset.task, each.networks[0]
        params = find_family("cnn").size(network.spec, task).params
        files = file_cells(subjects[0].dataset, network, folder)
        others = [other for method, other in rows if method == name and other]
        beside = "; ".join(_difference(each, found[it], it) for it in others)
        score = f"{100 * each.score:.2f}"
        yield f"| {name} | {params:,} | {score} | {files} | {beside} |"


def _difference(one: Seen, other: Seen, name: str) -> str:
    gain, error = one.minus(other)
    return f"{name}: {100 * gain:+.2f} +- {100 * error:.2f}"


def file_cells(data: Dataset, network: Trained, folder: Path) -> str:
    """Cells with bytes and time of the files of a network."""
    path, small = folder / "float32.tflite", folder / "int8.tflite"
    about = data.preprocessing, data.target_scaling
    model = bare_model(network.spec, data.task, network.weights, *about)
    litert.convert(model, data.task, path)
    artifact = Artifact(path, data.task, about[0], tuple(about[0]), data.reader)
    _, raw = data.examples(data.train, np.arange(min(len(data.train), 500)))
    inputs = {artifact.takes[name]: array for name, array in raw.items()}
    quantize_file("int8", path, small, inputs)
    (size, packed), (_, small_packed) = sizes_of(path), sizes_of(small)
    time = tried_apart(path, inputs).quantile(0.5)
    sizes = " | ".join(f"{count / 1e3:.0f}" for count in (size, packed, small_packed))
    return f"{sizes} | {time:.3f}"


def taught(subjects: Sequence[Subject], epochs: int, folder: Path) -> Iterator[str]:
    """The table of distillation."""
    part = subjects[0].dataset.train
    labels = {name: rows[:] for name, rows in part.targets.items()}
    chosen = nested_rows(subjects[0].dataset.task.targets, labels, seed=0)[:LABELLED]
    few = Part(
        {name: rows[chosen] for name, rows in part.inputs.items()},
        {name: rows[chosen] for name, rows in labels.items()},
    )
    data = replace(subjects[0].dataset, train=few)
    learners = [
        replace(each, dataset=data, recipe=Recipe(epochs, 32)) for each in subjects
    ]
    yield f"| on {LABELLED} labelled images | accuracy of each seed | difference to |"
    yield "|---|---|---|"
    alone = applied(learners, "scratch:75%", folder)
    with_teacher = applied(learners, "distill:75%", folder)
    for name, each in (("scratch:75%", alone), ("distill:75%", with_teacher)):
        scores = ", ".join(f"{100 * right.mean():.2f}" for right in each.right)
        beside = "" if each is alone else _difference(each, alone, "scratch:75%")
        yield f"| {name} | {scores} | {beside} |"


def at_rates(
    subjects: Sequence[Subject], methods: Sequence[str], folder: Path
) -> Iterator[str]:
    """The table of learning rates."""
    yield f"| rate, of that of the training | {' | '.join(methods)} |"
    yield f"|---|{'---:|' * len(methods)}"
    for share in (0.1, 0.3, 1.0):
        slower = [
            replace(
                each,
                network=replace(
                    each.network, learning_rate=share * each.network.learning_rate
                ),
            )
            for each in subjects
        ]
        scores = [applied(slower, method, folder).score for method in methods]
        yield f"| {share:g} | {' | '.join(f'{100 * it:.2f}' for it in scores)} |"


if __name__ == "__main__":
    main()
