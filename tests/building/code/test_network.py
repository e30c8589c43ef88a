"""The code of a network builds what kscale builds, for every family and record."""

import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import keras_code as contract
from contracts.family import SMALLEST, TASKS, example_inputs, task_for

from kscale.building.code.network import layer_functions, name_code
from kscale.naming import layer_name
from kscale.networks.blueprint import (
    BODY_INPUT,
    Add,
    Attention,
    BatchNorm,
    Blueprint,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    First,
    GlobalAveragePool,
    KnownTokens,
    Layer,
    MaxPool2D,
    PaddingMask,
    Positions,
    Recurrent,
    Repeat,
)
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Family
from kscale.networks.named import NAMED
from kscale.task.tasks import Input, InputKind, Target, Task

X = Input("x", "vector", (4,))
PAIRS = [
    pytest.param(family, kind, id=f"{family.name}-{kind}")
    for family in FAMILIES.values()
    for kind in family.kinds
]


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_default_networks_compute_the_same(family: Family, kind: InputKind) -> None:
    small = {"depth": 2, "width": 8} if "width" in family.all_knobs else {}
    small |= SMALLEST.get(family.name, {})
    task = task_for(family, kind)
    blueprint = family.blueprint(family.spec(**small), task)
    x = example_inputs(task, 3)
    for ids in x.values() if isinstance(x, dict) else [x] * (kind == "tokens"):
        ids[:, -2:] = 0
    contract.check_outputs(blueprint, x)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_other_values_of_knobs_are_written(family: Family) -> None:
    task = task_for(family, family.kinds[0])
    for spec in islice(contract.settings(family, task), 1, 2):
        contract.check_code(family.blueprint(spec, task))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_value_of_every_knob_is_written(family: Family) -> None:
    task = task_for(family, family.kinds[0])
    for spec in contract.settings(family, task):
        contract.check_code(family.blueprint(spec, task))


def test_large_images_have_another_stem() -> None:
    task = Task.of("image", (96, 96, 3), classes=2)
    for name, knobs in {
        "resnet": {"norm": "post", "block": "bottleneck"},
        "mobilenet": {"squeeze": 4},
    }.items():
        spec = FAMILIES[name].spec(depth=1, width=8, stages=1, **knobs)
        contract.check_code(FAMILIES[name].blueprint(spec, task))


SEVERAL = Task(
    (Input("ids", "tokens", (5,), 9), Input('ty"pes {i}', "tokens", (5,), 2)),
    (Target("kind", "classes", 3), Target("def", "real", 1)),
)


def test_several_inputs_and_targets_are_dicts() -> None:
    family = FAMILIES["transformer"]
    knobs = {"shared": True, "embedding_width": 4, "pooling": "first", "norm": "post"}
    spec = family.spec(depth=2, width=8, **knobs)
    x = {
        "ids": np.array([[3, 1, 0, 0, 0], [8, 2, 4, 1, 0]]),
        'ty"pes {i}': np.array([[0, 0, 1, 0, 1], [1, 1, 0, 1, 0]]),
    }
    contract.check_outputs(family.blueprint(spec, SEVERAL), x)


def test_copies_are_loops_and_equal_bodies_are_one_function() -> None:
    named = NAMED["ResNet-50"]
    spec = FAMILIES["resnet"].spec(**named.knobs)
    code = contract.code_of(FAMILIES["resnet"].blueprint(spec, named.task))
    assert len(code.splitlines()) < 120
    assert code.count("def first_block(") == code.count("def block(") == 1
    assert code.count("layers.Conv2D(") == 1 + 4 + 3
    assert '    for i in range(2, 7):\n        x = block(x, f"stage3' in code
    named = NAMED["EfficientNet-B0"]
    spec = FAMILIES["mobilenet"].spec(**named.knobs)
    code = contract.code_of(FAMILIES["mobilenet"].blueprint(spec, named.task))
    assert code.count("def first_block(") == code.count("def block(") == 1
    deep = FAMILIES["transformer"].spec(depth=24, shared=True)
    code = contract.code_of(FAMILIES["transformer"].blueprint(deep, TASKS["tokens"]))
    loop = code.index("    for _ in range(24):\n")
    assert code.count("attention(") == 3
    assert code.index("block_attention = attention(") < loop


def test_names_are_those_of_keras_layers() -> None:
    for path in ("stage1/block2/conv", 'a"{b}\\', "é\n"):
        name = layer_name(path)
        assert eval(name_code(name)) == name
        assert eval(name_code(f"f{{n}}{name}"), {"n": 3}) == f"f3{name}"


