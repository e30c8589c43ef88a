"""Arrays of any form: which kind of task they are, and that all forms agree."""

import numpy as np
import pytest

from kscale.data.loading import load_dataset, peek_task
from kscale.data.parts import PART_NAMES
from kscale.errors import DataError
from kscale.task.tasks import Input, Target, Task

RNG = np.random.default_rng(0)
COUNT = 40
Y = np.arange(COUNT) % 4
IDS = RNG.integers(0, 50, (COUNT, 6))
IDS[3, 3] = 50


def reals(*shape: int):
    return RNG.normal(size=(COUNT, *shape))


INPUTS = {
    "bytes of 3 sides": (reals(5, 4).astype(np.uint8), {}, ("image", (5, 4, 1))),
    "reals of 3 sides": (reals(5, 4), {}, ("image", (5, 4, 1))),
    "reals of 4 sides": (reals(5, 4, 3), {}, ("image", (5, 4, 3))),
    "asked for": (reals(5, 4), {"kind": "sequence"}, ("sequence", (5, 4))),
    "one feature": (reals(5), {"kind": "sequence"}, ("sequence", (5, 1))),
    "reals of 2 sides": (reals(5), {}, ("vector", (5,))),
    "halves": (reals(5).astype(np.float16), {}, ("vector", (5,))),
    "one side": (reals(), {}, ("vector", (1,))),
    "bytes of 2 sides": (IDS.astype(np.uint8), {}, ("vector", (6,))),
    "true and false": (IDS > 9, {}, ("vector", (6,))),
    "ids": (IDS, {}, ("tokens", (6,), 51)),
    "short ids": (IDS.astype(np.int16), {}, ("tokens", (6,), 51)),
    "negative": (IDS - 9, {}, ("vector", (6,))),
    "given vocabulary": (IDS, {"vocabulary": 99}, ("tokens", (6,), 99)),
    "byte ids": (IDS.astype(np.uint8), {"vocabulary": 99}, ("tokens", (6,), 99)),
    "numbers": (IDS, {"kind": "vector"}, ("vector", (6,))),
    "lists": (IDS.tolist(), {}, ("tokens", (6,), 51)),
}


@pytest.mark.parametrize("case", INPUTS)
def test_the_kind_of_inputs_follows_from_their_array(case: str) -> None:
    x, asked, expected = INPUTS[case]
    data = load_dataset((x, Y), **asked)
    assert data.task.inputs == (Input("x", *expected),)
    assert peek_task((x, Y), **asked) == data.task


