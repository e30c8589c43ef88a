"""From a blueprint to the code of `build_model`."""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from kscale.building.code.layout import INDENT, Code, identifier, literal, statement
from kscale.building.keras_calls import Call, LayerAt, LayerName, call, call_of
from kscale.naming import input_names, layer_name, single_or_named
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope

_FREE = ("units", "filters", "kernel", "strides")
"""Fields of records that may become arguments of a function."""


def network_code(blueprint: Blueprint, has_starts: bool = False) -> tuple[str, ...]:
    """Definitions that build the layers of a blueprint with nothing but Keras.

    `build_model` is the last; those before are functions that the definition calls.
    Layers have the names and the weights that kscale's `build_model` gives them. A
    `Repeat` is a loop, and bodies that differ in numbers only are one function. With
    `has_starts` a constant `STARTS` multiplies initial weights.
    """
    names = "keras layers range x i name inputs outputs build_model compile_model"
    names += " smoothed smoothed_tokens"
    taken = {*names.split(), *keyword.kwlist, *layer_functions()}
    blocks = _blocks_of(blueprint.layers, taken)
    functions = ["\n".join(_function(block, taken)) for block in blocks]
    by_repeat = {name: block for block in blocks for name in block.uses}
    model = "\n".join(_build_model(blueprint, by_repeat, taken, has_starts))
    called = set(re.findall(r"\b\w+(?=\()", "\n".join((model, *functions))))
    known = layer_functions().items()
    return (*(text for name, text in known if name in called), *functions, model)


def layer_functions() -> dict[str, str]:
    """By name, text of the functions that make layers, beside those of Keras."""
    texts = texts_of_models().items()
    return {name: text for name, text in texts if text.startswith("def ")}


@cache
def texts_of_models() -> dict[str, str]:
    """By name, text of what stands at the top of `kscale.building.models`."""
    text = files("kscale.building").joinpath("models.py").read_text("utf-8")
    parts = text.partition("\n\n\n_FUNCTIONS")[0].split("\n\n\n")[1:]
    return {re.findall(r"^(?:def|class) (\w+)", it, re.M)[0]: it for it in parts}


class _Block(NamedTuple):
    """A function for one copy of a body that several layers repeat with other numbers.

    `body` has the names of the arguments where the numbers differ; `uses` are the
    arguments of each `Repeat`, by its name.
    """

    name: str
    body: tuple[Layer, ...]
    uses: dict[str, dict[str, Any]]


def _blocks_of(layers: tuple[Layer, ...], taken: set[str]) -> list[_Block]:
    groups: dict[Any, list[Repeat]] = {}
    for layer in layers:
        if isinstance(layer, Repeat) and _stands_alone(layer):
            groups.setdefault(tuple(map(_fixed, layer.body)), []).append(layer)
    return [_block(group, taken) for group in groups.values() if len(group) > 1]


def _fixed(layer: Layer) -> Any:
    """The part of a layer that must be equal where one function writes two bodies."""
    fields = vars(layer).items()
    fixed = [(name, it) for name, it in fields if name not in _FREE or not it]
    return (type(layer), *fixed)


def _stands_alone(repeat: Repeat) -> bool:
    """Whether a body can be a function: it reads and shares nothing outside of it."""
    is_flat = not any(isinstance(layer, Repeat) for layer in repeat.body)
    is_made_anew = repeat.times == 1 or not repeat.shared
    return is_flat and is_made_anew and not [*_read_inside(repeat)]


