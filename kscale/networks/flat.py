"""The layers of a network one after the other, in the order of a converted file."""

from collections.abc import Iterable
from typing import NamedTuple

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope
from kscale.networks.layer_costs import Cost, Misfit, same_shape, tensor

_LEFT_OUT = (bp.Dropout, bp.Augmentation)
_COPIES = 3  # of a `Repeat`, after which further ones change no peak


class Node(NamedTuple):
    """A layer at its path, with what it reads and costs; it stands for some copies."""

    path: str
    layer: Layer
    reads: tuple[str, ...]
    cost: Cost
    copies: int


class Flat:
    """The layers of a network one after the other, with few copies of a `Repeat`.

    Attributes:
        nodes: The layers that a converter keeps, each right before its first reader.
        outputs: What the network returns, by paths.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.nodes: list[Node] = []
        self.tensors = {item.name: tensor(*item.shape) for item in blueprint.inputs}
        scope = Scope()
        scope.update({name: name for name in self.tensors})
        self._walk(blueprint.layers, blueprint.inputs[0].name, scope, "", 1)
        self.nodes = _latest(self.nodes)
        self.outputs = tuple(scope[name] for name in blueprint.outputs)

    def _walk(
        self,
        layers: Iterable[Layer],
        entry: str,
        scope: Scope,
        prefix: str,
        copies: int,
    ) -> str:
        """Add layers; what the last of them is called."""
        before = entry
        for layer in layers:
            reads = tuple(scope[name] for name in layer.inputs or ()) or (before,)
            if isinstance(layer, Repeat):
                before = self._repeat(layer, reads[0], scope, prefix, copies)
            elif isinstance(layer, _LEFT_OUT):
                before = reads[0]
            else:
                before = self._add(layer, prefix + layer.name, reads, copies)
            scope[layer.name] = before
        return before

    def _repeat(
        self, repeat: Repeat, entry: str, scope: Scope, prefix: str, copies: int
    ) -> str:
        copy, settled = 1, False
        while copy <= repeat.times:
            inside = Scope(scope)
            inside[BODY_INPUT] = entry
            path, shape = repeat.copy_path(prefix, copy), self.tensors[entry].shape
            rest = repeat.times - copy + 1
            many = rest - 1 if settled and rest > _COPIES - 1 else 1
            entry = self._walk(repeat.body, entry, inside, path, copies * many)
            settled = same_shape(shape, self.tensors[entry].shape)
            copy += many
        return entry

    def _add(self, layer: Layer, path: str, reads: tuple[str, ...], copies: int) -> str:
        read = [self.tensors[name] for name in reads]
        try:
            cost = layer.cost(read)
        except Misfit as misfit:
            shapes = ", ".join(str(item.shape) for item in read)
            text = f"Layer {path!r} needs {misfit}, but got {shapes}."
            raise SpecError(text) from misfit
        self.tensors[path] = cost.output
        self.nodes.append(Node(path, layer, reads, cost, copies))
        return path


def _latest(nodes: list[Node]) -> list[Node]:
    """Layers as late as may be."""
    order: list[Node] = []
    for node in reversed(nodes):
        readers = (i for i, later in enumerate(order) if node.path in later.reads)
        order.insert(next(readers, 0), node)
    return order
