"""Python text of values, calls and statements, as `ruff format` would lay it out."""

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kscale.building.keras_calls import LEFT_OUT, Call, LayerName, is_default

_WIDTH = 88
_STEP = "    "
_TEXT = re.compile(r"""'((?:[^'"\\]|\\.)*)'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


class Code(str):
    """Code that stands for a value: for a number, or for a tensor of a shape."""

    shape: tuple[None, ...] = ()

    @classmethod
    def of_rank(cls, text: str, rank: int) -> "Code":
        """Code for a tensor of so many sides, without the batch."""
        code = cls(text)
        code.shape = (None,) * (rank + 1)
        return code


def expression(value: Any, name: str = "") -> ast.expr:
    """A value as an expression; text of strangers becomes a string, whatever it is.

    Args:
        value: A number, text, tuple or list, `Code`, or a `Call` of such values.
        name: Code of the layer's name, where the call takes one.
    """
    if isinstance(value, Call):
        return _call(value, name)
    if isinstance(value, Code):
        return ast.parse(value, mode="eval").body
    if isinstance(value, tuple):
        return ast.Tuple([expression(item) for item in value])
    if isinstance(value, list):
        return ast.List([expression(item) for item in value])
    if isinstance(value, dict):
        return ast.Dict(
            [expression(key) for key in value],
            [expression(it) for it in value.values()],
        )
    if isinstance(value, slice):
        return ast.Slice()
    return ast.Constant(value.item() if isinstance(value, np.generic) else value)


def _call(call: Call, name: str) -> ast.expr:
    arguments = [expression(value) for value in call.arguments]
    if call.function == "getitem":
        read, positions = arguments
        return ast.Subscript(read, positions)
    if isinstance(call.function, Call):
        return ast.Call(expression(call.function, name), arguments, _options(call))
    return ast.Call(expression(Code(call.function)), arguments, _options(call, name))


def _options(call: Call, name: str = "") -> list[ast.keyword]:
    given = {
        option: Code(name) if isinstance(value, LayerName) else value
        for option, value in call.options.items()
        if option not in LEFT_OUT and (name or not isinstance(value, LayerName))
    }
    return [
        ast.keyword(option, expression(value))
        for option, value in given.items()
        if not is_default(str(call.function), option, value)
    ]


def literal(value: Any) -> str:
    """A value as code.

    Example:

    >>> literal('a"b'), literal((8, 8)), literal(Code("filters")), literal("name")
    ('\\'a"b\\'', '(8, 8)', 'filters', '"name"')
    """
    return _text(expression(value))


def _text(node: ast.AST) -> str:
    """Code of a node on one line, with double quotes wherever ruff takes them."""
    line = ast.unparse(node)
    return _TEXT.sub(lambda m: m[0] if m[1] is None else f'"{m[1]}"', line)


def assignment(target: str, value: ast.expr) -> ast.stmt:
    """`target = value`, or what returns the value if the target is `return`."""
    if target == "return":
        return ast.Return(value)
    return ast.Assign([ast.Name(target)], value, lineno=0)


def suite(header: str, body: list[ast.stmt]) -> Any:
    """A statement of others, from its first line without the colon."""
    (statement,) = ast.parse(f"{header}: ...").body
    statement.body = body  # type: ignore[attr-defined]
    return statement


def lines_of(statement: ast.stmt, indent: str = "") -> list[str]:
    """The lines of a statement."""
    match statement:
        case ast.FunctionDef(name=name, args=arguments, returns=returns):
            end = f") -> {_text(returns)}:" if returns else "):"
            names = [("", ast.Name(argument.arg)) for argument in arguments.args]
            head = _bracketed(f"def {name}(", names, end, indent)
        case ast.For(target=target, iter=numbers):
            head = [f"{indent}for {_text(target)} in {_text(numbers)}:"]
        case ast.Return(value=ast.expr() as value):
            return _lines("return ", value, "", indent)
        case ast.Assign(targets=[target], value=value):
            return _lines(f"{_text(target)} = ", value, "", indent)
        case ast.Expr(value=ast.Constant(value=str(words))):
            return [f'{indent}"""{words}"""']
        case _:
            return [f"{indent}{_text(statement)}"]
    return head + [
        line for it in statement.body for line in lines_of(it, indent + _STEP)
    ]


def _lines(start: str, value: ast.expr, end: str, indent: str) -> list[str]:
    """An expression between what stands before and after, in lines that fit."""
    whole = f"{indent}{start}{_text(value)}{end}"
    match value:
        case ast.Dict(keys=keys, values=values):
            items = [
                (f"{_text(k)}: ", v) for k, v in zip(keys, values, strict=True) if k
            ]
            return _bracketed(f"{start}{{", items, f"}}{end}", indent, is_open=True)
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


def _joined(items: Iterable[tuple[str, ast.expr]]) -> str:
    return ", ".join(start + _text(value) for start, value in items)


def _bracketed(
    start: str,
    items: Sequence[tuple[str, ast.expr]],
    end: str,
    indent: str,
    is_open: bool = False,
) -> list[str]:
    """Items between brackets: on one line, on a line inside, or a line each.

    Args:
        start: What stands before the items, with the opening bracket.
        items: What stands before each item, and the item.
        end: What stands after the items, with the closing bracket.
        indent: Spaces before the first line.
        is_open: Whether each item has a line wherever the items would fit.
    """
    whole, inside = f"{indent}{start}{_joined(items)}{end}", indent + _STEP
    if not is_open and len(whole) <= _WIDTH:
        return [whole]
    lines = [inside + _joined(items)]
    if is_open or len(lines[0]) > _WIDTH:
        lines = [line for head, it in items for line in _lines(head, it, ",", inside)]
    return [f"{indent}{start}", *lines, f"{indent}{end}"]
