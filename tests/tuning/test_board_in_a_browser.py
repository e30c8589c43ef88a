"""A real browser shows the rows and numbers of a real run in each view of HParams."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tuning.boards import Board, board_on, small_run, trainings

from kscale import Run

selenium = pytest.importorskip("selenium", reason="needs pip install selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--window-size=1800,1000"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="needs Debian's packages chromium and chromium-driver",
    ),
]

HPARAMS = ("depth", "learning_rate", "params", "stage", "width")
METRICS = (
    *("score", "summary/density", "loss", "summary/seconds"),
    "summary/undertrained",
)
# TensorBoard is made of nested shadow trees, which no selector reaches into.
FIND = """
const [selector] = arguments;
const found = [];
(function walk(node) {
  if (node.matches && node.matches(selector)) found.push(node);
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
})(document.body);
return found;"""
TEXTS = """
const texts = [];
(function walk(node) {
  const text = node.nodeType === 3 ? node.textContent.trim() : "";
  if (text) texts.push(text);
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return;
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
})(arguments[0]);
return texts;"""
POINT = """
const [shape] = arguments;
const middle = shape.getPointAtLength(shape.getTotalLength() / 2);
const {x, y} = middle.matrixTransform(shape.getScreenCTM());
return [x, y];"""


class Browser:
    """Chromium on the HParams tab of a board.

    Args:
        driver: Selenium's driver.
        shots: Folder for what was seen.
    """

    def __init__(self, driver: Any, shots: Path) -> None:
        self.driver = driver
        self.shots = shots
        self.wait = WebDriverWait(driver, 60)

    def find(self, selector: str) -> list[Any]:
        """Elements, in whatever shadow tree they are."""
        return list(self.driver.execute_script(FIND, selector))

    def texts(self, selector: str) -> list[str]:
        """Pieces of text within the first element, in their order."""
        return list(self.driver.execute_script(TEXTS, self.find(selector)[0]))

    def open_view(self, number: int) -> None:
        """The table, the parallel coordinates or the scatter plots."""
        self.find("paper-tab")[number].click()

    def hover(self, shape: Any) -> None:
        """Bring the mouse to a point of an SVG shape."""
        x, y = self.driver.execute_script(POINT, shape)
        actions = webdriver.ActionChains(self.driver)
        actions.w3c_actions.pointer_action.move_to_location(int(x), int(y))
        actions.perform()

    def shoot(self, name: str) -> None:
        """Keep a picture of what is seen."""
        assert self.driver.save_screenshot(str(self.shots / f"{name}.png"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search with failed trainings."""
    return small_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def board(run: Run) -> Iterator[Board]:
    """`kscale board` on the run."""
    with board_on(run) as shown:
        yield shown


@pytest.fixture(scope="module")
def browser(
    board: Board, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Chromium with the rows of the board loaded."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    folder = tmp_path_factory.mktemp("browser")
    for flag in (*FLAGS.split(), f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        shown = Browser(driver, folder)
        driver.get(f"{board.address}#hparams")
        name = board.groups()[-1]["name"]
        shown.wait.until(lambda _: name in shown.texts("tf-hparams-main"))
        yield shown
    finally:
        driver.quit()


def number(value: float) -> str:
    """A number as TensorBoard writes it: five digits."""
    return f"{value:#.5g}".removesuffix(".")


def values_of(group: Any) -> dict[str, Any]:
    """What a row shows, by column; nothing for what it has not."""
    found = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    known = {**group["hparams"], **found}
    return {name: known[name] for name in (*HPARAMS, *METRICS) if name in known}


def row_of(group: Any) -> list[str]:
    """A row's cells as texts, blank ones left out."""
    values = values_of(group).values()
    return [group["name"], *(v if isinstance(v, str) else number(v) for v in values)]


def holds(texts: list[str], wanted: list[str]) -> bool:
    """Whether some texts follow each other."""
    starts = range(len(texts) - len(wanted) + 1)
    return any(texts[i : i + len(wanted)] == wanted for i in starts)


def complete(board: Board) -> list[Any]:
    """Groups with a value in every column: those that get a line."""
    columns = len(HPARAMS) + len(METRICS)
    return [group for group in board.groups() if len(values_of(group)) == columns]


def test_the_table_shows_every_row(run: Run, board: Board, browser: Browser) -> None:
    browser.open_view(0)
    browser.shoot("table")
    texts = browser.texts("tf-hparams-table-view")
    names = ["depth", "learning rate", "params", "stage", "width", "accuracy"]
    names += ["density", "training loss", "seconds", "undertrained"]
    assert holds(texts, names)
    groups = board.groups()
    assert sum(len(group["sessions"]) for group in groups) == len(trainings(run))
    for group in groups:
        assert holds(texts, row_of(group)), row_of(group)
    families = {group["hparams"]["family"] for group in groups}
    assert families == {"mlp", "linear", "majority"}
    assert any(group["name"].startswith("failed") for group in groups)


def test_parallel_coordinates_have_a_line_for_every_whole_row(
    board: Board, browser: Browser
) -> None:
    browser.open_view(1)
    browser.wait.until(lambda _: browser.find("g.foreground path"))
    groups = complete(board)
    assert len(browser.find("g.foreground path")) == len(groups) >= 2
    browser.hover(browser.find("g.foreground path")[0])
    view = "tf-hparams-parallel-coords-view"
    browser.wait.until(
        lambda _: any(holds(browser.texts(view), row_of(group)) for group in groups)
    )
    browser.shoot("parallel")


def test_scatter_plots_have_a_point_for_every_pair_of_values(
    board: Board, browser: Browser
) -> None:
    browser.open_view(2)
    browser.wait.until(lambda _: browser.find("circle.data-marker"))
    pairs = sum(
        len(values_of(group)) * len(values_of(group).keys() & set(METRICS))
        for group in board.groups()
    )
    assert len(browser.find("circle.data-marker")) == pairs
    browser.hover(browser.find("circle.data-marker")[0])
    view, groups = "tf-hparams-scatter-plot-matrix-view", board.groups()
    browser.wait.until(
        lambda _: any(holds(browser.texts(view), row_of(group)) for group in groups)
    )
    browser.shoot("scatter")


def test_the_time_series_list_the_runs_with_their_hyperparameters(
    run: Run, board: Board, browser: Browser
) -> None:
    browser.driver.get(f"{board.address}#timeseries")
    browser.wait.until(lambda _: browser.find("runs-data-table button.add-button"))
    browser.find("runs-data-table button.add-button")[0].click()
    chooser = "tb-data-table-column-selector-component button"
    browser.wait.until(lambda _: browser.find(chooser))
    for button in browser.find(chooser):
        if button.text.startswith("params"):
            button.click()
            break
    session, group = next(
        item for item in board.sessions().values() if "params" in item[1]["hparams"]
    )
    wanted = [session["name"], f"{int(group['hparams']['params']):,}"]
    browser.wait.until(lambda _: holds(browser.texts("runs-data-table"), wanted))
    browser.shoot("time_series")
