"""Sizes are exact: every figure here was worked out by hand, or by Python's ints."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    BODY_INPUT,
    Activation,
    Add,
    Attention,
    BatchNorm,
    Blueprint,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Embedding,
    First,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    PaddingMask,
    Repeat,
    ZeroPad2D,
)
from kscale.networks.families import FAMILIES
from kscale.networks.layer_costs import Cost, Tensor
from kscale.networks.sizing import Size, size_of, size_rows
from kscale.task.tasks import Input, Task


def network(shape: tuple[int, ...], *layers: Layer, kind: Any = None) -> Blueprint:
    """Layers on one input `x`; the last layer is the output."""
    kind = kind or {1: "vector", 2: "sequence", 3: "image"}[len(shape)]
    vocabulary = 9 if kind == "tokens" else 0
    x = Input("x", kind, shape, vocabulary)
    return Blueprint((x,), layers, (layers[-1].name,))


def test_dense_on_a_vector() -> None:
    size = size_of(network((20,), Dense(16, name="d")))
    assert (size.params, size.flops) == (20 * 16 + 16, 2 * 20 * 16)


def test_dense_on_a_sequence_runs_at_every_position() -> None:
    size = size_of(network((5, 4), Dense(3, name="d", use_bias=False)))
    assert (size.params, size.flops) == (12, 2 * 5 * 4 * 3)


@pytest.mark.parametrize(
    ("strides", "padding", "rows", "columns"),
    [
        (1, "same", 7, 9),
        (1, "valid", 5, 7),
        (2, "same", 4, 5),
        (2, "valid", 3, 4),
        (3, "same", 3, 3),
    ],
)
def test_convolution(strides: int, padding: str, rows: int, columns: int) -> None:
    conv = Conv2D(4, 3, strides=strides, padding=padding, name="c")
    (row,) = size_rows(network((7, 9, 3), conv))
    assert row.shape == (rows, columns, 4)
    assert row.params == 3 * 3 * 3 * 4 + 4
    assert row.flops == 2 * rows * columns * (3 * 3 * 3 * 4)


def test_attention_to_a_memory_of_other_length_and_width() -> None:
    inputs = (Input("q", "sequence", (3, 4)), Input("m", "sequence", (5, 6)))
    layers = (Attention(8, 2, name="a", inputs=("q", "m")),)
    size = size_of(Blueprint(inputs, layers, ("a",)))
    # Queries 4 x 8, keys and values 6 x 8 each, output 8 x 4, and their biases.
    assert size.params == (32 + 8) + 2 * (48 + 8) + (32 + 4)
    # Multiply-adds: queries, output, keys, values, scores, context.
    assert size.flops == 2 * (96 + 96 + 240 + 240 + 3 * 5 * 8 + 3 * 5 * 8)
    # Queries and context 3 x 8, keys and values 5 x 8, two heads of 3 x 5 scores.
    inner = 4 * (2 * 24 + 2 * 40 + 2 * 15)
    assert size.training_activation_bytes == 4 * (12 + 30 + 12) + inner
    assert size.activation_bytes == size.training_activation_bytes


def test_normalizations_embeddings_and_frozen_statistics() -> None:
    assert size_of(network((5, 4), LayerNorm(name="n"))).params == 8
    batch = size_of(network((5, 4), BatchNorm(name="n")))
    assert (batch.params, batch.trainable, batch.flops) == (16, 8, 0)
    ids = size_of(network((5,), Embedding(9, 4, name="e"), kind="tokens"))
    assert (ids.params, ids.flops) == (36, 0)


def test_whole_networks_by_hand() -> None:
    def flops(family: str, task: Task, **knobs: Any) -> int:
        flops: int = FAMILIES[family].size(FAMILIES[family].spec(**knobs), task).flops
        return flops

    digits = Task.of("image", (8, 8, 1), classes=10)
    assert flops("linear", digits) == 2 * 64 * 10
    assert flops("mlp", digits, depth=3, width=16) == 2 * (
        64 * 16 + 2 * 16 * 16 + 16 * 10
    )
    # Two stages of one convolution; the second sees 4x4 pixels and 16 channels.
    assert flops("cnn", digits, depth=2, width=16) == 2 * (
        64 * (9 * 1 * 16) + 16 * (9 * 16 * 32) + 32 * 10
    )
    text = Task.of("tokens", (4,), vocabulary=11, classes=2)
    # Projections, scores and context, the two dense layers, the head.
    assert flops("transformer", text, depth=1, width=8) == 2 * (
        4 * (4 * 8 * 8) + 2 * (4 * 4 * 8) + 2 * (4 * 8 * 32) + 8 * 2
    )


def test_activation_bytes_of_a_residual_graph() -> None:
    size = size_of(
        network(
            (8,),
            Dense(16, name="a"),  # alive: input 32, a 64
            Dense(16, name="b"),  # input 32, a 64, b 64
            Add(name="sum", inputs=("a", "b")),  # 32 + a 64 + b 64 + sum 64
            Dense(4, name="out"),  # input 32, sum 64, out 16
        )
    )
    assert size.activation_bytes == 32 + 64 + 64 + 64
    assert size.training_activation_bytes == 32 + 64 + 64 + 64 + 16


def test_activation_bytes_of_a_chain_are_those_of_two_neighbours() -> None:
    layers = [Dense(units, name=f"d{units}") for units in (10, 30, 20, 5)]
    # Input 8 throughout; the widest pair is 30 and 20.
    assert size_of(network((8,), *layers)).activation_bytes == 4 * (8 + 30 + 20)


def test_flatten_and_dropout_hold_nothing_of_their_own() -> None:
    base = [Conv2D(4, 3, name="c"), GlobalAveragePool(name="p")]
    views = [base[0], Dropout(0.5, name="drop"), Flatten(name="flat")]
    conv = 4 * (6 * 6 * 1 + 6 * 6 * 4)
    assert size_of(network((6, 6, 1), *base)).activation_bytes == conv + 4 * 4
    size = size_of(network((6, 6, 1), *views, Dense(4, name="d")))
    assert size.activation_bytes == conv + 4 * 4


def test_what_a_later_layer_reads_stays_alive_through_a_repeat() -> None:
    body = (Dense(16, name="d"), Activation("relu", name="r"))
    chain = (Dense(16, name="a"), Repeat(body, 5, name="deep"))
    # Input 32, and two of 64 at a time.
    assert size_of(network((8,), *chain)).activation_bytes == 32 + 2 * 64
    skip = Add(name="sum", inputs=("a", "deep"))
    assert size_of(network((8,), *chain, skip)).activation_bytes == 32 + 3 * 64


def test_what_a_body_reads_from_outside_stays_alive() -> None:
    inner = Repeat((Add(name="sum", inputs=(BODY_INPUT, "a")),), 2, name="inner")
    for body in ((Add(name="sum", inputs=(BODY_INPUT, "a")),), (inner,)):
        layers = (Dense(16, name="a"), Dense(16, name="b"), Repeat(body, 3, name="r"))
        # Input 32; a, what enters the sum, and what it puts out.
        assert size_of(network((8,), *layers)).activation_bytes == 32 + 3 * 64


def test_outputs_stay_alive_to_the_end() -> None:
    layers = tuple(Dense(16, name=name) for name in "abcd")
    x = Input("x", "vector", (8,))
    one = size_of(Blueprint((x,), layers, ("d",)))
    two = size_of(Blueprint((x,), layers, ("a", "d")))
    assert (one.activation_bytes, two.activation_bytes) == (32 + 2 * 64, 32 + 3 * 64)


def unrolled(body: tuple[Layer, ...], times: int) -> list[Layer]:
    """Copies of a chain of layers written out, without a `Repeat`."""
    return [
        Dense(layer.units, name=f"{layer.name}{copy}")
        for copy in range(times)
        for layer in body
        if isinstance(layer, Dense)
    ]


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_a_repeat_counts_like_its_copies_written_out(times: int) -> None:
    body = (Dense(12, name="a"), Dense(20, name="b"))
    last = Dense(3, name="last")
    # What enters is the network's input, or of the shape of what comes out, or not.
    for start in ([], [Dense(20, name="same")], [Dense(90, name="wide")]):
        repeated = network((7,), *start, Repeat(body, times, name="r"), last)
        written = network((7,), *start, *unrolled(body, times), last)
        assert size_of(repeated) == size_of(written)


def nested(times: int, shared: bool) -> Blueprint:
    """A residual body with a `Repeat` inside, on a sequence."""
    inner = Repeat((Dense(6, name="d"), BatchNorm(name="n")), times, name="inner")
    body = (
        Dense(6, name="in"),
        inner,
        Add(name="sum", inputs=("in", "inner")),
    )
    layers = (
        Dense(6, name="stem"),
        Repeat(body, times, shared=shared, name="block"),
    )
    return network((4, 5), *layers)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("shared", [False, True])
def test_rows_add_up(times: int, shared: bool) -> None:
    blueprint = nested(times, shared)
    size, rows = size_of(blueprint), size_rows(blueprint)
    assert sum(row.params for row in rows) == size.params
    assert sum(row.flops for row in rows) == size.flops
    copies = sum(row.copies for row in rows if row.kind == "Dense")
    assert copies == 1 + times * (1 + times)
    assert len({row.path for row in rows}) == len(rows)
    # 6 x 6 + 6 a dense layer, 4 x 6 a norm; the stem reads 5 features.
    block = 42 + times * (42 + 24)
    assert size.params == 36 + (1 if shared else times) * block


def test_rows_name_the_copies_they_stand_for() -> None:
    layers = (Repeat((Dense(6, name="d"),), 12, name="stage/block"),)
    paths = [(row.path, row.copies) for row in size_rows(network((4,), *layers))]
    assert paths == [("stage/block1/d", 1), ("stage/block2-12/d", 11)]


@pytest.mark.parametrize(
    ("family", "task", "knobs"),
    [
        ("mlp", Task.of("image", (3, 5, 2), classes=3), {"norm": "layer"}),
        ("mlp", Task.of("vector", (16,), values=2), {"depth": 1, "norm": "none"}),
        ("cnn", Task.of("image", (17, 9, 3), classes=3), {"depth": 7}),
        ("cnn", Task.of("image", (8, 8, 8), classes=3), {"head_units": 24}),
        ("transformer", Task.of("tokens", (6,), vocabulary=9, classes=3), {}),
        (
            "transformer",
            Task.of("tokens", (6,), vocabulary=9),
            {"norm": "post", "pooling": "first", "embedding_width": 8, "shared": True},
        ),
        ("vit", Task.of("image", (9, 17, 3), classes=3), {}),
        ("vit", Task.of("image", (8, 8, 1)), {"pooling": "token", "patch": 3}),
        ("rnn", Task.of("sequence", (5, 16), classes=3), {"bidirectional": True}),
        ("rnn", Task.of("image", (5, 4, 2), values=2), {"cell": "gru", "depth": 1}),
        (
            "rnn",
            Task.of("tokens", (6,), vocabulary=9, classes=3),
            {"pooling": "last", "depth": 4, "embedding_width": 16},
        ),
    ],
)
def test_an_array_of_widths_gives_what_each_width_gives(
    family: str, task: Task, knobs: dict[str, Any]
) -> None:
    kind = FAMILIES[family]
    # Equal to a side, a width that repeats, and one of many heads, all in one array.
    widths = [8, 16, 16, 24, 136, 768, 1024]
    spec = dict(kind.spec(**knobs).knobs)
    many = size_of(kind.blueprint_of({**spec, "width": np.array(widths)}, task))
    for index, width in enumerate(widths):
        one = size_of(kind.blueprint_of({**spec, "width": width}, task))
        for name, figure in one.figures.items():
            figures = np.broadcast_to(getattr(many, name), len(widths))
            assert figures[index] == figure
            assert figures.dtype == np.int64
            assert type(figure) is int
        assert many.weight_bytes("int4")[index] == one.weight_bytes("int4")
        assert many.training_bytes(3)[index] == one.training_bytes(3)


def test_an_array_of_one_width_may_equal_a_fixed_side() -> None:
    width = np.array([8])
    layers = (Dense(width, name="a"), Add(name="sum", inputs=("a", "x")))
    assert size_of(network((8,), *layers)).params == 72


def test_arrays_too_wide_for_int64_are_refused_and_ints_are_not() -> None:
    wide = 2**31
    exact = size_of(network((4,), Dense(wide, name="a"), Dense(wide, name="b")))
    assert exact.params == 5 * wide + wide * wide + wide
    many = np.array([8, wide])
    with pytest.raises(SpecError, match="smaller widths"):
        size_of(network((4,), Dense(many, name="a"), Dense(many, name="b")))


def test_a_hundred_thousand_blocks_are_counted_at_once() -> None:
    walked: list[int] = []

    @dataclass(frozen=True)
    class Seen(Dense):
        """Tells how often the walk comes by."""

        def cost(self, read: list[Tensor]) -> Cost:
            walked.append(self.units)
            return super().cost(read)

    body = (Seen(8, name="d"), Add(name="sum", inputs=("d", BODY_INPUT)))
    size = size_of(network((8,), Repeat(body, 100_000, name="block")))
    assert size.params == 100_000 * 72
    assert size.activation_bytes == 4 * (8 + 3 * 8)
    assert len(walked) <= 3  # of 100,000 copies


def test_bytes_of_weights_by_type() -> None:
    size = Size(1001, 1000, 0, 0, 10)
    assert [size.weight_bytes(t) for t in ("float32", "bfloat16", "int8", "int4")] == [
        4004,
        2002,
        1001,
        501,
    ]
    with pytest.raises(SpecError, match="Known: float32, float16"):
        size.weight_bytes("float8")


def test_training_holds_weights_gradients_moments_and_activations() -> None:
    # 1001 weights; gradient and two moments of 1000; 32 examples of 10 bytes.
    assert Size(1001, 1000, 0, 0, 10).training_bytes(32) == 4004 + 3 * 4000 + 320


@pytest.mark.parametrize(
    ("shape", "layer", "needs"),
    [
        ((4,), Conv2D(4, 3, name="bad"), r"an image .*got \(4,\)"),
        ((2, 2, 1), Conv2D(4, 3, padding="valid", name="bad"), "at least 3x3"),
        ((1, 4, 1), MaxPool2D(name="bad"), "at least 2x2"),
        ((2, 9, 1), MaxPool2D(3, strides=1, name="bad"), "at least 3x3"),
        ((4,), DepthwiseConv2D(3, name="bad"), "an image"),
        ((2, 4, 1), DepthwiseConv2D(3, padding="valid", name="bad"), "at least 3x3"),
        ((4, 4), ZeroPad2D(1, name="bad"), "an image"),
        ((4,), GlobalAveragePool(name="bad"), "an image"),
        ((4, 5, 3), GlobalAveragePool(positions=True, name="bad"), "a sequence"),
        ((4,), First(name="bad"), "a sequence"),
        ((4, 4), PaddingMask(name="bad"), "ids"),
        ((4, 4), Embedding(4, 4, name="bad"), "ids"),
        ((4, 4), Attention(4, 1, name="bad"), "queries and a memory"),
        ((4,), Attention(4, 1, name="bad", inputs=("x", "x")), "queries"),
    ],
)
def test_a_layer_that_cannot_take_its_input_says_what_it_needs(
    shape: tuple[int, ...], layer: Layer, needs: str
) -> None:
    with pytest.raises(SpecError, match=f"'bad' needs .*{needs}"):
        size_of(network(shape, layer))


def test_sums_and_joins_need_shapes_that_agree() -> None:
    a, b = Dense(4, name="a"), Dense(5, name="b", inputs=("x",))
    with pytest.raises(SpecError, match="'sum' needs inputs of one shape"):
        size_of(network((3,), a, b, Add(name="sum", inputs=("a", "b"))))
    both = size_of(
        network(
            (3,), a, b, Concatenate(name="c", inputs=("a", "b")), Dense(1, name="o")
        )
    )
    assert both.params == 16 + 20 + 10
    with pytest.raises(SpecError, match="differ in the last side only"):
        join = Concatenate(name="c", inputs=("first", "x"))
        size_of(network((3, 2), First(name="first"), join))


def test_shared_copies_must_keep_the_shape() -> None:
    repeat = Repeat((Dense(4, name="d"),), 2, shared=True, name="r")
    with pytest.raises(SpecError, match="must keep the shape"):
        size_of(network((3,), repeat))
    assert size_of(network((4,), repeat)).params == 20
