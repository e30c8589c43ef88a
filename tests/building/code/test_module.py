"""The module of code tells what a network is, and compiles it as it was trained."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from contracts.keras_code import run_code
from reports.made_runs import IMAGES, TABLE, cnn, digits_results, made_result, made_run

from kscale.building.code.words import PREPARED, constant_names, words_of_input
from kscale.building.models import Schedule
from kscale.data.preprocessing import PREPROCESSINGS
from kscale.data.preprocessing.table_columns import Category, Number, TableColumns
from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES
from kscale.networks.parametrization import factors_of
from kscale.reports.counting import change_task
from kscale.run import Run
from kscale.runs.records import to_line
from kscale.task.tasks import Input, Target, Task


def saved_run(
    folder: Path, results: list[Any], task: Task = IMAGES, **changes: Any
) -> Run:
    """A run folder made by hand."""
    (folder / "run.json").write_text(json.dumps({**made_run(task), **changes}))
    lines = "".join(map(to_line, results))
    (folder / "results.jsonl").write_text(lines)
    return Run(folder)


def test_every_preprocessing_is_told() -> None:
    assert PREPARED.keys() == set(PREPROCESSINGS.values())


def test_constants_have_names_of_their_own() -> None:
    names = ["x", "X", "a b", "a_b", "é"]
    assert len(set(constant_names(names))) == len(names)
    assert all(name.isidentifier() for name in constant_names(names))


@pytest.mark.parametrize(
    ("numbers", "words", "said"),
    [
        (6, 0, "6 numbers, scaled, in the order"),
        (0, 1, "1 category, one-hot, in the order"),
        (1, 2, "1 number, scaled, and 2 categories, one-hot, in the order"),
    ],
)
def test_only_the_kinds_of_columns_that_there_are_are_told(
    numbers: int, words: int, said: str
) -> None:
    item = TableColumns(
        (Number("a", 1.0, 0.0),) * numbers, (Category("b", ("u", "v")),) * words
    )
    columns = Input("columns", "vector", (item.features,))
    text = words_of_input(columns, item, "X", {})
    assert text.partition(": ")[2].startswith(said)


def scaled(scale: list[float], offset: list[float], shape: list[int]) -> dict[str, Any]:
    return {
        "kind": "scaled",
        "raw": {"name": "x", "shape": shape, "dtype": "float32"},
        "scaling": {"scale": scale, "offset": offset},
    }


def test_the_docstring_says_what_it_is(tmp_path: Path) -> None:
    preprocessing = {"x": scaled([0.125], [-1.0], [8, 8, 1])}
    run = saved_run(tmp_path, digits_results(), preprocessing=preprocessing)
    code = run.to_code()
    said = " ".join((ast.get_docstring(ast.parse(code)) or "").split())
    entry = run.recommended()
    assert said.startswith(f"cnn depth=3 width=8: {entry.params:,} parameters.")
    assert "accuracy on the validation part of digits was 96.5 ±" in said
    assert "the mean of 3 trainings" in said
    assert "`x` is float32 (None, 8, 8, 1): raw * X_SCALE + X_OFFSET." in said
    assert "learning rate up to 0.003, rising over the first 5 %" in said
    assert "weight decay 0.004" in said and "20 epochs of 1,149 examples" in said
    defined = run_code(code)
    assert (defined["X_SCALE"], defined["X_OFFSET"]) == (0.125, -1.0)
    assert defined["build_model"]().count_params() == entry.params
    assert all(len(line) <= 88 for line in code.splitlines())


def test_best_and_entries_have_code_too(tmp_path: Path) -> None:
    run = saved_run(tmp_path, digits_results())
    assert run.to_code("best").startswith('"""cnn depth=4 width=8: ')
    assert run.to_code(run.front()[0]).startswith('"""cnn depth=1 width=8: ')
    with pytest.raises(ResultsError, match="Unknown answer 'worst'"):
        run.to_code("worst")


