"""A folder of format 2, written by an earlier version, is read as it was then."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kscale import Run
from kscale.runs.folder import read_records, read_run
from kscale.runs.records import Evaluation, Reference, Training

FOLDER = Path(__file__).parent.parent / "golden" / "format_2"
"""A search of mlp on digits beside a present model, which was trained anew as well:
`kscale tune --max-params 3k --trials 3 --finalist-seeds 2 --epochs 6`."""


def test_a_run_of_format_2_is_reported_as_then(golden: Callable[[str], None]) -> None:
    golden(Run(FOLDER).to_text(all_rows=True))


def test_every_line_of_format_2_is_a_record_of_a_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = read_records(FOLDER)
    assert not caplog.records
    assert [type(item) for item in records].count(Training) == 8
    assert [type(item) for item in records].count(Evaluation) == 2
    names = [(r.name, r.part) for r in records if isinstance(r, Reference)]
    assert names == [
        (name, part)
        for name in ("majority", "present", "retrained")
        for part in ("validation", "test")
    ]
    digest = read_run(FOLDER)["baseline"]["digest"]
    models = {r.name: r.model for r in records if isinstance(r, Reference)}
    assert models == {"majority": "", "present": digest, "retrained": digest}


def test_logs_of_format_2_are_not_written_twice(tmp_path: Path) -> None:
    """The names of sessions are those of the version that wrote the folder."""
    folder = shutil.copytree(FOLDER, tmp_path / "run")
    names = {path.name for path in Run(folder).write_logs().iterdir() if path.is_dir()}
    assert names == {
        "baseline-linear-seed433613256-75b8e6ac",
        "baseline-majority-seed0-afaa4ae4",
        "baseline-present-seed0-3a6a0d77",
        "baseline-retrained-seed816844984-2a45e01f",
        "finalist-linear-seed1446595495-a08f7951",
        "finalist-linear-seed964494998-9c617590",
        "finalist-mlp-2x16-seed2044646693-1156ee33",
        "finalist-mlp-2x16-seed254030143-ad433d84",
        "search-mlp-1x24-seed1809669412-f14d3ab4",
        "search-mlp-2x16-seed661064630-ba2aa689",
        "search-mlp-2x24-seed129826594-1d867a7c",
    }
