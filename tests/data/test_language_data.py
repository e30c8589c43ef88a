"""Texts whose next tokens are predicted, and smaller vocabularies of texts."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from data.made_pairs import documents
from data.made_tables import write_text

from kscale import load_dataset
from kscale.data.dataset import Dataset
from kscale.data.preprocessing.base import RawInput
from kscale.data.preprocessing.subwords import (
    Subwords,
    learned_model,
    names_of,
    smaller_model,
    windows_of,
)
from kscale.data.stored import open_dataset, store_dataset
from kscale.errors import DataError, SpecError
from kscale.networks.families.base import Spec
from kscale.networks.views import subwords_for, viewed
from kscale.task.tasks import Task
from kscale.task.tokens import END, PADDING, SPACE, START, UNKNOWN, text_of

TEXTS = documents(30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("texts") / "a.txt"
    text = "\n \n".join(text.replace(" ", "\n", 1) for text in TEXTS)
    return load_dataset(write_text(path, text), length=32, vocabulary=900)


def together(part_texts: list[str]) -> list[str]:
    """Documents of the pieces that they were cut into, in order."""
    joined = "\n".join(part_texts).replace(f"{SPACE}\n", " ")
    return joined.splitlines()


def test_documents_are_cut_into_examples_and_stay_in_one_part(data: Dataset) -> None:
    parts = [together(part.raw["text"][:].tolist()) for part in data.parts.values()]
    assert sorted(chain(*parts)) == sorted(TEXTS)
    assert all(len(part) > 1 for part in parts)
    assert len(data.train) > 3 * len(parts[0])


def test_a_network_predicts_each_token_from_those_before(data: Dataset) -> None:
    (item,), (target,) = data.task.inputs, data.task.targets
    assert (item.name, item.previous) == ("text/previous", "text")
    assert (target.kind, target.length) == ("next", 32)
    for part in data.parts.values():
        labels, before = part.targets["text"], part.inputs["text/previous"][:]
        assert (before[:, 0] == START).all()
        kept = labels[:, 1:] != PADDING
        np.testing.assert_array_equal(before[:, 1:], np.where(kept, labels[:, :-1], 0))
        for ids, text in zip(labels, part.raw["text"][:], strict=True):
            assert text_of(ids, target.class_names) == text.removesuffix(SPACE)
            assert (END in ids) == (not text.endswith(SPACE))


def test_pieces_of_a_text_have_its_tokens(data: Dataset) -> None:
    item = data.labelling["text"]
    for text in (TEXTS[0], "a" * 90 + " ab", "x"):
        pieces = [*windows_of(item.model, text, 16)]
        assert max(map(len, item.encoded(pieces))) <= 16
        assert "".join(pieces).replace(SPACE, "").replace(" ", "") == (
            text.replace(" ", "")
        )
    pieces = [*windows_of(item.model, TEXTS[0], 16)]
    assert [*chain(*item.encoded(pieces))] == item.encoded([TEXTS[0]])[0]


def test_smaller_vocabularies_are_views_of_inputs_and_labels(data: Dataset) -> None:
    assert subwords_for(data.task) == (500, data.task.targets[0].outputs)
    spec = Spec("transformer", (("subwords", 500),))
    seen = data.seen_by(spec)
    (item,), (target,) = seen.task.inputs, seen.task.targets
    assert seen.task == viewed(data.task, {"subwords": 500})
    assert item.vocabulary == target.outputs == len(target.class_names) == 500
    assert item.shape == (target.length,) and target.length > 32
    assert target.class_names == seen.labelling["text"].names
    assert seen.preprocessing == data.preprocessing_of(spec)
    for name, part in seen.parts.items():
        assert len(part) == len(data.parts[name])
        for ids, text in zip(part.targets["text"], part.raw["text"][:], strict=True):
            if END in ids or ids[-1] == PADDING:
                assert text_of(ids, target.class_names) == text.removesuffix(SPACE)
        assert not np.isin(part.targets["text"], (UNKNOWN, *range(500, 900))).any()
    assert data.seen_by(Spec("transformer", (("subwords", 500), ("depth", 2)))) is seen
    assert data.seen_by(Spec("transformer", (("subwords", 0),))) is data


def test_a_smaller_vocabulary_is_the_one_that_would_be_learned() -> None:
    large, wanted = (learned_model(TEXTS, size) for size in (900, 500))
    small = smaller_model(large, 500)
    item = RawInput("x", (), "string")
    ids = [Subwords(item, model, 9).encoded(TEXTS) for model in (small, wanted)]
    names = names_of(small), names_of(wanted)
    for found, learned in zip(*ids, strict=True):
        assert [names[0][i] for i in found] == [names[1][i] for i in learned]
    assert learned_model(TEXTS[::-1], 500) == wanted


def test_a_vocabulary_that_is_not_there_is_refused(data: Dataset) -> None:
    for size, text in ((901, "subwords=901"), (400, "`500 <= subwords <= ")):
        with pytest.raises(SpecError, match=text):
            data.seen_by(Spec("transformer", (("subwords", size),)))
    image = Task.of("image", (8, 8, 1), classes=10)
    with pytest.raises(SpecError, match="`subwords` is for inputs of kind tokens"):
        viewed(image, {"subwords": 500})


def test_another_process_sees_the_same_view(data: Dataset, tmp_path: Path) -> None:
    store_dataset(data, tmp_path)
    spec = Spec("transformer", (("subwords", 600),))
    found, wanted = open_dataset(tmp_path).seen_by(spec), data.seen_by(spec)
    assert found.task == wanted.task
    for name, part in wanted.parts.items():
        again = found.parts[name]
        np.testing.assert_array_equal(again.targets["text"], part.targets["text"])
        for key, rows in part.inputs.items():
            np.testing.assert_array_equal(again.inputs[key][:], rows[:])


def test_texts_of_a_column_and_of_a_folder(tmp_path: Path) -> None:
    lines = ["id,caption", *(f'{i},"{text}"' for i, text in enumerate(TEXTS)), "9,"]
    table = write_text(tmp_path / "a.csv", "\n".join(lines))
    data = load_dataset(table, next="caption")
    assert data.task.targets[0].name == "caption" and data.cut_by == "Column 'caption'"
    assert any(
        warning.startswith("1 of 31 texts has nothing in it")
        for warning in data.warnings
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, text in enumerate(TEXTS):
        write_text(folder / f"{number}.txt", f"{text}\n\nsecond\n")
    write_text(folder / "empty.txt", " \n")
    data = load_dataset(folder)
    whole = [together(part.raw["text"][:].tolist()) for part in data.parts.values()]
    assert sorted(chain(*whole)) == sorted(f"{text} second" for text in TEXTS)
    assert any("empty.txt" in warning for warning in data.warnings)


def test_lines_are_texts_where_nothing_lies_between_them(tmp_path: Path) -> None:
    data = load_dataset(write_text(tmp_path / "a.txt", "\n".join(TEXTS)))
    texts = chain(*(together(p.raw["text"][:].tolist()) for p in data.parts.values()))
    assert sorted(texts) == sorted(TEXTS)
    prompt = write_text(tmp_path / "b.txt", "one\n\ntwo\n")
    assert [it.raw["text"].item() for it in data.reader.examples(prompt)] == [
        "one",
        "two",
    ]


def test_a_text_with_commas_is_no_table_but_a_table_is_one(tmp_path: Path) -> None:
    prose = [f"Well, {text}" for text in TEXTS]
    data = load_dataset(write_text(tmp_path / "a.txt", "\n".join(prose)))
    assert data.task.targets[0].kind == "next"
    rows = ["size,label", *(f"{i % 7},{'ab'[i % 2]}" for i in range(40))]
    data = load_dataset(write_text(tmp_path / "b.txt", "\n".join(rows)))
    assert data.task.targets[0].kind == "classes"


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("", {}, r"a\.txt holds nothing to learn"),
        ("one\n\ntwo", {}, r"At least 10 examples are needed, but .*a\.txt has 2"),
        ("\n".join(TEXTS), {"label": "x"}, "`label` is of no use for texts without"),
        ("\n".join(TEXTS), {"length": 1}, "`length >= 2` must hold"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, text: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        load_dataset(write_text(tmp_path / "a.txt", text), **options)


@pytest.mark.parametrize("header", ['"name","label"', "name;label;"])
def test_a_table_of_another_name_is_no_prose(header: str, tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    mark = "," if "," in header else ";"
    end = ";" if header.endswith(";") else ""
    rows = [f"{n}{mark}{'ab'[n % 2]}{end}" for n in range(40)]
    path.write_text("\n".join([header, *rows]) + "\n")
    data = load_dataset(path, label="label")
    assert data.task.targets[0].kind == "classes"
