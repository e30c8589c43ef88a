"""From a blueprint to the code of `build_model`."""

import ast
import keyword
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from kscale.building.code.blocks import Block, blocks_of
from kscale.building.code.layout import (
    INDENT,
    Code,
    header,
    identifier,
    literal,
    statement,
)
from kscale.building.keras_calls import KERAS_CALLS, Call, LayerName, call
from kscale.naming import input_names, layer_name
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope


def network_code(blueprint: Blueprint) -> tuple[str, ...]:
    """Definitions that build the layers of a blueprint with nothing but Keras.

    `build_model` is the last; those before are functions that the definition calls.
    Layers have the names and the weights that kscale's `build_model` gives them. A
    `Repeat` is a loop, and bodies that differ in numbers only are one function.
    """
    writer = _Writer(blocks_of(blueprint.layers))
    model = "\n".join(writer.model(blueprint))
    blocks = ["\n".join(writer.function(block)) for block in writer.blocks]
    called = set(re.findall(r"\b\w+(?=\()", "\n".join((model, *blocks))))
    known = layer_functions().items()
    return (*(text for name, text in known if name in called), *blocks, model)


@cache
def layer_functions() -> dict[str, str]:
    """By name, text of the functions that make layers, beside those of Keras."""
    texts = texts_of_models().items()
    return {name: text for name, text in texts if text.startswith("def ")}


@cache
def texts_of_models() -> dict[str, str]:
    """By name, text of what stands at the top of `kscale.building.models`."""
    text = files("kscale.building").joinpath("models.py").read_text("utf-8")
    lines = text.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            start = min(it.lineno for it in (node, *node.decorator_list))
            found[node.name] = "\n".join(lines[start - 1 : node.end_lineno])
        elif found:
            return found  # what follows is not printed
    return found


@cache
def _reserved() -> frozenset[str]:
    """Names that no variable may have."""
    taken = ("keras", "layers", "range", "x", "i", "name", "inputs", "outputs")
    more = ("build_model", "compile_model", "smoothed", *keyword.kwlist)
    return frozenset({*taken, *more, *layer_functions()})


class _Frame(NamedTuple):
    """Where lines are written.

    Args:
        scope: Variables that hold the layers' outputs, by name.
        name: Keras name of what encloses the layers, with variables in braces.
        lines: The lines so far.
        indent: Spaces before a line.
        taken: Variables in use.
        shared: Variables of layers that are made before a loop, and what makes them,
            by the layer's name; None where layers are made where they are called.
    """

    scope: Scope
    name: str
    lines: list[str]
    indent: str
    taken: set[str]
    shared: dict[str, tuple[str, Call]] | None = None

    def assign(self, target: str, value: Any) -> Code:
        """Write that a variable takes a value, or is returned; give the variable."""
        start = "return " if target == "return" else f"{target} = "
        self.lines.extend(statement(start, value, self.indent))
        return Code(target)

    def inside(self, **changes: Any) -> "_Frame":
        """A frame whose variables are free again after its lines."""
        return self._replace(taken={*self.taken}, **changes)


def name_code(name: str) -> Code:
    """The Keras name of a layer as code; names have no braces but around variables."""
    return Code(f'f"{name}"' if "{" in name else f'"{name}"')


def _named(call: Call, name: str) -> Call:
    """The call with the name of the layer, where the call takes one."""
    if isinstance(call.function, Call):
        return replace(call, function=_named(call.function, name))
    options = {
        option: name_code(name) if isinstance(value, LayerName) else value
        for option, value in call.options.items()
    }
    return replace(call, options=options)


