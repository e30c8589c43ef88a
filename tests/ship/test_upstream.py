"""Failures of other packages that kscale goes around, each as it was seen.

A test that fails here says that a package was mended: what goes around the failure,
named in the test, can go. Seen with the versions of `SEEN`.
"""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kscale.ship.micro import plain_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of layers that are not quantized
]

SEEN = {
    "tensorflow": "2.21",
    "keras": "3.15",
    "ai-edge-litert": "2.3",
    "ai-edge-quantizer": "0.10",
    "tf2onnx": "1.17",
    "onnxruntime": "1.",
}


@pytest.mark.parametrize("package", SEEN)
def test_the_versions_are_those_of_the_failures(package: str) -> None:
    assert version(package).startswith(SEEN[package])


def dense_model(*layers: keras.layers.Layer, shape: tuple[int, ...]) -> keras.Model:
    x = inputs = keras.Input(shape, name="x")
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def to_onnx(model: keras.Model, folder: Path) -> Path:
    """A file by Keras' own export."""
    path = folder / "model.onnx"
    model(np.zeros((1, *model.input.shape[1:]), np.float32))
    model.export(path, format="onnx", verbose=False)
    return path


def lstm() -> keras.Model:
    return dense_model(
        keras.layers.LSTM(4), keras.layers.Dense(3, "softmax"), shape=(5, 2)
    )


def to_litert(model: keras.Model, *flags: tf.lite.OpsSet) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if flags:
        converter.target_spec.supported_ops = list(flags)
    found: bytes = converter.convert()
    return found


def test_onnx_asks_for_the_mean_of_a_normalization(tmp_path: Path) -> None:
    """Networks and what ships scale by Rescaling (`ship/preprocessing_layers.py`)."""
    import onnxruntime

    layer = keras.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
    model = dense_model(layer, keras.layers.Dense(2), shape=(2,))
    with pytest.raises(Exception, match=r"(?i)input|invalid|fail"):
        session = onnxruntime.InferenceSession(str(to_onnx(model, tmp_path)))
        session.run(None, {"x": np.ones((1, 2), np.float32)})


def test_onnx_knows_no_complementary_error_function(tmp_path: Path) -> None:
    """`ship/formats/onnx.py` writes the exact GELU with the error function."""
    import onnxruntime

    model = dense_model(keras.layers.Dense(3, "gelu"), shape=(2,))
    with pytest.raises(Exception, match="Erfc"):
        onnxruntime.InferenceSession(str(to_onnx(model, tmp_path)))


def test_litert_writes_recurrent_layers_that_no_runtime_runs() -> None:
    """`ship/formats/litert.py` fixes the batch and takes builtin operations."""
    from ai_edge_litert.interpreter import Interpreter

    written = to_litert(
        lstm(), tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS
    )
    with pytest.raises(Exception, match="Flex"):
        interpreter = Interpreter(model_content=written)
        interpreter.allocate_tensors()


def test_a_keras_file_has_the_state_of_the_optimizer_though_it_is_left_out(
    tmp_path: Path,
) -> None:
    """Models that ship were never compiled."""
    model = dense_model(keras.layers.Dense(50), shape=(50,))
    model.compile("adam", "mse")
    model.fit(np.ones((4, 50)), np.ones((4, 50)), verbose=0)
    sizes = []
    for name, options in (("with", {}), ("without", {"include_optimizer": False})):
        path = tmp_path / f"{name}.keras"
        model.save(path, **options)
        sizes.append(path.stat().st_size)
    assert sizes[0] == sizes[1]


def attention_model() -> keras.Model:
    inputs = keras.Input((6, 8), name="x")
    x = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_a_quantized_attention_of_keras_does_not_load(tmp_path: Path) -> None:
    """ai-edge-quantizer stores weights in fewer bits, not `model.quantize`."""
    model = attention_model()
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with pytest.raises(Exception, match=r"."):
        keras.saving.load_model(tmp_path / "model.keras")


def test_litert_refuses_a_model_that_keras_quantized_to_8_bits() -> None:
    model = dense_model(keras.layers.Dense(8), shape=(8,))
    model.quantize("int8")
    with pytest.raises(Exception, match=r"."):
        to_litert(model, tf.lite.OpsSet.TFLITE_BUILTINS)


def test_a_model_that_keras_quantized_to_4_bits_grows_in_litert() -> None:
    model = dense_model(keras.layers.Dense(128), shape=(128,))
    before = len(to_litert(model))
    model.quantize("int4")
    assert len(to_litert(model)) > before


_STATIC_RNN = """
import numpy as np, tensorflow as tf, keras
model = keras.Sequential([keras.Input((5, 2), batch_size=1), keras.layers.LSTM(4)])
converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([np.ones((1, 5, 2), "float32")],) * 4
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.convert()
"""


