"""The results file: what is written is read back, whatever happened in between."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES
from kscale.runs.folder import (
    FORMAT,
    RESULTS_FILE,
    RUN_FILE,
    RecordsWriter,
    read_records,
    read_run,
    write_atomically,
)
from kscale.runs.records import (
    Evaluation,
    Measurement,
    Record,
    Reference,
    Training,
    to_line,
)

DESCRIPTION: dict[str, Any] = {
    "format": FORMAT,
    "identity": {"data": "digits", "seed": 0, "budget": {"max_params": 1000}},
    "task": {"inputs": [], "targets": []},
    "data": {"name": "digits", "train": 3, "validation": 2, "test": 2},
}


SIZES: dict[str, Any] = {"params": 9, "trainable": 9, "flops": 18, "bytes": 36}


def made(score: float | None = 0.9, **changes: Any) -> Training:
    given: dict[str, Any] = {
        "key": "search-1",
        "stage": "search",
        "job": 3,
        "spec": FAMILIES["mlp"].spec(depth=2, width=16),
        "params": 659,
        "trainable": 600,
        "flops": 1248,
        "bytes": 2636,
        "learning_rate": 0.003,
        "score": score,
        "curve": {"loss": [1.5, 0.25], "score": [0.5, 0.9]},
    }
    return Training(**{**given, **changes})


def made_evaluation() -> Evaluation:
    return Evaluation(
        spec=made().spec,
        learning_rate=0.003,
        score=0.875,
        metrics={"y/r2_score": -3.5, "y/auc": 0.75},
        metric_errors={"y/auc": 0.01},
        confusion={"y": [[0, 1, 7], [1, 1, 12]]},
        left_out=[0.5, -0.25],
    )


def written(folder: Path, *records: Record) -> None:
    with RecordsWriter(folder, DESCRIPTION) as writer:
        for record in records:
            writer.append(record)


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    results = [made(), made(None, status="failed", reason="out of\nmemory \u2028 é")]
    written(tmp_path, *results)
    assert read_records(tmp_path) == results
    lines = (tmp_path / RESULTS_FILE).read_bytes().splitlines()
    assert len(lines) == 2


def test_metrics_and_confusions_are_read_back(tmp_path: Path) -> None:
    written(tmp_path, made_evaluation())
    assert read_records(tmp_path) == [made_evaluation()]


def test_records_of_every_kind_are_read_back(tmp_path: Path) -> None:
    spec = made().spec
    records = [
        Reference(name="present", model="a1", part="test", score=0.5, **SIZES),
        Measurement(spec=spec, latency_ms=2.5, latency_low=2.0, latency_high=3.0),
        made(),
        made_evaluation(),
    ]
    written(tmp_path, *records)
    assert read_records(tmp_path) == records
    assert records[-1].is_of(replace(made(), learning_rate=0.003))  # type: ignore


def test_a_folder_without_results_has_none(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []


def test_no_nan_or_infinity_is_written(tmp_path: Path) -> None:
    curve = {"loss": [1.0, math.nan], "score": [math.inf]}
    written(tmp_path, made(math.nan, stderr=-math.inf, curve=curve))
    text = (tmp_path / RESULTS_FILE).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    (result,) = read_records(tmp_path)
    assert (result.score, result.stderr) == (None, None)
    assert result.curve == {"loss": [1.0, None], "score": [None]}


@pytest.mark.parametrize(
    "damage",
    [
        b"[" * 100_000,
        *(b'{"stage":"sea', b"[1, 2]", b'"text"', b'{"stage":"search"}', b"\xff\xfe"),
        *(
            to_line(made()).strip().replace(right, wrong).encode()
            for right, wrong in (
                ('"params":659', '"params":"many"'),
                ('"params":659', '"params":659.5'),
                ('"score":0.9', '"score":[0.9]'),
                ('"stage":"search"', '"stage":"sought"'),
                ('"status":"ok"', '"status":"fine"'),
                ('"curve":{', '"curve":[],"other":{'),
                ('"undertrained":false', '"undertrained":0'),
                ('"params":659', '"params":-1'),
                ('"seconds":0.0', '"seconds":NaN'),
                ('"stderr":null', '"stderr":1e308'),
                ('"family":"mlp"', '"family":["mlp"]'),
                ('"family":"mlp"', '"family":"nofam"'),
                ('"depth":2', '"depth":"two"'),
                ('"depth":2', '"depth":null'),
                ('"curve":{"loss":[1.5', '"curve":{"loss":["1.5"'),
                ('"metrics":{}', '"metrics":[]'),
                ('"metrics":{}', '"metrics":{"auc":null}'),
                ('"type":"training"', '"type":"train"'),
                ('"key":"search-1"', '"key":1'),
            )
        ),
        *(
            to_line(made_evaluation()).strip().replace(right, wrong).encode()
            for right, wrong in (
                ('"metric_errors":{"y/auc":0.01', '"metric_errors":{"auc":"0"'),
                ('"confusion":{"y":[[0,1,7]', '"confusion":{"y":[[0,1]'),
                ('"confusion":{"y":[[0,1,7]', '"confusion":{"y":[[0,-1,2]'),
                ('"confusion":{"y":[[0,1,7],[1,1,12]]}', '"confusion":{"y":5}'),
                ('"left_out":[0.5', '"left_out":[null'),
                ('"left_out":[0.5,-0.25]', '"left_out":0.5'),
            )
        ),
    ],
)
def test_a_damaged_line_is_left_out_and_named_by_its_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    first, last = made(job=1), made(job=2)
    content = to_line(first).encode() + damage + b"\n" + to_line(last).encode()
    (tmp_path / RESULTS_FILE).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read_records(tmp_path) == [first, last]
    assert "line 2 is damaged" in caplog.text


def test_a_line_that_a_killed_process_left_half_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path, made(job=1))
    with (tmp_path / RESULTS_FILE).open("a") as file:
        file.write(to_line(made(job=2))[:40])
    written(tmp_path, made(job=3))
    with caplog.at_level(logging.WARNING):
        assert read_records(tmp_path) == [made(job=1), made(job=3)]
    assert "line 2 is damaged" in caplog.text


def test_a_result_without_room_is_not_written_in_part(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    with RecordsWriter(tmp_path, DESCRIPTION) as writer:
        writer.append(made())
        before = (tmp_path / RESULTS_FILE).read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
        try:
            with pytest.raises(ResultsError, match="cannot be written: File too large"):
                writer.append(made())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / RESULTS_FILE).read_bytes() == before
        writer.append(made(job=2))
    assert len(read_records(tmp_path)) == 2


def test_a_second_writer_is_refused_while_the_first_is_open(tmp_path: Path) -> None:
    with (
        RecordsWriter(tmp_path, DESCRIPTION),
        pytest.raises(ResultsError, match="in use by another kscale process"),
    ):
        RecordsWriter(tmp_path, DESCRIPTION)
    written(tmp_path, made())
    assert len(read_records(tmp_path)) == 1


def test_a_writer_in_another_process_is_refused_too(tmp_path: Path) -> None:
    program = (
        "import sys, json, pathlib\n"
        "from kscale.errors import ResultsError\n"
        "from kscale.runs.folder import RecordsWriter\n"
        "try:\n"
        "    RecordsWriter(pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]))\n"
        "except ResultsError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), json.dumps(DESCRIPTION)]
    with RecordsWriter(tmp_path, DESCRIPTION):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "in use by another kscale process" in done.stdout


def test_another_search_is_refused_with_what_differs(tmp_path: Path) -> None:
    written(tmp_path, made())
    identity = {**DESCRIPTION["identity"], "seed": 7}
    with pytest.raises(ResultsError, match="its seed is 0, not 7.*--run"):
        RecordsWriter(tmp_path, {**DESCRIPTION, "identity": identity})
    assert len(read_records(tmp_path)) == 1


def test_a_refused_writer_does_not_keep_the_folder(tmp_path: Path) -> None:
    written(tmp_path, made())
    with pytest.raises(ResultsError):
        RecordsWriter(tmp_path, {**DESCRIPTION, "identity": {}})
    written(tmp_path, made())
    assert len(read_records(tmp_path)) == 2


def test_results_without_a_description_are_refused(tmp_path: Path) -> None:
    (tmp_path / RESULTS_FILE).write_text(to_line(made()))
    with pytest.raises(ResultsError, match="has results but no run.json"):
        RecordsWriter(tmp_path, DESCRIPTION)


def test_a_description_is_read_back_with_its_sessions(tmp_path: Path) -> None:
    with RecordsWriter(tmp_path, DESCRIPTION) as writer:
        writer.add_session({"trials": 20})
        writer.add_session({"trials": 5})
    run = read_run(tmp_path)
    assert run == {**DESCRIPTION, "sessions": [{"trials": 20}, {"trials": 5}]}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"identity": {}}'])
def test_a_damaged_description_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(ResultsError, match="run.json"):
        read_run(tmp_path)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is no run folder: it has no run.json"):
        read_run(tmp_path)


def test_writing_atomically_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tuner").mkdir()
    (tmp_path / "tuner" / "mine.txt").write_text("precious")
    with pytest.raises(ResultsError, match="no run folder and holds 'tuner'"):
        RecordsWriter(tmp_path, DESCRIPTION)
    assert [path.name for path in tmp_path.iterdir()] == ["tuner"]


def test_a_folder_that_a_killed_search_had_just_made_is_taken(tmp_path: Path) -> None:
    (tmp_path / RESULTS_FILE).touch()
    (tmp_path / ".run.json.17.partial").write_text("{")
    written(tmp_path, made())
    assert read_records(tmp_path) == [made()]


def test_a_folder_with_a_damaged_description_gets_no_results_file(
    tmp_path: Path,
) -> None:
    (tmp_path / RUN_FILE).write_text("{")
    with pytest.raises(ResultsError, match="run.json cannot be read: it is damaged.$"):
        RecordsWriter(tmp_path, DESCRIPTION)
    assert not (tmp_path / RESULTS_FILE).exists()


@pytest.mark.parametrize("name", ["file/run", "x" * 300, "nul\0"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="cannot be written") as caught:
        RecordsWriter(tmp_path / name, DESCRIPTION)
    assert "\n" not in str(caught.value)


def test_results_that_are_a_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / RESULTS_FILE).mkdir()
    with pytest.raises(ResultsError, match="cannot be read"):
        read_records(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    content = {**DESCRIPTION, "format": 99}
    (tmp_path / RUN_FILE).write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="format 99, and this kscale reads 2 and 3"):
        read_run(tmp_path)


def test_another_limit_is_named_alone(tmp_path: Path) -> None:
    written(tmp_path)
    asked = {**DESCRIPTION["identity"], "budget": {"max_params": 2000}}
    with pytest.raises(ResultsError, match="its max_params is 1000, not 2000"):
        RecordsWriter(tmp_path, {**DESCRIPTION, "identity": asked})