def _block(group: list[Repeat], taken: set[str]) -> _Block:
    values: dict[str, tuple[Any, ...]] = {}
    body = []
    for copies in zip(*(repeat.body for repeat in group), strict=True):
        changed = {}
        for field in _FREE:
            used = tuple(getattr(layer, field, None) for layer in copies)
            if len(set(used)) > 1:
                known = (it for it in values if it.endswith(field))
                longer = re.sub(r"\W", "_", f"{copies[0].name}_{field}")
                new = longer if field in values else field
                name = next((it for it in known if values[it] == used), new)
                values[name], changed[field] = used, Code(name)
        body.append(replace(copies[0], **changed))
    uses = {
        repeat.name: {name: Code(literal(used[index])) for name, used in values.items()}
        for index, repeat in enumerate(group)
    }
    base = re.sub(r"\d+$", "", group[0].name.split("/")[-1])
    # The first block of a stage has a function of another name than further blocks.
    is_first = all(item.times == 1 and item.name.endswith("1") for item in group)
    name = identifier(f"first_{base}" if is_first else base, taken)
    return _Block(name, tuple(body), uses)


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


class _Writer(NamedTuple):
    """Writes layers one after the other, as statements of Python.

    Args:
        taken: Names that no new variable may have.
        scope: Variables of the outputs of layers.
        tables: By path, variables of embeddings that other layers read.
        name: Keras name of the block around the layers, with variables in braces.
        outside: Of copies that share layers: the writer of the lines before the loop,
            where these layers are made, and their variables by Keras name.
    """

    lines: list[str]
    taken: set[str]
    blocks: Mapping[str, _Block]
    scope: Scope
    tables: dict[str, Code]
    name: str = ""
    indent: str = INDENT
    outside: "tuple[_Writer, dict[str, Code]] | None" = None

    def assign(self, target: str, value: Any) -> Code:
        """Write that a variable takes a value, or is returned; give the variable."""
        start = "return " if target == "return" else f"{target} = "
        self.lines.extend(statement(start, value, self.indent))
        return Code(target)

    def write(
        self,
        layers: tuple[Layer, ...],
        entry: Code,
        into: str | None,
        outputs: tuple[str, ...] = (),
    ) -> Code:
        """Write layers, and give the variable that holds the output of the last.

        Args:
            entry: Variable of what the first layer reads.
            into: Name of that last variable, if it matters.
            outputs: Names of layers that are read after all of them are written.
        """
        kept = {*outputs, *_read_apart(layers)}
        if entry == "x" and BODY_INPUT in kept:
            # `x` changes before what entered is read again.
            entry = self.assign(identifier("entry", self.taken), entry)
            self.scope[BODY_INPUT] = entry
        for index, layer in enumerate(layers, 1):
            target = "x"
            if index == len(layers) and into is not None:
                target = into
            elif layer.name in kept:
                target = identifier(layer.name, self.taken)
            reads = [self.scope[name] for name in layer.inputs] or [entry]
            if isinstance(layer, Repeat):
                entry = self._repeat(layer, reads[0], target)
            else:
                entry = self.assign(target, self._call(layer, reads))
            self.scope[layer.name] = entry
        return entry

    def _call(self, layer: Layer, reads: list[Code]) -> Call:
        name = self.name + layer_name(layer.name)
        made = _named(call_of(layer, reads), name)
        if isinstance(made.function, LayerAt):
            return replace(made, function=self.tables[made.function.path])
        if getattr(layer, "is_shared", False):
            variable = identifier(f"{layer.name}_table", self.taken)
            self.tables[layer.name] = self.assign(variable, made.function)
            return replace(made, function=self.tables[layer.name])
        if self.outside is None or not isinstance(made.function, Call):
            return made
        before, known = self.outside
        if name not in known:
            variable = identifier(name.rsplit("}", 1)[-1].strip("."), self.taken)
            known[name] = before.assign(variable, made.function)
        return replace(made, function=known[name])

    def _repeat(self, repeat: Repeat, entry: Code, into: str) -> Code:
        if repeat.times > 1 and self.outside is None:
            return self._loop(repeat, entry, into)
        for copy in range(1, repeat.times + 1):
            name = layer_name(repeat.copy_path("", copy).rstrip("/"))
            target = into if copy == repeat.times else "x"
            entry = self._copy(repeat, name, entry, target)
        return entry

    def _loop(self, repeat: Repeat, entry: Code, into: str) -> Code:
        if entry != "x":
            self.assign("x", entry)
        indent, taken = self.indent + INDENT, {*self.taken}
        inside = self._replace(lines=[], indent=indent, taken=taken)
        name, numbers = layer_name(repeat.name), f"{repeat.times}"
        if repeat.shared:
            variable, inside = "_", inside._replace(outside=(self, {}))
        else:
            variable = "i"
            if repeat.name not in self.blocks:
                variable = identifier(name.split(".")[-1], taken)
            name = f"{name}{{{variable}}}"
            numbers = f"{repeat.start}, {repeat.start + repeat.times}"
        inside._copy(repeat, name, Code("x"), "x")
        head = f"for {variable} in range({numbers.removeprefix('0, ')}):"
        self.lines.extend((self.indent + head, *inside.lines))
        return Code("x") if into == "x" else self.assign(into, Code("x"))

    def _copy(self, repeat: Repeat, name: str, entry: Code, into: str) -> Code:
        """Write one copy of a body, or a call of the function that writes the body."""
        name = self.name + name
        if block := self.blocks.get(repeat.name):
            uses = block.uses[repeat.name]
            return self.assign(into, call(block.name, entry, name_code(name), **uses))
        inside = self._replace(
            scope=Scope(self.scope), name=f"{name}.", taken={*self.taken}, blocks={}
        )
        inside.scope[BODY_INPUT] = entry
        return inside.write(repeat.body, entry, into)