def test_the_converters_static_quantization_ends_the_process() -> None:
    """Conversions run as programs of their own (`ship/formats/base.converted`)."""
    done = subprocess.run([sys.executable, "-c", _STATIC_RNN], capture_output=True)
    assert done.returncode != 0


def test_the_quantizer_refuses_static_recurrent_layers(tmp_path: Path) -> None:
    """`kscale compress` names such a method as failed."""
    from ai_edge_quantizer import quantizer, recipe

    model = keras.Sequential([keras.Input((5, 2), batch_size=1), keras.layers.LSTM(4)])
    path = tmp_path / "model.tflite"
    path.write_bytes(to_litert(model, tf.lite.OpsSet.TFLITE_BUILTINS))
    tool: Any = quantizer.Quantizer(str(path))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    rows = [{"args_0": np.ones((1, 5, 2), np.float32)}]
    with pytest.raises(Exception, match=r"."):
        found = tool.calibrate({"serving_default": rows})
        tool.quantize(found)


def test_the_usual_loss_of_a_distiller_is_of_raw_logits() -> None:
    """A divergence is never below 0. Distillation in `ship/compressing` softens logits
    first."""
    usual = keras.distillation.LogitsDistillation()
    teacher, student = np.array([[0.2, 0.3]]), np.array([[1.0, 2.0]])
    assert float(usual.compute_loss(teacher, student)) < -0.1


def test_keras_has_no_pruning() -> None:
    """Weights are held at 0 by the engine."""
    assert not hasattr(keras, "pruning")


def test_the_quantizer_lays_large_weights_outside_the_structure(tmp_path: Path) -> None:
    """A microcontroller reads files of `ship/micro.py` `plain_file` alone."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    path = tmp_path / "dense.tflite"
    model = dense_model(keras.layers.Dense(600), shape=(600,))
    path.write_bytes(to_litert(model))
    quantizer = Quantizer(str(path))
    quantizer.add_weight_only_config(".*", TFLOperationName.ALL_SUPPORTED, 8)
    content = quantizer.quantize(enable_progress_report=False).quantized_model
    for made, is_outside in ((content, True), (plain_file(content), False)):
        found = schema.Model.GetRootAsModel(bytes(made), 0)
        offsets = [found.Buffers(n).Offset() for n in range(found.BuffersLength())]
        assert (max(offsets) > 1) is is_outside


def test_the_quantizer_averages_the_extremes_of_examples(tmp_path: Path) -> None:
    """`ship/compressing/quantizing.py` takes the least and the largest itself."""
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    path = tmp_path / "dense.tflite"
    model = dense_model(keras.layers.Dense(1, kernel_initializer="ones"), shape=(1,))
    path.write_bytes(to_litert(model))
    quantizer = Quantizer(str(path))
    quantizer.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
    rows = [{"x": np.full((1, 1), value, np.float32)} for value in (0, 100, 0)]
    ranges = quantizer.calibrate({"serving_default": rows})
    assert max(float(np.max(each["max"])) for each in ranges.values()) < 10


def test_the_quantizer_gives_small_integers_at_both_ends(tmp_path: Path) -> None:
    """`ship/runtimes.py` scales what a file takes and gives."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    path = tmp_path / "dense.tflite"
    path.write_bytes(to_litert(dense_model(keras.layers.Dense(2), shape=(2,))))
    quantizer = Quantizer(str(path))
    quantizer.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
    rows = [{"x": np.ones((1, 2), np.float32)}]
    ranges = quantizer.calibrate({"serving_default": rows})
    made = quantizer.quantize(ranges, enable_progress_report=False).quantized_model
    interpreter = Interpreter(model_content=bytes(made))
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {end["dtype"] for end in ends} == {np.int8}


def test_the_quantizer_leaves_the_table_of_an_embedding(tmp_path: Path) -> None:
    """`ship/compressing/quantizing.py` stores tables by the static way."""
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    path = tmp_path / "table.tflite"
    inputs = keras.Input((3,), dtype="int32", name="x")
    model = keras.Model(inputs, keras.layers.Embedding(5000, 8)(inputs))
    path.write_bytes(to_litert(model))
    quantizer = Quantizer(str(path))
    quantizer.add_weight_only_config(".*", TFLOperationName.ALL_SUPPORTED, 8)
    made = quantizer.quantize(enable_progress_report=False).quantized_model
    assert len(made) > 4 * 5000 * 8  # in float32 still


def test_litert_has_no_split_of_a_text() -> None:
    """Texts become ids outside of a file (`ship/formats/litert.py`)."""
    layer = keras.layers.TextVectorization(vocabulary=["a", "b"])
    inputs = keras.Input((), dtype="string", name="x")
    with pytest.raises(Exception, match=r"."):
        to_litert(keras.Model(inputs, layer(inputs)), tf.lite.OpsSet.TFLITE_BUILTINS)
