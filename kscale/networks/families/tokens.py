"""What families for tokens share: how many ids are known, and their embedding.

`vocabulary` is the number of the most frequent ids that have features of their own; all
others share one id. `embedding_width` is the number of features of an id. Padding is
id 0; it is neither read nor averaged.
"""

from kscale.errors import SpecError
from kscale.networks.blueprint import Count, Embedding, KnownTokens, Layer, PaddingMask
from kscale.networks.families import base
from kscale.task.tasks import Input, Task

_VOCABULARIES = (500, 1000, 2000, 5000, 10_000, 20_000)


def vocabularies_for(task: Task) -> tuple[base.Value, ...]:
    """Vocabularies that a search tries: 0, which is all ids, and smaller ones.

    Where ids are in no order of frequency there are no smaller ones.

    Example:

    >>> from kscale.task.tasks import Input
    >>> text = Input("x", "tokens", (9,), vocabulary=3000, unknown=1)
    >>> vocabularies_for(Task((text,), ()))
    (500, 1000, 2000, 0)
    """
    cut = [item for item in task.inputs if item.unknown]
    kept = [item.vocabulary for item in task.inputs if not item.unknown]
    low = max([*kept, *(item.unknown + 1 for item in cut)], default=0)
    high = max((item.vocabulary for item in cut), default=0)
    return (*(n for n in _VOCABULARIES if low <= n < high), 0)


VOCABULARY = base.knob(
    0,
    (*_VOCABULARIES, 0),
    "most frequent ids that are kept apart; 0 is all of the data's",
    low=0,
    suited=vocabularies_for,
    name="vocabulary",
)

EMBEDDING_WIDTH = base.knob(
    0, (0, 8, 16, 32, 64, 128), "features of a token; 0 is the width", low=0
)

TOKEN_DROPOUT = base.share_knob(
    0.3,
    (0.0, 0.1, 0.3, 0.5),
    "share of tokens dropped in training, all their features at once",
)


def embedded(
    item: Input,
    vocabulary: int,
    width: Count,
    name: str,
    stddev: float = Embedding.stddev,
) -> list[Layer]:
    """Layers from the ids of an input to `(length, width)`; the last is an embedding.

    The embedding has the name, and `stddev` is the spread that it starts with.
    """
    if not 0 < vocabulary < item.vocabulary:
        every = Embedding(
            item.vocabulary, width, stddev, name=name, inputs=(item.name,)
        )
        return [every]
    if not item.unknown:
        raise SpecError(
            f"`vocabulary` must be 0 or {item.vocabulary:,} and more, the ids of "
            f"{item.name!r}, but got vocabulary={vocabulary}: ids of this data "
            "are in no order of frequency and none stands for those left out."
        )
    if vocabulary <= item.unknown:
        raise SpecError(
            f"`vocabulary > {item.unknown}`, the id that stands for those left out, "
            f"must hold, but got vocabulary={vocabulary}."
        )
    ids = f"{name}/known"
    return [
        KnownTokens(vocabulary, item.unknown, name=ids, inputs=(item.name,)),
        Embedding(vocabulary, width, stddev, name=name, inputs=(ids,)),
    ]


def masked_embeddings(
    task: Task,
    vocabulary: int,
    width: Count,
    embedding_width: int,
    dropout: float,
    stddev: float = Embedding.stddev,
) -> list[Layer]:
    """The layer `mask` and the embeddings of tokens; nothing for other inputs.

    A token has `embedding_width` features, or `width` if that is 0; `dropout` is the
    share of whole tokens that is dropped. The other arguments are those of `embedded`.
    """
    item = task.inputs[0]
    if item.kind != "tokens":
        refuse_knobs_of_tokens(
            task, vocabulary=vocabulary, embedding_width=embedding_width
        )
        return []
    features = embedding_width or width
    return [
        PaddingMask(name="mask", inputs=(item.name,)),
        *embedded(item, vocabulary, features, "embeddings", stddev),
        *base.dropped(dropout, "embeddings/dropout", positions=True),
    ]


def refuse_knobs_of_tokens(task: Task, **knobs: int) -> None:
    """Raise unless knobs that only tokens have are 0 for inputs of another kind."""
    kind = task.inputs[0].kind
    for name, value in knobs.items():
        if kind != "tokens" and value:
            raise SpecError(
                f"`{name}` is for tokens: it must be 0 for the kind {kind}, but got "
                f"{name}={value}."
            )
