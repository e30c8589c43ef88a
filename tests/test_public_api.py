"""The public names are complete, sorted, documented, and resolve."""

import ast
import inspect

import pytest

import kscale


def test_what_type_checkers_see_is_what_is_imported() -> None:
    tree = ast.parse(inspect.getsource(kscale))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = [
        (alias.name, str(line.module).removeprefix("kscale."))
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    ]
    assert sorted(seen) == sorted(kscale._HOMES.items())
    assert dir(kscale) == sorted({*kscale.__all__, "__version__"})


@pytest.mark.parametrize("name", kscale.__all__)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(kscale, name)
    if callable(value):
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tunes'"):
        kscale.tunes  # noqa: B018
