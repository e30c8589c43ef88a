"""Figures of compressed networks, as people read them."""

import pytest

from kscale.reports.compression_tables import signed_difference, with_error
from kscale.runs.compressions import Difference
from kscale.task.heads import HEADS


@pytest.mark.parametrize(
    ("score", "error", "text"),
    [
        (57091.4, 1821.3, "57091 ± 1821"),
        (0.12344, 0.00251, "0.1234 ± 0.0025"),
        (12.5, 0.0, "12.5 ± 0"),
    ],
)
def test_real_scores_have_no_exponent(score: float, error: float, text: str) -> None:
    objective = HEADS["real"].objectives["root_mean_squared_error"]
    assert with_error(objective, score, error) == text
    assert signed_difference(objective, Difference(score, error)) == f"+{text}"
