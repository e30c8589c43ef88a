"""TensorBoard's own HTTP API answers what results.jsonl says of a real run."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from tensorboard.plugins.hparams import metadata
from tuning.boards import SMALL, Board, board_on, small_run, trainings
from tuning.made_data import digits
from tuning.made_models import functional

from kscale import FAMILIES, Reference, Run, Spec, Training, tune
from kscale.cli import main
from kscale.reports.hparams import experiment_summary, session_values
from kscale.reports.measures import density
from kscale.runs.folder import RecordsWriter
from kscale.runs.records import training_key
from kscale.searches import plan_search

DENSITY, TEST = "summary/density", "summary/test_score"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search with failed trainings, killed while it wrote a log."""
    found = small_run(tmp_path_factory.mktemp("runs") / "small")
    session = next((found.folder / "logs").glob("finalist-*/*.training"))
    shutil.copy(session, session.with_name("1234.partial"))
    return found


@pytest.fixture(scope="module")
def board(run: Run) -> Iterator[Board]:
    """`kscale board` on the run."""
    with board_on(run) as shown:
        yield shown


def name_of(run: Run, result: Training | Reference) -> str:
    """The session of a result: the only one of its stage and seed."""
    names = [path.name for path in (run.folder / "logs").iterdir() if path.is_dir()]
    (name,) = [
        name
        for name in names
        if name.startswith(f"{result.stage}-{result.family}")
        and f"-seed{result.seed}-" in name
    ]
    return name


def single(value: float) -> float:
    """A number as TensorBoard keeps it: in 32 bits."""
    return float(np.float32(value))


def metrics(item: Any) -> dict[str, float]:
    """Values of a session or a group by tag."""
    return {value["name"]["tag"]: value["value"] for value in item["metricValues"]}


def test_every_training_is_one_session_with_its_numbers(run: Run, board: Board) -> None:
    sessions = board.sessions()
    assert len(sessions) == len(trainings(run)) == 10
    for result in trainings(run):
        session, group = sessions[name_of(run, result)]
        assert group["hparams"] == session_values(result)
        expected = {"failed": "STATUS_FAILURE", "ok": "STATUS_SUCCESS"}
        assert session["status"] == expected[result.status]
        found = metrics(session)
        assert found.get("score") == (
            None if result.score is None else single(result.score)
        )
        if result.status == "ok" and result.learning_rate is not None:
            for size in ("params", "trainable", "flops", "bytes"):
                assert group["hparams"][size] == getattr(result, size)
            for name, value in (*result.knobs.items(), ("epochs", 2)):
                assert group["hparams"][name] == value
            assert group["hparams"]["learning_rate"] == result.learning_rate
            assert found["summary/seconds"] == single(result.seconds)
            assert found["summary/undertrained"] == result.undertrained


def test_density_is_points_above_the_majority_class_per_million(
    run: Run, board: Board
) -> None:
    majority = run.references[0]
    sessions = board.sessions()
    trained = [r for r in trainings(run) if r.params and r.score is not None]
    assert len(trained) == 6
    for result in trained:
        assert result.score is not None and majority.score is not None
        points = 100 * (result.score - majority.score) / (result.params / 1e6)
        exact = density(run.objective, result.score, majority.score, result.params)
        assert exact == pytest.approx(points)
        found = metrics(sessions[name_of(run, result)][0])
        assert exact is not None and found[DENSITY] == single(exact)


def test_further_metrics_are_columns_of_the_table(run: Run, board: Board) -> None:
    sessions = board.sessions()
    for result in trainings(run):
        found = metrics(sessions[name_of(run, result)][0])
        assert ("metrics/recall" in found) == (result.score is not None)
        for name in result.metrics.keys() - {"accuracy"}:
            assert found[f"metrics/{name}"] == single(result.metrics[name])


