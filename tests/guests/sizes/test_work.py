"""Work of single layers against figures worked out by hand."""

from pathlib import Path
from typing import Any

import keras
import pytest
from keras.src.ops import core, einops, image, linalg, math, nn, numpy

from kscale import count_model
from kscale.guests.sizes.work import _OPERATIONS, COSTLESS

layers = keras.layers


def flops_of(layer: Any, *shapes: tuple[int, ...]) -> int | None:
    """FLOPs of a layer on inputs of these shapes."""
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = layer(inputs if len(inputs) > 1 else inputs[0])
    row = count_model(keras.Model(inputs, outputs)).rows[-1]
    return row.flops


# Multiply-adds: what leaves, times what each of it reads.
BY_HAND = [
    (layers.Conv1D(5, 3), [(10, 4)], (8 * 5) * (3 * 4)),
    (layers.Conv2D(6, 3, groups=2, padding="same"), [(4, 4, 8)], (16 * 6) * (9 * 4)),
    (layers.Conv2D(5, 3, dilation_rate=2), [(9, 9, 2)], (25 * 5) * (9 * 2)),
    (layers.Conv3D(2, 2), [(3, 3, 3, 4)], (8 * 2) * (8 * 4)),
    # Every position that enters is spread by the kernel.
    (layers.Conv2DTranspose(3, 2, strides=2), [(4, 4, 5)], 16 * (4 * 3 * 5)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), [(5, 5, 4)], (9 * 8) * 9),
    (layers.SeparableConv2D(7, 3), [(5, 5, 4)], 9 * (4 * 9 + 7 * 4)),
    (layers.SeparableConv1D(7, 3, strides=2), [(11, 4)], 5 * (4 * 3 + 7 * 4)),
    (layers.Conv1DTranspose(3, 2, strides=2), [(6, 5)], 6 * (2 * 3 * 5)),
    (layers.EinsumDense("abc,cde->abde", (None, 2, 3)), [(5, 4)], (5 * 2 * 3) * 4),
    (layers.EinsumDense("...x,xy->...y", 3), [(5, 4)], (5 * 3) * 4),
    (layers.Dot(axes=(2, 2)), [(5, 4), (6, 4)], (5 * 6) * 4),
    (layers.Attention(), [(5, 4), (6, 4)], 2 * (5 * 6 * 4)),
    # The scores of sums are sums too; the context is a product.
    (layers.AdditiveAttention(), [(5, 4), (6, 4)], 5 * 6 * 4),
    (layers.Attention(score_mode="concat"), [(5, 4), (6, 4)], 5 * 6 * 4),
    (layers.Pipeline([layers.Rescaling(2.0), layers.RandomFlip()]), [(8, 8, 3)], 0),
    (layers.SimpleRNN(3), [(5, 4)], 5 * 3 * (4 + 3)),
    (layers.Bidirectional(layers.LSTM(3)), [(5, 4)], 5 * 2 * 4 * 3 * (4 + 3)),
    (layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)]), [(5, 4)], 5 * (63 + 40)),
    (layers.TimeDistributed(layers.Dense(3)), [(5, 4)], 5 * (4 * 3)),
    # Both kernels of 3 x 3 at every position that leaves, at each of five steps.
    (layers.ConvLSTM2D(3, 3), [(5, 8, 7, 4)], 5 * 30 * 9 * (4 + 3) * 12),
    (layers.ConvLSTM1D(3, 3, return_sequences=True), [(5, 8, 4)], 5 * 6 * 3 * 7 * 12),
    (layers.SpectralNormalization(layers.Dense(3)), [(4,)], 4 * 3),
    (layers.STFTSpectrogram("stft", 16, 16, 32), [(320, 2)], 2 * 20 * 2 * 17 * 16),
    (layers.STFTSpectrogram("real", 32, 16, 32), [(320, 1)], 19 * 17 * 32),
    (layers.AdaptiveAveragePooling2D(3), [(8, 8, 4)], 0),
    # LoRA adds a product of two narrow kernels to the wide one, at every call.
    (layers.Dense(6, lora_rank=2), [(4,)], 4 * 6 + 4 * 2 * 6),
    (layers.Conv2D(6, 3, lora_rank=2), [(8, 8, 4)], 36 * 6 * 36 + 36 * 2 * 6),
    (layers.Embedding(10, 6, lora_rank=2), [(5,)], 10 * 2 * 6),
]


