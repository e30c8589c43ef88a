"""What a user's code builds is counted exactly, and nothing is allocated."""

import random
from collections.abc import Callable

import keras
import numpy as np
import pytest

from kscale.errors import SpecError
from kscale.guests.sizes.model_size import count_build
from kscale.task.tasks import Input, Task

FOUR = Task.of("vector", (4,), classes=2)


def sequential() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def functional() -> keras.Model:
    one, two = keras.Input((4,)), keras.Input((3,))
    joined = keras.layers.Concatenate()([keras.layers.Dense(5)(one), two])
    model = keras.Model([one, two], keras.layers.Dense(2)(joined))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def scaled() -> keras.Model:
    scaling = keras.layers.Normalization()
    scaling.adapt(np.arange(12.0).reshape(3, 4))
    model = keras.Sequential([keras.Input((4,)), scaling, keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def of_texts() -> keras.Model:
    words = keras.layers.TextVectorization(50, output_sequence_length=6)
    words.adapt(np.array(["a cat sat", "a dog"]))
    inputs = keras.Input((), dtype="string")
    ids = words(inputs)
    vectors = keras.layers.Embedding(words.vocabulary_size(), 4)(ids)
    pooled = keras.layers.GlobalAveragePooling1D()(vectors)
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["accuracy"])
    return model


def on_a_backbone() -> keras.Model:
    backbone = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None, pooling="avg"
    )
    backbone.trainable = False
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.Dense(3)(backbone(inputs)))
    model.compile("adam", "mse")
    return model


class Doubled(keras.layers.Layer):
    def build(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: object) -> object:
        return 2 * inputs * self.scale


def with_a_layer_of_its_own() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), Doubled(), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    return model


BUILDS = [
    sequential,
    functional,
    scaled,
    of_texts,
    on_a_backbone,
    with_a_layer_of_its_own,
]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_a_count_is_that_of_the_model_that_is_built(
    build: Callable[[], keras.Model],
) -> None:
    size, model = count_build(build).size, build()
    trainable = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert size.params == model.count_params()
    assert size.trainable == trainable


def test_the_layers_are_walked_and_unknown_ones_are_named() -> None:
    counted = count_build(with_a_layer_of_its_own)
    assert counted.size.flops == 2 * 4 * 3
    assert [path.split("_")[0] for path in counted.unknown] == ["doubled"]


class Parts(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Dense(5)
        self.rest = keras.Sequential([keras.layers.Dense(2)])

    def call(self, inputs: object) -> object:
        return self.rest(self.first(inputs))


def test_a_subclassed_model_is_called_on_the_task() -> None:
    def build() -> keras.Model:
        model = Parts()
        model.compile("adam", "mse")
        return model

    assert count_build(build, FOUR).size.params == 4 * 5 + 5 + 5 * 2 + 2
    with pytest.raises(SpecError, match="until it is called: give the task"):
        count_build(build)


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
def test_a_model_that_only_says_it_is_built_is_not_counted_as_empty() -> None:
    def build() -> keras.Model:
        model = Parts()
        model.build((None, 4))
        return model

    assert count_build(build, FOUR).size.params == 37
    with pytest.raises(SpecError, match="no weights until it is called"):
        count_build(build)


def test_open_sides_are_those_of_the_task() -> None:
    def build() -> keras.Model:
        return keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)])

    task = Task((Input("frames", "sequence", (7, 3)),), ())
    size = count_build(build, task).size
    assert (size.params, size.flops) == (8, 7 * 2 * 3 * 2)
    counted = count_build(build)
    assert counted.size.params == 8 and counted.unknown


def test_what_no_machine_could_hold_is_counted_at_once() -> None:
    tries: list[int] = []

    def build(compiled: bool = True) -> keras.Model:
        tries.append(1)
        wide = keras.layers.Dense(300_000)
        model = keras.Sequential([keras.Input((300_000,)), wide])
        if compiled:
            model.compile(keras.optimizers.Adam(0.1), "mse")
        return model

    def of_texts_too() -> keras.Model:
        of_texts()
        return build()

    assert count_build(build).size.params == 300_000 * 300_001
    assert count_build(of_texts_too).size.params == 300_000 * 300_001
    assert len(tries) == 2  # each where no variable has a value
    # Nothing waits to be given values by the next model that is built for real.
    assert sequential()(np.zeros((1, 8, 8, 1))).shape == (1, 2)


def test_a_model_that_is_called_on_numbers_is_not_allocated_either() -> None:
    def build() -> keras.Model:
        model = keras.Sequential([keras.layers.Dense(300_000)])
        model(keras.ops.zeros((1, 300_000)))
        model.compile("adam", "mse")
        return model

    assert count_build(build).size.params == 300_000 * 300_001


def test_counting_leaves_no_trace() -> None:
    keras.utils.set_random_seed(3)
    first = [sequential().layers[-1].name, random.random(), np.random.random()]
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    expected = [sequential().layers[-1].name, random.random(), np.random.random()]
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    for build in (sequential, of_texts):
        count_build(build)
    found = [sequential().layers[-1].name, random.random(), np.random.random()]
    assert found == expected and found[1:] == first[1:]


def test_what_fails_says_why_and_is_not_tried_for_real() -> None:
    tries = []

    def build() -> keras.Model:
        tries.append(1)
        raise ValueError("kernel of 0 sides")

    with pytest.raises(SpecError, match="cannot be built: ValueError: kernel of 0"):
        count_build(build)
    assert len(tries) == 2


@pytest.mark.parametrize("made", [None, "model"])
def test_what_is_no_model_is_refused(made: object) -> None:
    with pytest.raises(SpecError, match="must be returned, but got"):
        count_build(lambda: made)


def test_what_works_only_for_real_is_built_for_real() -> None:
    def build() -> keras.Model:
        model = sequential()
        float(np.asarray(keras.ops.convert_to_numpy(model.weights[0])).sum())
        model.predict(np.zeros((1, 8, 8, 1)), verbose=0)
        return model

    assert count_build(build).size.params == sequential().count_params()
