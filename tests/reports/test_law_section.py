"""Every report says what more parameters would buy, or why that is not known."""

import json
from functools import cache
from pathlib import Path

import pytest
from made_runs import cnn, digits_results, linear, made_result, made_run

from kscale.errors import ResultsError
from kscale.reports.forecast import Forecast, forecast
from kscale.reports.html import report_html
from kscale.reports.law_section import TITLE, law_plot, law_texts, write_plot
from kscale.reports.report import Report
from kscale.reports.rows import make_report
from kscale.reports.run_tables import report_json, report_markdown, report_text

SIZES = (300, 1000, 3000, 10_000)


@cache
def report_of(*sizes: int) -> Report:
    """A report on cnns whose accuracy rises with their size."""
    trained = [
        made_result(cnn(depth, 8), 1 - 2 * size**-0.5, params=size)
        for depth, size in enumerate(sizes, start=1)
    ]
    return make_report(made_run(), [linear(0.8), *trained])


def law_of(*sizes: int) -> Forecast:
    law = report_of(*sizes).law
    assert isinstance(law, Forecast)
    return law


def test_a_report_shows_the_largest_size_and_larger_ones() -> None:
    text, markdown = (
        report_text(report_of(*SIZES), 120),
        report_markdown(report_of(*SIZES)),
    )
    assert f"\n{TITLE}:\n" in text and f"**{TITLE}**" in markdown
    for size in ("10,000", "20,000", "40,000"):
        assert f"\n{size} " in text and f"| {size} |" in markdown
    assert "Doubling 10k params: from 98." in text and "Doubling 10k" in markdown


def test_the_law_is_plain_data_in_shares() -> None:
    found = json.loads(json.dumps(report_json(report_of(*SIZES))))
    assert found["why_no_law"] == ""
    sizes = [each["params"] for each in found["law"]["predictions"]]
    assert sizes == [10_000, 20_000, 40_000]
    assert found["law"]["points"][0]["params"] == 300
    assert all(0.97 < each["predicted"] < 1 for each in found["law"]["predictions"])


def test_the_page_draws_the_law() -> None:
    page = report_html(report_of(*SIZES))
    assert page.count("<svg") == 2 and page.count("<polygon") == 1
    assert "trusted to 40k" in page and f"<h2>{TITLE}</h2>" in page


def test_the_plot_has_the_law_its_band_and_what_was_trained() -> None:
    data = law_plot(law_of(*SIZES))
    assert [point.params for point in data.points] == [*SIZES]
    assert data.points[0].score == pytest.approx(100 - 200 * 300**-0.5)
    assert [end for end, _ in data.ends] == [40_000] == [data.line[-1][0]]
    sizes = [params for params, _ in data.line]
    assert sizes == [params for params, _, _ in data.band] and sizes == sorted(sizes)
    for (_, value), (_, low, high) in zip(data.line, data.band, strict=True):
        assert low <= value <= high
    assert data.y_range[0] < min(point.score for point in data.points)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_law_of_a_table_is_drawn(tmp_path: Path, suffix: str) -> None:
    found = forecast({"params": SIZES, "loss": [1.0, 0.5, 0.3, 0.2]})
    path = tmp_path / f"law{suffix}"
    write_plot(found, path)
    start = path.read_bytes()[:200]
    assert b"PNG" in start if suffix == ".png" else b"<?xml" in start
    with pytest.raises(ResultsError, match=r"not as 'law\.pdf'"):
        write_plot(found, tmp_path / "law.pdf")


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((), "there are 0 sizes trained in full."),
        ((1000,), "there is 1 size trained in full"),
        ((300, 1000, 3000), "3 sizes trained in full (300 to 3k params)."),
        ((300, 500, 1000, 2900), "4 sizes trained in full (300 to 2.9k params)."),
    ],
)
def test_too_few_or_too_near_sizes_are_said_in_one_line(
    sizes: tuple[int, ...], says: str
) -> None:
    report = report_of(*sizes)
    (line,) = law_texts(report)
    assert line.startswith("No law of size: ") and says in line
    text, found = report_text(report, 200), report_json(report)
    assert line in text and TITLE not in text and line in report_html(report)
    assert (found["law"], found["why_no_law"]) == (None, line)


def test_a_law_is_doubled_at_the_recommended_size() -> None:
    report = make_report(made_run(), digits_results())
    assert report.recommended is not None and isinstance(report.law, Forecast)
    assert report.law.doubled[0].size == report.recommended.params