@pytest.mark.parametrize(
    ("layer", "shapes", "multiply_adds"), BY_HAND, ids=lambda x: getattr(x, "name", "")
)
def test_a_layer_by_hand(layer: Any, shapes: Any, multiply_adds: int) -> None:
    assert flops_of(layer, *shapes) == 2 * multiply_adds


def test_attention_whose_arguments_are_named() -> None:
    queries, memory = keras.Input((5, 4)), keras.Input((6, 8))
    mask = keras.Input((5, 6), dtype="bool")
    layer = layers.MultiHeadAttention(2, 3, value_dim=7)
    outputs = layer(query=queries, value=memory, attention_mask=mask)
    rows = count_model(keras.Model([queries, memory, mask], outputs)).rows
    keys = 5 * 4 * 6 + 6 * 8 * 6 + 5 * 6 * 6  # queries, keys, scores
    values = 6 * 8 * 14 + 5 * 6 * 14 + 5 * 14 * 4  # values, context, output
    assert [row.flops for row in rows if row.params] == [2 * (keys + values)]


def test_attention_over_some_of_the_sides() -> None:
    clip = keras.Input((2, 3, 5, 4))
    layer = layers.MultiHeadAttention(2, 3, attention_axes=(2, 3))
    (row,) = count_model(keras.Model(clip, layer(clip, clip))).rows
    projections = 4 * 30 * 4 * 6
    # In each of two frames, every position looks at the fifteen of its own.
    assert row.flops == 2 * (projections + 2 * 2 * 30 * 15 * 3)


def test_queries_that_share_keys() -> None:
    inputs = keras.Input((6, 8))
    for gate in (False, True):
        layer = layers.GroupQueryAttention(3, 4, 2, use_gate=gate)
        row = count_model(keras.Model(inputs, layer(inputs, inputs))).rows[0]
        projections = 6 * 8 * (12 * (2 + gate) + 6 * 2)
        assert row.flops == 2 * (projections + 2 * 4 * 6 * 6 * 3)


def test_an_embedding_in_reverse_is_a_product() -> None:
    ids, tied = keras.Input((5,), dtype="int32"), layers.ReversibleEmbedding(10, 4)
    (row,) = count_model(keras.Model(ids, tied(tied(ids), reverse=True))).rows
    assert (row.params, row.flops, row.copies) == (40, 2 * 5 * 4 * 10, 2)


def test_quantized_weights_are_stored_in_their_types(tmp_path: Path) -> None:
    parts = [keras.Input((4,)), layers.Dense(6), layers.Dense(3)]
    model = keras.Sequential(parts)
    assert "as they are" not in count_model(model).to_text()
    model.quantize("int8", filters="dense")
    model.save(tmp_path / "small.keras")
    for found in (count_model(model), count_model(tmp_path / "small.keras")):
        assert found.size.params == model.count_params()
        # Kernels in a byte each; a scale and a bias of float32 for each unit.
        assert found.stored_bytes == (24 + 18) + 9 * (4 + 4)
        assert found.to_json()["stored_bytes"] == 114
        assert "114 B as they are" in found.to_text()
        assert found.size.flops == 2 * (24 + 18)


PACKED = [
    # Weights, a bias, a scale and a zero for each output, an index for each input.
    (layers.Dense(7), (5,), 5 * 7 + 7 + 7 + 7 + 5, 5 * 4 + 7 * (4 + 4 + 1) + 5 * 4),
    (
        layers.EinsumDense("abc,cde->abde", (None, 3, 5)),
        (2, 7),
        7 * 15 + 15 + 15 + 7,
        7 * 8 + 15 * (4 + 1) + 7 * 4,
    ),
    (layers.Embedding(11, 7), (5,), 77 + 11 + 11 + 7, 11 * 4 + 11 * (4 + 1) + 7 * 4),
    (
        layers.MultiHeadAttention(1, 3, use_bias=False),
        (5, 7),
        3 * (21 + 3 + 3 + 7) + (21 + 7 + 7 + 3),
        3 * (7 * 2 + 3 * 5 + 7 * 4) + (3 * 4 + 7 * 5 + 3 * 4),
    ),
]


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.parametrize(("layer", "shape", "params", "stored"), PACKED)
def test_weights_of_four_bits_count_each_though_two_share_a_byte(
    layer: Any, shape: tuple[int, ...], params: int, stored: int
) -> None:
    inputs = keras.Input(shape)
    several = isinstance(layer, layers.MultiHeadAttention)
    model = keras.Model(inputs, layer(inputs, inputs) if several else layer(inputs))
    model.quantize("int4")
    found = count_model(model)
    assert (found.size.params, found.stored_bytes) == (params, stored)


