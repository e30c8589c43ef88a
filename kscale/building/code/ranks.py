"""How many sides each layer of a network reads, which decides between Keras layers."""

from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope
from kscale.networks.layer_costs import RULES, Tensor, tensor


def ranks_of(blueprint: Blueprint) -> dict[str, int]:
    """By path, sides of the first input of each layer and each `Repeat`.

    Sides are without the batch. What is inside a `Repeat` has the path of its first
    copy, without a number.
    """
    ranks: dict[str, int] = {}
    scope = Scope()
    for item in blueprint.inputs:
        scope[item.name] = tensor(item.shape)
    _walk(blueprint.layers, scope[blueprint.inputs[0].name], scope, "", ranks)
    return ranks


def _walk(
    layers: tuple[Layer, ...],
    entry: Tensor,
    scope: Scope,
    prefix: str,
    ranks: dict[str, int],
) -> Tensor:
    output = entry
    for layer in layers:
        read = [scope[name] for name in layer.inputs] if layer.inputs else [output]
        ranks[prefix + layer.name] = len(read[0].shape)
        if isinstance(layer, Repeat):
            inside = Scope(scope)
            inside[BODY_INPUT] = read[0]
            path = f"{prefix}{layer.name}/"
            output = _walk(layer.body, read[0], inside, path, ranks)
        else:
            output = RULES[type(layer)](layer, read).output
        scope[layer.name] = output
    return output