def _function(block: _Block, taken: set[str]) -> list[str]:
    """The definition of a block's function."""
    arguments = ("x", "name", *next(iter(block.uses.values())))
    lines = statement("def ", call(block.name, *map(Code, arguments)), end=":")
    writer = _Writer(lines, {*taken, *arguments}, {}, Scope(), {}, "{name}.")
    writer.scope[BODY_INPUT] = Code("x")
    writer.write(block.body, Code("x"), "return")
    return lines


def _build_model(
    blueprint: Blueprint,
    blocks: Mapping[str, _Block],
    taken: set[str],
    has_starts: bool,
) -> list[str]:
    """The definition of `build_model`."""
    start = ["def build_model() -> keras.Model:"]
    start.append(f'{INDENT}"""The network, with new weights."""')
    writer = _Writer(start, {*taken}, blocks, Scope(), {})
    names = input_names(item.name for item in blueprint.inputs)
    inputs = {
        name: call("keras.Input", blueprint.shape_of(item), dtype=item.dtype, name=name)
        for item, name in zip(blueprint.inputs, names.values(), strict=True)
    }
    writer.assign("inputs", single_or_named(inputs))
    for original, name in names.items():
        key = f"[{literal(name)}]" if len(names) > 1 else ""
        writer.scope[original] = Code(f"inputs{key}")
    entry = writer.scope[blueprint.inputs[0].name]
    into = "outputs" if blueprint.outputs == (blueprint.layers[-1].name,) else None
    writer.write(blueprint.layers, entry, into, blueprint.outputs)
    given = {layer_name(name): writer.scope[name] for name in blueprint.outputs}
    result = single_or_named(given)
    if len(given) > 1:
        result = writer.assign("outputs", given)
    model = call("keras.Model", Code("inputs"), result)
    if has_starts:
        model = call("with_starts", model, Code("STARTS"))
    writer.assign("return", model)
    return writer.lines


def _read_apart(layers: tuple[Layer, ...]) -> Iterator[str]:
    """Names of outputs that other layers than the next one read."""
    before = BODY_INPUT
    for layer in layers:
        yield from (name for name in layer.inputs if name != before)
        yield from _read_inside(layer)
        before = layer.name


def _read_inside(layer: Layer) -> Iterator[str]:
    """Names that the body of a `Repeat` reads from around the `Repeat`."""
    inside = {BODY_INPUT}
    for inner in layer.body if isinstance(layer, Repeat) else ():
        yield from {*inner.inputs, *_read_inside(inner)} - inside
        inside.add(inner.name)