def test_words_of_any_number_are_looked_up_and_pooled_at_no_cost() -> None:
    text = keras.Input((1,), dtype="string")
    ids = layers.TextVectorization(vocabulary=["a", "b"])(text)
    vectors = layers.Embedding(10, 4)(ids)
    pooled = layers.Dense(2)(layers.GlobalAveragePooling1D()(vectors * 2))
    found = count_model(keras.Model(text, pooled))
    assert not found.unknown and found.size.flops == 2 * 4 * 2
    assert "activations  at least " in found.to_text()
    read = layers.GRU(3, name="gru")(vectors)
    assert count_model(keras.Model(text, read)).unknown == ("gru",)


def test_lora_on_quantized_weights_is_unknown() -> None:
    dense = layers.Dense(6, lora_rank=2)
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.quantize("int8")
    assert count_model(model).unknown == (dense.name,)


def test_a_model_at_every_position_of_a_sequence() -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="d")], name="m")
    clip = keras.Input((5, 4))
    outputs = layers.TimeDistributed(inner, name="each")(clip)
    rows = count_model(keras.Model(clip, outputs)).rows
    found = {row.path: (row.params, row.flops, row.copies) for row in rows}
    assert found["each/d"] == (15, 5 * 2 * 4 * 3, 5)


def test_operations_that_multiply_matrices_count_and_unknown_ones_do_not() -> None:
    left, right = keras.Input((5, 4)), keras.Input((4, 6))
    product = keras.ops.matmul(left, right)
    sums = keras.ops.einsum("bij->bi", product)
    real, _ = keras.ops.rfft(sums * 2)
    rows = count_model(keras.Model([left, right], real)).rows
    assert [(row.kind, row.flops) for row in rows] == [
        ("Matmul", 2 * 5 * 6 * 4),
        ("Einsum", 0),
        ("Multiply", 0),
        ("RFFT", None),
    ]


EINSUMS = [
    ("bihd,bjhd->bhij", [(5, 2, 3), (4, 2, 3)], 2 * (2 * 5 * 4) * 3),
    ("bij,bij->bij", [(5, 4), (5, 4)], 0),
    ("...ij,...jk->...ik", [(5, 4), (4, 6)], 2 * (5 * 6) * 4),
    ("...ij,...kj->...ik", [(2, 5, 4), (2, 6, 4)], 2 * (2 * 5 * 6) * 4),
    ("bij,bkj->ik", [(5, 4), (6, 4)], None),
    ("bi,bj,bk->bijk", [(5,), (4,), (6,)], None),
]


@pytest.mark.parametrize(("subscripts", "shapes", "flops"), EINSUMS)
def test_einsum_multiplies_what_it_sums(
    subscripts: str, shapes: Any, flops: int | None
) -> None:
    inputs = [keras.Input(shape) for shape in shapes]
    rows = count_model(keras.Model(inputs, keras.ops.einsum(subscripts, *inputs))).rows
    assert [row.flops for row in rows] == [flops]


