"""Language models: causal Transformers, for the next token of a text.

Depth counts blocks, width the features of every position. A block is self-attention to
the position and earlier ones, and two dense layers with `mlp_ratio` times the width
between them; each of both reads normalized input and is added to what was before
(Radford et al. 2019, GPT-2). A block has about 12 width^2 weights. `depth=1` builds one
block between the embeddings and the output layer, which gives logits of the next token
at every position.

Positions are learned. With `tied` the output layer reads the table of the embeddings
and has no weights of its own (Press & Wolf 2017). `shared` gives all blocks the same
weights: then depth adds FLOPs and no weights.

Example:

>>> FAMILY.size(FAMILY.spec(depth=12, width=768), FAMILY.usual).params  # GPT-2
124439808
>>> 50257 * 768 + 1024 * 768 + 12 * (12 * 768**2 + 13 * 768) + 2 * 768
124439808
"""

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base, encoder
from kscale.task.tasks import Input, Target, Task


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(2, (1, 2, 3, 4, 6, 8, 12, 24), "blocks"),
    width: bp.Count = base.width_knob(128, 2048, "features of a position"),
    heads: int = encoder.HEADS,
    mlp_ratio: int = encoder.MLP_RATIO,
    activation: str = encoder.ACTIVATION,
    dropout: float = encoder.DROPOUT,
    shared: bool = encoder.SHARED,
    tied: bool = base.flag_knob(
        True, "whether the output layer reads the table of embeddings"
    ),
) -> bp.Blueprint:
    item = task.inputs[0]
    if not item.previous:
        raise SpecError(
            f"Family gpt reads earlier tokens of what it predicts, but {item.name!r} "
            "holds others."
        )
    table = bp.Embedding(
        item.vocabulary, width, is_shared=tied, name="embeddings", inputs=(item.name,)
    )
    rows = item.shape[0]
    layers = encoder.embeddings(item.name, [table], ["embeddings"], rows, width)
    layers += base.dropped(dropout, "embeddings/dropout")
    of_blocks = (heads, mlp_ratio, activation, dropout)
    layers += encoder.encoder(depth, width, *of_blocks, shared=shared, causal=True)
    return base.with_heads(task, layers, "embeddings" if tied else "")


FAMILY = base.Family(
    name="gpt",
    summary="causal blocks; the next token of a text",
    depth_counts="blocks",
    width_counts="features of a position",
    kinds=("tokens",),
    learning_rate=base.learning_rate_knob(1e-3, 2e-4, 5e-3),
    network=_network,
    targets=("next",),
    usual=Task(
        (Input("text/previous", "tokens", (1024,), 50_257, previous="text"),),
        (Target("text", "next", 50_257, length=1024),),
    ),
)
