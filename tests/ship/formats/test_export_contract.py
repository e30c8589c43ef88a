"""The contract of `tests/contracts/export.py` over all formats and kinds of model."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.export import CHECKS, Check, Exported, Found, open_as_stranger
from warm_python import WarmPython

from kscale import Run
from kscale.ship.formats import FORMATS, export_model
from kscale.task.tasks import Input, Target, Task

ODD = ["hours-per-week", "native country", "a.b", "1st", "größe", "x:y", "_u", "A?"]
MODELS = ["digits", "odd", "value"]
WHOLE = {name: form for name, form in FORMATS.items() if form.carries is None}
"""Formats that carry texts and names; the others are in `test_numeric_formats.py`."""


def odd_model() -> tuple[keras.Model, Task, dict[str, list[Any]]]:
    """Text and numbers of columns with odd names, and two targets with such names."""
    inputs, read, raw = {}, [], {}
    for place, name in enumerate(ODD):
        is_text = place % 2 == 0
        dtype = "string" if is_text else "float32"
        inputs[name] = tensor = keras.Input((), dtype=dtype, name=name)
        if is_text:
            layer = keras.layers.StringLookup(vocabulary=["u", "é"], num_oov_indices=1)
            tensor = keras.layers.CategoryEncoding(3, output_mode="one_hot")(
                keras.layers.Reshape((1,))(layer(tensor))
            )
        else:
            tensor = keras.layers.Reshape((1,))(tensor)
        read.append(tensor)
        raw[name] = ["u", "é", "none", ""] if is_text else [0.5, -1.0, 3.0, 1e3]
    joined = keras.layers.Concatenate()(read)
    logits = keras.layers.Dense(2)(joined)
    names = keras.layers.StringLookup(
        vocabulary=["<=50K", ">50K"], num_oov_indices=0, invert=True
    )
    outputs = {
        "in/come %": keras.layers.Softmax()(logits),
        "in/come %_class": names(keras.ops.argmax(logits, axis=-1)),
        "next year": keras.layers.Dense(1)(joined),
    }
    task = Task(
        (Input("x", "vector", (len(ODD),)),),
        (
            Target("in/come %", "classes", 2, ("<=50K", ">50K")),
            Target("next year", "real", 1),
        ),
    )
    return keras.Model(inputs, outputs), task, raw


def value_model() -> tuple[keras.Model, Task, dict[str, list[Any]]]:
    """Text in, one real value out."""
    text = keras.Input((), dtype="string", name="the text")
    ids = keras.layers.TextVectorization(
        vocabulary=["cat", "sat"], output_sequence_length=4
    )(text)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(4, 3)(ids))
    model = keras.Model(text, keras.layers.Dense(1)(pooled))
    return model, Task.of("vector", (1,), values=1), {"the text": ["Cat sat!", "", "x"]}


def made(name: str, run: Run) -> tuple[keras.Model, Task, dict[str, list[Any]]]:
    if name != "digits":
        return odd_model() if name == "odd" else value_model()
    raw = np.random.default_rng(0).integers(0, 17, (5, 8, 8, 1)).astype(float)
    return run.load_model(), run.task, {"x": raw.tolist()}


def wanted_of(
    model: keras.Model, task: Task, raw: dict[str, list[Any]]
) -> dict[str, Any]:
    inputs = {name: tf.constant(rows) for name, rows in raw.items()}
    given = model(inputs if len(inputs) > 1 else next(iter(inputs.values())))
    given = given if isinstance(given, dict) else {task.targets[0].name: given}
    arrays = {name: tensor.numpy() for name, tensor in given.items()}
    return {
        name: np.array([str(x, "utf-8") for x in array])
        if array.dtype == object
        else array
        for name, array in arrays.items()
    }


@pytest.fixture(scope="module")
def opened(
    tiny_run: Run,
    tmp_path_factory: pytest.TempPathFactory,
    warm_python: WarmPython,
) -> dict[tuple[str, str], tuple[Exported, Found]]:
    """Every model in every format, opened in one other process."""
    folder = tmp_path_factory.mktemp("exported")
    exported = {}
    for name in MODELS:
        model, task, raw = made(name, tiny_run)
        for form, row in WHOLE.items():
            path = folder / f"{name}{row.suffix}"
            export_model(model, task, path, row)
            wanted = wanted_of(model, task, raw)
            exported[name, form] = Exported(form, path, raw, wanted)
    found = open_as_stranger([*exported.values()], folder, warm_python)
    return dict(zip(exported, zip(exported.values(), found, strict=True), strict=True))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("name", MODELS)
def test_contract(
    opened: dict[tuple[str, str], tuple[Exported, Found]],
    name: str,
    form: str,
    check: Check,
) -> None:
    check(*opened[name, form])


def test_nothing_half_written_is_left(opened: Any) -> None:
    folder = next(iter(opened.values()))[0].path.parent
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
