"""The page: whole, self-contained, and safe with text of strangers."""

from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from made_runs import cnn, digits_results, made_result, made_run
from msgspec.structs import replace

from kscale.networks.families.base import Spec
from kscale.reports.drawings import plot_svg
from kscale.reports.html import report_html
from kscale.reports.plots import plot_data
from kscale.reports.rows import make_report

_EMPTY = {"meta", "br"}


class _Page(HTMLParser):
    """Tags and texts of a page; tags must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def digits_page() -> _Page:
    return _Page(report_html(make_report(made_run(), digits_results())))


def test_every_tag_of_the_page_is_closed() -> None:
    assert digits_page().open == []


def test_the_page_shows_answers_notes_table_and_plot() -> None:
    page = digits_page()
    text = " ".join(page.texts)
    assert "cnn depth=4 width=8: 4,466 params" in text
    assert "2 of 2 finalists are statistically tied" in text
    tags = [tag for tag, _ in page.tags]
    assert tags.count("svg") == 2  # the front, the law
    assert tags.count("table") == 5
    assert tags.count("tbody") == 5


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = digits_page()
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "href", "action"}
            assert "url(" not in (value or "")
    policies = [a.get("content") for t, a in page.tags if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_text_of_strangers_is_escaped_everywhere() -> None:
    evil = "<script>alert(1)</script>\"'&"
    run = made_run(set={"activation": evil}, search=["norm"])
    spec = Spec(
        evil, (("activation", evil), ("depth", 2), ("norm", evil), ("width", 8))
    )
    result = made_result(cnn(2, 8), 0.99)
    results = [
        *digits_results(),
        replace(result, spec=spec),
        made_result(cnn(2, 12), None, status="failed", reason=evil, seed=9),
        made_result(cnn(2, 12), None, status="failed", reason=evil, seed=10),
    ]
    report = make_report({**run, "data": {"name": evil, "validation": 9}}, results)
    page = _Page(report_html(report))
    assert page.open == []
    assert not any(tag == "script" for tag, _ in page.tags)
    assert evil in " ".join(page.texts)


@pytest.mark.parametrize("results", [[], digits_results()])
def test_a_fragment_is_one_element_for_a_notebook(results: list[object]) -> None:
    report = make_report(made_run(), results)  # type: ignore[arg-type]
    fragment = report_html(report, fragment=True)
    page = _Page(fragment)
    assert page.open == []
    assert page.tags[0][0] == "style"
    assert page.tags[1] == ("div", {"class": "kscale"})
    assert "<body" not in fragment
    rules = fragment.split("</style>")[0].split("<style>")[1]
    selectors = [line for line in rules.splitlines() if "{" in line]
    assert all(line.startswith(".kscale") for line in selectors)


def test_the_picture_is_well_formed_and_inside_its_frame() -> None:
    report = make_report(made_run(), digits_results())
    root = ElementTree.fromstring(plot_svg(plot_data(report)))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    dots = [dot for dot in root.iter("circle") if dot.attrib["fill"] != "none"]
    assert len(dots) == 6
    for circle in root.iter("circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height
    titles = [title.text or "" for title in root.iter("title")]
    assert "cnn 4 x 8: 4,466 params, 97.5" in titles
