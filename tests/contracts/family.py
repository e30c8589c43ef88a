"""What every family promises; `tests/families/test_contract.py` asks it of all."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import keras
import numpy as np

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.naming import layer_name
from kscale.networks.blueprint import (
    Blueprint,
    First,
    KnownTokens,
    Layer,
    PaddingMask,
    Positions,
    Repeat,
)
from kscale.networks.decoder_layers import SharedEmbedding, Sinusoids, TiedDense
from kscale.networks.families import find_family
from kscale.networks.families.base import Family, Spec
from kscale.networks.sizing import SizeRow, size_of, size_rows
from kscale.networks.sound_layers import MaskedFrames
from kscale.networks.word_layers import GlobalMaxPool, Ngrams
from kscale.reports.counting import change_task
from kscale.task.tasks import InputKind, Task

TASKS: dict[InputKind, Task] = {
    "vector": Task.of("vector", (5,), classes=3),
    "image": Task.of("image", (7, 9, 3), classes=3),
    "tokens": Task.of("tokens", (6,), vocabulary=11, classes=3),
    "sequence": Task.of("sequence", (4, 3), classes=3),
    "spectrogram": Task.of("spectrogram", (8, 5), classes=3),
}

SMALLEST: dict[str, dict[str, Any]] = {
    "pretrained": {"backbone": "mobilenet_0.25", "side": 32, "weights": "none"}
}
"""Knobs that make a family's network small and cheap, where the defaults do not."""

NAMELESS = (
    *(First, KnownTokens, Positions, PaddingMask, Sinusoids),
    *(SharedEmbedding, TiedDense),
    *(Ngrams, MaskedFrames, GlobalMaxPool),
)
"""Records built as bare operations, which Keras names itself, or as other layers."""


def task_for(family: Family, kind: InputKind) -> Task:
    """A small task that a family takes, with inputs of a kind."""
    if family.usual is None:
        return TASKS[kind]
    return change_task(family.usual, (6,), vocabulary=11)


def small_spec(family: Family, **knobs: Any) -> Spec:
    """The default knobs, but for what makes the network cheap and for those given."""
    return family.spec(**SMALLEST.get(family.name, {}), **knobs)


def check_size_equals_keras(blueprint: Blueprint) -> keras.Model:
    """All weights and trainable weights are Keras' own; gives the model for more."""
    model = build_model(blueprint)
    size = size_of(blueprint)
    assert size.params == model.count_params()
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert size.trainable == trainable
    return model


@cache
def built(spec: Spec, kind: InputKind) -> keras.Model:
    """The model of a spec, with checked sizes; all checks share it."""
    family = find_family(spec.family)
    return check_size_equals_keras(family.blueprint(spec, task_for(family, kind)))


def sized_spec(family: Family, depth: int, width: int) -> Spec:
    """A cheap spec of a depth and a width, where the family has them."""
    sizes = {"depth": depth, "width": width}
    return small_spec(
        family, **{n: v for n, v in sizes.items() if n in family.all_knobs}
    )


def check_sizes(family: Family, kind: InputKind) -> None:
    """Sizes equal Keras' on a grid of depth and width."""
    for depth, width in ((1, 8), (3, 24)):
        built(sized_spec(family, depth, width), kind)


def check_growth(family: Family, kind: InputKind) -> None:
    """Params grow with depth and with width; FLOPs do where blocks share weights."""
    if "depth" not in family.all_knobs:
        return
    task = task_for(family, kind)
    deeper = [family.size(family.spec(depth=n), task) for n in (1, 2, 3, 7)]
    wider = [family.size(family.spec(width=n), task) for n in (8, 16, 24, 96)]
    for sizes in (deeper, wider):
        params, flops = [s.params for s in sizes], [s.flops for s in sizes]
        assert params == sorted(set(params))
        assert flops == sorted(set(flops))
    if "shared" in family.all_knobs:
        specs = [family.spec(depth=n, shared=True) for n in (1, 2, 3)]
        flops = [family.size(spec, task).flops for spec in specs]
        assert flops == sorted(set(flops))


def check_default_trains(family: Family, kind: InputKind) -> None:
    """The default knobs build, and one step changes the weights without NaN."""
    check_one_step(small_spec(family), kind, run_eagerly=True)


def check_trains_in_a_graph(family: Family, kind: InputKind) -> None:
    """The smallest network is traced into a graph, as every training traces it."""
    check_one_step(sized_spec(family, 1, 8), kind, run_eagerly=False)


