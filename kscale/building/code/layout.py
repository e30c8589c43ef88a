"""Python text of values and calls, as `ruff format` would lay it out."""

import ast
import re
from typing import Any

import numpy as np

from kscale.building.keras_calls import LEFT_OUT, Call, LayerName, is_default

_WIDTH = 88
INDENT = "    "


class Code(str):
    """Code that stands for a value or a tensor."""


def identifier(wanted: str, taken: set[str]) -> str:
    """A free Python identifier, as similar to the wanted name as possible.

    Example:

    >>> taken = {"conv"}
    >>> [identifier(wanted, taken) for wanted in ("conv", "conv", "1st conv")]
    ['conv_2', 'conv_3', 'x_1st_conv']
    """
    base = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    base = base if base[:1].isalpha() else f"x_{base}"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}_{number}"
    taken.add(found)
    return found


def literal(value: Any) -> str:
    """A value as code on one line; text of strangers stays text, whatever it holds.

    Example:

    >>> literal('a"b'), literal((8, 8)), literal(Code("filters")), literal("name")
    ('\\'a"b\\'', '(8, 8)', 'filters', '"name"')
    """
    return ast.unparse(_expression(value))


def statement(start: str, value: Any, indent: str = "", end: str = "") -> list[str]:
    """The lines of a statement: what stands before a value, the value, and an end.

    Each item of a dict has a line.
    """
    return _lines(start, _expression(value), end, indent)


def _expression(value: Any) -> ast.expr:
    match value:
        case Call(function="getitem", arguments=(read, positions)):
            return ast.Subscript(_expression(read), _expression(positions))
        case Call():
            return _call(value)
        case Code():
            return ast.Name(value)  # printed as it stands
        case str():
            text = repr(value)
            return ast.Name(text if '"' in text else f'"{text[1:-1]}"')
        case tuple():
            return ast.Tuple([*map(_expression, value)])
        case list():
            return ast.List([*map(_expression, value)])
        case dict():
            return ast.Dict(
                [*map(_expression, value)], [*map(_expression, value.values())]
            )
        case slice():
            return ast.Slice()
    return ast.Constant(value.item() if isinstance(value, np.generic) else value)


def _call(call: Call) -> ast.Call:
    made = call.function
    keywords = [
        ast.keyword(option, _expression(value))
        for option, value in call.options.items()
        # Keras names and seeds the layers inside a layer.
        if option not in LEFT_OUT and not isinstance(value, LayerName)
        if not is_default(str(made), option, value)
    ]
    function = _expression(Code(made) if isinstance(made, str) else made)
    return ast.Call(function, [*map(_expression, call.arguments)], keywords)


def _lines(start: str, node: ast.expr, end: str, indent: str) -> list[str]:
    """An expression between what stands before and after, in lines that fit.

    Items in brackets stand on one line, on a line inside, or on a line each.
    """
    text = ast.unparse(node)
    whole = f"{indent}{start}{text}{end}"
    items: list[tuple[str, ast.expr]] = []
    match node:
        case ast.Dict(keys=keys, values=values):
            names = [f"{ast.unparse(key)}: " for key in keys if key]
            items, opening, closing = [*zip(names, values, strict=True)], "{", "}"
        case _ if len(whole) <= _WIDTH:
            return [whole]
        case ast.Call(func=function, args=arguments, keywords=keywords):
            opening, closing = f"{ast.unparse(function)}(", ")"
            if (
                isinstance(function, ast.Call)
                and len(indent + start + opening) > _WIDTH
            ):
                rest = text.removeprefix(opening)
                return _lines(start, function, f"({rest}{end}", indent)
            items = [("", argument) for argument in arguments]
            items += [(f"{keyword.arg}=", keyword.value) for keyword in keywords]
        case ast.Tuple(elts=elements):
            items, opening, closing = [("", item) for item in elements], "(", ")"
        case _:
            return [whole]
    inside = indent + INDENT
    lines = [inside + ", ".join(name + ast.unparse(item) for name, item in items)]
    if len(lines[0]) > _WIDTH or isinstance(node, ast.Dict):
        lines = [line for name, it in items for line in _lines(name, it, ",", inside)]
    return [f"{indent}{start}{opening}", *lines, f"{indent}{closing}{end}"]
