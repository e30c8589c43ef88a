"""Are flash and RAM of a microcontroller what is predicted before training?

Command: `python experiments/device_sizes.py` (6 minutes; `--smoke`: two networks).
Networks with random weights become int8 LiteRT files as `kscale compress` makes them.
Their files are weighed, and run in TensorFlow Lite Micro, which records its arena.
Predicted is `kscale.networks.device.device_size` of the blueprint. Seed: the number of
the network. Table: `experiments/results/device_sizes.md`.

Result, with TensorFlow 2.21, ai-edge-quantizer 0.10.0 and tflite-micro of 2026-10-23:
of 37 networks that run, the file is predicted within -0.7 and +1.8 % (+4.3 % for one of
2.5 kB), and the arena within 0 and +1.6 %, never below. Four networks are refused
before training: one with gelu, two of tokens and one recurrent. None of them runs.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kscale.building.models import build_model, named_outputs  # noqa: E402
from kscale.data.preprocessing.base import RawInput  # noqa: E402
from kscale.data.preprocessing.scaled import Scaled, Scaling  # noqa: E402
from kscale.errors import KscaleError, SpecError, sentence_of  # noqa: E402
from kscale.networks.blueprint import without_augmentation  # noqa: E402
from kscale.networks.device import device_size  # noqa: E402
from kscale.networks.families import FAMILIES  # noqa: E402
from kscale.ship.device_file import write_int8  # noqa: E402
from kscale.ship.micro import arena_bytes  # noqa: E402
from kscale.ship.packaging import with_preprocessing  # noqa: E402
from kscale.task.tasks import InputKind, Target, Task  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "device_sizes.md"
CLASSES = tuple(f"class {number}" for number in range(10))
SHAPES: dict[InputKind, tuple[int, ...]] = {
    "vector": (30,),
    "tokens": (32,),
    "sequence": (20, 5),
    "spectrogram": (98, 40),
}
VOCABULARY = 1000

Case = tuple[str, InputKind, tuple[int, ...], Mapping[str, Any]]


def _images(family: str, side: int, *cases: Mapping[str, Any]) -> list[Case]:
    channels = 3 if side in (32, 96) else 1
    return [(family, "image", (side, side, channels), knobs) for knobs in cases]


def _others(family: str, kind: InputKind, *cases: Mapping[str, Any]) -> list[Case]:
    return [(family, kind, SHAPES[kind], knobs) for knobs in cases]


CASES: list[Case] = [
    *_images("cnn", 8, {"depth": 1, "width": 8, "norm": "none"}),
    *_images("cnn", 8, {"depth": 2, "width": 16}),
    *_images("cnn", 28, {"depth": 4, "width": 8}, {"depth": 10, "width": 24}),
    *_images("cnn", 28, {"depth": 4, "width": 8, "head_units": 64}),
    *_images("cnn", 32, {"depth": 6, "width": 40, "norm": "none"}),
    *_images("cnn", 96, {"depth": 5, "width": 16, "activation": "silu"}),
    *_images("cnn", 32, {"depth": 8, "width": 32, "activation": "gelu"}),
    *_others("cnn", "spectrogram", {"depth": 4, "width": 8}, {"depth": 8, "width": 16}),
    *_images("resnet", 8, {"depth": 1, "width": 8}),
    *_images("resnet", 28, {"depth": 2, "width": 16}, {"depth": 5, "width": 8}),
    *_images("resnet", 28, {"depth": 1, "width": 8, "norm": "post"}),
    *_images("resnet", 32, {"depth": 2, "width": 8, "norm": "post", "bias": True}),
    *_images("resnet", 28, {"width": 8, "block": "bottleneck", "stem": "imagenet"}),
    *_images("resnet", 28, {"width": 8, "block": "bottleneck", "norm": "post"}),
    *_images("resnet", 96, {"depth": 4, "width": 16}),
    *_others("resnet", "spectrogram", {"depth": 1, "width": 8}),
    *_images("mobilenet", 28, {"depth": 2, "width": 16}, {"depth": 4, "width": 8}),
    *_images("mobilenet", 28, {"depth": 1, "width": 16, "squeeze": 4}),
    *_images("mobilenet", 28, {"depth": 1, "width": 8, "activation": "hard_silu"}),
    *_images("mobilenet", 96, {"depth": 1, "width": 8, "layout": "v2"}),
    *_images("mobilenet", 96, {"depth": 3, "width": 24}),
    *_images("mlp", 28, {"depth": 1, "width": 32}, {"depth": 3, "width": 128}),
    *_images("mlp", 32, {"depth": 2, "width": 64, "norm": "none"}),
    *_images("mlp", 8, {"depth": 2, "width": 32, "activation": "tanh"}),
    *_others("mlp", "vector", {"depth": 2, "width": 64}, {"depth": 8, "width": 128}),
    *_others("mlp", "sequence", {"depth": 2, "width": 32}),
    *_images("linear", 28, {}),
    *_others("linear", "vector", {}),
    *_images("vit", 28, {"depth": 2, "width": 32, "activation": "relu"}),
    ("mlp", "vector", (3,), {"depth": 2, "width": 5}),
    ("mlp", "image", (14, 14, 1), {"depth": 2, "width": 37}),
    ("cnn", "image", (5, 9, 3), {"depth": 2, "width": 7, "head_units": 33}),
    *_others("mlp", "tokens", {"depth": 1, "width": 16}),
    *_others("transformer", "tokens", {"depth": 1, "width": 32}),
    *_others("rnn", "sequence", {"depth": 1, "width": 16}),
]


def task_of(kind: InputKind, shape: tuple[int, ...]) -> Task:
    """Ten classes of examples of a kind."""
    vocabulary = VOCABULARY if kind == "tokens" else 0
    inputs = Task.of(kind, shape, classes=10, vocabulary=vocabulary).inputs
    return Task(inputs, (Target("label", "classes", 10, CLASSES),))


def measured(number: int, case: Case) -> tuple[int, int]:
    """Bytes of the file and of the arena of a network with random weights."""
    family, kind, shape, knobs = case
    task, random = task_of(kind, shape), np.random.default_rng(number)
    chosen = FAMILIES[family]
    blueprint = chosen.blueprint(chosen.spec(**knobs), task)
    network = build_model(without_augmentation(blueprint), seed=number)
    for weight in network.weights:  # equal biases would be stored once
        drawn = random.normal(0, 0.1, weight.shape)
        is_factor = weight.path.endswith(("gamma", "variance"))
        weight.assign(np.abs(drawn) + 0.5 if is_factor else drawn)
    name = task.inputs[0].name
    inside = {}
    if kind not in ("tokens", "spectrogram"):
        scale = tuple(1 / (60 + n) for n in range(shape[-1]))
        scaling = Scaling(scale, tuple(-0.5 + n / 99 for n in range(shape[-1])))
        inside = {name: Scaled(RawInput(name, shape), scaling)}
    model = with_preprocessing(
        family,
        lambda read: named_outputs(network, task, read),
        task,
        inside,
        {},
        with_names=False,
    )
    examples: Any = 60 * random.normal(size=(16, *shape)).astype(np.float32)
    if kind == "tokens":
        examples = random.integers(1, VOCABULARY, (16, *shape)).astype(np.int32)
    with TemporaryDirectory() as folder:
        path = Path(folder, "int8.tflite")
        write_int8(model, task, {name: examples}, path)
        return path.stat().st_size, arena_bytes(path)


def row_of(number: int, case: Case) -> tuple[str, ...]:
    """A line of the table."""
    family, kind, shape, knobs = case
    sides = "x".join(map(str, shape))
    said = ", ".join(f"{name}={value}" for name, value in knobs.items())
    about = (family, f"{kind} {sides}", said)
    chosen = FAMILIES[family]
    blueprint = chosen.blueprint(chosen.spec(**knobs), task_of(kind, shape))
    try:
        found = device_size(blueprint)
    except SpecError as refusal:
        try:
            flash, ram = measured(number, case)
            return (*about, "refused", f"{flash:,}", "", "refused", f"{ram:,}", "")
        except KscaleError as error:
            print(sentence_of(refusal), "|", sentence_of(error), flush=True)
            return (*about, "refused", "does not run", "", "refused", "", "")
    flash, ram = measured(number, case)
    return (
        *about,
        *(f"{found.flash:,}", f"{flash:,}", f"{found.flash / flash - 1:+.1%}"),
        *(f"{found.ram:,}", f"{ram:,}", f"{found.ram / ram - 1:+.1%}"),
    )


def lines_of(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The table in Markdown."""
    yield "# Flash and RAM of a microcontroller, predicted and measured"
    yield ""
    yield "Bytes of int8 files and of the arena of TensorFlow Lite Micro (x86, 64 bit),"
    yield "by `python experiments/device_sizes.py`; random weights, seed the number of"
    yield "the row. Predictions are made of blueprints alone."
    yield ""
    heads = ("family", "input", "knobs", "flash predicted", "measured", "off")
    yield f"| {' | '.join((*heads, 'RAM predicted', 'measured', 'off'))} |"
    yield f"|{'---|' * 3}{'---:|' * 6}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Measure each case, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two networks only")
    smoke = parser.parse_args().smoke
    rows = []
    for number, case in enumerate(CASES[:2] if smoke else CASES):
        rows.append(row_of(number, case))
        print(*rows[-1], sep="  ", flush=True)
    if not smoke:
        OUTPUT.write_text("\n".join(lines_of(rows)) + "\n")


if __name__ == "__main__":
    main()
