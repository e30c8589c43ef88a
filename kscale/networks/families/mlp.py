"""Multi-layer perceptrons, for tables of numbers, small images and text.

Depth counts hidden dense layers, width their units. Images are flattened. `depth=1`
builds one hidden layer and the output layer; every step of depth adds a layer of
`width x width` weights. Hidden layers start from He initialization (He et al. 2015,
equation 10).

Tokens are embedded, and the hidden layers read the average over all tokens that are not
padding: the deep averaging network (Iyyer et al. 2015), with one layer much as fastText
(Joulin et al. 2016). Most weights are in the embedding. Training drops whole tokens and
features of the average, or few texts are learned by heart.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("vector", (20,), classes=3)
>>> FAMILY.size(FAMILY.spec(depth=2, width=16, norm="none"), task).params
659
>>> 20 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3
659
>>> task = Task.of("tokens", (40,), vocabulary=1000, classes=2)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16, norm="none"), task).params
16306
>>> 1000 * 16 + 16 * 16 + 16 + 16 * 2 + 2
16306
"""

from kscale.networks import blueprint as bp
from kscale.networks.families import base, tokens
from kscale.task.tasks import Task

# Spread of the embeddings at the start. On SST-2 (6,920 training sentences, depth 1,
# width 16, learning rate 3e-3, three seeds) 0.1 gives 78.3 % on validation, 0.02 gives
# 77.5 %, and that without whole tokens dropped 76.9 %.
_EMBEDDINGS = 0.1


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(2, (1, 2, 3, 4, 6, 8), "hidden dense layers"),
    width: bp.Count = base.width_knob(64, 8192, "units of a hidden layer"),
    activation: str = base.activation_knob(
        ("relu", "gelu", "silu", "tanh"), "function after each hidden layer"
    ),
    norm: str = base.knob(
        "batch",
        ("none", "batch", "layer"),
        "what is normalized; none is the default for tokens",
        usual=tokens.norm_for,
    ),
    dropout: float = base.share_knob(
        0.0, (0.0, 0.1, 0.2, 0.3, 0.5), "share of hidden units dropped in training"
    ),
    vocabulary: int = tokens.VOCABULARY,
    ngrams: int = tokens.NGRAMS,
    buckets: int = tokens.BUCKETS,
    embedding_width: int = tokens.EMBEDDING_WIDTH,
    token_dropout: float = base.share_knob(
        0.5,
        (0.0, 0.3, 0.5, 0.6, 0.7),
        "share of tokens, and of features of their average, dropped in training",
    ),
) -> bp.Blueprint:
    item = task.inputs[0]
    layers = tokens.masked_embeddings(
        task,
        vocabulary,
        width,
        embedding_width,
        token_dropout,
        _EMBEDDINGS,
        ngrams,
        buckets,
    )
    if layers:
        read = (layers[-1].name, "mask")
        layers += [
            bp.GlobalAveragePool(positions=True, name="average", inputs=read),
            *base.dropped(token_dropout, "average/dropout"),
        ]
    elif len(item.shape) > 1:
        layers.append(bp.Flatten(name="flat"))
    dense = bp.Dense(
        width, use_bias=norm != "batch", initializer="he_normal", name="dense"
    )
    norms: dict[str, list[bp.Layer]] = {
        "none": [],
        "batch": [bp.BatchNorm(name="norm")],
        "layer": [bp.LayerNorm(name="norm")],
    }
    function = bp.Activation(activation, name="activation")
    hidden = (dense, *norms[norm], function, *base.dropped(dropout))
    layers.append(bp.Repeat(hidden, depth, name="hidden"))
    return base.with_heads(task, layers)


FAMILY = base.Family(
    name="mlp",
    summary="dense layers; tables, small images, averages of text",
    depth_counts="hidden dense layers",
    width_counts="units of a hidden layer",
    kinds=("vector", "image", "tokens", "sequence", "spectrogram"),
    learning_rate=base.learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
