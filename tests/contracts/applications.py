"""Whether ours computes what a network of `keras.applications` computes."""

import keras
import numpy as np


def randomize_weights(model: keras.Model, seed: int = 0) -> None:
    """Give every weight, moving statistics included, a value that shows in outputs."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = weight.shape
        if weight.name in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif weight.name in ("beta", "moving_mean", "bias"):
            value = rng.normal(0, 0.2, shape)
        else:
            # Of a depthwise kernel, (side, side, channels, 1), an output reads one
            # channel.
            read = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])
            value = rng.normal(0, np.sqrt(2 / read), shape)
        weight.assign(value)


def copy_weights(theirs: keras.Model, ours: keras.Model) -> None:
    """Random weights for a network without branches, and the same for ours."""
    randomize_weights(theirs)
    ours.set_weights(theirs.get_weights())


def assert_same_outputs(theirs: keras.Model, ours: keras.Model, side: int) -> None:
    """Compare outputs for two random images, in units of the largest."""
    x = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype("float32")
    expected, got = np.asarray(theirs(x)), np.asarray(ours(x))
    assert expected.shape == got.shape
    assert expected.std(axis=0).max() > 1e-3 * np.abs(expected).max() > 0
    assert np.abs(expected - got).max() <= 1e-4 * np.abs(expected).max()