def test_seeds_of_one_spec_and_learning_rate_are_one_group(
    run: Run, board: Board
) -> None:
    expected: dict[Any, list[Training | Reference]] = {}
    for result in trainings(run):
        key = (result.stage, result.label, result.learning_rate, result.status)
        expected.setdefault(key, []).append(result)
    groups = board.groups()
    assert len({group["name"] for group in groups}) == len(groups) == len(expected)
    names = {
        frozenset(session["name"] for session in group["sessions"]): group
        for group in groups
    }
    for results in expected.values():
        group = names[frozenset(name_of(run, result) for result in results)]
        scores = [single(r.score) for r in results if r.score is not None]
        if scores:
            assert metrics(group)["score"] == fmean(scores)
    assert sorted(len(group["sessions"]) for group in groups).count(2) == 2


def test_failed_trainings_are_sessions_with_their_reason(
    run: Run, board: Board
) -> None:
    failed = [r for r in trainings(run) if r.status == "failed"]
    assert len(failed) == 3
    groups = board.groups(statuses="FAILURE")
    names = [session["name"] for group in groups for session in group["sessions"]]
    assert sorted(names) == sorted(name_of(run, result) for result in failed)
    for group in groups:
        assert group["hparams"]["status"] == "failed"
        assert group["hparams"]["reason"] == "memory ran out: the device gave up"
        assert group["name"].startswith("failed mlp ")
        assert group["metricValues"] == []
    filtered = board.groups({"hparam": "status", "filterDiscrete": ["failed"]})
    assert [group["name"] for group in filtered] == [group["name"] for group in groups]


def test_rows_are_filtered_by_an_interval_of_params(run: Run, board: Board) -> None:
    sizes = sorted({r.params for r in trainings(run) if r.params})
    low, high = sizes[0], sizes[-2]
    column = {
        "hparam": "params",
        "filterInterval": {"minValue": low, "maxValue": high},
        "excludeMissingValues": True,
    }
    found = {s["name"] for group in board.groups(column) for s in group["sessions"]}
    inside = [r for r in trainings(run) if low <= r.params <= high]
    assert found == {name_of(run, result) for result in inside}
    assert 0 < len(found) < len(trainings(run)) - 1


def test_rows_are_filtered_by_stage(run: Run, board: Board) -> None:
    column = {"hparam": "stage", "filterDiscrete": ["baseline"]}
    families = {group["hparams"]["family"] for group in board.groups(column)}
    assert families == {"linear", "majority"}


@pytest.mark.parametrize(("order", "sign"), [("ORDER_DESC", 1), ("ORDER_ASC", -1)])
def test_rows_are_sorted_by_score(board: Board, order: str, sign: int) -> None:
    groups = board.groups({"metric": {"tag": "score"}, "order": order})
    scores = [metrics(group).get("score") for group in groups]
    known = [score for score in scores if score is not None]
    assert len(known) >= 4 and scores[: len(known)] == known
    assert all(sign * left >= sign * right for left, right in pairwise(known))


def test_scalars_have_one_point_an_epoch(run: Run, board: Board) -> None:
    for result in trainings(run):
        if result.status == "failed" or result.learning_rate is None:
            continue
        name = name_of(run, result)
        loss = [[i + 1, single(v)] for i, v in enumerate(result.curve["loss"])]
        assert board.points(name, "loss") == loss and len(loss) == 2
        first, last = result.curve["score"][0], result.score or 0.0
        score = [[1, single(first)], [2, single(last)]]
        assert board.points(name, "score") == score


def test_a_test_score_is_a_metric_of_the_training_it_is_of(
    run: Run, board: Board
) -> None:
    tested = {(r.spec.label, r.learning_rate, r.seed): r.score for r in run.evaluations}
    tested[("majority", None, 0)] = run.references[1].score
    assert len(tested) >= 3
    sessions = board.sessions()
    for result in trainings(run):
        found = metrics(sessions[name_of(run, result)][0]).get(TEST)
        score = tested.get((result.label, result.learning_rate, result.seed))
        assert found == (None if score is None else single(score))


