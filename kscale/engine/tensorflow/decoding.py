"""Decoding: a network gives a sequence token by token, with a cache in the graph.

A blueprint is interpreted with the trained layers of its Keras model. Layers that do
not depend on earlier tokens, as those of an encoder, are computed once. Of all others
one position is computed at a time: a causal attention keeps keys and values of earlier
positions in a cache, keys and values of what another attention reads are computed once,
and further layers treat positions alike.

Transcripts of sounds, whose frames are answered at once, are searched in the answers.

All functions are graphs of tensors, and may be called in other graphs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kscale.building.models import applied
from kscale.errors import SpecError
from kscale.naming import layer_name
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, Layer, Scope, walked
from kscale.networks.decoder_layers import SharedEmbedding, Sinusoids, TiedDense
from kscale.task.tasks import Task
from kscale.task.tokens import END, PADDING, START

_NEVER = -1e9
_LEAST_SHARE = 1e-30  # of which there is a logarithm
_ALIKE = (
    *(bp.Activation, bp.Add, bp.BatchNorm, bp.Concatenate, bp.Dense, bp.Embedding),
    *(bp.KnownTokens, bp.LayerNorm, bp.Multiply, bp.Positions, bp.Rescale),
    *(SharedEmbedding, Sinusoids, TiedDense),
)
"""Records that treat positions alike."""

Decoded = tuple[Any, Any]
"""Ids `(examples, length)`, with padding after the end, and the sum of the logarithms
of the probabilities of those that were not given, `(examples,)`."""


class _Node(NamedTuple):
    """A layer of a copy, the layer's key, and the keys of its inputs."""

    key: str
    path: str
    record: Layer
    reads: tuple[str, ...]


class _Memory(NamedTuple):
    """Keys and values `(rows, length, heads, features)` that an attention reads, where
    a mask `(rows, length)` is true."""

    keys: Any
    values: Any
    mask: Any


def likely_transcripts(shares: Any, beams: int) -> Any:
    """Ids of the likeliest transcripts that prefix beam searches find, `(sounds,
    frames)`, padded with 0.

    Each beam is a beginning of a transcript, with the probability of all its paths
    (Graves & Jaitly 2014).

    Args:
        shares: Probabilities of the answers for each frame, `(sounds, frames,
            outputs)`; output 0 is the blank.
        beams: Beginnings that are kept after each frame.
    """
    logs = tf.math.log(tf.cast(shares, tf.float32) + _LEAST_SHARE)
    frames = tf.fill([tf.shape(logs)[0]], tf.shape(logs)[1])
    (ids,), _ = keras.ops.ctc_decode(logs, frames, "beam_search", beams, mask_index=0)
    return tf.maximum(ids, 0)  # from -1, after the end


def scores_of(sums: Any, lengths: Any) -> Any:
    """Sums of logarithms over the length penalty of Wu et al. 2016 (arXiv 1609.08144,
    equation 14), with the exponent 0.6 of Vaswani et al. 2017."""
    return sums / ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** 0.6


def decoder_of(blueprint: Blueprint, model: keras.Model, task: Task) -> "Decoder":
    """What decodes with a model of a blueprint.

    Raises:
        SpecError: The task is none of sequences of tokens, or the network needs later
            tokens.
    """
    previous = [item.name for item in blueprint.inputs if item.previous]
    if len(previous) != 1 or len(task.targets) != 1:
        raise SpecError(
            "Only a network that reads the earlier tokens of its one target can be "
            f"decoded, but this one reads {', '.join(it.name for it in task.inputs)}."
        )
    return Decoder(blueprint, model, previous[0])


