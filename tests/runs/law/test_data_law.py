"""A law of parameters and examples says which of them pays more."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kscale.cli.forecast import forecast
from kscale.errors import LawError
from kscale.runs.law.data_law import examples_table, on_most_examples
from kscale.runs.law.points import Point

SIZES = (1_000, 4_000, 16_000, 64_000, 256_000)
SHARES = (0.25, 0.5, 1.0)


def points(by_params: float, by_examples: float) -> list[Point]:
    """Errors of a law without noise."""
    return [
        Point(
            size,
            0.05 + by_params * size**-0.5 + by_examples * (1000 * share) ** -0.5,
            examples=round(1000 * share),
        )
        for size in SIZES
        for share in SHARES
    ]


def test_what_pays_more_is_named() -> None:
    data, params = (examples_table(points(*each)) for each in ((0.2, 2.0), (20.0, 0.1)))
    assert (data.better, params.better) == ("examples", "params")
    assert data.by_examples.low > data.by_params.high
    assert params.by_params.low > params.by_examples.high


def test_the_table_is_of_sizes_by_examples() -> None:
    table = examples_table(points(1.0, 2.0), times=2)
    assert [row[0].params for row in table.rows] == [256_000, 512_000, 1_024_000]
    assert [cell.examples for cell in table.rows[0]] == [250, 500, 1000, 2000]
    for row in table.rows:
        for cell in row:
            law = 0.05 + cell.params**-0.5 + 2.0 * cell.examples**-0.5
            assert cell.low <= law <= cell.high
            assert cell.predicted == pytest.approx(law, rel=0.05)


def test_too_little_or_too_far_is_refused() -> None:
    whole = on_most_examples(points(1.0, 2.0))
    assert {point.examples for point in whole} == {1000} and len(whole) == len(SIZES)
    with pytest.raises(LawError, match="there are 1 number and 5 sizes: kscale tune"):
        examples_table(whole)
    with pytest.raises(LawError, match="9x takes --beyond"):
        examples_table(points(1.0, 2.0), 9)
    with pytest.raises(LawError, match="more than 1x, not 0.5x"):
        examples_table(points(1.0, 2.0), 0.5)


def test_the_command_shows_the_table_and_the_sentence(tmp_path: Path) -> None:
    rows = [f"{p.size},{p.error},{p.examples}" for p in points(0.2, 2.0)]
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["params,error,examples", *rows]))
    found = CliRunner().invoke(forecast, [str(path), "--examples", "2x"])
    assert found.exit_code == 0, found.output
    assert "More data pays more: at 256,000 params and 1,000 examples" in found.output
    assert "2,000 examples" in found.output
