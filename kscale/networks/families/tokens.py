"""What families for tokens share: how many ids are known, and their embedding.

`vocabulary` is the number of the most frequent ids that have features of their own; all
others share one id. `embedding_width` is the number of features of an id. Padding is
id 0; it is neither read nor averaged.

With `ngrams` of 2 or more, runs of neighbouring tokens have features too: each run has
one of `buckets` further ids, which several runs may share (fastText, Joulin et al.
2016). Of a vocabulary that is cut, runs are those of the tokens that are kept apart.
"""

from typing import NamedTuple

from kscale.errors import SpecError
from kscale.networks.blueprint import Count, Embedding, KnownTokens, Layer, PaddingMask
from kscale.networks.families import base
from kscale.networks.word_layers import Ngrams
from kscale.task.tasks import Input, Task

_VOCABULARIES = (500, 1000, 2000, 5000, 10_000, 20_000)
# Up to the 2,000,000 of fastText's programs.
_BUCKETS = (0, *base.quarters(4096, 2_000_000))


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


def ngrams_for(task: Task) -> tuple[base.Value, ...]:
    """Values of `ngrams` that a search tries: more than 1 for tokens only."""
    return (1, 2, 3) if all(it.kind == "tokens" for it in task.inputs) else (1,)


def buckets_for(task: Task) -> tuple[base.Value, ...]:
    """Values of `buckets` that a search tries: more than 0 for tokens only."""
    return _BUCKETS if all(it.kind == "tokens" for it in task.inputs) else (0,)


def norm_for(task: Task) -> base.Value:
    """The usual `norm` of averages and convolutions: none for tokens (Joulin et al.
    2016, Kim 2014), of which batches have too few of each for statistics."""
    return "none" if task.inputs[0].kind == "tokens" else "batch"


VOCABULARY = base.knob(
    0,
    (*_VOCABULARIES, 0),
    "most frequent ids that are kept apart; 0 is all of the data's",
    low=0,
    suited=vocabularies_for,
    name="vocabulary",
    is_searched=True,
)

EMBEDDING_WIDTH = base.knob(
    0,
    (0, 8, 16, 32, 64, 128),
    "features of a token; 0 is those of word vectors, or the width",
    low=0,
)

NGRAMS = base.knob(
    1,
    (1, 2, 3),
    "most neighbouring tokens that are read as one: 2 adds pairs, 3 triples too",
    suited=ngrams_for,
    name="ngrams",
    is_optional=True,
)

BUCKETS = base.knob(
    0,
    _BUCKETS,
    "ids that all runs of tokens share; 0 is as many as tokens have",
    low=0,
    suited=buckets_for,
    name="buckets",
    is_optional=True,
)

TOKEN_DROPOUT = base.share_knob(
    0.3,
    (0.0, 0.1, 0.3, 0.5),
    "share of tokens dropped in training, all their features at once",
)


class Ids(NamedTuple):
    """The ids that embeddings read.

    Args:
        layers: Layers that make the ids of those of an input.
        name: What gives the ids.
        number: Rows that an embedding has.
    """

    layers: list[Layer]
    name: str
    number: int


def known_ids(
    item: Input, vocabulary: int, name: str, ngrams: int = 1, buckets: int = 0
) -> Ids:
    """Ids of the tokens of an input that are known, and of runs of these tokens.

    Names of layers begin with `name`; the other arguments are knobs of these names.
    """
    if buckets and ngrams < 2:
        raise SpecError(
            "`buckets` must be 0 with ngrams=1, which has no runs of tokens, but got "
            f"buckets={buckets}."
        )
    ids = _cut(item, vocabulary, name)
    longest = min(ngrams, item.shape[0])
    if longest < 2:
        return ids
    runs = Ngrams(
        longest,
        ids.number,
        buckets or ids.number,
        name=f"{name}/ngrams",
        inputs=(ids.name,),
    )
    return Ids([*ids.layers, runs], runs.name, ids.number + runs.buckets)


def embedded(
    item: Input,
    vocabulary: int,
    width: Count,
    name: str,
) -> list[Layer]:
    """Layers from the ids of an input to `(length, width)`; the last is an embedding,
    which has the name."""
    ids = known_ids(item, vocabulary, name)
    return [*ids.layers, _embedding(item, ids, width, name)]


def features_of(item: Input, embedding_width: int, width: Count) -> Count:
    """Features of a token: those of the knob, of word vectors, or the width.

    Raises:
        SpecError: Word vectors have another number.
    """
    if item.vectors and embedding_width not in (0, item.vectors):
        raise SpecError(
            f"`embedding_width` must be 0 or {item.vectors}, the numbers of a word "
            f"vector, but got embedding_width={embedding_width}."
        )
    return embedding_width or item.vectors or width


def _embedding(
    item: Input, ids: Ids, width: Count, name: str, stddev: float = Embedding.stddev
) -> Embedding:
    start = item.name if item.vectors else ""
    return Embedding(
        ids.number, width, stddev, start=start, name=name, inputs=(ids.name,)
    )


def _cut(item: Input, vocabulary: int, name: str) -> Ids:
    if not 0 < vocabulary < item.vocabulary:
        return Ids([], item.name, item.vocabulary)
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
    known = KnownTokens(vocabulary, item.unknown, name=ids, inputs=(item.name,))
    return Ids([known], ids, vocabulary)


def masked_embeddings(
    task: Task,
    vocabulary: int,
    width: Count,
    embedding_width: int,
    dropout: float,
    stddev: float = Embedding.stddev,
    ngrams: int = 1,
    buckets: int = 0,
) -> list[Layer]:
    """The layer `mask` and the embeddings of tokens; nothing for other inputs.

    A token has `embedding_width` features, or `width` if that is 0; `dropout` is the
    share of whole tokens that is dropped, and `stddev` the spread that the embeddings
    start with. The other arguments are knobs of these names.
    """
    item = task.inputs[0]
    if item.kind != "tokens":
        refuse_knobs_of_tokens(
            task,
            vocabulary=vocabulary,
            embedding_width=embedding_width,
            buckets=buckets,
            ngrams=ngrams - 1,
        )
        return []
    ids = known_ids(item, vocabulary, "embeddings", ngrams, buckets)
    features = features_of(item, embedding_width, width)
    return [
        *ids.layers,
        PaddingMask(name="mask", inputs=(ids.name,)),
        _embedding(item, ids, features, "embeddings", stddev),
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