class Decoder:
    """Decodes with the weights that a model has at the time.

    Inputs are those of the network by name. In place of the earlier tokens may stand
    the first ones of each sequence, `(examples, any length)`, padded with 0 at the end,
    without the start: they are given, and continued. `length` is that of the ids.

    Args:
        blueprint: The network.
        model: A Keras model of the network.
        previous: Name of the input of earlier tokens.
    """

    def __init__(self, blueprint: Blueprint, model: keras.Model, previous: str) -> None:
        self._model, self._previous = model, previous
        nodes, self._output = _flattened(blueprint)
        moving = {previous}
        for node in nodes:
            if moving.intersection(node.reads):
                moving.add(node.key)
        self._once = [node for node in nodes if node.key not in moving]
        self._moving = [node for node in nodes if node.key in moving]
        for node in self._moving:
            _check(node, moving)
        self._graphs: dict[str, Any] = {}

    def greedy(self, inputs: Mapping[str, Any], length: int) -> Decoded:
        """The likeliest token at every position."""
        found: Decoded = self._graph("greedy", self._greedy)(inputs, _whole(length))
        return found

    def sample(
        self,
        inputs: Mapping[str, Any],
        length: int,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Decoded:
        """Tokens drawn from their probabilities, which a low temperature makes less
        alike; the sum is that of the probabilities as the network gives them."""
        options = tf.cast(temperature, tf.float32), _whole(seed)
        graph = self._graph("sample", self._sample)
        found: Decoded = graph(inputs, _whole(length), *options)
        return found

    def beam(self, inputs: Mapping[str, Any], length: int, beams: int) -> Decoded:
        """The best sequences, by `scores_of`, of a beam search and the greedy search;
        with one beam, those of the greedy search."""
        if beams == 1:
            return self.greedy(inputs, length)

        def best(inputs: Mapping[str, Any], length: Any) -> Decoded:
            return self._beam(inputs, length, beams)

        found: Decoded = self._graph(f"beam {beams}", best)(inputs, _whole(length))
        return found

    def _graph(self, name: str, function: Callable[..., Any]) -> Any:
        """A function as a graph, which is made once."""
        if name not in self._graphs:
            self._graphs[name] = tf.function(
                function, reduce_retracing=True, autograph=False
            )
        return self._graphs[name]

    def _greedy(self, inputs: Mapping[str, Any], length: Any) -> Decoded:
        return self._follow(
            inputs, length, lambda chances, place: tf.argmax(chances, -1, tf.int32)
        )

    def _sample(
        self, inputs: Mapping[str, Any], length: Any, temperature: Any, seed: Any
    ) -> Decoded:
        def drawn(chances: Any, place: Any) -> Any:
            logits, seeds = chances / temperature, tf.stack([seed, place])
            return tf.random.stateless_categorical(logits, 1, seeds, tf.int32)[:, 0]

        return self._follow(inputs, length, drawn)

    def _follow(
        self, inputs: Mapping[str, Any], length: Any, choose: Callable[[Any, Any], Any]
    ) -> Decoded:
        """One sequence of each example, each token chosen from logarithms of
        probabilities `(examples, tokens)`."""
        given = self._given(inputs, length)
        rows = tf.shape(given)[0]
        memories = self._memories(inputs)

        def step(
            place: Any, last: Any, caches: Any, ids: Any, sums: Any, is_done: Any
        ) -> Any:
            chances, caches = self._chances(memories, last, place, caches)
            is_given = given[:, place] != PADDING
            chosen = choose(_allowed(chances), place)
            chosen = tf.where(is_given, given[:, place], chosen)
            chosen = tf.where(is_done, PADDING, chosen)
            added = tf.gather(chances, chosen, batch_dims=1)
            sums += tf.where(is_given | is_done, 0.0, added)
            ids = _with(ids, chosen, place)
            return place + 1, chosen, caches, ids, sums, is_done | (chosen == END)

        begin = (
            tf.constant(0),
            tf.fill([rows], START),
            self._caches(rows, length),
            tf.zeros_like(given),
            tf.zeros([rows]),
            tf.zeros([rows], tf.bool),
        )
        *_, ids, sums, _ = tf.while_loop(
            lambda place, last, caches, ids, sums, is_done: ~tf.reduce_all(is_done),
            step,
            begin,
            shape_invariants=_open_shapes(begin),
            maximum_iterations=length,
        )
        return ids, sums

    def _beam(self, inputs: Mapping[str, Any], length: Any, beams: int) -> Decoded:
        given = self._given(inputs, length)
        examples = tf.shape(given)[0]
        memories = tf.nest.map_structure(
            lambda each: tf.repeat(each, beams, axis=0), self._memories(inputs)
        )

        def step(
            place: Any, last: Any, caches: Any, ids: Any, sums: Any, counts: Any
        ) -> Any:
            chances, caches = self._chances(memories, last, place, caches)
            tokens = chances.shape[-1]
            forced = tf.repeat(given[:, place], beams)
            is_done = (last == END) | (last == PADDING)
            is_forced = is_done | (forced != PADDING)
            only = tf.one_hot(tf.where(is_done, PADDING, forced), tokens, 0.0, _NEVER)
            chances = tf.where(is_forced[:, None], only, _allowed(chances))
            totals = sums[..., None] + tf.reshape(chances, [examples, beams, tokens])
            counts += tf.reshape(tf.cast(~is_forced, tf.int32), [examples, beams])
            ranked = scores_of(totals, counts[..., None])
            _, best = tf.math.top_k(tf.reshape(ranked, [examples, -1]), beams)
            sums = tf.gather(tf.reshape(totals, [examples, -1]), best, batch_dims=1)
            counts = tf.gather(counts, best // tokens, batch_dims=1)
            rows = tf.range(examples)[:, None] * beams + best // tokens
            rows, chosen = tf.reshape(rows, [-1]), tf.reshape(best % tokens, [-1])
            caches = tf.nest.map_structure(lambda it: tf.gather(it, rows), caches)
            ids = _with(tf.gather(ids, rows), chosen, place)
            return place + 1, chosen, caches, ids, sums, counts

        begin = (
            tf.constant(0),
            tf.fill([examples * beams], START),
            self._caches(examples * beams, length),
            tf.zeros([examples * beams, length], tf.int32),
            tf.tile(tf.constant([[0.0] + [_NEVER] * (beams - 1)]), [examples, 1]),
            tf.zeros([examples, beams], tf.int32),
        )
        *_, ids, sums, counts = tf.while_loop(
            lambda place, last, caches, ids, sums, counts: tf.reduce_any(
                (last != END) & (last != PADDING)
            ),
            step,
            begin,
            shape_invariants=_open_shapes(begin),
            maximum_iterations=length,
        )
        at = tf.argmax(scores_of(sums, counts), axis=-1)
        ids = tf.reshape(ids, [examples, beams, length])
        ids, sums, counts = (
            tf.gather(each, at, batch_dims=1) for each in (ids, sums, counts)
        )
        others, their_sums = self._greedy(inputs, length)
        their_counts = tf.math.count_nonzero(others, 1) - tf.math.count_nonzero(
            given, 1
        )
        is_better = scores_of(their_sums, their_counts) > scores_of(sums, counts)
        ids = tf.where(is_better[:, None], others, ids)
        return ids, tf.where(is_better, their_sums, sums)

    def _given(self, inputs: Mapping[str, Any], length: Any) -> Any:
        """The tokens that are given, `(examples, length)`, padded with 0."""
        if self._previous in inputs:
            first = tf.cast(inputs[self._previous], tf.int32)[:, :length]
        else:
            rows = tf.shape(next(iter(inputs.values())))[0]
            first = tf.zeros([rows, 0], tf.int32)
        return tf.pad(first, [[0, 0], [0, length - tf.shape(first)[1]]])

    def _memories(self, inputs: Mapping[str, Any]) -> dict[str, _Memory]:
        """What attention reads beside earlier tokens, by the key of the layer."""
        values = {name: tf.convert_to_tensor(each) for name, each in inputs.items()}
        for node in self._once:
            reads = [values[key] for key in node.reads]
            values[node.key] = applied(self._model, node.record, node.path, reads)
        found = {}
        for node in self._moving:
            if isinstance(node.record, bp.Attention) and not node.record.causal:
                _, read, *masks = (values.get(key) for key in node.reads)
                layer = self._layer(node)
                mask = masks[0] if masks else tf.ones(tf.shape(read)[:2], tf.bool)
                found[node.key] = _Memory(
                    layer.key_dense(read), layer.value_dense(read), mask
                )
        return found

    def _caches(self, rows: Any, length: Any) -> dict[str, tuple[Any, Any]]:
        """Empty keys and values of earlier positions, by the key of the layer."""
        found = {}
        for node in self._moving:
            if isinstance(node.record, bp.Attention) and node.record.causal:
                layer, heads = self._layer(node), int(node.record.heads)
                sides = [rows, length, heads, int(node.record.width) // heads]
                found[node.key] = (tf.zeros(sides, layer.compute_dtype),) * 2
        return found

    def _chances(
        self,
        memories: Mapping[str, _Memory],
        last: Any,
        place: Any,
        caches: Mapping[str, tuple[Any, Any]],
    ) -> tuple[Any, dict[str, tuple[Any, Any]]]:
        """Logarithms of the probabilities of each token at a place, `(rows, tokens)`,
        after the token before, `(rows,)`; caches with what the layers keep of it."""
        values, caches = {self._previous: last[:, None]}, dict(caches)
        for node in self._moving:
            record, reads = node.record, [values.get(key) for key in node.reads]
            if isinstance(record, bp.Positions):
                found = tf.fill(tf.shape(last[:, None]), place)
            elif isinstance(record, bp.Attention):
                layer, memory = self._layer(node), memories.get(node.key)
                if memory is None:
                    memory = _cached(layer, reads[1], caches[node.key], place)
                    caches[node.key] = memory[:2]
                found = _attended(layer, reads[0], memory)
            else:
                found = applied(self._model, record, node.path, reads)
            values[node.key] = found
        logits = tf.cast(values[self._output][:, 0], tf.float32)
        return tf.nn.log_softmax(logits), caches

    def _layer(self, node: _Node) -> Any:
        return self._model.get_layer(layer_name(node.path))


def _flattened(blueprint: Blueprint) -> tuple[list[_Node], str]:
    """Layers in order, without layers for training only, and the key of the network's
    output."""
    nodes: list[_Node] = []

    def visit(layer: Layer, path: str, reads: list[str]) -> str:
        if isinstance(layer, bp.Dropout):
            return reads[0]
        nodes.append(_Node(f"{path} {len(nodes)}", path, layer, tuple(reads)))
        return nodes[-1].key

    scope = Scope()
    scope.update({item.name: item.name for item in blueprint.inputs})
    walked(blueprint.layers, blueprint.inputs[0].name, scope, visit)
    return nodes, scope[blueprint.outputs[0]]


def _check(node: _Node, moving: set[str]) -> None:
    """Raise unless a layer needs no later tokens."""
    record, moves = node.record, [key in moving for key in node.reads]
    if isinstance(record, bp.Attention):
        fits = moves == [True, True] if record.causal else moves[0] and sum(moves) == 1
    else:
        fits = isinstance(record, _ALIKE) and all(moves)
    if not fits:
        raise SpecError(
            f"Layer {node.path!r} needs more than earlier tokens and what is known "
            "from the start: the network cannot be decoded token by token."
        )


def _cached(layer: Any, x: Any, cache: tuple[Any, Any], place: Any) -> _Memory:
    """Keys and values of all positions up to a place, of which `x` is the last."""
    keys, values = (
        _with(kept, dense(x)[:, 0], place)
        for kept, dense in zip(cache, (layer.key_dense, layer.value_dense), strict=True)
    )
    positions = tf.range(tf.shape(keys)[1])
    return _Memory(keys, values, (positions <= place)[None])


def _attended(layer: Any, x: Any, memory: _Memory) -> Any:
    """What an attention gives for `x`, from the keys and values that are there."""
    queries = layer.query_dense(x)
    scores = tf.einsum("bqhd,bkhd->bhqk", queries, memory.keys)
    scores = tf.cast(scores, tf.float32) * queries.shape[-1] ** -0.5
    scores = tf.where(memory.mask[:, None, None], scores, _NEVER)
    shares = tf.cast(tf.nn.softmax(scores), queries.dtype)
    return layer.output_dense(tf.einsum("bhqk,bkhd->bqhd", shares, memory.values))


def _allowed(chances: Any) -> Any:
    """Logarithms of probabilities `(rows, tokens)` without those of no token."""
    is_none = tf.reduce_any(
        tf.range(chances.shape[-1])[:, None] == [PADDING, START], axis=-1
    )
    return tf.where(is_none, _NEVER, chances)


def _with(rows: Any, values: Any, place: Any) -> Any:
    """`(rows, length, ...)` with other values `(rows, ...)` at a place."""
    is_there = tf.range(tf.shape(rows)[1]) == place
    sides = [1, -1, *[1] * (len(rows.shape) - 2)]
    return tf.where(tf.reshape(is_there, sides), values[:, None], rows)


def _open_shapes(begin: Any) -> Any:
    """Shapes of loop variables of which no side is known: those of a step need not
    show that the sides are the same."""
    return tf.nest.map_structure(
        lambda each: tf.TensorShape([None] * each.shape.rank), begin
    )


def _whole(number: Any) -> Any:
    return tf.cast(number, tf.int32)
