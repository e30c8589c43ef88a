"""The networks of `keras.applications` that can be a backbone, and their layer record.

What each of them costs stands in `backbones.json`, counted on Keras' own networks:
`pytest tests/networks/test_backbones.py -m slow --overwrite` writes the file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from kscale.errors import SpecError
from kscale.networks.blueprint import Layer

SIDES = (32, 64, 96, 128, 160, 192, 224)
"""Sides of the square images that backbones are counted for."""

_LEAST_SIDE = 96  # the smallest that MobileNetV2 was trained on; 32 has 1 position left


# Scale and offset, from pixels of 0 to 255, of each channel: `preprocess_input` of
# `keras.applications.imagenet_utils`, whose `caffe` has blue first.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_PIXELS = {
    "raw": ((1.0,) * 3, (0.0,) * 3),
    "tf": ((1 / 127.5,) * 3, (-1.0,) * 3),
    "caffe": ((1.0,) * 3, (-103.939, -116.779, -123.68)),
    "torch": (
        tuple(1 / (255 * deviation) for deviation in _DEVIATION),
        tuple(-m / d for m, d in zip(_MEAN, _DEVIATION, strict=True)),
    ),
}


@dataclass(frozen=True)
class Backbone(Layer):
    """A network of `keras.applications` without its head: an image to `(features,)`.

    The image, grey or RGB, is resized to a square and scaled as the network wants it.

    Args:
        network: Its name in `NETWORKS`.
        side: Pixels of a side of that square.
        is_tuned: Whether it is trained; if not, its norms work as in inference.
        weights: `imagenet`, `none`, or the path of a file of weights.
        scale, offset: Those of the task's `Input`.
    """

    network: str
    side: int
    is_tuned: bool
    weights: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]


class Network(NamedTuple):
    """How Keras makes a network and what pixels it wants.

    Args:
        maker: Name of the function in `keras.applications`.
        alpha: Its argument `alpha`, or 0 if it has none.
        pixels: `tf` (-1 to 1), `caffe` (BGR around ImageNet's mean), `torch`
            (standardized) or `raw` (0 to 255: the network scales them itself).
        sides: Sides that it takes.
    """

    maker: str
    pixels: str = "raw"
    alpha: float = 0.0
    sides: tuple[int, ...] = SIDES


NETWORKS: dict[str, Network] = {
    **{f"mobilenet_{a}": Network("MobileNet", "tf", a) for a in (0.25, 0.5, 0.75, 1.0)},
    **{
        f"mobilenet_v2_{a}": Network("MobileNetV2", "tf", a)
        for a in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    },
    **{
        f"mobilenet_v3_{size.lower()}_{a}": Network(f"MobileNetV3{size}", alpha=a)
        for size in ("Small", "Large")
        for a in (0.75, 1.0)
    },
    **{f"efficientnet_b{n}": Network(f"EfficientNetB{n}") for n in range(4)},
    **{f"efficientnet_v2_b{n}": Network(f"EfficientNetV2B{n}") for n in range(4)},
    "densenet121": Network("DenseNet121", "torch"),
    "resnet50": Network("ResNet50", "caffe"),
    "resnet50_v2": Network("ResNet50V2", "tf"),
    # 71 pixels are the least, and NASNet's ImageNet weights take no other side.
    "xception": Network("Xception", "tf", sides=SIDES[2:]),
    "nasnet_mobile": Network("NASNetMobile", "tf", sides=(224,)),
    "convnext_tiny": Network("ConvNeXtTiny"),
    "vgg16": Network("VGG16", "caffe"),
}


def side_for(network: str, side: int, shape: tuple[int, ...]) -> int:
    """A side that a network takes: the one asked for, or one that suits an image.

    Args:
        network: Name of a network.
        side: The side asked for; 0 for the smallest, from 96 on, that shows all pixels
            of the image, or else the largest.
        shape: Shape of the image.

    Example:

    >>> [side_for("vgg16", 0, (n, n, 3)) for n in (8, 96, 97, 500)]
    [96, 96, 128, 224]
    """
    sides = NETWORKS[network].sides
    if side:
        if side not in sides:
            known = ", ".join(map(str, sides))
            raise SpecError(f"{network} takes images of side {known}, not {side}.")
        return side
    enough = [s for s in sides if s >= max(_LEAST_SIDE, *shape[:2])]
    return min(enough, default=max(sides))


class Counts(NamedTuple):
    """What a network costs without its top, average over all positions included.

    Args:
        features: Number of outputs.
        params: Weights.
        statistics: Weights that no training changes.
        file: Name of its ImageNet weights at Keras; `{side}` is one of `trained`.
        trained: Sides with weights of their own; others take those of the largest.
        costs: By the side of the image: FLOPs, the most bytes of activations alive at
            once, and those that training holds.
    """

    features: int
    params: int
    statistics: int
    file: str
    trained: Sequence[int]
    costs: dict[int, tuple[int, int, int]]

    def file_of(self, side: int) -> str:
        """Name of the file of ImageNet weights for a side."""
        with_weights = side if side in self.trained else max(self.trained, default=side)
        return self.file.format(side=with_weights)


@cache
def counts_of(network: str) -> Counts:
    """What a network costs."""
    row = _table()[network]
    costs = {int(side): tuple(values) for side, values in row["costs"].items()}
    return Counts(**{**row, "costs": costs})


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = files("kscale.networks").joinpath("backbones.json").read_text("utf-8")
    return dict(json.loads(text))


def has_blue_first(record: Backbone) -> bool:
    """Whether a backbone reads blue, green, red instead of red, green, blue."""
    return NETWORKS[record.network].pixels == "caffe"


def pixel_scaling(record: Backbone) -> tuple[list[float], list[float]]:
    """From the network's input to the backbone's, back through the raw pixels."""
    pixels = NETWORKS[record.network].pixels
    given = [list(values) for values in (record.scale, record.offset)]
    task_scale, task_offset = (v * 3 if len(v) == 1 else v for v in given)
    task_scale, task_offset = task_scale or [1.0] * 3, task_offset or [0.0] * 3
    if pixels == "caffe":
        task_scale, task_offset = task_scale[::-1], task_offset[::-1]
    scales = [b / a for a, b in zip(task_scale, _PIXELS[pixels][0], strict=True)]
    parts = zip(scales, task_offset, _PIXELS[pixels][1], strict=True)
    return scales, [offset - scale * shift for scale, shift, offset in parts]
