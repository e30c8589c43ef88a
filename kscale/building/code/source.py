"""Statements of Python, written as `ruff format` would write them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kscale.naming import layer_name

_WIDTH = 88
_STEP = "    "


class Variable(str):
    """A name in the code, where a record usually has a value."""


@dataclass(frozen=True)
class Call:
    """`function(argument, keyword=argument)`; arguments may be calls themselves."""

    function: str
    arguments: tuple["str | Keyword", ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"

    def lines(self, start: str, end: str, indent: str) -> list[str]:
        """The call between what stands before and after it, in lines that fit."""
        whole = f"{indent}{start}{self}{end}"
        if len(whole) <= _WIDTH:
            return [whole]
        joined = indent + _STEP + ", ".join(map(str, self.arguments))
        inside = [joined] if len(joined) <= _WIDTH else self._one_a_line(indent + _STEP)
        return [f"{indent}{start}{self.function}(", *inside, f"{indent}){end}"]

    def _one_a_line(self, indent: str) -> list[str]:
        lines: list[str] = []
        for item in self.arguments:
            if isinstance(item, Keyword):
                lines += item.value.lines(f"{item.name}=", ",", indent)
            else:
                lines.append(f"{indent}{item},")
        return lines


@dataclass(frozen=True)
class Keyword:
    """`name=call`, as an argument."""

    name: str
    value: Call

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True)
class Assignment:
    """`target = value`, or `return value`.

    Args:
        target: Variable that takes the value; `return` for a function's result.
        make: What makes a layer; None if `reads` is the whole value.
        reads: What the layer is called with; None if the layer is the value.
    """

    target: str
    make: Call | None
    reads: str | None

    def lines(self, indent: str = "") -> list[str]:
        """The lines of the statement."""
        start = "return " if self.target == "return" else f"{self.target} = "
        if self.make is None:
            return [f"{indent}{start}{self.reads}"]
        if self.reads is None:
            return self.make.lines(start, "", indent)
        head = f"{indent}{start}{self.make}("
        if len(head) <= _WIDTH < len(f"{head}{self.reads})"):
            return [head, f"{indent}{_STEP}{self.reads}", f"{indent})"]
        return self.make.lines(start, f"({self.reads})", indent)


@dataclass(frozen=True)
class Suite:
    """A line that ends in a colon, and the statements under it.

    Args:
        header: The line without its colon; a call if it may be too long.
        body: The statements.
    """

    header: str | Call
    body: "Sequence[Statement]"

    def lines(self, indent: str = "") -> list[str]:
        """The lines of the header and of all statements."""
        inside = [
            line for statement in self.body for line in statement.lines(indent + _STEP)
        ]
        if isinstance(self.header, Call):
            return [*self.header.lines("", ":", indent), *inside]
        return [f"{indent}{self.header}:", *inside]


@dataclass(frozen=True)
class Line:
    """Any other line, or several."""

    text: str

    def lines(self, indent: str = "") -> list[str]:
        """The lines."""
        return [f"{indent}{line}" for line in self.text.split("\n")]


Statement = Assignment | Suite | Line


def literal(value: Any) -> str:
    """A value as code; whatever it is, nothing of it is run.

    Example:

    >>> literal('a"b'), literal((8, 8)), literal(Variable("filters"))
    ('"a\\\\"b"', '(8, 8)', 'filters')
    """
    if isinstance(value, Variable):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        items = ", ".join(map(literal, value))
        return f"({items},)" if len(value) == 1 else f"({items})"
    return repr(value.item() if isinstance(value, np.generic) else value)


@dataclass(frozen=True)
class Name:
    """Name of a Keras layer in code: a string, or an f-string with variables.

    Args:
        text: The string, with variables in braces; names have no other braces.
        varies: Whether there is a variable in it.
    """

    text: str = ""
    varies: bool = False

    def __add__(self, path: str) -> "Name":
        return Name(self.text + layer_name(path), self.varies)

    def with_variable(self, variable: str) -> "Name":
        """This name, continued by the value of a variable."""
        return Name(f"{self.text}{{{variable}}}", True)

    def __str__(self) -> str:
        if self.varies:
            return f"f{literal(self.text)}"
        return literal(self.text)
