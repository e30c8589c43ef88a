"""Networks that translate, from sentence pairs to texts, scores and files."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kscale
from kscale.cli import main
from kscale.errors import DataError
from kscale.run import Run

WORDS = ["ab", "cde", "fg", "hij", "kl", "mno", "pq", "rst", "uv", "wxy"]
FILES = ("train.tsv", "validation.tsv", "test.tsv")


def sentences(count: int, seed: int = 0, words: list[str] = WORDS) -> list[str]:
    """Lines of random words, and of the same words backwards in capitals."""
    rng = np.random.default_rng(seed)
    lines = ["en\tde"]
    for _ in range(count):
        chosen = rng.choice(words, rng.integers(2, 7)).tolist()
        lines.append(f"{' '.join(chosen)}\t{' '.join(chosen[::-1]).upper()}")
    return lines


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("translations")
    for seed, name in enumerate(FILES):
        lines = sentences(200 if seed == 0 else 40, seed)
        (folder / name).write_text("\n".join(lines) + "\n")
    return kscale.tune(
        data=kscale.load_dataset(folder / FILES[0], source="en", label="de"),
        family="seq2seq",
        max_params=12_000,
        trials=1,
        epochs=15,
        settings={"depth": 1, "width": 16, "learning_rate": 0.01},
        finalist_seeds=1,
        run=folder / "run",
    )


def test_answers_and_finalists_are_scored_by_texts(run: Run) -> None:
    (test,) = [item for item in run.results if type(item).__name__ == "Evaluation"]
    assert {"bits_per_character", "loss", "token_accuracy", "bleu", "chrf"} == {
        *test.metrics
    }
    assert test.metric_errors["chrf"] > 0
    by_stage = {item.stage: item for item in run.trainings}
    assert "chrf" in by_stage["finalist"].metrics
    assert "chrf" not in by_stage["search"].metrics
    assert "bleu of sacrebleu, nrefs:1|case:mixed" in " ".join(str(run).split())


def test_better_than_knowing_how_frequent_tokens_are(run: Run) -> None:
    report = run.report()
    (majority,) = [row for row in report.baselines if row.family == "majority"]
    assert report.best is not None
    assert report.best.score < majority.score


def test_sentences_of_a_file_are_translated(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    path.write_text("ab cde fg\nuv\n")
    found = list(run.predict(path))
    assert [each.source for each in found] == [f"{path}:1", f"{path}:2"]
    assert all(isinstance(each.texts["de"], str) for each in found)
    done = CliRunner().invoke(main, ["predict", str(run.folder), str(path), "--json"])
    assert [each["targets"]["de"]["text"] for each in json.loads(done.stdout)] == [
        each.texts["de"] for each in found
    ]


def test_scores_by_tokens_and_open_vocabularies_exclude_each_other(run: Run) -> None:
    path = str(run.folder.parent / FILES[0])
    asked = ["--source", "en", "--label", "de", "--max-params", "9k"]
    asked += ["--objective", "loss", "--search", "subwords"]
    done = CliRunner().invoke(main, ["tune", "--data", path, *asked])
    assert done.exit_code == 1
    assert "search by bits_per_character" in done.stderr


def test_the_end_of_a_long_sentence_is_not_read_and_that_is_said(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "long.txt"
    path.write_text("ab " * 99 + "\n")
    (found,) = run.predict(path)
    assert "of which the first" in found.notes["en"]


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("language")
    texts = [line.split("\t")[0] for line in sentences(150)[1:]]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    data = kscale.load_dataset(folder / "texts.txt")
    return kscale.train(
        *("gpt", {"depth": 1, "width": 16, "learning_rate": 0.01}, data),
        epochs=3,
        run=folder / "run",
    )


def test_a_language_model_goes_on_with_a_text(language: Run, tmp_path: Path) -> None:
    (test,) = [item for item in language.results if type(item).__name__ == "Evaluation"]
    assert test.metrics["perplexity"] == pytest.approx(
        np.exp(test.metrics["loss"]), rel=1e-4
    )
    path = tmp_path / "begin.txt"
    path.write_text("ab cde\n")
    likeliest, again = (next(language.predict(path)).texts["text"] for _ in range(2))
    assert likeliest.startswith("ab cde") and likeliest == again
    drawn = next(language.predict(path, temperature=2.0)).texts["text"]
    assert drawn.startswith("ab cde")
    with pytest.raises(DataError, match="Only translations and transcripts"):
        language.predict(path, beams=4)
    assert "TiedDense" not in language.to_code() and "keras" in language.to_code()


PLAIN = """
import sys, numpy as np, tensorflow as tf, sentencepiece
folder, name, text = sys.argv[1:]
read = sentencepiece.SentencePieceProcessor(model_file=folder + ".subwords.model")
ids = tf.constant([[*read.encode(text), 3]], tf.int32)
model = tf.saved_model.load(folder)
(rows,) = model.decode({name: ids}).values()
print(read.decode([int(i) for i in rows[0].numpy() if i > 3]))
assert "kscale" not in sys.modules
"""


@pytest.mark.slow
def test_a_saved_model_translates_where_kscale_is_not_installed(
    run: Run, tmp_path: Path
) -> None:
    folder = run.export(tmp_path / "model", "saved-model")
    (text,) = [each.texts["de"] for each in run.predict(saved(tmp_path, "uv wxy ab"))]
    words = [sys.executable, "-c", PLAIN, str(folder), "en", "uv wxy ab"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == text, done.stderr[-500:]
    assert run.exports[-1].difference < 1e-3


@pytest.mark.slow
def test_a_language_model_is_exported_as_a_model_of_ids(
    language: Run, tmp_path: Path
) -> None:
    path = language.export(tmp_path / "model.keras")
    model = keras.saving.load_model(path)
    shares = model.predict(np.array([[2, 5, 6]], np.int32), verbose=0)
    assert shares.shape[:2] == (1, 3)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-5)
    assert (tmp_path / "model.keras.subwords.model").exists()


def saved(folder: Path, text: str) -> Path:
    path = folder / "text.txt"
    path.write_text(f"{text}\n")
    return path


@pytest.mark.slow
def test_two_hundred_pairs_are_learned_by_heart(tmp_path: Path) -> None:
    """Sentences of random words, whose translations nothing but memory gives."""
    rng = np.random.default_rng(0)
    words = [f"{a}{b}" for a in "bdfgklmnprst" for b in "aeiou"]
    lines = ["en\tde"]
    for _ in range(200):
        source, target = (" ".join(rng.choice(words, 7)) for _ in range(2))
        lines.append(f"{source}\t{target.upper()}")
    for name in FILES:
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    run = kscale.train(
        "seq2seq",
        {"depth": 2, "width": 128, "dropout": 0.0, "learning_rate": 2e-3},
        kscale.load_dataset(tmp_path / FILES[0], source="en", label="de"),
        epochs=100,
        run=tmp_path / "run",
    )
    (test,) = [item for item in run.results if type(item).__name__ == "Evaluation"]
    assert test.metrics["bleu"] > 90
