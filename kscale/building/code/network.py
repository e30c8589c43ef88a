"""From a blueprint to the code of `build_model`."""

import keyword
import re
from dataclasses import replace
from typing import NamedTuple

from kscale.building.code.blocks import Block, blocks_of
from kscale.building.code.layers import HELPERS, WRITERS, Place
from kscale.building.code.ranks import ranks_of
from kscale.building.code.source import (
    Assignment,
    Call,
    Line,
    Name,
    Statement,
    Suite,
    literal,
)
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope

_RESERVED = frozenset(
    {
        *("keras", "layers", "range", "x", "i", "name", "inputs", "outputs"),
        *("build_model", "compile_model", "smoothed", *HELPERS, *keyword.kwlist),
    }
)


class NetworkCode(NamedTuple):
    """What builds a network.

    Args:
        functions: Definitions to stand before `build_model`, in their order.
        build_model: Its definition.
    """

    functions: tuple[str, ...]
    build_model: str


def network_code(blueprint: Blueprint) -> NetworkCode:
    """Code that builds the layers of a blueprint with Keras alone.

    They have the names and the weights that `build_model` gives them. A `Repeat` is a
    loop, and bodies that differ in numbers alone are one function.
    """
    ranks = ranks_of(blueprint)
    writer = _Writer(ranks, blocks_of(blueprint.layers, ranks))
    main = writer.model(blueprint)
    blocks = [writer.function(block) for block in writer.blocks]
    helpers = [HELPERS[name].rstrip("\n") for name in HELPERS if name in writer.helpers]
    functions = (*helpers, *("\n".join(block.lines()) for block in blocks))
    return NetworkCode(functions, "\n".join(main.lines()))


