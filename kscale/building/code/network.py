"""From a blueprint to the code of `build_model`."""

import ast
import keyword
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from kscale.building.code.blocks import Block, blocks_of
from kscale.building.code.layout import (
    Code,
    assignment,
    expression,
    lines_of,
    literal,
    suite,
)
from kscale.building.keras_calls import KERAS_CALLS, Call, call, compute_layers
from kscale.naming import input_names, layer_name
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope
from kscale.networks.layer_costs import RULES, tensor


def network_code(blueprint: Blueprint) -> tuple[str, ...]:
    """Definitions that build the layers of a blueprint with Keras alone.

    `build_model` is the last; those before are functions that the definition calls.
    Layers have the names and the weights that kscale's `build_model` gives them. A
    `Repeat` is a loop, and bodies that differ in numbers alone are one function.
    """
    ranks = ranks_of(blueprint)
    writer = _Writer(ranks, blocks_of(blueprint.layers, ranks))
    model = writer.model(blueprint)
    definitions = [*(writer.function(block) for block in writer.blocks), model]
    named = {node.id for root in definitions for node in _names(root)}
    helpers = (text for name, text in layer_functions().items() if name in named)
    return (*helpers, *("\n".join(lines_of(item)) for item in definitions))


def _names(root: ast.stmt) -> Iterator[ast.Name]:
    return (node for node in ast.walk(root) if isinstance(node, ast.Name))


@cache
def layer_functions() -> dict[str, str]:
    """By name, text of the functions that layers are made with beside Keras' own."""
    text = files("kscale.building").joinpath("models.py").read_text("utf-8")
    return {
        node.name: str(ast.get_source_segment(text, node))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and not node.returns
    }


def ranks_of(blueprint: Blueprint) -> dict[str, int]:
    """By path, how many sides the first input of each layer has, without the batch.

    What is inside a `Repeat` has the path of a copy without its number.
    """
    ranks: dict[str, int] = {}

    def compute(layer: Layer, path: str, reads: list[Any]) -> Any:
        ranks[path] = len(reads[0].shape)
        return RULES[type(layer)](layer, reads).output

    inputs = {item.name: tensor(item.shape) for item in blueprint.inputs}
    once = replace(blueprint, layers=tuple(map(_one_copy, blueprint.layers)))
    compute_layers(once, inputs, compute)
    return ranks


def _one_copy(layer: Layer) -> Layer:
    if not isinstance(layer, Repeat):
        return layer
    body = tuple(map(_one_copy, layer.body))
    return replace(layer, body=body, times=1, shared=True)


@cache
def _reserved() -> frozenset[str]:
    """Names that no variable may have."""
    taken = ("keras", "layers", "range", "x", "i", "name", "inputs", "outputs")
    more = ("build_model", "compile_model", "smoothed", *keyword.kwlist)
    return frozenset({*taken, *more, *layer_functions()})