def check_one_step(spec: Spec, kind: InputKind, run_eagerly: bool) -> None:
    model, task = built(spec, kind), task_for(find_family(spec.family), kind)
    before = model.get_weights()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss, run_eagerly=run_eagerly)
    labels = example_labels(task, 8)
    given = model.train_on_batch(example_inputs(task, 8), labels)
    assert np.isfinite(given)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    after = model.get_weights()
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


def check_defaults_accepted(family: Family) -> None:
    """Every knob accepts its default and everything a search tries, unchanged."""
    for knob in (*family.all_knobs.values(), family.learning_rate):
        for value in (knob.default, *knob.values):
            assert knob.check(value) == value
            assert type(knob.check(value)) is type(knob.default)
            assert knob.check(str(value)) == value


def check_every_value(family: Family, task: Task) -> None:
    """Every value of a knob makes a network of the same size alone and in an array, or
    is refused."""
    if "width" not in family.all_knobs:
        return
    widths = [8, 16, 16, 24, 136]
    for knob in family.knobs:
        for value in knob.values if knob.name != "width" else ():
            knobs = dict(family.spec(**{knob.name: value}).knobs)
            try:
                one = [
                    size_of(family.blueprint_of({**knobs, "width": width}, task))
                    for width in widths
                ]
            except SpecError as error:
                assert str(error).endswith(".")
                continue
            several = {**knobs, "width": np.array(widths)}
            many = size_of(family.blueprint_of(several, task))
            for figure, values in many.figures.items():
                expected = [getattr(size, figure) for size in one]
                assert all(type(value) is int for value in expected)
                figures = np.broadcast_to(values, len(widths))
                assert np.array_equal(figures, expected), (knob.name, value, figure)


def check_seeds(family: Family, kind: InputKind) -> None:
    """A seed gives equal initial weights, another seed other ones."""
    blueprint = family.blueprint(small_spec(family), task_for(family, kind))
    first, again, other = (
        build_model(blueprint, seed).get_weights() for seed in (3, 3, 4)
    )
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a, b)
        # Biases, scales and statistics start at fixed values whatever the seed.
        assert a.ndim == 1 or np.ptp(a) == 0 or not np.array_equal(a, c)
    assert any(np.ptp(weight) > 0 for weight in first)


def check_names(family: Family, kind: InputKind) -> None:
    """Keras layers are named by the paths of the records, and so are size rows."""
    blueprint = family.blueprint(small_spec(family), task_for(family, kind))
    named = {layer.name for layer in built(small_spec(family), kind).layers}
    paths = set(paths_of(blueprint.layers))
    assert {layer_name(path) for path in paths} <= named
    nameless = {cls.__name__ for cls in NAMELESS}
    rows = [row for row in size_rows(blueprint) if row.kind not in nameless]
    assert {path for row in rows for path in row_paths(row)} == paths


def paths_of(layers: tuple[Layer, ...], prefix: str = "") -> Iterator[str]:
    """Paths of all layers that Keras lets us name."""
    for layer in layers:
        if isinstance(layer, Repeat):
            for copy in range(1, 2 if layer.shared else layer.times + 1):
                yield from paths_of(layer.body, layer.copy_path(prefix, copy))
        elif not isinstance(layer, NAMELESS):
            yield prefix + layer.name


def row_paths(row: SizeRow) -> Iterator[str]:
    """Paths of the layers that a row stands for: `a2-3/b` are `a2/b` and `a3/b`."""
    paths = [""]
    for part in row.path.split("/"):
        stem, dash, last = part.rpartition("-")
        names = [part]
        if dash:
            name = stem.rstrip("0123456789")
            first = int(stem.removeprefix(name))
            names = [f"{name}{copy}" for copy in range(first, int(last) + 1)]
        paths = [f"{path}/{name}" for path in paths for name in names]
    return (path[1:] for path in paths)


def example_labels(task: Task, count: int) -> Any:
    """Labels of some of the first three outputs."""
    shape = (count, *task.targets[0].label_shape)
    return np.arange(np.prod(shape)).reshape(shape) % 3


def example_inputs(task: Task, count: int, seed: int = 0) -> Any:
    """Random examples: an array, or a dict of them if a task has several inputs."""
    rng = np.random.default_rng(seed)
    arrays = {
        item.name: rng.integers(1, item.vocabulary, (count, *item.shape)).astype(
            "int32"
        )
        if item.kind == "tokens"
        else rng.normal(size=(count, *item.shape)).astype("float32")
        for item in task.inputs
    }
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))