ops, ones = keras.ops, keras.ops.ones
CONSTANTS = [
    (lambda x: ops.matmul(x, ones((3, 6))), (5 * 5 * 6) * 3),
    (lambda x: ops.matmul(ones((2, 5)), x), (5 * 2 * 3) * 5),
    (lambda x: ops.matmul(x1=x, x2=ones((3, 6))), (5 * 5 * 6) * 3),
    (lambda x: ops.einsum("bijk,kl->bijl", x, ones((3, 6))), (5 * 5 * 6) * 3),
    (lambda x: ops.einsum("...k,kl->...l", x, ones((3, 6))), (5 * 5 * 6) * 3),
    (lambda x: ops.dot(x, ones((3, 6))), (5 * 5 * 6) * 3),
    (lambda x: ops.inner(x, ones((6, 3))), (5 * 5 * 6) * 3),
    (lambda x: ops.tensordot(x, ones((5, 3, 6)), 2), (5 * 6) * (5 * 3)),
    (lambda x: ops.tensordot(x, ones((3, 5)), ((1, 3), (1, 0))), 5 * (5 * 3)),
    (lambda x: ops.conv(x, ones((2, 2, 3, 6))), (4 * 4 * 6) * (2 * 2 * 3)),
    (lambda x: ops.depthwise_conv(x, ones((2, 2, 3, 2))), (4 * 4 * 6) * (2 * 2)),
    (
        lambda x: ops.separable_conv(x, ones((2, 2, 3, 2)), ones((1, 1, 6, 5))),
        (4 * 4) * (2 * 2 * 6 + 6 * 5),
    ),
    # Every position that enters is spread by the kernel.
    (
        lambda x: ops.conv_transpose(x, ones((2, 2, 4, 3)), strides=2),
        (5 * 5) * (2 * 2 * 4 * 3),
    ),
    (lambda x: ops.image.gaussian_blur(x, (3, 3)), (5 * 5 * 3) * (3 * 3)),
    (lambda x: ops.matmul(x, keras.Variable(ones((3, 6)))), (5 * 5 * 6) * 3),
    (lambda x: x * ones((5, 3)), 0),
]


@pytest.mark.filterwarnings("ignore:NotImplemented should not be used")  # by Keras
@pytest.mark.parametrize(("call", "multiply_adds"), CONSTANTS)
def test_a_product_with_a_constant_counts(call: Any, multiply_adds: int) -> None:
    inputs = keras.Input((5, 5, 3))
    rows = count_model(keras.Model(inputs, call(inputs))).rows
    assert [row.flops for row in rows] == [2 * multiply_adds]


def test_an_attention_operation_has_scores_and_a_context() -> None:
    queries, memory = keras.Input((5, 2, 3)), keras.Input((4, 2, 3))
    context = keras.ops.dot_product_attention(queries, key=memory, value=memory)
    (row,) = count_model(keras.Model([queries, memory], context)).rows
    assert row.flops == 2 * (2 * 5 * 4) * (3 + 3)


# Products of other shapes, transforms and functions of the user.
UNKNOWN = {
    *("Map", "Scan", "AssociativeScan", "Switch", "WhileLoop", "ForiLoop", "Cond"),
    *("VectorizedMap", "JVP", "SobelEdges", "SSIM", "CDist", "CTCLoss", "CTCDecode"),
    *("FFT", "FFT2", "IFFT2", "RFFT", "IRFFT", "STFT", "ISTFT", "Corrcoef", "Vdot"),
    *("Correlate", "Logdet", "Slogdet", "Det", "Cholesky", "CholeskyInverse", "Inv"),
    *("Eig", "Eigh", "LuFactor", "Qr", "Solve", "SolveTriangular", "SVD", "Lstsq"),
    *("MatrixRank", "Pinv"),
}


def test_every_operation_of_keras_is_known_but_a_few() -> None:
    """None of them is guessed, and no name is listed that Keras does not have."""
    places = (nn, numpy, math, core, image, einops, linalg)
    known = {*COSTLESS["operations"], *_OPERATIONS}
    assert known <= {name for place in places for name in vars(place)}
    found = {
        name
        for place in places
        for name, kind in vars(place).items()
        if isinstance(kind, type) and kind.__module__ == place.__name__
    }
    assert found - known <= UNKNOWN and not known & UNKNOWN


def test_a_spectrogram_is_a_transform_of_every_window_and_its_bands() -> None:
    layer = layers.MelSpectrogram(fft_length=64, sequence_stride=50, num_mel_bins=8)
    # Eleven windows of 64, of which each has 33 frequencies in 8 bands.
    assert flops_of(layer, (500,)) == 11 * (2.5 * 64 * 6 + 2 * 33 * 8)


def test_what_a_layer_needs_inside_is_alive_while_it_runs() -> None:
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, layers.SeparableConv2D(7, 3, use_bias=False)(inputs))
    # Input, output, and what the depthwise convolution leaves to the other one.
    assert count_model(model).size.activation_bytes == 4 * (100 + 9 * 7 + 9 * 4)


def test_half_precision_halves_the_activations() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, dtype="mixed_float16", name="d")]
    )
    assert count_model(model).size.activation_bytes == 4 * 4 + 2 * 8