class _Taken(set[str]):
    """Variables in use."""

    def fresh(self, wanted: str) -> str:
        """A variable that nothing else is, as near to the wish as can be."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        base = base if base[:1].isalpha() else f"x_{base}"
        found, number = base, 1
        while found in self or found in _reserved():
            number += 1
            found = f"{base}_{number}"
        self.add(found)
        return found


class _Frame(NamedTuple):
    """Where statements are written.

    Args:
        scope: Variables that hold the layers' outputs, by name.
        path: Path of what encloses the layers, without numbers of copies, for ranks.
        name: Keras name of what encloses them, with variables in braces.
        out: Statements so far.
        taken: Variables in use.
        shared: Variables of layers that are made before a loop, and what makes them,
            by the layer's name; None where layers are made where they are called.
    """

    scope: Scope
    path: str
    name: str
    out: list[ast.stmt]
    taken: _Taken
    shared: dict[str, tuple[str, Call]] | None = None

    def assign(self, target: str, value: Any, name: str = "") -> str:
        """Write that a variable takes a value, and give the variable."""
        self.out.append(assignment(target, expression(value, name)))
        return target


def name_code(name: str) -> Code:
    """The Keras name of a layer as code; names have no braces but around variables."""
    return Code(f'f"{name}"' if "{" in name else f'"{name}"')


class _Writer:
    """Writes layers one after the other, as statements of Python."""

    def __init__(self, ranks: dict[str, int], blocks: list[Block]) -> None:
        self.ranks = ranks
        taken = _Taken()
        self.blocks = [replace(b, name=taken.fresh(b.name)) for b in blocks]
        self.by_repeat = {name: b for b in self.blocks for name in b.values}

    def model(self, blueprint: Blueprint) -> ast.stmt:
        """The definition of `build_model`."""
        taken = _Taken(block.name for block in self.blocks)
        frame = _Frame(Scope(), "", "", [], taken)
        frame.out.extend(ast.parse('"""The network, with new weights."""').body)
        entry = self._inputs(blueprint, frame)
        last = blueprint.layers[-1]
        ends = blueprint.outputs == (last.name,) and not isinstance(last, Repeat)
        target = "outputs" if ends else None
        self.layers(blueprint.layers, entry, frame, blueprint.outputs, target)
        given = [frame.scope[name] for name in blueprint.outputs]
        result = given[0]
        if len(given) > 1:
            names = map(layer_name, blueprint.outputs)
            named = dict(zip(names, map(Code, given), strict=True))
            result = frame.assign("outputs", named)
        frame.assign("return", call("keras.Model", Code("inputs"), Code(result)))
        return suite("def build_model() -> keras.Model", frame.out)

    def _inputs(self, blueprint: Blueprint, frame: _Frame) -> str:
        """Write what makes the inputs, and give the first of them."""
        names = input_names(item.name for item in blueprint.inputs)
        calls: dict[str, Call] = {}
        for item in blueprint.inputs:
            name = names[item.name]
            dtype = {} if item.dtype == "float32" else {"dtype": item.dtype}
            calls[name] = call("keras.Input", tuple(item.shape), **dtype, name=name)
            several = len(blueprint.inputs) > 1
            frame.scope[item.name] = f"inputs[{literal(name)}]" if several else "inputs"
        frame.assign("inputs", calls if len(calls) > 1 else calls.popitem()[1])
        return str(frame.scope[blueprint.inputs[0].name])

    def function(self, block: Block) -> ast.stmt:
        """The definition of a block's function."""
        path = f"{next(iter(block.values))}/"
        frame = _Frame(Scope(), path, "{name}.", [], _Taken(block.arguments))
        frame.scope[BODY_INPUT] = "x"
        self.layers(block.body, "x", frame, (), "return")
        arguments = ", ".join(("x", "name", *block.arguments))
        return suite(f"def {block.name}({arguments})", frame.out)

    def layers(
        self,
        layers: tuple[Layer, ...],
        entry: str,
        frame: _Frame,
        kept: tuple[str, ...] = (),
        target: str | None = "x",
    ) -> str:
        """Write layers, and give the variable that holds the output of the last.

        Args:
            layers: What to write.
            entry: Variable that holds what enters.
            frame: Where to write.
            kept: Names that are read when all layers are written.
            target: Variable for the output of the last layer; None for any.
        """
        if entry == "x" and _is_read_later(BODY_INPUT, layers):
            # `x` changes before what entered is read again.
            entry = frame.assign(frame.taken.fresh("entry"), Code("x"))
            frame.scope[BODY_INPUT] = entry
        current = entry
        for index, layer in enumerate(layers):
            later = layers[index + 1 :]
            into = "x"
            if not later and target is not None:
                into = target
            elif _is_read_later(layer.name, later) or layer.name in kept:
                into = frame.taken.fresh(layer.name)
            reads = [frame.scope[name] for name in layer.inputs] or [current]
            write = self._repeat if isinstance(layer, Repeat) else self._layer
            current = write(layer, reads, frame, into)
            frame.scope[layer.name] = current
        return current

    def _layer(self, layer: Layer, reads: list[str], frame: _Frame, into: str) -> str:
        name = frame.name + layer_name(layer.name)
        first = Code.of_rank(reads[0], self.ranks[frame.path + layer.name])
        made = KERAS_CALLS[type(layer)](layer, first, *map(Code, reads[1:]))
        if frame.shared is not None and isinstance(made.function, Call):
            if name not in frame.shared:
                variable = frame.taken.fresh(name.rsplit("}", 1)[-1].strip("."))
                frame.shared[name] = variable, made.function
            made = replace(made, function=frame.shared[name][0])
        return frame.assign(into, made, name_code(name))

    def _repeat(self, repeat: Any, reads: list[str], frame: _Frame, into: str) -> str:
        (entry,), times = reads, repeat.times
        if times > 1 and frame.shared is None:
            return self._loop(repeat, entry, frame, into)
        for copy in range(1, times + 1):
            name = layer_name(repeat.copy_path("", copy).rstrip("/"))
            target = into if copy == times else "x"
            entry = self._copy(repeat, frame.name + name, entry, frame, target)
        return entry

    def _loop(self, repeat: Repeat, entry: str, frame: _Frame, into: str) -> str:
        if entry != "x":
            frame.assign("x", Code(entry))
        inside = frame._replace(out=[], taken=_Taken(frame.taken))
        name, variable, numbers = frame.name + layer_name(repeat.name), "_", ""
        if repeat.shared:
            inside = inside._replace(shared={})
        else:
            is_block = self._block(repeat, frame) is not None
            wanted = layer_name(repeat.name.split("/")[-1])
            variable = "i" if is_block else inside.taken.fresh(wanted)
            name += f"{{{variable}}}"
            numbers = f"{repeat.start}, " if repeat.start else ""
        self._copy(repeat, name, "x", inside, "x")
        for shared, (target, value) in (inside.shared or {}).items():
            frame.assign(target, value, name_code(shared))
        end = repeat.times + (0 if repeat.shared else repeat.start)
        frame.out.append(suite(f"for {variable} in range({numbers}{end})", inside.out))
        return into if into == "x" else frame.assign(into, Code("x"))

    def _copy(
        self, repeat: Repeat, name: str, entry: str, frame: _Frame, into: str
    ) -> str:
        """Write one copy of a body, or a call of the function that writes the body."""
        block = self._block(repeat, frame)
        if block is not None:
            values = [Code(literal(value)) for value in block.values[repeat.name]]
            options = dict(zip(block.arguments, values, strict=True))
            copy = call(block.name, Code(entry), name_code(name), **options)
            return frame.assign(into, copy)
        inside = frame._replace(
            scope=Scope(frame.scope),
            path=f"{frame.path}{repeat.name}/",
            name=f"{name}.",
            taken=_Taken(frame.taken),
        )
        inside.scope[BODY_INPUT] = entry
        return self.layers(repeat.body, entry, inside, target=into)

    def _block(self, repeat: Repeat, frame: _Frame) -> Block | None:
        return None if frame.path else self.by_repeat.get(repeat.name)


def _is_read_later(name: str, layers: tuple[Layer, ...]) -> bool:
    """Whether layers read a name when what was computed last may be another."""
    return any(
        (name in layer.inputs and index > 0)
        or (isinstance(layer, Repeat) and name in _read_around(layer))
        for index, layer in enumerate(layers)
    )


def _read_around(repeat: Repeat) -> set[str]:
    """Names that a body reads from around it."""
    read: set[str] = set()
    inside = {BODY_INPUT}
    for layer in repeat.body:
        read |= set(layer.inputs) - inside
        if isinstance(layer, Repeat):
            read |= _read_around(layer) - inside
        inside.add(layer.name)
    return read
