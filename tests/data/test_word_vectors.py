"""Embeddings start from the word vectors of a file, whichever of its forms it has."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kscale import DataError, load_dataset, train
from kscale.building.models import build_model
from kscale.data.dataset import Dataset
from kscale.data.stored import open_dataset, store_dataset
from kscale.data.word_vectors import read_vectors
from kscale.errors import SpecError
from kscale.networks.families import find_family

GLOVE = "good 1 2 3\nBAD! -1 0 0.5\nbad 4 5 6\nn't 7 8 9\nnever 0 0 0\n"


def read(path: Path, *words: str) -> Any:
    return read_vectors(path, words, b"'!").tolist()


@pytest.mark.parametrize("head", ["", "5 3\n"])
@pytest.mark.parametrize("name", ["glove.txt", "crawl.vec.gz"])
def test_each_word_has_its_numbers(tmp_path: Path, head: str, name: str) -> None:
    path = tmp_path / name
    pack = gzip.compress if name.endswith("gz") else bytes
    path.write_bytes(pack(f"{head}{GLOVE}good 9 9 9\n. . 1 2 3\n".encode()))
    found = read(path, "bad", "nt", "odd", "good")
    assert found[0] == [4, 5, 6] and found[3] == [1, 2, 3]  # the first, the plain one
    assert found[1] == [7, 8, 9] and np.isnan(found[2]).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GLOVE + "worse 1 2\n", r"v.txt, line 6: a word and 3 numbers .* but 2 follow"),
        (GLOVE + "worse 1 2 3 4\n", r"line 6: .* but 4 follow"),
        (GLOVE + "alone\n", "line 6: .* but 0 follow"),
        ("good 1 two\n", "v.txt: the vector of 'good' must be 2 numbers"),
        ("worse 1 2\n", "v.txt has a vector of none of the 1 words"),
        ("", "v.txt has a vector of none"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read(path, "good")
    path.write_bytes(gzip.compress(GLOVE.encode())[:-12])
    with pytest.raises(DataError, match="v.txt cannot be read: "):
        read(path, "good")
    with pytest.raises(DataError, match="no file .*w.txt. Did you mean .*v.txt"):
        read(tmp_path / "w.txt", "good")


def texts(folder: Path, vectors: str | None = GLOVE) -> Dataset:
    """Sentences of two kinds, with word vectors beside them."""
    rows = [f"{word} film number {i}" for word in ("good", "bad") for i in range(15)]
    lines = [f"{row},{row.split()[0]}" for row in rows]
    (folder / "films.csv").write_text("\n".join(["text,label", *lines, ""]))
    (folder / "v.txt").write_text(vectors or "")
    asked = {"vectors": str(folder / "v.txt")} if vectors else {}
    return load_dataset(folder / "films.csv", text="text", **asked)


def test_embeddings_start_from_the_vectors(tmp_path: Path) -> None:
    data = texts(tmp_path)
    (item,) = data.task.inputs
    assert item.vectors == 3
    assert any("3 numbers a word" in n and "has 2 of" in n for n in data.notes)
    words = ["", "[UNK]", *data.preprocessing["tokens"].words]
    for name, knobs in (("mlp", {"ngrams": 2}), ("cnn", {}), ("rnn", {})):
        family = find_family(name)
        spec = family.spec(depth=1, width=8, **knobs)
        blueprint = family.blueprint(spec, data.task)
        model = build_model(blueprint, seed=1, word_vectors=data.word_vectors)
        table = np.asarray(model.get_layer("embeddings").embeddings)
        assert model.count_params() == family.size(spec, data.task).params
        assert table[words.index("good")].tolist() == [1, 2, 3]
        assert table[words.index("bad")].tolist() == [4, 5, 6]
        others = np.delete(table, [words.index("good"), words.index("bad")], 0)
        assert 0.3 < np.std(others) / np.std([1, 2, 3, 4, 5, 6]) < 1.5
        with pytest.raises(SpecError, match="must be 0 or 3, the numbers of a word"):
            family.size(spec.with_knobs(embedding_width=8), data.task)
    transformer = find_family("transformer")
    blueprint = transformer.blueprint(transformer.spec(depth=1, width=8), data.task)
    names = [record.name for record in blueprint.layers]
    assert "embeddings/project" in names


def test_other_vectors_are_other_data(tmp_path: Path) -> None:
    data, plain = texts(tmp_path), texts(tmp_path, None)
    other = texts(tmp_path, GLOVE.replace("2", "5"))
    prints = {each.fingerprint for each in (data, plain, other)}
    assert len(prints) == 3 and texts(tmp_path).fingerprint == data.fingerprint
    assert plain.task.inputs[0].vectors == 0 and not plain.word_vectors
    assert data.origin and data.origin["options"]["vectors"].endswith("v.txt")
    store_dataset(data, tmp_path / "stored")
    again = open_dataset(tmp_path / "stored")
    for mine, theirs in zip(
        again.word_vectors.values(), data.word_vectors.values(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
def test_a_model_ships_its_vectors(tmp_path: Path) -> None:
    knobs = {"depth": 1, "width": 8}
    run = train("mlp", knobs, texts(tmp_path), epochs=1, run=tmp_path / "run")
    (tmp_path / "v.txt").unlink()
    (tmp_path / "some.csv").write_text("text\ngood film\nbad film\n")
    assert len(list(run.predict(tmp_path / "some.csv"))) == 2