def test_a_run_without_an_answer_has_no_code(tmp_path: Path) -> None:
    run = saved_run(tmp_path, [])
    with pytest.raises(ResultsError, match="has no finished training yet"):
        run.to_code()
    assert "<pre>" not in run._repr_html_()


def test_the_page_holds_the_code_folded(tmp_path: Path) -> None:
    run = saved_run(tmp_path, digits_results())
    page = run.write(tmp_path / "page.html").read_text()
    assert "<details>" in page
    inside = page.split("<pre>")[1].split("</pre>")[0]
    assert "def build_model() -&gt; keras.Model:" in inside


def test_code_of_classes_trains_as_the_search_did(tmp_path: Path) -> None:
    spec = cnn(1, 8, label_smoothing=0.1)
    run = saved_run(tmp_path, [made_result(spec, 0.9)])
    defined = run_code(run.to_code())
    model = defined["compile_model"](defined["build_model"]())
    schedule = model.optimizer._learning_rate
    steps = 1149 // 64 * 20
    ours = Schedule(steps, 0.003, 0.05, 0.25)
    at = np.arange(0, steps, 7)
    np.testing.assert_allclose(schedule(at), ours(at), rtol=1e-5)
    assert type(schedule).from_config(schedule.get_config()).steps == steps
    assert model.optimizer.weight_decay == 0.004
    labels, logits = np.array([0, 2]), np.array([[2.0, 0, 1], [0, 1.0, 3]])
    wanted = keras.ops.one_hot(labels, 3)
    expected = keras.losses.categorical_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=0.1
    )
    np.testing.assert_allclose(model.loss(labels, logits), expected, rtol=1e-6)
    model.run_eagerly = True  # one step; tracing it takes longer
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1))
    history = model.fit(x, np.arange(64) % 10, batch_size=64, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert "accuracy" in history.history


def test_a_compiled_model_is_saved_and_read_with_its_loss(tmp_path: Path) -> None:
    """So is the code of a run in which the width decided learning rates."""
    spec = FAMILIES["mlp"].spec(depth=2, width=16, label_smoothing=0.1)
    task = Task.of("vector", (4,), classes=3)
    identity = {**made_run(task)["identity"], "parametrization": "mup"}
    results = [made_result(spec, 0.9, task=task)]
    run = saved_run(tmp_path, results, task, identity=identity)
    code = run.to_code()
    defined = run_code(code)
    model = defined["compile_model"](defined["build_model"]())
    x, y = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 3
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    # Code of another network in the same program, with another rate.
    run_code(re.sub("LEARNING_RATE = .*", "LEARNING_RATE = 9.0", code))
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert float(again.optimizer.learning_rate) == float(model.optimizer.learning_rate)
    assert int(again.optimizer.iterations) == 1
    np.testing.assert_allclose(again.test_on_batch(x, y), model.test_on_batch(x, y))
    assert "learning rate up to 0.003, times RATES for the weights" in run.to_code()
    rates = [1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 1.0]  # of 16 units, not 64
    assert again.optimizer.factors == model.optimizer.factors == rates
    factors = factors_of(spec, task, "mup")
    assert defined["RATES"] == {it.weight: it.rate for it in factors}
    assert defined["STARTS"] == {"head/kernel": factors[-1].start}
    drawn = [defined["build_model"]().weights[-2] for _ in range(200)]
    usual = [keras.initializers.GlorotUniform()((16, 3)) for _ in range(200)]
    assert np.std(drawn) / np.std(usual) == pytest.approx(factors[-1].start, rel=0.05)


def test_code_of_tokens_has_the_loss_of_the_search(tmp_path: Path) -> None:
    family = FAMILIES["gpt"]
    assert family.usual is not None
    task = change_task(family.usual, (5,), vocabulary=7)
    spec = family.spec(depth=1, width=8, label_smoothing=0.1)
    identity = {**made_run(task)["identity"], "objective": "loss"}
    results = [made_result(spec, 2.0, task=task)]
    run = saved_run(tmp_path, results, task, identity=identity)
    defined = run_code(run.to_code())
    said = " ".join(defined["__doc__"].split())
    assert "after a start those of `text` but the last" in said
    assert "logits of 7 tokens at every position" in said
    model = defined["compile_model"](defined["build_model"]())
    labels = np.array([[4, 5, 3, 0, 0], [6, 6, 4, 5, 3]])
    logits = np.random.default_rng(0).normal(size=(2, 5, 7)).astype("float32")
    target = task.targets[0]
    assert target.head.losses is not None
    sums, counts = target.head.losses(keras.ops, target, labels, logits, 0.1)
    given = model.loss(labels, keras.ops.convert_to_tensor(logits))
    np.testing.assert_allclose(given, np.sum(sums) / np.sum(counts), rtol=1e-5)
    assert "metrics = []" in run.to_code()  # those of Keras count padding as wrong


def test_code_of_transcripts_has_the_loss_of_the_search(tmp_path: Path) -> None:
    item = Input("sound", "spectrogram", (20, 4), rate=8000, samples=1520)
    target = Target("text", "characters", 4, ("", " ", "a", "b"), length=3)
    task = Task((item,), (target,))
    spec = FAMILIES["rnn"].spec(depth=1, width=8)
    identity = {**made_run(task)["identity"], "objective": "loss"}
    run = saved_run(
        tmp_path, [made_result(spec, 2.0, task=task)], task, identity=identity
    )
    defined = run_code(run.to_code())
    model = defined["compile_model"](defined["build_model"]())
    labels = np.array([[2, 3, 0], [4, 2, 1]])  # 4 is a character that nobody learned
    logits = np.random.default_rng(0).normal(size=(2, 10, 4)).astype("float32")
    assert target.head.losses is not None
    sums, counts = target.head.losses(keras.ops, target, labels, logits, 0.0)
    given = model.loss(labels, keras.ops.convert_to_tensor(logits))
    np.testing.assert_allclose(given, sums / np.mean(counts), rtol=1e-5)
    model.fit(np.ones((2, 20, 4)), labels, verbose=0)


def test_code_of_real_values_says_their_unit(tmp_path: Path) -> None:
    spec = FAMILIES["mlp"].spec(depth=1, width=8)
    run = saved_run(
        tmp_path,
        [made_result(spec, 3.0, task=TABLE)],
        TABLE,
        preprocessing={"x": scaled([0.5] * 13, [1.5] * 13, [13])},
        target_scaling={"value": {"scale": [9.0], "offset": [22.5]}},
    )
    code = run.to_code()
    said = " ".join(code.split())
    assert "in the unit of the data: output * VALUE_SCALE + VALUE_OFFSET." in said
    defined = run_code(code)
    assert defined["X_SCALE"] == (0.5,) * 13 and defined["VALUE_OFFSET"] == 22.5
    model = defined["compile_model"](defined["build_model"]())
    assert isinstance(model.loss, keras.losses.MeanSquaredError)


def test_code_of_several_targets_is_fitted_by_the_names_it_says(tmp_path: Path) -> None:
    targets = (Target("kind", "classes", 3), Target("size, m²", "real", 1))
    task = Task((Input("x", "vector", (4,)),), targets)
    spec = FAMILIES["mlp"].spec(depth=1, width=8)
    results = [made_result(spec, 0.9, task=task)]
    identity = {**made_run(task)["identity"], "objective": "mean"}
    run = saved_run(tmp_path, results, task, identity=identity)
    defined = run_code(run.to_code())
    model = defined["compile_model"](defined["build_model"]())
    model.run_eagerly = True  # one step; tracing it takes longer
    said = defined["__doc__"].partition("takes targets by:")[2]
    names = re.findall(r"`(\S+)` is", said)
    assert names == list(model.output) and names[0] == "head.kind"
    y = dict(zip(names, (np.array([0, 2]), np.ones((2, 1))), strict=True))
    history = model.fit(np.ones((2, 4)), y, verbose=0).history
    assert np.isfinite(history["loss"][0]) and f"{names[1]}_loss" in history


def weighted_run(folder: Path, task: Task, counts: dict[str, list[int]]) -> Run:
    spec = FAMILIES["mlp"].spec(depth=1, width=8, label_smoothing=0.0, dropout=0.0)
    made = made_run(task, class_weights="balanced")
    made["identity"]["objective"] = "accuracy" if len(task.targets) == 1 else "mean"
    data = {**made["data"], "class_counts": counts}
    return saved_run(
        folder,
        [made_result(spec, 0.9, task=task)],
        task,
        identity=made["identity"],
        data=data,
    )


def test_code_of_weighted_classes_says_what_fit_needs(tmp_path: Path) -> None:
    task = Task.of("vector", (4,), classes=3)
    name = task.targets[0].name
    code = weighted_run(tmp_path, task, {name: [3, 1, 0]}).to_code()
    assert "each class counting the same." in " ".join(code.split())
    assert "`class_weight=dict(enumerate(CLASS_WEIGHT))`" in code
    assert all(len(line) <= 88 for line in code.splitlines())
    defined = run_code(code)
    assert defined["CLASS_WEIGHT"] == (0.6666667, 2.0, 0.0)
    model = defined["compile_model"](defined["build_model"]())
    model.run_eagerly = True  # one step; tracing it takes longer
    x = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    y = np.array([0, 1, 0, 0])
    losses = keras.losses.sparse_categorical_crossentropy(
        y, model(x, training=True), True
    )
    weights = dict(enumerate(defined["CLASS_WEIGHT"]))
    done = model.fit(x, y, class_weight=weights, verbose=0).history["loss"]
    expected = np.mean(np.asarray(losses) * [2 / 3, 2, 2 / 3, 2 / 3])
    np.testing.assert_allclose(done, [expected], rtol=1e-5)


def test_code_of_weighted_targets_weighs_each_output(tmp_path: Path) -> None:
    targets = (Target("kind", "classes", 2), Target("size", "real", 1))
    task = Task((Input("x", "vector", (4,)),), targets)
    code = weighted_run(tmp_path, task, {"kind": [3, 1]}).to_code()
    assert "`sample_weight=sample_weight(y)`" in code
    assert all(len(line) <= 88 for line in code.splitlines())
    defined = run_code(code)
    model = defined["compile_model"](defined["build_model"]())
    model.run_eagerly = True  # one step; tracing it takes longer
    x = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    y = {"head.kind": np.array([0, 1, 0, 0]), "head.size": np.ones((4, 1))}
    given = model(x, training=True)  # with the norm of the batch, as `fit`
    losses = keras.losses.sparse_categorical_crossentropy(
        y["head.kind"], given["head.kind"], True
    )
    kind = np.mean(np.asarray(losses) * [2 / 3, 2, 2 / 3, 2 / 3])
    size = np.mean((np.asarray(given["head.size"]) - 1) ** 2)
    weights = defined["sample_weight"](y)
    done = model.fit(x, y, sample_weight=weights, verbose=0).history["loss"]
    np.testing.assert_allclose(done, [(kind + size) / 2], rtol=1e-5)


def test_code_without_weights_names_none(tmp_path: Path) -> None:
    code = saved_run(tmp_path, digits_results()).to_code()
    assert "class_weight" not in code.lower() and "counting" not in code


def test_text_of_strangers_is_never_run(tmp_path: Path) -> None:
    evil = '"""\nraise SystemExit\n"""\\'
    target = Target(evil, "classes", 2, (evil, "\\N{no}"))
    task = Task((Input(evil, "vector", (4,)),), (target,))
    spec = FAMILIES["mlp"].spec(depth=1, width=8)
    data = {"name": evil, "train": 10}
    run = saved_run(tmp_path, [made_result(spec, 0.9, task=task)], task, data=data)
    module = ast.parse(run.to_code())
    kinds = {type(node) for node in module.body[1:]}
    assert kinds <= {
        *(ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.ClassDef)
    }
    assert run_code(run.to_code())["build_model"].__name__ == "build_model"
