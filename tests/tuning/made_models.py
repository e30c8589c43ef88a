"""Models as users write them, for the tests of a search of them."""

from typing import Any

import keras
import keras_tuner
import numpy as np

IMAGE = (8, 8, 1)


def compiled(model: keras.Model, rate: Any = 0.01) -> keras.Model:
    model.compile(
        keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def functional(hp: Any) -> keras.Model:
    """Compiled; of layers that only some depths have."""
    inputs = keras.Input(IMAGE)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(inputs))
    for index in range(hp.Int("layers", 1, 3)):
        units = hp.Int(f"units_{index}", 4, 64, sampling="log")
        x = keras.layers.Dense(units, activation="relu")(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    rate = hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
    return compiled(keras.Model(inputs, outputs), rate)


def sequential(hp: Any) -> keras.Model:
    """Not compiled, with logits."""
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("width", 4, 8), activation="relu"),
            keras.layers.Dense(10),
        ]
    )


class Net(keras.Model):
    """Has no shapes until it is called."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.head = keras.layers.Dense(10)

    def call(self, x: Any) -> Any:
        return self.head(self.hidden(self.flat(x)))


def subclassed(hp: Any) -> keras.Model:
    """Not compiled, and of a class of the user's own."""
    return Net(hp.Int("units", 4, 8))


def adapted(hp: Any) -> keras.Model:
    """Learns its own preprocessing while it is built."""
    scaling = keras.layers.Normalization(axis=None)
    scaling.adapt(np.arange(17.0, dtype="float32"))
    layers = [keras.Input(IMAGE), scaling, keras.layers.Flatten()]
    layers.append(keras.layers.Dense(10, activation="softmax"))
    hp.Fixed("kind", "adapted")
    return compiled(keras.Sequential(layers))


class Half(keras.layers.Layer):
    """A layer that nobody else knows."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 10), name="kernel")

    def call(self, x: Any) -> Any:
        return 0.5 * keras.ops.matmul(x, self.kernel)


def custom(hp: Any) -> keras.Model:
    """Ends in a layer of the user's own."""
    del hp
    return keras.Sequential([keras.Input(IMAGE), keras.layers.Flatten(), Half()])


class Conditional(keras_tuner.HyperModel):
    """Nested conditions, a value that makes no model, and a `fit` of its own."""

    def build(self, hp: Any) -> keras.Model:
        layers: list[Any] = [keras.Input(IMAGE), keras.layers.Flatten()]
        kind = hp.Choice("kind", ["plain", "deep"])
        with hp.conditional_scope("kind", ["deep"]):
            hp.Int("number", 1, 2)
            with hp.conditional_scope("number", [2]):
                units = hp.Choice("units", [4, 8, 16])
            if kind == "deep":
                if units == 8:
                    raise RuntimeError("eight is unlucky")
                layers.append(keras.layers.Dense(units or 5))
        layers.append(keras.layers.Dense(10, activation="softmax"))
        return compiled(keras.Sequential(layers))

    def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, **kwargs: Any) -> Any:
        batch = hp.Choice("batch", [128, 256])
        return model.fit(x / 16, y, batch_size=batch, **kwargs)