class _Taken(set[str]):
    """Variables in use."""

    def fresh(self, wanted: str) -> str:
        """A variable that nothing else is, as near to the wish as can be."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        base = base if base[:1].isalpha() else f"x_{base}"
        found, number = base, 1
        while found in self or found in _RESERVED:
            number += 1
            found = f"{base}_{number}"
        self.add(found)
        return found


class _Frame(NamedTuple):
    """Where statements are written.

    Args:
        scope: Code that stands for each layer's output, by name.
        path: Path of what encloses the layers, without numbers of copies, for ranks.
        name: Keras name of what encloses them, as code.
        out: Statements so far.
        taken: Variables in use.
        shared: Statements that make layers before a loop; None where layers are made
            where they are called.
    """

    scope: Scope
    path: str
    name: Name
    out: list[Statement]
    taken: _Taken
    shared: dict[str, Assignment] | None = None


class _Writer:
    """Writes layers one after the other, and remembers which functions they need."""

    def __init__(self, ranks: dict[str, int], blocks: list[Block]) -> None:
        self.ranks = ranks
        self.helpers: set[str] = set()
        taken = _Taken()
        self.blocks = [replace(b, name=taken.fresh(b.name)) for b in blocks]
        self.by_repeat = {name: b for b in self.blocks for name in b.values}

    def model(self, blueprint: Blueprint) -> Suite:
        """The definition of `build_model`."""
        taken = _Taken(block.name for block in self.blocks)
        said = Line('"""The network, with new weights."""')
        frame = _Frame(Scope(), "", Name(), [said], taken)
        self._inputs(blueprint, frame)
        entry = frame.scope[blueprint.inputs[0].name]
        last = blueprint.layers[-1]
        ends = blueprint.outputs == (last.name,) and not isinstance(last, Repeat)
        target = "outputs" if ends else None
        self.layers(blueprint.layers, entry, frame, blueprint.outputs, target)
        given = [frame.scope[name] for name in blueprint.outputs]
        if len(given) > 1:
            named = zip(blueprint.outputs, given, strict=True)
            frame.out.append(_dict("outputs", [(str(Name() + n), v) for n, v in named]))
        result = given[0] if len(given) == 1 else "outputs"
        frame.out.append(Line(f"return keras.Model(inputs, {result})"))
        return Suite("def build_model() -> keras.Model", frame.out)

    def _inputs(self, blueprint: Blueprint, frame: _Frame) -> None:
        calls = []
        for item in blueprint.inputs:
            options = [] if item.dtype == "float32" else [f'dtype="{item.dtype}"']
            options.append(f"name={literal(item.name)}")
            calls.append(Call("keras.Input", (literal(tuple(item.shape)), *options)))
            frame.scope[item.name] = f"inputs[{literal(item.name)}]"
        if len(calls) == 1:
            frame.scope[blueprint.inputs[0].name] = "inputs"
            frame.out.append(Assignment("inputs", calls[0], None))
            return
        names = [literal(item.name) for item in blueprint.inputs]
        pairs = [(name, str(call)) for name, call in zip(names, calls, strict=True)]
        frame.out.append(_dict("inputs", pairs))

    def function(self, block: Block) -> Suite:
        """The definition of a block's function."""
        frame = _Frame(
            Scope(),
            f"{next(iter(block.values))}/",
            Name().with_variable("name") + ".",
            [],
            _Taken(block.arguments),
        )
        frame.scope[BODY_INPUT] = "x"
        self.layers(block.body, "x", frame, (), "return")
        header = Call(f"def {block.name}", ("x", "name", *block.arguments))
        return Suite(header, frame.out)

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
        current = self._entry(layers, entry, frame)
        for index, layer in enumerate(layers):
            later = layers[index + 1 :]
            is_last = not later
            if is_last and target is not None:
                into = target
            elif _is_read_later(layer.name, later) or layer.name in kept:
                into = frame.taken.fresh(layer.name)
            else:
                into = "x"
            named = [frame.scope[name] for name in layer.inputs]
            current = self._write(layer, named or [current], frame, into)
            frame.scope[layer.name] = current
        return current

    def _entry(self, layers: tuple[Layer, ...], entry: str, frame: _Frame) -> str:
        """Keep what enters a copy where it is read again after `x` has changed."""
        if entry != "x" or not _is_read_later(BODY_INPUT, layers):
            return entry
        kept = frame.taken.fresh("entry")
        frame.out.append(Line(f"{kept} = x"))
        frame.scope[BODY_INPUT] = kept
        return kept

    def _write(self, layer: Layer, reads: list[str], frame: _Frame, into: str) -> str:
        if isinstance(layer, Repeat):
            return self._repeat(layer, reads[0], frame, into)
        name = frame.name + layer.name
        place = Place(str(name), reads, self.ranks[frame.path + layer.name])
        made, called, helper = WRITERS[type(layer)](layer, place)
        self.helpers |= {helper} if helper else set()
        if made is None or frame.shared is None:
            frame.out.append(Assignment(into, made, called))
            return into
        if str(name) not in frame.shared:
            variable = frame.taken.fresh(name.text.rsplit("}", 1)[-1].strip("."))
            frame.shared[str(name)] = Assignment(variable, made, None)
        layer_variable = frame.shared[str(name)].target
        frame.out.append(Assignment(into, None, f"{layer_variable}({called})"))
        return into

    def _repeat(self, repeat: Repeat, entry: str, frame: _Frame, into: str) -> str:
        is_shared = repeat.shared and repeat.times > 1
        if repeat.name in self.by_repeat and not frame.path:
            return self._use(repeat, entry, frame, into)
        if repeat.times == 1 or frame.shared is not None:
            return self._unrolled(repeat, entry, frame, into)
        if entry != "x":
            frame.out.append(Line(f"x = {entry}"))
        taken = _Taken(frame.taken)
        variable = "_" if repeat.shared else taken.fresh(repeat.name.split("/")[-1])
        name = frame.name + repeat.name
        if not is_shared:
            name = name.with_variable(variable)
        inside = self._inside(repeat, frame, name, taken)._replace(out=[])
        if is_shared:
            inside = inside._replace(shared={})
        inside.scope[BODY_INPUT] = "x"
        self.layers(repeat.body, "x", inside)
        frame.out.extend((inside.shared or {}).values())
        start = 0 if repeat.shared else repeat.start
        numbers = range(start, start + repeat.times)
        frame.out.append(Suite(_for(variable, numbers), inside.out))
        return self._moved("x", into, frame)

    def _unrolled(self, repeat: Repeat, entry: str, frame: _Frame, into: str) -> str:
        for copy in range(1, repeat.times + 1):
            name = frame.name + repeat.copy_path("", copy).rstrip("/")
            inside = self._inside(repeat, frame, name, _Taken(frame.taken))
            inside.scope[BODY_INPUT] = entry
            last = into if copy == repeat.times else "x"
            entry = self.layers(repeat.body, entry, inside, target=last)
        return entry

    def _inside(
        self, repeat: Repeat, frame: _Frame, name: Name, taken: _Taken
    ) -> _Frame:
        return frame._replace(
            scope=Scope(frame.scope),
            path=f"{frame.path}{repeat.name}/",
            name=name + ".",
            taken=taken,
        )

    def _use(self, repeat: Repeat, entry: str, frame: _Frame, into: str) -> str:
        """Call the function that writes a body."""
        block = self.by_repeat[repeat.name]
        values = zip(block.arguments, block.values[repeat.name], strict=True)
        given = tuple(f"{name}={literal(value)}" for name, value in values)
        if repeat.times == 1:
            name = frame.name + repeat.copy_path("", 1).rstrip("/")
            call = Call(block.name, (entry, str(name), *given))
            frame.out.append(Assignment(into, call, None))
            return into
        if entry != "x":
            frame.out.append(Line(f"x = {entry}"))
        name = (frame.name + repeat.name).with_variable("i")
        call = Call(block.name, ("x", str(name), *given))
        numbers = range(repeat.start, repeat.start + repeat.times)
        frame.out.append(Suite(_for("i", numbers), [Assignment("x", call, None)]))
        return self._moved("x", into, frame)

    def _moved(self, variable: str, into: str, frame: _Frame) -> str:
        if variable != into:
            frame.out.append(Assignment(into, None, variable))
        return into


def _dict(target: str, pairs: list[tuple[str, str]]) -> Statement:
    """A dict, an item a line."""
    items = "\n".join(f"    {key}: {value}," for key, value in pairs)
    return Line(f"{target} = {{\n{items}\n}}")


def _for(variable: str, numbers: range) -> str:
    start = "" if numbers.start == 0 else f"{numbers.start}, "
    return f"for {variable} in range({start}{numbers.stop})"


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