def planes(*shape: int):
    return RNG.integers(0, 255, (COUNT, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected", "says"),
    [
        ((1, 8, 8), (8, 8, 1), "x (1, 8, 8) is read as images of 8 x 8"),
        (
            (3, 8, 12),
            (8, 12, 3),
            "8 x 12 (height x width) with 3 channels: channels come f",
        ),
        ((13, 16, 16), (16, 16, 13), "with 13 channels: channels come first."),
        (
            (3, 8, 3),
            (3, 8, 3),
            "3 x 8 (height x width) with 3 channels: if channels",
        ),
        ((1, 32, 6), (1, 32, 6), "if channels come first, give np.moveaxis"),
        ((8, 8, 3), (8, 8, 3), ""),
        ((8, 1, 1), (8, 1, 1), ""),
        ((7, 7, 20), (7, 7, 20), ""),
    ],
)
def test_channels_are_last_or_moved_there(shape, expected, says: str) -> None:
    x = planes(*shape)
    data = load_dataset((x, Y))
    assert data.task.inputs[0].shape == expected
    assert (says in " ".join(data.warnings)) and bool(says) == bool(data.warnings)
    if shape != expected:
        same = load_dataset((np.moveaxis(x, 1, -1), Y))
        assert (data.fingerprint, not same.warnings) == (same.fingerprint, True)


def test_quantities_that_look_like_ids_are_reported() -> None:
    people = np.stack([RNG.integers(18, 90, COUNT), RNG.integers(0, 9**5, COUNT)], 1)
    data = load_dataset((people, Y))
    assert data.task.inputs[0].kind == "tokens" and len(data.warnings) == 1
    assert "if they are quantities, say kind=vector (--kind" in data.warnings[0]
    for source, asked in ((people, {"kind": "tokens"}), (IDS, {})):
        assert not load_dataset((source, Y), **asked).warnings


def test_predictions_read_channels_first_and_last_and_tell_another_scale(
    tmp_path,
) -> None:
    last = planes(8, 12, 3)
    reader = load_dataset((last, Y)).reader
    np.save(tmp_path / "last.npy", last), np.savez(tmp_path / "a.npz", Images=last)
    np.save(tmp_path / "first.npy", np.moveaxis(last, -1, 1))
    found = [
        np.stack([e.raw["x"] for e in reader.examples(tmp_path / name) if not e.notes])
        for name in ("last.npy", "a.npz", "first.npy")
    ]
    assert (found[0] == last).all() and (found[1] == last).all()
    assert (found[2] == last).all()
    np.save(tmp_path / "one.npy", last[0])  # as few people keep a batch of one
    (one,) = reader.examples(tmp_path / "one.npy")
    assert (one.raw["x"] == last[0]).all()
    for name, numbers in (("small", last / 255), ("large", last * 10.0)):
        np.save(tmp_path / f"{name}.npy", numbers)
        for example in reader.examples(tmp_path / f"{name}.npy"):
            assert f"{name}.npy: numbers are 0 to" in example.notes["x"]
    np.save(tmp_path / "other.npy", last.reshape(COUNT, 12, 3, 8))
    (other,) = reader.examples(tmp_path / "other.npy")
    assert "must have the shape (8, 12, 3), but" in other.error
    (tmp_path / "none.npy").write_text("no array")
    (none,) = reader.examples(tmp_path / "none.npy")
    assert "none.npy is no .npy or .npz file of arrays" in none.error


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_a_file_of_a_model_is_told_from_data(name: str, tmp_path) -> None:
    (tmp_path / name).write_bytes(b"a model")
    with pytest.raises(DataError, match=f"a Keras model: .* --baseline .*{name}"):
        load_dataset(tmp_path / name)


WORDS = np.array(["ox", "ant", "cow", "bee"])
FOUR = ("0", "1", "2", "3")
TARGETS = {
    "ids": (Y, ("classes", 4, FOUR)),
    "a column": (Y[:, None].astype(np.uint8), ("classes", 4, FOUR)),
    "gaps, in numeric order": (Y * 7 - 7, ("classes", 4, ("-7", "0", "7", "14"))),
    "text": (WORDS[Y], ("classes", 4, ("ant", "bee", "cow", "ox"))),
    "bytes": (WORDS[Y].astype("S"), ("classes", 4, ("ant", "bee", "cow", "ox"))),
    "objects": (WORDS[Y].astype(object), ("classes", 4, ("ant", "bee", "cow", "ox"))),
    "true and false": (Y > 1, ("classes", 2, ("False", "True"))),
    "whole reals": (Y.astype(float), ("classes", 4, FOUR)),
    "one-hot": (np.eye(4)[Y], ("classes", 4, FOUR)),
    "whole one-hot": (np.eye(4, dtype=int)[Y], ("classes", 4, FOUR)),
    "reals": (Y + 0.5, ("real", 1)),
    "many whole reals": (np.arange(40.0), ("real", 1)),
    "rows of reals": (reals(3), ("real", 3)),
}


@pytest.mark.parametrize("case", TARGETS)
def test_the_kind_of_targets_follows_from_the_labels(case: str) -> None:
    y, (kind, *rest) = TARGETS[case]
    data = load_dataset((reals(5), y))
    name = "label" if kind == "classes" else "value"
    assert data.task.targets == (Target(name, kind, *rest),)


TEXTS = [f"a {word} film" for word in ("good", "bad", "so so", "fine")] * 10
TEXT_FORMS = {
    "list": TEXTS,
    "array": np.array(TEXTS),
    "a column": np.array(TEXTS)[:, None],
    "StringDType": np.array(TEXTS, np.dtypes.StringDType()),
    "objects": np.array(TEXTS, object),
    "bytes": np.array(TEXTS).astype("S"),
    "objects of bytes": np.array([text.encode() for text in TEXTS], object),
}


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_texts_in_memory_become_ids_of_words(form: str) -> None:
    data = load_dataset((TEXT_FORMS[form], Y), length=3)
    assert data.task.inputs == (Input("text", "tokens", (3,), 8, unknown=1),)
    assert data.fingerprint == load_dataset((TEXTS, Y)).fingerprint
    assert data.task == peek_task((TEXT_FORMS[form], Y), length=3)


def test_texts_in_files_beside_numbers_and_of_other_kinds(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=TEXTS, y=Y)
    assert load_dataset(tmp_path / "a.npz").task == load_dataset((TEXTS, Y)).task
    both = load_dataset(({"title": TEXTS, "age": reals()}, Y)).task
    assert [(item.name, item.kind) for item in both.inputs] == [
        ("title", "tokens"),
        ("age", "vector"),
    ]
    with pytest.raises(DataError, match="x holds texts, .* and not as image"):
        load_dataset((TEXTS, Y), kind="image")
    with pytest.raises(DataError, match="`length` is of no use for arrays without te"):
        load_dataset((reals(), Y), length=3)


def test_class_ids_stand_for_the_labels_given() -> None:
    x = np.arange(40.0)
    data = load_dataset((x, WORDS[Y]))
    names = np.array(data.task.targets[0].class_names)
    for part in data.parts.values():
        rows = np.rint(data.input_scaling["x"].invert(part.inputs["x"])[:, 0])
        found = names[part.targets["label"]]
        assert (found == WORDS[Y][rows.astype(int)]).all()


def test_real_targets_stay_with_their_inputs_in_the_users_unit() -> None:
    x = np.arange(40.0)
    data = load_dataset((x, x * 1e3 + 0.5))
    for part in data.parts.values():
        raw = data.input_scaling["x"].invert(part.inputs["x"])
        np.testing.assert_allclose(part.targets["value"], raw * 1e3 + 0.5, atol=0.1)


def assert_same_parts(left, right) -> None:
    assert left.fingerprint == right.fingerprint
    assert left.task == right.task
    for name in PART_NAMES:
        for mine, other in zip(
            [*left.parts[name].inputs.values(), *left.parts[name].targets.values()],
            [*right.parts[name].inputs.values(), *right.parts[name].targets.values()],
            strict=True,
        ):
            np.testing.assert_array_equal(mine, other, strict=True)


def test_pairs_dicts_and_files_give_the_same_parts(tmp_path) -> None:
    x, y = reals(5), Y
    arrays = {"x_train": x[:28], "y_train": y[:28], "x_test": x[28:], "y_test": y[28:]}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    expected = load_dataset(arrays)
    assert_same_parts(expected, load_dataset(tmp_path / "a.npz"))
    assert_same_parts(expected, load_dataset(((x[:28], y[:28]), (x[28:], y[28:]))))
    other = {
        "train_images": x[:28],
        "train_labels": y[:28],
        "test_images": x[28:],
        "test_labels": y[28:],
    }
    assert_same_parts(expected, load_dataset(other))
    np.savez(tmp_path / "more.npz", **arrays, w=y)
    assert load_dataset(tmp_path / "more.npz").notes == ("Not read: w.",)
    for names in ("X Y", "X y", "features labels", "data target", "images labels"):
        pair = dict(zip(names.split(), (x, y), strict=True))
        np.savez(tmp_path / "b.npz", **pair)
        assert_same_parts(load_dataset((x, y)), load_dataset(tmp_path / "b.npz"))
        assert_same_parts(load_dataset((x, y)), load_dataset(pair))


def test_parts_on_another_scale_are_reported() -> None:
    x = planes(6, 6).astype(float)
    arrays = {
        "x": x,
        "y": Y,
        "x_dev": x / 255,
        "y_dev": Y,
        "x_test": x + 1,
        "y_test": Y,
    }
    (warning,) = load_dataset(arrays).warnings
    assert warning.startswith("x_dev: numbers are 0 to 0.99")


def test_given_parts_are_used_as_they_are() -> None:
    x = np.arange(80.0).reshape(40, 2)
    arrays = {"x": x[:20], "y": Y[:20], "x_val": x[20:28], "y_val": Y[20:28]}
    data = load_dataset({**arrays, "x_test": x[28:], "y_test": Y[28:]})
    scaling = data.input_scaling["x"]
    for name, raw in (("train", x[:20]), ("validation", x[20:28]), ("test", x[28:])):
        np.testing.assert_array_equal(data.parts[name].inputs["x"], scaling.apply(raw))


def test_the_type_numbers_are_stored_in_does_not_matter() -> None:
    x = np.round(reals(5) * 8)
    stored = [x, x.astype(">f8"), x.astype(np.float32), np.asfortranarray(x)]
    data = [load_dataset((array, Y)) for array in stored]
    assert len({item.fingerprint for item in data}) == 1


def test_the_fingerprint_depends_on_data_labels_and_parts() -> None:
    x = reals(5)
    changed = x.copy()
    changed[7, 2] += 1e-3
    fingerprints = [
        load_dataset((x, Y)).fingerprint,
        load_dataset((changed, Y)).fingerprint,
        load_dataset((x, 3 - Y)).fingerprint,
        load_dataset((x, WORDS[Y])).fingerprint,
        load_dataset((x, Y), split_seed=1).fingerprint,
    ]
    assert len(set(fingerprints)) == 5
    assert all(len(fingerprint) == 16 for fingerprint in fingerprints)


def test_examples_in_two_parts_are_reported_with_counts() -> None:
    x = reals(5)
    arrays = {"x_train": x, "y_train": Y, "x_test": x[:12].copy(), "y_test": Y[:12]}
    arrays["x_test"][5:] += 1.0
    data = load_dataset({**arrays, "x_val": x[30:31], "y_val": Y[30:31]})
    assert data.warnings == (
        "1 of 1 validation example is also in the training part.",
        "5 of 12 test examples are also in the training part.",
    )
    assert load_dataset((x, Y)).warnings == ()


def test_features_that_never_change_become_zero() -> None:
    x = np.full((40, 3), 0.1)
    x[:, 1], x[:, 2] = np.arange(40), 1e-40
    data = load_dataset((x, Y))
    assert (np.abs(data.train.inputs["x"][:, [0, 2]]) < 1e-6).all()
    assert data.input_scaling["x"].scale[0] == 1.0


def test_several_inputs_and_targets_go_by_name() -> None:
    x = {"ids": IDS, "image": reals(5, 4)}
    y = {"animal": WORDS[Y], "weight": reals()}
    data = load_dataset((x, y))
    assert data.task == Task(
        (Input("ids", "tokens", (6,), 51), Input("image", "image", (5, 4, 1))),
        (
            Target("animal", "classes", 4, ("ant", "bee", "cow", "ox")),
            Target("weight", "real", 1),
        ),
    )
    assert data.train.inputs["ids"].dtype == np.int32
    assert list(data.input_scaling) == ["image"]
    assert list(data.target_scaling) == ["weight"]


def test_loading_does_not_change_the_arrays_given() -> None:
    x, y = reals(5).astype(np.float32), reals()
    before = x.copy(), y.copy()
    load_dataset((x, y))
    assert (x == before[0]).all() and (y == before[1]).all()


@pytest.fixture(scope="module")
def tf():
    import tensorflow  # seconds; only three tests need it

    return tensorflow


def test_tensorflow_datasets_give_the_same_parts_as_their_arrays(tf) -> None:
    x = reals(5).astype(np.float32)
    expected = load_dataset((x, Y))
    stream = tf.data.Dataset.from_tensor_slices((x, Y))
    for form in (stream, stream.batch(16), stream.batch(8, drop_remainder=True)):
        assert_same_parts(expected, load_dataset(form))
    images = reals(5, 4).astype(np.float32)
    one_hot = tf.data.Dataset.from_tensor_slices((images, np.eye(4)[Y]))
    expected = load_dataset((images, Y))
    for form in (one_hot, one_hot.batch(16)):
        assert_same_parts(expected, load_dataset(form))
    stream.class_names = list(WORDS)  # as keras.utils.image_dataset_from_directory
    for form in (stream, {"train": stream}, [stream, stream]):
        data = load_dataset(form)
        assert data.task.targets[0].class_names == tuple(WORDS.tolist())
    assert data.cut == ("test",)  # a list is a training and a validation part
    words = tf.data.Dataset.from_tensor_slices((x, WORDS[Y]))
    for form in (words, words.batch(7)):
        assert_same_parts(load_dataset((x, WORDS[Y])), load_dataset(form))
    texts = tf.data.Dataset.from_tensor_slices((TEXTS, Y))
    for form in (texts, texts.batch(7)):
        assert_same_parts(load_dataset((TEXTS, Y)), load_dataset(form))


def test_tensorflow_datasets_of_dicts_go_by_name(tf) -> None:
    x = {"ids": IDS, "image": reals(5, 4)}
    y = {"animal": Y, "weight": reals()}
    expected = load_dataset((x, y))
    stream = tf.data.Dataset.from_tensor_slices((x, y))
    for form in (stream, stream.batch(16)):
        assert_same_parts(expected, load_dataset(form))
        assert peek_task(form) == expected.task


def test_a_tensorflow_dataset_must_end_and_hold_pairs(tf) -> None:
    stream = tf.data.Dataset.from_tensor_slices((reals(5), Y))
    with pytest.raises(DataError, match="never ends"):
        load_dataset(stream.repeat())
    with pytest.raises(DataError, match="is empty"):
        load_dataset(stream.take(0))
    with pytest.raises(DataError, match="that are tuples have no names; give dicts"):
        load_dataset(stream.map(lambda x, y: ((x, x), y)))
    uneven = stream.map(lambda x, y: (x[: y + 1], y)).batch(4)
    with pytest.raises(DataError, match="read to its end: Cannot "):
        load_dataset(uneven)
    with pytest.raises(DataError, match="must be pairs"):
        load_dataset(stream.map(lambda x, y: x))
