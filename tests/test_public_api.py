"""The public names are complete, sorted, documented, and resolve."""

import inspect

import pytest

import kscale


def test_all_is_complete_and_sorted() -> None:
    assert set(kscale.__all__) == set(kscale._HOMES)
    constants = [name for name in kscale.__all__ if name.isupper()]
    others = [name for name in kscale.__all__ if not name.isupper()]
    assert kscale.__all__ == sorted(constants) + sorted(others)
    assert dir(kscale) == sorted({*kscale.__all__, "__version__"})


@pytest.mark.parametrize("name", kscale.__all__)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(kscale, name)
    if callable(value):
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tunes'"):
        kscale.tunes  # noqa: B018
