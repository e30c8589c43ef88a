"""Python text of values and calls, as `ruff format` would lay it out."""

import ast
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kscale.building.keras_calls import LEFT_OUT, Call, LayerName, is_default

_WIDTH = 88
INDENT = "    "
_TEXT = re.compile(r"""'((?:[^'"\\]|\\.)*)'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


class Code(str):
    """Code that stands for a value or a tensor."""


def identifier(wanted: str, taken: set[str]) -> str:
    """A name of Python that is not taken yet, as near to the wish as can be.

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

    Args:
        value: A number, text, tuple, list or dict, `Code`, or a `Call` of such values.

    Example:

    >>> literal('a"b'), literal((8, 8)), literal(Code("filters")), literal("name")
    ('\\'a"b\\'', '(8, 8)', 'filters', '"name"')
    """
    return _text(_expression(value))


def statement(start: str, value: Any, indent: str = "") -> list[str]:
    """The lines of a statement.

    Args:
        start: What stands before the value, such as `x = `.
        value: As for `literal`; each item of a dict has a line.
        indent: Spaces before the first line.
    """
    return _lines(start, _expression(value), "", indent)


def header(function: str, arguments: Sequence[str]) -> list[str]:
    """The first lines of a definition."""
    items = [("", ast.Name(argument)) for argument in arguments]
    return _bracketed(f"def {function}(", items, "):", "")


def _expression(value: Any) -> ast.expr:
    match value:
        case Call():
            return _call(value)
        case Code():
            return ast.parse(value, mode="eval").body
        case tuple():
            return ast.Tuple([_expression(item) for item in value])
        case list():
            return ast.List([_expression(item) for item in value])
        case dict():
            keys: list[Any] = [_expression(key) for key in value]
            return ast.Dict(keys, [_expression(item) for item in value.values()])
        case slice():
            return ast.Slice()
    return ast.Constant(value.item() if isinstance(value, np.generic) else value)


def _call(call: Call) -> ast.expr:
    function, arguments = call.function, [_expression(item) for item in call.arguments]
    if function == "getitem":
        read, positions = arguments
        return ast.Subscript(read, positions)
    keywords = [
        ast.keyword(option, _expression(value))
        for option, value in call.options.items()
        # Keras names and seeds the layers inside a layer.
        if option not in LEFT_OUT and not isinstance(value, LayerName)
        if not is_default(str(function), option, value)
    ]
    made = _expression(Code(function) if isinstance(function, str) else function)
    return ast.Call(made, arguments, keywords)


def _text(node: ast.AST) -> str:
    """Code of a node on one line, with double quotes wherever ruff takes them."""
    line = ast.unparse(node)
    return _TEXT.sub(lambda m: m[0] if m[1] is None else f'"{m[1]}"', line)


def _lines(start: str, value: ast.expr, end: str, indent: str) -> list[str]:
    """An expression between what stands before and after, in lines that fit."""
    whole = f"{indent}{start}{_text(value)}{end}"
    items: list[tuple[str, ast.expr]]
    match value:
        case ast.Dict(keys=keys, values=values):
            names = [f"{_text(key)}: " for key in keys if key]
            lines = _line_each(list(zip(names, values, strict=True)), indent + INDENT)
            return [f"{indent}{start}{{", *lines, f"{indent}}}{end}"]
        case _ if len(whole) <= _WIDTH:
            return [whole]
        case ast.Call(func=function, args=arguments, keywords=keywords):
            items = [("", argument) for argument in arguments]
            items += [(f"{keyword.arg}=", keyword.value) for keyword in keywords]
            head = f"{start}{_text(function)}("
            if isinstance(function, ast.Call) and len(indent + head) > _WIDTH:
                return _lines(start, function, f"({_joined(items)}){end}", indent)
            return _bracketed(head, items, f"){end}", indent)
        case ast.Tuple(elts=elements):
            items = [("", element) for element in elements]
            return _bracketed(f"{start}(", items, f"){end}", indent)
    return [whole]


def _joined(items: Sequence[tuple[str, ast.expr]]) -> str:
    return ", ".join(start + _text(value) for start, value in items)


def _line_each(items: Sequence[tuple[str, ast.expr]], indent: str) -> list[str]:
    return [line for start, it in items for line in _lines(start, it, ",", indent)]


def _bracketed(
    start: str, items: Sequence[tuple[str, ast.expr]], end: str, indent: str
) -> list[str]:
    """Items, each with the text before it, between a start and an end with brackets.

    They stand on one line, on a line inside, or on a line each.
    """
    joined, inside = _joined(items), indent + INDENT
    if len(f"{indent}{start}{joined}{end}") <= _WIDTH:
        return [f"{indent}{start}{joined}{end}"]
    lines = [inside + joined]
    if len(lines[0]) > _WIDTH:
        lines = _line_each(items, inside)
    return [f"{indent}{start}", *lines, f"{indent}{end}"]
