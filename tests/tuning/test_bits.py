"""A search whose answer is a network with its bits."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kscale import Run, tune
from kscale.data.loading import load_dataset
from kscale.errors import SpecError
from kscale.runs.entries import rounded_of
from kscale.runs.stored_bits import METHOD_OF_BITS
from kscale.searches import plan_search

ASKED: dict[str, Any] = {
    "max_bytes": 3000,
    "bits": "auto",
    "family": "mlp",
    "trials": 3,
    "epochs": 2,
    "batch_size": 128,
    "finalist_seeds": 1,
    "most_finalists": 3,
}


LIMIT: dict[str, Any] = {"max_bytes": 9000}


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tune("digits", **ASKED, run=tmp_path_factory.mktemp("runs") / "bits")


def test_finalists_are_scored_in_all_bits_that_fit(stored_run: Run) -> None:
    rounded = rounded_of(stored_run.results, "validation")
    finals = [t for t in stored_run.trainings if t.stage == "finalist"]
    for training in finals:
        scored = [r.bits for r in rounded if r.training == training.key]
        assert scored == [b for b in (32, 16, 8, 4) if training.params * b <= 24_000]
    assert {r.training for r in rounded} >= {training.key for training in finals}
    wide = [training for training in finals if training.bytes > 3000]
    assert wide, "no network needs fewer bits"
    # What is in float32 scores as it was trained.
    trained = {training.key: training.score for training in finals}
    for record in rounded:
        if record.bits == 32 and record.training in trained:
            assert record.score == trained[record.training]


def test_the_answer_is_a_network_with_its_bits(stored_run: Run) -> None:
    best = stored_run.best()
    assert best.bytes <= 3000
    assert best.bytes == -(-best.params * best.bits // 8)
    found = stored_run.to_json()
    assert found["budget"]["bits"] == [32, 16, 8, 4]
    assert (found["best"]["bits"], found["best"]["bytes"]) == (best.bits, best.bytes)
    assert [each["bits"] for each in found["by_bits"]] == [32, 16, 8, 4]
    assert found["best"]["test_score"] is not None
    text = stored_run.to_text()
    assert "Which bits of weights win" in text
    assert f"in {best.bits} bits" in text
    assert f"bits of the best: {best.bits}, " in text
    assert "bytes are of the weights alone" in text
    told = [note.text for note in stored_run.report().notes if note.is_decisive]
    is_told = any("max_bytes is of weights alone" in note for note in told)
    assert is_told == (best.bits != 32)
    assert ",bits," in stored_run.to_text("csv").splitlines()[0]
    assert "bits" in stored_run._repr_html_()


def test_the_model_that_ships_scores_as_its_bits_do(stored_run: Run) -> None:
    data = load_dataset("digits")
    raw = data.validation.inputs["x"][:]
    scaled = data.input_scaling["x"].invert(raw)
    best = stored_run.best()
    given = stored_run.load_model("best").predict(scaled, verbose=0)
    given = next(v for n, v in given.items() if n == "label")
    right = np.argmax(given, axis=-1) == data.validation.targets["label"]
    scores = [training.score for training in best.results]
    assert np.mean(right) == pytest.approx(max(s for s in scores if s), abs=1e-6)


def test_nothing_is_scored_again(stored_run: Run) -> None:
    again = tune("digits", **ASKED, run=stored_run.folder)
    assert len(again.results) == len(stored_run.results)


IDS = np.random.default_rng(0).integers(1, 9, (60, 5))
TEXT = (IDS, IDS[:, 0] > 4)


@pytest.mark.parametrize(
    ("data", "asked", "said"),
    [
        ("text", {"bits": 4}, "Embeddings of texts and tokens"),
        ("text", {"bits": 16}, "Embeddings of texts and tokens"),
        (
            "digits",
            {"bits": 4, "family": "mobilenet"},
            "as mobilenet has, stay float",
        ),
        (
            "digits",
            {"bits": 4, "family": ["mlp", "mobilenet"]},
            "as mobilenet has",
        ),
    ],
)
def test_bits_that_most_weights_would_not_have_are_refused(
    data: str, asked: dict[str, Any], said: str
) -> None:
    source = TEXT if data == "text" else data
    with pytest.raises(SpecError, match=said):
        plan_search(source, **LIMIT, **asked)


@pytest.mark.parametrize(
    ("data", "family", "bits"),
    [
        (TEXT, "auto", (32, 8)),
        ("digits", ["mlp", "mobilenet"], (32, 16, 8)),
        ("digits", "mlp", (32, 16, 8, 4)),
    ],
)
def test_bits_that_are_left_open_are_those_that_most_weights_may_have(
    data: Any, family: Any, bits: tuple[int, ...]
) -> None:
    found = plan_search(data, **LIMIT, bits="auto", family=family)
    assert found.budget.bits == bits


@pytest.mark.parametrize("family", ["mlp", "mobilenet"])
def test_bits_that_all_weights_have_are_not_refused(family: str) -> None:
    bits = 4 if family == "mlp" else 8
    found = plan_search("digits", **LIMIT, bits=bits, family=family)
    assert str(found.budget) == f"max_bytes=9 kB, weights in {bits} bits"


def test_an_export_says_that_the_answer_has_fewer_bits(
    stored_run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(shutil.copytree(stored_run.folder, tmp_path / "run"))
    best = run.best()
    method = METHOD_OF_BITS[best.bits]
    run.export(tmp_path / "best.keras", which="best")
    command = f"kscale compress {run.folder} --model best --method {method}"
    assert (command in caplog.text) == (best.bits != 32)
    assert best.bits != 32, "the search found nothing to warn of"
