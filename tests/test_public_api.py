"""The public names are complete, sorted, documented, and resolve."""

import inspect

import pytest

import kscale


def test_names_are_shown_as_they_are_imported() -> None:
    assert dir(kscale) == sorted({*kscale.__all__, "__version__"})
    assert {"tune", "Run", "KscaleError"} <= {*kscale.__all__}


@pytest.mark.parametrize("name", kscale.__all__)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(kscale, name)
    if callable(value):
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tunes'"):
        kscale.tunes  # noqa: B018
