"""Sizes of NAS-Bench-Macro's networks are those of its table (Su et al. 2021).

A network is eight digits, one a layer: `0` identity, `1` an inverted bottleneck of
expansion 3 and a 3x3 kernel, `2` one of expansion 6 and 5x5. The slice of the table
beside this file is committed; the whole is counted where it is at hand.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from shared_data import SHARED, needs

from kscale.networks.blueprint import (
    BatchNorm,
    Blueprint,
    Conv2D,
    Dense,
    GlobalAveragePool,
    Layer,
    Repeat,
)
from kscale.networks.families.mobilenet import inverted_bottleneck
from kscale.networks.sizing import size_of
from kscale.task.tasks import Input

SLICE = Path(__file__).with_name("nas_bench_macro_slice.json")
WHOLE = "tables/nas-bench-macro_cifar10.json.gz"
EXPANSION_AND_KERNEL = {"1": (3, 3), "2": (6, 5)}
STAGES = {0: 64, 2: 128, 5: 256}
"""Channels by the first layer of a stage, which halves the image."""


def network(digits: str) -> Blueprint:
    """The network of eight digits, for CIFAR-10."""
    layers = convolution("stem", 32, 3)
    channels = 32
    for index, digit in enumerate(digits):
        name, read, strides = f"layer{index + 1}", channels, 1
        if index in STAGES:
            channels, strides = STAGES[index], 2
        if digit == "0":
            # An identity that changes the shape is a strided 1x1 convolution.
            if strides == 2:
                layers += convolution(name, channels, 1, strides)
            continue
        expansion, kernel = EXPANSION_AND_KERNEL[digit]
        block = inverted_bottleneck(
            read,
            channels,
            expansion=expansion,
            kernel=kernel,
            strides=strides,
            shortcut=strides == 1,
        )
        layers.append(Repeat(block, 1, name=name))
    layers += convolution("features", 1280, 1)
    layers += [GlobalAveragePool(name="pool"), Dense(10, name="head")]
    return Blueprint((Input("x", "image", (32, 32, 3)),), tuple(layers), ("head",))


def convolution(name: str, filters: int, kernel: int, strides: int = 1) -> list[Layer]:
    return [
        Conv2D(filters, kernel, strides, use_bias=False, name=name),
        BatchNorm(name=f"{name}/norm"),
    ]


def check_rows(rows: dict[str, dict[str, Any]]) -> None:
    """The table counts trainable weights, and multiply-adds as one."""
    for digits, row in rows.items():
        size = size_of(network(digits))
        assert (size.trainable, size.flops) == (row["params"], 2 * row["flops"]), digits


def test_a_slice_of_the_table_is_counted_exactly() -> None:
    rows = json.loads(SLICE.read_text())["networks"]
    assert len(rows) == 41
    assert len({row["params"] for row in rows.values()}) > 35
    check_rows(rows)


@needs(WHOLE)
def test_all_rows_of_the_table_are_counted_exactly() -> None:
    rows = json.loads(gzip.decompress((SHARED / WHOLE).read_bytes()))
    assert len(rows) == 6561
    check_rows(rows)
    part = json.loads(SLICE.read_text())["networks"]
    assert all(rows[digits] == row for digits, row in part.items())
