"""Values are laid out as code that means the same, in lines as ruff has them."""

from typing import Any

import pytest

from kscale.building.code.layout import Code, literal, statement
from kscale.building.keras_calls import LayerName, Setting, call

TEXTS = [
    "plain",
    "it's",
    'a"b',
    "both ' and \"",
    "\\",
    "\\'",
    '\\"',
    "a\nb",
    "é",
    "{x}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_strangers_is_read_back_as_it_was(text: str) -> None:
    assert eval(literal(text)) == text
    assert eval(literal((text, text))) == (text, text)


@pytest.mark.parametrize("text", ["plain", "it's", "\\"])
def test_quotes_are_double_where_no_escape_is_needed(text: str) -> None:
    assert literal(text)[0] == literal(text)[-1] == '"'


def test_names_in_code_stay_names() -> None:
    named = call("layers.Add", name=Code('f"{block}.add"'))([Code("x"), Code("y")])
    assert literal(named) == 'layers.Add(name=f"{block}.add")([x, y])'
    assert literal(call("getitem", Code("x"), (slice(None), 0))) == "x[:, 0]"


def test_what_keras_chooses_is_left_out() -> None:
    made = call("layers.Dense", 3, use_bias=True, seed=Setting.SEED, name=LayerName())
    assert literal(made) == "layers.Dense(3)"
    pool = call("layers.MaxPooling2D", 3, strides=1)
    assert literal(pool) == "layers.MaxPooling2D(3, strides=1)"


def many(count: int) -> dict[str, Any]:
    return {f"argument_{n}": "twelve chars" for n in range(count)}


def test_lines_that_are_too_long_are_broken_at_brackets() -> None:
    given = [f'{name}="twelve chars"' for name in many(4)]
    assert statement("x = ", call("make", **many(2))(Code("x"))) == [
        f"x = make({', '.join(given[:2])})(x)"
    ]
    assert statement("x = ", call("make", **many(3))(Code("x"))) == [
        "x = make(",
        f"    {', '.join(given[:3])}",
        ")(x)",
    ]
    assert statement("x = ", call("make", **many(4))(Code("x"))) == [
        "x = make(",
        *(f"    {line}," for line in given),
        ")(x)",
    ]


def test_items_of_a_dict_have_a_line_each() -> None:
    assert statement("y = ", {"a": 1, "b": (2,)}) == [
        "y = {",
        '    "a": 1,',
        '    "b": (2,),',
        "}",
    ]


def test_a_long_header_is_broken() -> None:
    names = [Code(f"argument_{n}") for n in range(7)]
    short, long = call("block", names[0]), call("block", *names)
    assert statement("def ", short, end=":") == ["def block(argument_0):"]
    lines = ["def block(", f"    {', '.join(names)}", "):"]
    assert statement("def ", long, end=":") == lines
