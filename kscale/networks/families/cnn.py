"""Convolutional networks: in the manner of VGG for images and sound, Kim's for text.

Depth counts 3x3 convolutions, width the channels of the first stage. The convolutions
are spread over stages. Each stage halves the image of the stage before and doubles its
channels, up to eight times those of the first (Simonyan & Zisserman 2014, table 1,
column D). A remainder of the division goes to the last stages: 13 convolutions in 5
stages are 2-2-3-3-3. With `early` the first two stages have so many at most: 16 are
2-2-4-4-4 with 2 (VGG19, column E). `depth=1` builds one convolution, the average over
all positions, and the output layer.

With `head_units=0` the last stage is averaged over all positions. Otherwise the last
stage is pooled and flattened, and two dense layers of so many units follow, as in VGG.

Tokens are embedded, and a layer has `width` convolutions over as many neighbouring
tokens as each number of `kernels` says; depth counts such layers. The largest output of
each convolution over all tokens that are no padding is what the head reads (Kim 2014).
Padding is 0 to every convolution. Training drops whole tokens, and features before the
head.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (8, 8, 1), classes=10)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16, norm="none"), task).params
330
>>> 3 * 3 * 1 * 16 + 16 + 16 * 10 + 10
330
"""

from dataclasses import replace

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base, images, tokens
from kscale.networks.sound_layers import MaskedFrames
from kscale.networks.word_layers import Conv1D, GlobalMaxPool
from kscale.task.tasks import Task

_MOST_STAGES = 5
_MOST_GROWTH = 8
_EMBEDDINGS = 0.1  # spread at the start, as that of `mlp`
_KERNELS = ("3", "5", "1+2+3", "2+3+4", "3+4+5")


def _kernels_for(task: Task) -> tuple[base.Value, ...]:
    return _KERNELS if task.inputs[0].kind == "tokens" else _KERNELS[-1:]


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(
        4, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), "3x3 convolutions"
    ),
    width: bp.Count = base.width_knob(32, 512, "channels of the first stage"),
    activation: str = base.activation_knob(
        ("relu", "gelu", "silu"), "function after each convolution"
    ),
    norm: str = base.knob(
        "batch",
        ("none", "batch"),
        "what is normalized; none is the default for tokens",
        usual=tokens.norm_for,
    ),
    stages: int = images.STAGES,
    early: int = base.knob(
        0,
        (0, 1, 2),
        "most convolutions of each of the first two stages; 0 is any",
        low=0,
    ),
    head_units: int = base.knob(
        0,
        (0, 64, 256, 1024, 4096),
        "units of VGG's two dense layers; 0 averages instead",
        low=0,
    ),
    dropout: float = images.DROPOUT,
    augment: str = images.AUGMENT,
    kernels: str = base.knob(
        _KERNELS[-1],
        _KERNELS,
        "tokens that the convolutions of a layer read",
        is_optional=True,
        suited=_kernels_for,
    ),
    vocabulary: int = replace(tokens.VOCABULARY, is_optional=True),
    embedding_width: int = replace(tokens.EMBEDDING_WIDTH, is_optional=True),
    token_dropout: float = replace(tokens.TOKEN_DROPOUT, is_optional=True),
) -> bp.Blueprint:
    embeddings = tokens.masked_embeddings(
        task,
        vocabulary,
        width,
        embedding_width,
        token_dropout,
        _EMBEDDINGS,
    )
    if embeddings:
        images.check_augment(task, augment)
        _refuse_for_words(stages=stages, early=early)
        layers = [*embeddings, *_words(depth, width, kernels, activation, norm)]
        layers += base.dropped(token_dropout, "pool/dropout")
        return _headed(task, layers, head_units, activation, dropout)
    if kernels not in _kernels_for(task):
        raise SpecError(
            "`kernels` is for tokens: images have 3x3 convolutions, but got "
            f"{kernels=!s}."
        )
    side = min(images.image_shape(task)[:2])
    stages = stages or images.stages_for(side, _MOST_STAGES)
    depths = stage_depths(depth, stages, early)
    layers = images.image_layers(task, augment)
    for stage, convolutions in enumerate(depths):
        if stage:
            layers.append(bp.MaxPool2D(name=f"stage{stage}/pool"))
        body = _convolution(width * min(2**stage, _MOST_GROWTH), activation, norm)
        layers.append(bp.Repeat(body, convolutions, name=f"stage{stage + 1}/layer"))
    if not head_units:
        return images.averaged(task, layers, dropout)
    layers += [bp.MaxPool2D(name=f"stage{len(depths)}/pool"), bp.Flatten(name="flat")]
    return _headed(task, layers, head_units, activation, dropout)


def _headed(
    task: Task, layers: list[bp.Layer], units: int, activation: str, dropout: float
) -> bp.Blueprint:
    """A blueprint with heads, and before them two dense layers of so many units."""
    dense = bp.Dense(units, activation, initializer="he_normal", name="dense")
    hidden = bp.Repeat((dense, *base.dropped(dropout)), 2, name="hidden")
    after = [hidden] if units else base.dropped(dropout)
    return base.with_heads(task, [*layers, *after])


def stage_depths(depth: int, stages: int, early: int = 0) -> list[int]:
    """Convolutions of each stage; a remainder goes to the last stages.

    Example:

    >>> stage_depths(13, 5), stage_depths(2, 3), stage_depths(16, 5, early=2)
    ([2, 2, 3, 3, 3], [1, 1], [2, 2, 4, 4, 4])
    """
    stages = min(stages, depth)
    each, rest = divmod(depth, stages)
    if 0 < early < each and stages > 2:
        return [early, early, *stage_depths(depth - 2 * early, stages - 2)]
    return [each + (stage >= stages - rest) for stage in range(stages)]


def _convolution(filters: bp.Count, activation: str, norm: str) -> tuple[bp.Layer, ...]:
    if norm == "batch":
        return tuple(images.convolved(filters, 3, 1, activation))
    return (images.he_conv2d(filters, 3, activation=activation, name="conv"),)


def _words(
    depth: int, width: bp.Count, kernels: str, activation: str, norm: str
) -> list[bp.Layer]:
    """Layers of convolutions over the layer before, and the largest of each."""
    parts = [
        Conv1D(
            width,
            int(size),
            use_bias=norm == "none",
            initializer="he_normal",
            name=f"conv{size}",
            inputs=("known",),
        )
        for size in kernels.split("+")
    ]
    together = bp.Concatenate(name="joined", inputs=tuple(it.name for it in parts))
    body = [
        MaskedFrames(name="known", inputs=(bp.BODY_INPUT, "mask")),
        *parts,
        *([together] if len(parts) > 1 else []),
    ]
    if norm == "batch":
        body.append(bp.BatchNorm(name="norm", inputs=(body[-1].name, "mask")))
    body.append(bp.Activation(activation, name="activation"))
    return [
        bp.Repeat(tuple(body), depth, name="layer"),
        GlobalMaxPool(name="pool", inputs=("layer", "mask")),
    ]


def _refuse_for_words(**knobs: int) -> None:
    for name, value in knobs.items():
        if value:
            raise SpecError(
                f"`{name}` is for images: it must be 0 for the kind tokens, but got "
                f"{name}={value}."
            )


FAMILY = base.Family(
    name="cnn",
    summary="convolutions; images and sound as VGG, text as Kim",
    depth_counts="layers of convolutions",
    width_counts="channels of the first stage",
    kinds=("image", "spectrogram", "tokens"),
    learning_rate=base.learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