def test_columns_have_names_and_the_values_of_the_space(run: Run, board: Board) -> None:
    found = board.post("experiment")
    columns = {info["name"]: info for info in found["hparamInfos"]}
    first = ["depth", "learning_rate", "params", "stage", "width"]
    assert [info["name"] for info in found["hparamInfos"]][:5] == first
    assert columns["flops"]["displayName"] == "FLOPs"
    family = FAMILIES["mlp"]
    for name in ("depth", "width", "dropout", "learning_rate"):
        values = family.knob(name).values
        low, high = float(min(values)), float(max(values))
        interval = {"minValue": low, "maxValue": high}
        assert columns[name]["domainInterval"] == interval
    stages = ["baseline", "finalist", "search", "subset"]
    assert columns["stage"]["domainDiscrete"] == stages
    assert columns["family"]["domainDiscrete"] == ["linear", "majority", "mlp"]
    largest = columns["params"]["domainInterval"]["maxValue"]
    assert max(r.params for r in trainings(run)) <= largest <= 1000
    names = [info["displayName"] for info in found["metricInfos"]]
    assert names[:2] == ["accuracy", "density"] and names[-1] == "test accuracy"
    for result in trainings(run):
        assert session_values(result).keys() <= columns.keys()


def event_files(folder: Path) -> dict[str, bytes]:
    """Everything that TensorBoard reads of a run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*tfevents*"))
    }


def test_a_resumed_search_doubles_nothing_and_adds_what_is_new(
    run: Run, tmp_path: Path
) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "run")
    written = event_files(folder)
    lost = next(name for name in written if "search-" in name)
    (folder / lost).unlink()  # as if the search was killed before it wrote this one
    again = tune(digits(), run=folder, **SMALL)
    assert again.results == run.results
    before = event_files(folder)
    assert before.keys() == written.keys()
    assert {**before, lost: b""} == {**written, lost: b""}
    grown = tune(digits(), run=folder, **{**SMALL, "trials": 4})
    after = event_files(folder)
    assert {name: after[name] for name in before} == before
    assert len(trainings(grown)) >= len(trainings(run)) + 2
    with board_on(grown) as board:
        sessions = board.sessions()
        assert len(sessions) == len(trainings(grown))
        for result in trainings(run):
            if result.status == "ok" and result.learning_rate is not None:
                assert len(board.points(name_of(grown, result), "score")) == 2


def test_logs_of_a_run_made_before_are_written_without_tensorflow(
    run: Run, board: Board, tmp_path: Path
) -> None:
    """The results alone give the same sessions and numbers."""
    (tmp_path / "old").mkdir()
    for name in ("run.json", "results.jsonl"):
        shutil.copy(run.folder / name, tmp_path / "old" / name)
    script = (
        "import sys; from kscale import Run\n"
        f"print(Run({str(tmp_path / 'old')!r}).write_logs())\n"
        "assert not {'tensorflow', 'keras'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with board_on(Run(tmp_path / "old")) as old:
        assert old.groups() == board.groups()


def described(tmp_path: Path, present: Any = None, **asked: Any) -> Run:
    """The run of a search that has not begun."""
    plan = plan_search(**asked)
    about = {} if present is None else {"baseline": present}
    with RecordsWriter(tmp_path / "run", {**plan.description(), **about}):
        pass
    return Run(tmp_path / "run")


def infos_of(run: Run) -> tuple[dict[str, Any], list[str]]:
    """Hyperparameters by name, and names of metrics, as TensorBoard reads them."""
    content = experiment_summary(run, 0.0).value[0].metadata.plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    infos = {info.name: info for info in experiment.hparam_infos}
    return infos, [metric.name.tag for metric in experiment.metric_infos]


def test_families_of_one_run_share_the_columns_of_their_knobs(tmp_path: Path) -> None:
    run = described(tmp_path, data=digits(), max_params=9000, family=("mlp", "cnn"))
    infos, _ = infos_of(run)
    families = [FAMILIES[name] for name in ("mlp", "cnn", "linear")]
    specs = [family.spec() for family in families]
    assert infos.keys() >= {name for spec in specs for name, _ in spec.knobs}
    widths = [max(family.knob("width").values) for family in families[:2]]
    assert infos["width"].domain_interval.max_value == max(widths)
    shown = {name for name, info in infos.items() if info.differs}
    assert shown == {"depth", "width", "learning_rate", "params", "family"}


def test_a_language_model_has_no_columns_of_a_linear_baseline(tmp_path: Path) -> None:
    words = ("one", "two", "three", "four", "five")
    texts = [" ".join((*words[n % 5 :], *words[: n % 3])) + "." for n in range(60)]
    (tmp_path / "said.txt").write_text("\n".join(texts))
    run = described(tmp_path, data=str(tmp_path / "said.txt"), max_params=10**6)
    infos, _ = infos_of(run)
    assert infos.keys() >= {"depth", "width", "tied"} and "vocabulary" not in infos


def test_knobs_have_the_values_that_were_trained_beside_those_of_a_search(
    run: Run,
) -> None:
    values = infos_of(run)[0]["norm"].domain_discrete.values
    assert [item.string_value for item in values] == ["batch"]
    others = [replace(t, spec=t.spec.with_knobs(norm="layer")) for t in run.trainings]
    values = infos_of(Run(run.folder, others))[0]["norm"].domain_discrete.values
    assert {item.string_value for item in values} == {"batch", "layer"}


@pytest.mark.parametrize("searched", ["family", "hypermodel"])
def test_sizes_reach_up_to_that_of_a_present_model(
    tmp_path: Path, searched: str
) -> None:
    made = {"family": {"family": "mlp"}, "hypermodel": {"hypermodel": functional}}
    size = {"params": 123_456, "flops": 7_000_000}
    asked = {"data": digits(), "max_params": 9000, "max_flops": 10**6}
    infos, _ = infos_of(described(tmp_path, size, **asked, **made[searched]))
    for name, largest in size.items():
        assert infos[name].domain_interval.max_value == largest


def test_a_knob_is_of_one_type_in_every_family() -> None:
    """Otherwise the families of one run could not share its column."""
    types: dict[str, set[type]] = {}
    for family in FAMILIES.values():
        for knob in (*family.all_knobs.values(), family.learning_rate):
            found = {type(value) for value in (knob.default, *knob.values)}
            types.setdefault(knob.name, set()).update(found)
    mixed = {name: found for name, found in types.items() if len(found) > 1}
    assert all(found == {int, float} for found in mixed.values())


def test_a_regression_has_no_density(tmp_path: Path) -> None:
    _, metrics_found = infos_of(described(tmp_path, data="diabetes", max_params=500))
    assert DENSITY not in metrics_found and TEST in metrics_found


def test_a_run_from_a_stranger_writes_below_its_logs_only(tmp_path: Path) -> None:
    run = described(tmp_path, data=digits(), max_params=9000)
    evil = Spec("../../../evil", ())
    result = Training(
        key=training_key("search", evil, 0.1, 0, 1),
        stage="search",
        job=0,
        spec=evil,
        params=1,
        trainable=1,
        flops=1,
        bytes=1,
        learning_rate=0.1,
        epochs=1,
    )
    Run(run.folder, [result]).write_logs()
    (name,) = [path.name for path in (run.folder / "logs").iterdir() if path.is_dir()]
    assert name.startswith("search--evil-seed0-")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_board_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["board", str(tmp_path)])
    assert done.exit_code == 1
    assert f"Error: {tmp_path} is no run folder" in done.stderr


def test_board_refuses_a_port_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "kscale", "board", str(run.folder), "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: TensorBoard cannot listen on port {port}; choose another with --port, "
        "or leave it out.\n"
    )