def graphs() -> dict[str, tuple[Blueprint, Any]]:
    """Networks that read far back, from outside of loops, and from several places."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 4))
    inner = Repeat((Dense(4, name="d"),), 2, name="inner")
    body = (inner, Add(name="sum", inputs=("inner", BODY_INPUT, "start")))
    nested: tuple[Layer, ...] = (
        Dense(4, name="start", activation="tanh"),
        Repeat((*body, BatchNorm(name="n")), 3, name="plain"),
        Repeat(body, 3, shared=True, name="shared"),
        Repeat((inner, *body[1:]), 1, start=4, name="once"),
        Dropout(0.5, name="drop"),
        Add(name="all", inputs=("plain", "shared", "once", "drop", "x")),
    )
    image: tuple[Layer, ...] = (
        Conv2D(4, 3, strides=2, name="range"),
        Conv2D(5, 3, padding="valid", use_bias=False, name="keras"),
        Conv2D(3, 1, name="c", inputs=("range",)),
        MaxPool2D(name="m"),
        GlobalAveragePool(name="g", inputs=("keras",)),
        GlobalAveragePool(name="x2", inputs=("m",)),
        Concatenate(name="lambda", inputs=("x2", "g")),
    )
    reads = (BODY_INPUT, BODY_INPUT)
    decoder = (
        Attention(8, 2, causal=True, name="self", inputs=reads),
        Add(name="add1", inputs=(BODY_INPUT, "self")),
        Attention(8, 2, name="cross", inputs=("add1", "memory", "mask")),
        Add(name="add2", inputs=("add1", "cross")),
    )
    tokens: tuple[Layer, ...] = (
        PaddingMask(name="mask"),
        KnownTokens(6, 1, name="known", inputs=("x",)),
        Embedding(6, 8, name="memory"),
        Positions(name="p", inputs=("memory",)),
        Embedding(5, 8, name="q"),
        Add(name="0", inputs=("q", "memory")),
        Repeat(decoder, 2, start=0, name="decoder"),
        Recurrent(4, "gru", True, name="r", inputs=("decoder", "mask")),
        First(name="f"),
        Dense(2, name="head"),
    )
    ids = np.array([[3, 1, 4, 0, 0], [6, 5, 0, 2, 1]])
    tokens_in = Input("x", "tokens", (5,), 7)
    image_in = Input("x", "image", (9, 7, 2))
    sound = Input("x", "spectrogram", (12, 5))
    text = Target("text", "characters", 4, ("", " ", "a", "b"), length=3)
    speech, frames = FAMILIES["transformer"], rng.normal(size=(2, 12, 5))
    frames[0, 6:] = 0
    spec = speech.spec(depth=1, width=8, convolution=3)
    return {
        "speech": (speech.blueprint(spec, Task((sound,), (text,))), frames),
        "nested": (Blueprint((X,), nested, ("all", "shared")), vectors),
        "image": (
            Blueprint((image_in,), image, ("lambda", "c")),
            rng.normal(size=(2, 9, 7, 2)),
        ),
        "tokens": (Blueprint((tokens_in,), tokens, ("head", "decoder")), ids),
        "loop": (Blueprint((X,), (inner,), ("inner",)), vectors),
    }


@pytest.mark.parametrize("name", graphs())
def test_graphs_of_all_kinds_compute_the_same(name: str) -> None:
    contract.check_outputs(*graphs()[name])


def test_attention_starts_with_glorots_spread_and_four_different_kernels() -> None:
    layers = (Attention(64, 4, name="a", inputs=("x", "x")),)
    blueprint = Blueprint((Input("x", "sequence", (3, 64)),), layers, ("a",))
    _, model = contract.check_code(blueprint)
    weights = model.get_layer("a").get_weights()
    kernels = [weight.ravel() for weight in weights if weight.ndim == 3]
    correlations = np.corrcoef(kernels)[np.triu_indices(4, k=1)]
    # 4096 numbers each: chance correlations have a deviation of 0.016.
    assert np.abs(correlations).max() < 0.1
    for kernel in kernels:
        assert kernel.std() == pytest.approx(0.125, rel=0.05)


def test_every_function_that_may_be_printed_is_printed() -> None:
    of_families = [
        family.blueprint(spec, task_for(family, kind))
        for family in FAMILIES.values()
        for kind in family.kinds
        for spec in contract.settings(family, task_for(family, kind))
    ]
    networks = [*of_families, *(blueprint for blueprint, _ in graphs().values())]
    written = "".join(map(contract.code_of, networks))
    of_weights = {"factor_of", "with_starts"}  # of a parametrization
    names = layer_functions().keys() - of_weights
    assert all(f"def {name}(" in written for name in names)


def test_the_code_is_formatted(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    for family in FAMILIES.values():
        for kind in family.kinds:
            task = task_for(family, kind)
            for k, spec in enumerate(contract.settings(family, task)):
                code = contract.code_of(family.blueprint(spec, task))
                (tmp_path / f"{family.name}_{kind}_{k}.py").write_text(code)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff"]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
