"""Vision transformers (Dosovitskiy et al. 2020), for images and sound as patches.

Depth counts encoder blocks, width the features of a patch. A dense layer reads every
square of `patch` x `patch` pixels, and a learned table adds the position of the patch.
The blocks are those of `transformer`, normalized before attention and before the dense
layers: about 12 width^2 weights each. `depth=1` builds one block between the patches
and the normalized average over them, and the output layer.

`patch=0` takes the smallest of 2, 4, 8, ... that leaves at most 64 patches: 2 for 8
pixels a side, 4 for 28 or 32. An image that the patch does not divide gets zeros at its
borders, as a convolution with padding `same` does. `pooling="mean"` averages all
patches, which needs no class token (Beyer et al. 2022, arXiv 2205.01580);
`pooling="token"` puts a learned position first and reads only that, as the paper does.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (8, 8, 1), classes=10)
>>> FAMILY.size(FAMILY.spec(depth=1, width=32), task).params
13770
>>> 2 * 2 * 1 * 32 + 32 + 4 * 4 * 32 + (12 * 32**2 + 13 * 32) + 2 * 32 + 32 * 10 + 10
13770
"""

from itertools import count

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base, encoder, images
from kscale.task.tasks import Task

_MOST_PATCHES = 64
# Spread that positions start with, about that of the patches. From 0.02 it takes
# hundreds of steps until they matter: 88 % instead of 93 % after 6 epochs on 4,250
# MNIST images, seen on 750 others (depth 4, width 64, learning rate 1e-3, seed 3).
_POSITIONS = 0.5


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(4, (1, 2, 3, 4, 6, 8, 12, 24), "encoder blocks"),
    width: bp.Count = base.width_knob(64, 2048, "features of a patch"),
    patch: int = base.knob(
        0, (0, 2, 4, 8, 16, 32), "side of a patch in pixels; 0 suits the image", low=0
    ),
    heads: int = encoder.HEADS,
    mlp_ratio: int = encoder.MLP_RATIO,
    activation: str = encoder.ACTIVATION,
    dropout: float = encoder.DROPOUT,
    pooling: str = base.knob(
        "mean", ("mean", "token"), "how patches become one vector"
    ),
    augment: str = images.AUGMENT,
) -> bp.Blueprint:
    shape = images.image_shape(task)
    if patch > max(shape[:2]):
        raise SpecError(
            f"`patch <= {max(shape[:2])}`, the longer side of the image, must hold, "
            f"but got patch={patch}."
        )
    is_token = pooling == "token"
    layers = [
        *images.image_layers(task, augment),
        *_patches(shape, width, patch or patch_for(shape), is_token),
        *base.dropped(dropout),
        *encoder.encoder(depth, width, heads, mlp_ratio, activation, dropout),
        bp.First(name="first")
        if is_token
        else bp.GlobalAveragePool(positions=True, name="pool"),
    ]
    return base.with_heads(task, layers)


def _patches(
    shape: tuple[int, ...], width: bp.Count, patch: int, has_token: bool
) -> list[bp.Layer]:
    number = _patches_in(shape, patch)
    layers: list[bp.Layer] = [
        bp.Conv2D(width, patch, strides=patch, name="patches/project"),
        bp.Reshape((number, -1), name="patches"),
    ]
    if has_token:
        layers.append(bp.Prepend(name="token"))
    summands = (layers[-1].name, "patches/positions")
    return [
        *layers,
        bp.Positions(name="positions"),
        bp.Embedding(number + has_token, width, _POSITIONS, name=summands[-1]),
        bp.Add(name="patches/sum", inputs=summands),
    ]


def _patches_in(shape: tuple[int, ...], patch: int) -> int:
    return -(-shape[0] // patch) * -(-shape[1] // patch)


def patch_for(shape: tuple[int, ...]) -> int:
    """Side of the patches of an image: the smallest that leaves at most 64 of them.

    Example:

    >>> [patch_for((side, side, 3)) for side in (8, 28, 32, 64, 224)]
    [2, 4, 4, 8, 32]
    """
    patches = (1 << power for power in count(1))
    return next(it for it in patches if _patches_in(shape, it) <= _MOST_PATCHES)


FAMILY = base.Family(
    name="vit",
    summary="encoder blocks on patches; images, sound",
    depth_counts="encoder blocks",
    width_counts="features of a patch",
    kinds=("image", "spectrogram"),
    learning_rate=base.learning_rate_knob(2e-3, 2e-4, 5e-3),
    network=_network,
)
