"""A search killed anywhere loses nothing, repeats nothing and answers the same."""

import json
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import asdict
from tuning import killed_search
from warm_python import WarmPython

from kscale.runs.folder import read_records
from kscale.runs.records import Measurement, Record, Training

FEW = [["epoch", 4], ["append", 3], ["checkpoint", 2], ["finalist", 2], ["written", 2]]
MANY = [
    *([kind, count] for count in (1, 2, 3, 2) for kind in ("epoch", "append")),
    *([kind, count] for count in (2, 3) for kind in ("checkpoint", "written")),
    # A training that is killed twice without getting further is given up, as it should
    # be: so kills by the clock alternate with kills that come after some progress.
    *([["seconds", 0.3], ["append", 1], ["seconds", 0.9], ["written", 2]]),
    *([["seconds", 1.7], ["append", 1], ["seconds", 2.6], ["epoch", 4]]),
    *([kind, 2] for kind in ("finalist", "append", "finalist", "checkpoint")),
    ["finalist", 3],
    ["append", 2],
]


def facts(record: Record) -> dict[str, object]:
    """What a record holds, but for its time and what is near, not equal."""
    near = ("seconds", "score", "stderr", "metrics", "metric_errors", "left_out")
    return {k: v for k, v in asdict(record).items() if k not in near}


def check_kills(
    python: WarmPython, tmp_path: Path, kills: list[list[object]], *settings: int
) -> None:
    """Kill a search; compare it with one that was not killed."""
    folders = [str(tmp_path / "whole"), str(tmp_path / "killed")]
    asked = json.dumps(dict(zip(folders, [[], kills], strict=True)))
    script = Path(killed_search.__file__).read_text()
    done = python.run_here(script, asked, *settings)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert ends == dict(zip(folders, [[0], [9] * len(kills) + [0]], strict=True))
    whole, survived = (read_records(Path(folder)) for folder in folders)
    assert list(map(facts, survived)) == list(map(facts, whole))
    for record, expected in zip(survived, whole, strict=True):
        if not isinstance(expected, Measurement):
            assert record.score == pytest.approx(expected.score, abs=1e-6)
    counts = Counter(item.key for item in survived if isinstance(item, Training))
    assert set(counts.values()) == {1}
    assert (tmp_path / "killed" / "models" / "recommended.keras").exists()


def test_a_search_killed_five_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    check_kills(warm_python, tmp_path, FEW, 4, 2)


@pytest.mark.slow
def test_a_search_killed_twenty_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    assert len(MANY) >= 20
    check_kills(warm_python, tmp_path, MANY, 30, 4)
