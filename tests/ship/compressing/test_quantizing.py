"""Files in fewer bits give what a network gives, whatever the range of the answers."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kscale.ship.compressing.quantizing import quantize_file
from kscale.ship.runtimes import open_file


def test_real_values_above_their_mean_survive_static_eight_bits(tmp_path: Path) -> None:
    """Ranges are those of all examples, not what a single example has on average."""
    inputs = keras.Input((1,), name="x")
    dense = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.Model(inputs, dense(inputs))
    )
    (tmp_path / "float32.tflite").write_bytes(converter.convert())
    x = np.linspace(0, 100, 40, dtype=np.float32).reshape(-1, 1)
    np.random.default_rng(0).shuffle(x)
    quantize_file(
        "int8", tmp_path / "float32.tflite", tmp_path / "int8.tflite", {"x": x}
    )
    (given,) = open_file(tmp_path / "int8.tflite").run({"x": x}).values()
    assert np.abs(given - (x + 1)).max() < 1  # two steps of 101 / 255
