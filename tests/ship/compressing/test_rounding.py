"""Weights rounded in memory are those that a file of fewer bits holds."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kscale.building.models import build_model
from kscale.engine.rounding import round_weights
from kscale.networks.families import find_family
from kscale.ship.compressing.methods import METHODS
from kscale.ship.formats import litert
from kscale.ship.runtimes import open_file
from kscale.task.tasks import Input, Target, Task

ANSWER = Target("y", "classes", 4, tuple("abcd"))
IMAGE = Task((Input("x", "image", (8, 8, 1)),), (ANSWER,))
VECTOR = Task((Input("x", "vector", (7,)),), (ANSWER,))
TOKENS = Task((Input("x", "tokens", (6,), 2000, 1),), (ANSWER,))
SEQUENCE = Task((Input("x", "sequence", (10, 6)),), (ANSWER,))
NETWORKS: list[tuple[str, Task, dict[str, Any]]] = [
    ("mlp", VECTOR, {}),
    ("cnn", IMAGE, {"depth": 2, "width": 8}),
    ("resnet", IMAGE, {}),
    ("mobilenet", IMAGE, {}),
    ("vit", IMAGE, {}),
    ("transformer", TOKENS, {"depth": 1, "width": 16}),
    ("rnn", SEQUENCE, {"cell": "lstm", "width": 16}),
    ("rnn", SEQUENCE, {"cell": "gru", "bidirectional": True, "width": 16}),
]


def made(name: str, task: Task, knobs: dict[str, Any]) -> keras.Model:
    """A network whose norms are not those of the start."""
    family = find_family(name)
    model = build_model(family.blueprint(family.spec(**knobs), task), seed=1)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if len(variable.shape) == 1 and variable.dtype == "float32":
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task", "knobs"), NETWORKS)
def test_a_rounded_network_gives_what_the_file_gives(
    name: str, task: Task, knobs: dict[str, Any], tmp_path: Path
) -> None:
    model = made(name, task, knobs)
    weights = model.get_weights()
    litert.convert(model, task, tmp_path / "float32.tflite")
    x = np.random.default_rng(1).normal(size=(20, *task.inputs[0].shape))
    is_text = task.inputs[0].kind == "tokens"
    x = (np.abs(x * 900) % 2000).astype(np.int32) if is_text else x.astype(np.float32)
    plain = model.predict(x, verbose=0)
    for method, bits in (("int8-weights", 8), ("int4", 4), ("float16", 16)):
        path = tmp_path / f"{method}.tflite"
        quantize = METHODS[method].quantize
        assert quantize is not None
        quantize(tmp_path / "float32.tflite", path, {"x": x})
        given = open_file(path).run({"x": x})["y"]
        model.set_weights(weights)
        round_weights(model, bits)
        wanted = model.predict(x, verbose=0)
        change = np.abs(wanted - plain).max()
        assert change > 0
        # Norms are folded into kernels first: that changes no rounding to a share of
        # the largest weight of a channel, and takes another float16 of the same size.
        allowed = 3.0 if bits == 16 else 0.05
        assert np.abs(given - wanted).max() < max(allowed * change, 1e-4), method
