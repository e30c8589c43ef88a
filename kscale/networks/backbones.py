"""The networks of `keras.applications` that can be a backbone, and their layer record.

They stand in `backbones.json`, with what each costs as counted on Keras' own network:
`pytest tests/networks/test_backbones.py -m slow --overwrite` writes the counts of all
networks and sides that the file names. A network takes sides of 32 pixels on, but
Xception, whose least are 71, and NASNet, whose ImageNet weights take no side but 224.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kscale.errors import SpecError
from kscale.networks.blueprint import Layer
from kscale.networks.layer_costs import Cost, Misfit, Tensor, shape_of, tensor

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


class Network(NamedTuple):
    """A network without its top, average over all positions included.

    Args:
        maker: Name of the function in `keras.applications`.
        alpha: Its argument `alpha`, or 0 if it has none.
        pixels: `tf` (-1 to 1), `caffe` (BGR around ImageNet's mean), `torch`
            (standardized) or `raw` (0 to 255: the network scales them itself).
        features: Number of outputs.
        params: Weights.
        statistics: Weights that no training changes.
        file: Name of its ImageNet weights at Keras; `{side}` is one of `trained`.
        trained: Sides with weights of their own; others take those of the largest.
        costs: By the side of the image: FLOPs, the most bytes of activations alive at
            once, and those that training holds.
    """

    maker: str
    alpha: float
    pixels: str
    features: int
    params: int
    statistics: int
    file: str
    trained: Sequence[int]
    costs: dict[int, tuple[int, ...]]

    def file_of(self, side: int) -> str:
        """Name of the file of ImageNet weights for a side."""
        with_weights = side if side in self.trained else max(self.trained, default=side)
        return self.file.format(side=with_weights)


def _networks() -> dict[str, Network]:
    rows = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    for row in rows.values():
        row["costs"] = {int(side): tuple(it) for side, it in row["costs"].items()}
    return {name: Network(**row) for name, row in rows.items()}


NETWORKS = _networks()


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

    def cost(self, read: list[Tensor]) -> Cost:
        if shape_of(read, 3)[-1] not in (1, 3):
            raise Misfit("an image of 1 or 3 channels")
        network = NETWORKS[self.network]
        flops, peak, held = network.costs[self.side]
        output = tensor(network.features)
        return Cost(
            output,
            params=network.params,
            frozen=network.statistics if self.is_tuned else network.params,
            flops=flops,
            inner=peak - output.bytes,
            kept=held - output.bytes if self.is_tuned else 0,
        )


def side_for(network: str, side: int, shape: tuple[int, ...]) -> int:
    """A side that a network takes: that asked for, or with 0 one that suits an image.

    That is the smallest, from 96 on, that shows all pixels, or else the largest.

    Example:

    >>> [side_for("vgg16", 0, (n, n, 3)) for n in (8, 96, 97, 500)]
    [96, 96, 128, 224]
    """
    sides = NETWORKS[network].costs
    if side and side not in sides:
        known = ", ".join(map(str, sides))
        raise SpecError(f"{network} takes images of side {known}, not {side}.")
    enough = [s for s in sides if s >= max(_LEAST_SIDE, *shape[:2])]
    return side or min(enough, default=max(sides))


def has_blue_first(record: Backbone) -> bool:
    """Whether a backbone reads blue, green, red instead of red, green, blue."""
    return NETWORKS[record.network].pixels == "caffe"


def pixel_scaling(record: Backbone) -> tuple[list[float], list[float]]:
    """From the network's input to the backbone's, back through the raw pixels."""
    order = -1 if has_blue_first(record) else 1
    task_scale, task_offset = (
        (given * 3 if len(given) == 1 else given or (default,) * 3)[::order]
        for given, default in ((record.scale, 1.0), (record.offset, 0.0))
    )
    scale, offset = _PIXELS[NETWORKS[record.network].pixels]
    scales = [b / a for a, b in zip(task_scale, scale, strict=True)]
    parts = zip(scales, task_offset, offset, strict=True)
    return scales, [to - factor * start for factor, start, to in parts]
