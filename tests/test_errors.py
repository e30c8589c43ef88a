"""One tree of errors, and the sentence for a name that nobody knows."""

import pytest

from kscale import errors
from kscale.errors import KscaleError, unknown_name


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("SpecError", ValueError),
        ("BudgetError", ValueError),
        ("DataError", ValueError),
        ("TrialError", RuntimeError),
        ("ResultsError", ValueError),
        ("ExportError", RuntimeError),
        ("MissingPackageError", ImportError),
    ],
)
def test_errors_are_kscales_and_pythons(name: str, base: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), (KscaleError))
    assert issubclass(getattr(errors, name), base)
    assert name in (errors.__doc__ or "")


def test_an_unknown_name_gets_the_nearest_in_any_case() -> None:
    text = unknown_name("network", "vgg-61", ["VGG16", "BERT-base"])
    assert text == (
        "Unknown network 'vgg-61'. Did you mean 'VGG16'? Known: BERT-base, VGG16."
    )


def test_a_name_near_to_none_gets_the_list_alone() -> None:
    assert unknown_name("x", "zzz", ["b", "a"]) == "Unknown x 'zzz'. Known: a, b."
