"""Slots of a search in processes: how many there are, and which of them are lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kscale.errors import ClusterError
from kscale.tuning.cluster.connection import Node
from kscale.tuning.trainer import Assignment

SILENT_SECONDS = 15.0
"""An actor that does not answer for so long is dead or stopped."""

START_SECONDS = 180.0
"""An actor that cannot train after so long is stopped. TensorFlow, the data and a
user's hypermodel come from a slow disk now and then."""

_GPU_PARTS = 10_000  # Ray counts GPUs to four decimals


@dataclass(eq=False)
class Actor:
    """A slot: an actor of Ray, its open calls and its assignment.

    Args:
        handle: Ray's handle of the actor.
        asked: The answer to come to the last question, `about` or `poll`.
        failures: Actors of the slot in a row that did not start.
        silent: Seconds without an answer; of an actor that starts, since it was placed.
        host: Name of the machine; empty until the actor is placed.
        node: Ray's name of the node.
        is_started: Whether the actor can train.
        order: The receipt to come of the last order, `start` or `begin`.
        assignment: What the actor trains.
    """

    handle: Any
    asked: Any
    failures: int = 0
    silent: float = 0.0
    host: str = ""
    node: str = ""
    is_started: bool = False
    order: Any = None
    assignment: Assignment | None = None


def shared(
    nodes: Sequence[Node], workers: int | None
) -> tuple[int, dict[str, float], dict[str, int]]:
    """How many actors there are, what each takes, and how many share a node.

    More actors than there are GPUs share the GPUs, at most one for each core.
    """
    name = "num_gpus" if any(node.gpus for node in nodes) else "num_cpus"
    room = {node.id: node.gpus if name == "num_gpus" else node.cpus for node in nodes}
    if not sum(room.values()):
        raise ClusterError("The cluster has no cores and no GPUs to train on.")
    part = 1.0
    if name == "num_gpus":
        gpus, cpus = sum(room.values()), sum(n.cpus for n in nodes if n.gpus)
        each = max(min(-(-(workers or 0) // gpus), cpus // gpus), 1)
        part = _GPU_PARTS // each / _GPU_PARTS
        room = {node: each * number for node, number in room.items()}
    count = min(workers or sum(room.values()), sum(room.values()))
    spread = -(-count // sum(map(bool, room.values())))
    sharers = {node: min(spread, most) for node, most in room.items() if most}
    return count, {"num_cpus": 0, name: part}, sharers


def silent_among(actors: Sequence[Actor]) -> dict[Actor, bool]:
    """Actors to give up, each with whether the whole machine is lost: several actors of
    a machine that are silent together are given up together."""
    late = []
    for actor in actors:
        limit = SILENT_SECONDS if actor.is_started else START_SECONDS
        if actor.host and actor.silent > limit:
            late.append(actor)
    lost = set()
    for node in {actor.node for actor in late}:
        there = [a for a in actors if a.node == node and a.is_started]
        if len(there) > 1 and all(a.silent > SILENT_SECONDS / 2 for a in there):
            lost.add(node)
    given_up = [a for a in actors if a in late or (a.node in lost and a.is_started)]
    return {actor: actor.node in lost for actor in given_up}
