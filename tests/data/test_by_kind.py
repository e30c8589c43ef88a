"""Records come back from JSON by their kind, or give an error of one line."""

from typing import Any

import pytest

from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.readers import ImageReader, reader_from_json
from kscale.errors import ResultsError

WRONG: dict[str, dict[str, Any]] = {
    "unknown kind": {"kind": "smells"},
    "no kind": {"name": "x"},
    "wrong type": {"kind": "images", "height": "tall"},
    "unknown choice": {"kind": "images", "resize": "shrink"},
}


def test_fields_that_are_missing_have_their_defaults() -> None:
    assert reader_from_json({"kind": "images", "height": 4}) == ImageReader(height=4)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_record_gives_an_error(case: str) -> None:
    with pytest.raises(ResultsError, match="^A reader of kind .* cannot be read: "):
        reader_from_json(WRONG[case])


def test_numbers_that_cannot_be_inverted_are_refused() -> None:
    scaled = {
        "kind": "scaled",
        "raw": {"name": "x", "shape": [2], "dtype": "float32"},
        "scaling": {"scale": [0.0], "offset": [1.0]},
    }
    with pytest.raises(ResultsError, match="finite and not 0"):
        preprocessings_from_json({"x": scaled})