class _Writer:
    """Writes layers one after the other, as statements of Python."""

    def __init__(self, blocks: list[Block]) -> None:
        taken = {*_reserved()}
        self.blocks = [replace(b, name=identifier(b.name, taken)) for b in blocks]
        self.by_repeat = {name: b for b in self.blocks for name in b.values}

    def model(self, blueprint: Blueprint) -> list[str]:
        """The definition of `build_model`."""
        taken = {*_reserved(), *(block.name for block in self.blocks)}
        start = ["def build_model() -> keras.Model:"]
        start.append(f'{INDENT}"""The network, with new weights."""')
        frame = _Frame(Scope(), "", start, INDENT, taken)
        entry = self._inputs(blueprint, frame)
        last = blueprint.layers[-1]
        ends = blueprint.outputs == (last.name,) and not isinstance(last, Repeat)
        target = "outputs" if ends else None
        self._layers(blueprint.layers, entry, frame, blueprint.outputs, target)
        given = {layer_name(name): frame.scope[name] for name in blueprint.outputs}
        if len(given) > 1:
            result = frame.assign("outputs", given)
        else:
            result = given.popitem()[1]
        frame.assign("return", call("keras.Model", Code("inputs"), Code(result)))
        return frame.lines

    def _inputs(self, blueprint: Blueprint, frame: _Frame) -> Code:
        """Write what makes the inputs, and give the first of them."""
        names = input_names(item.name for item in blueprint.inputs)
        calls: dict[str, Call] = {}
        for item in blueprint.inputs:
            name = names[item.name]
            dtype = {} if item.dtype == "float32" else {"dtype": item.dtype}
            calls[name] = call("keras.Input", tuple(item.shape), **dtype, name=name)
            several = len(blueprint.inputs) > 1
            read = f"inputs[{literal(name)}]" if several else "inputs"
            frame.scope[item.name] = Code(read)
        frame.assign("inputs", calls if len(calls) > 1 else calls.popitem()[1])
        first: Code = frame.scope[blueprint.inputs[0].name]
        return first

    def function(self, block: Block) -> list[str]:
        """The definition of a block's function."""
        lines = header(block.name, ("x", "name", *block.arguments))
        taken = {*_reserved(), *block.arguments}
        frame = _Frame(Scope(), "{name}.", lines, INDENT, taken)
        frame.scope[BODY_INPUT] = Code("x")
        self._layers(block.body, Code("x"), frame, (), "return")
        return lines

    def _layers(
        self,
        layers: tuple[Layer, ...],
        entry: Code,
        frame: _Frame,
        kept: tuple[str, ...] = (),
        target: str | None = "x",
    ) -> Code:
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
            entry = frame.assign(identifier("entry", frame.taken), entry)
            frame.scope[BODY_INPUT] = entry
        output = entry
        for index, layer in enumerate(layers):
            later = layers[index + 1 :]
            into = "x"
            if not later and target is not None:
                into = target
            elif _is_read_later(layer.name, later) or layer.name in kept:
                into = identifier(layer.name, frame.taken)
            reads = [frame.scope[name] for name in layer.inputs] or [output]
            if isinstance(layer, Repeat):
                output = self._repeat(layer, reads[0], frame, into)
            else:
                output = self._layer(layer, reads, frame, into)
            frame.scope[layer.name] = output
        return output

    def _layer(self, layer: Layer, reads: list[Code], frame: _Frame, into: str) -> Code:
        name = frame.name + layer_name(layer.name)
        made = _named(KERAS_CALLS[type(layer)](layer, *reads), name)
        if frame.shared is not None and isinstance(made.function, Call):
            if name not in frame.shared:
                wanted = name.rsplit("}", 1)[-1].strip(".")
                variable = identifier(wanted, frame.taken)
                frame.shared[name] = variable, made.function
            made = replace(made, function=frame.shared[name][0])
        return frame.assign(into, made)

    def _repeat(self, repeat: Repeat, entry: Code, frame: _Frame, into: str) -> Code:
        if repeat.times > 1 and frame.shared is None:
            return self._loop(repeat, entry, frame, into)
        for copy in range(1, repeat.times + 1):
            name = layer_name(repeat.copy_path("", copy).rstrip("/"))
            target = into if copy == repeat.times else "x"
            entry = self._copy(repeat, frame.name + name, entry, frame, target)
        return entry

    def _loop(self, repeat: Repeat, entry: Code, frame: _Frame, into: str) -> Code:
        if entry != "x":
            frame.assign("x", entry)
        inside = frame.inside(lines=[], indent=frame.indent + INDENT)
        if repeat.shared:
            inside = inside._replace(shared={})
        name, variable, start = frame.name + layer_name(repeat.name), "_", 0
        if not repeat.shared:
            wanted = layer_name(repeat.name.split("/")[-1])
            is_block = self._block(repeat, frame) is not None
            variable = "i" if is_block else identifier(wanted, inside.taken)
            name, start = f"{name}{{{variable}}}", repeat.start
        self._copy(repeat, name, Code("x"), inside, "x")
        for target, value in (inside.shared or {}).values():
            frame.assign(target, value)
        numbers = f"{start}, " * (start > 0) + str(start + repeat.times)
        frame.lines.append(f"{frame.indent}for {variable} in range({numbers}):")
        frame.lines.extend(inside.lines)
        return Code("x") if into == "x" else frame.assign(into, Code("x"))

    def _copy(
        self, repeat: Repeat, name: str, entry: Code, frame: _Frame, into: str
    ) -> Code:
        """Write one copy of a body, or a call of the function that writes the body."""
        block = self._block(repeat, frame)
        if block is not None:
            values = [Code(literal(value)) for value in block.values[repeat.name]]
            options = dict(zip(block.arguments, values, strict=True))
            made = call(block.name, entry, name_code(name), **options)
            return frame.assign(into, made)
        inside = frame.inside(scope=Scope(frame.scope), name=f"{name}.")
        inside.scope[BODY_INPUT] = entry
        return self._layers(repeat.body, entry, inside, target=into)

    def _block(self, repeat: Repeat, frame: _Frame) -> Block | None:
        return None if frame.name else self.by_repeat.get(repeat.name)


def _is_read_later(name: str, layers: tuple[Layer, ...]) -> bool:
    """Whether layers read a name when what was computed last may be another."""
    return any(
        name in _read_around(layer) or (index and name in layer.inputs)
        for index, layer in enumerate(layers)
    )


def _read_around(layer: Layer) -> set[str]:
    """Names that the body of a `Repeat` reads from around the `Repeat`."""
    read: set[str] = set()
    inside = {BODY_INPUT}
    for inner in layer.body if isinstance(layer, Repeat) else ():
        read |= {*inner.inputs, *_read_around(inner)} - inside
        inside.add(inner.name)
    return read
