"""A search for labels of which several may be true, from a table to predictions."""

import csv
import json
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from reports.made_runs import summary_of

from kscale import Dataset, Run, load_dataset, tune
from kscale.building.models import build_model
from kscale.cli import main
from kscale.guests.family_hypermodel import as_hypermodel
from kscale.networks.families import find_family
from kscale.task.heads.labels import LABELS
from kscale.task.objectives import task_objective
from kscale.tuning.fit_model import fit_model

SMALL: dict[str, Any] = {
    "max_params": 300,
    "trials": 2,
    "searcher": "random",
    "epochs": 6,
    "batch_size": 32,
    "finalist_seeds": 1,
    "most_finalists": 2,
}
NAMES = ("old", "red", "round")


def made_table(path: Path, rows: int = 400) -> Path:
    """Four numbers that say which of three labels are true."""
    x = np.random.default_rng(0).normal(size=(rows, 4)).round(3)
    true = {"red": x[:, 0] > 0.3, "round": x[:, 1] > 0, "old": x[:, 3] > 0.8}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "d", "tags"])
        for row in range(rows):
            tags = "|".join(name for name, each in true.items() if each[row])
            writer.writerow([*x[row], tags])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_table(tmp_path_factory.mktemp("data") / "tags.csv")


@pytest.fixture(scope="module")
def data(table: Path) -> Dataset:
    return load_dataset(table, label="tags")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that ended by itself."""
    return tune(data, run=tmp_path_factory.mktemp("runs") / "tags", **SMALL)


def test_networks_learn_labels_by_macro_f1(run: Run, data: Dataset) -> None:
    assert "best" in summary_of(run)
    report = run.report()
    assert run.objective.name == "f1_score"
    assert report.best is not None and report.best.score > 0.6
    wanted = data.validation.targets["tags"].mean(axis=0)
    every = np.mean(2 * wanted / (1 + wanted))  # of all labels, always
    assert report.chance == pytest.approx(every)
    assert set(report.best.test_metrics) == {
        *("recall", "precision", "f1_score", "auc"),
        *("subset_accuracy", "label_accuracy"),
    }


def test_the_report_has_figures_of_each_label(
    run: Run, data: Dataset, tmp_path: Path
) -> None:
    text = run.to_text()
    assert "means over the labels" in text and "missed most often" in text
    quality = run.to_json()["quality"][0]
    labels = {each["name"]: each for each in quality["confusion"]["labels"]}
    assert tuple(labels) == NAMES
    support = data.test.targets["tags"].sum(axis=0).tolist()
    assert [each["support"] for each in labels.values()] == support
    page = run.write(tmp_path / "report.html").read_text()
    assert "missed most often" in page and "Confusion of" not in page


def as_arrays(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The examples of all parts as networks read them, and rows of 0 and 1."""
    parts, item = data.parts.values(), data.task.inputs[0]
    x = np.concatenate([part.inputs[item.name] for part in parts])
    return x, np.concatenate([part.targets["tags"] for part in parts])


def packaged_rows(path: Path) -> tuple[dict[str, tf.Tensor], np.ndarray]:
    """Raw inputs of a table, and which labels are true."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    raw = {name: tf.constant([[float(row[name])] for row in rows]) for name in "abcd"}
    wanted = [[name in row["tags"].split("|") for name in NAMES] for row in rows]
    return raw, np.array(wanted)


def names_of(row: Any) -> list[str]:
    return [name.decode() for name in row if name]


@pytest.mark.parametrize(
    "form", ["keras", pytest.param("saved-model", marks=pytest.mark.slow)]
)
def test_the_model_names_the_likely_labels(
    run: Run, table: Path, tmp_path: Path, form: str
) -> None:
    suffix = ".keras" if form == "keras" else ""
    path = run.export(tmp_path / f"model{suffix}", format=form)
    raw, wanted = packaged_rows(table)
    made = run.load_model()
    inputs = {t.name: tf.reshape(raw[t.name], (-1, *t.shape[1:])) for t in made.inputs}
    if form == "keras":
        given = keras.models.load_model(path)(inputs)
    else:
        served = tf.saved_model.load(str(path))
        given = served.serve(inputs)
    shares, names = given["tags"].numpy(), given["tags_labels"].numpy()
    assert ((shares >= 0.5) == wanted).mean() > 0.8
    for row in range(20):
        likely = [name for name, p in zip(NAMES, shares[row], strict=True) if p >= 0.5]
        assert names_of(names[row]) == likely


def test_predictions_are_labels_with_their_probabilities(run: Run, table: Path) -> None:
    answers = list(run.predict(table))
    raw, wanted = packaged_rows(table)
    assert len(answers) == len(wanted)
    for answer in answers[:50]:
        pairs = answer.labels["tags"]
        assert all(share >= 0.5 for _, share in pairs)
        assert [p for _, p in pairs] == sorted((p for _, p in pairs), reverse=True)
        assert answer.classes == {} and answer.values == {}
    right = [
        {name for name, _ in answer.labels["tags"]}
        == {name for name, true in zip(NAMES, row, strict=True) if true}
        for answer, row in zip(answers, wanted, strict=True)
    ]
    assert np.mean(right) > 0.5


def test_predictions_are_written_as_labels_are_read(
    run: Run, table: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.csv"
    few.write_text("\n".join([*table.read_text().splitlines()[:8], ""]))
    command = ["predict", str(run.folder), str(few), "-q"]
    done = CliRunner().invoke(main, [*command, "--format", "csv"])
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert done.exit_code == 0 and len(rows) == 7
    found = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    for row, document in zip(rows, found, strict=True):
        labels = document["targets"]["tags"]["labels"]
        assert row["tags"].split("|") == [each["label"] for each in labels] or [""]
        assert row["tags_probabilities"].count("|") == max(len(labels) - 1, 0)


def test_the_board_has_the_metrics_of_labels(run: Run) -> None:
    logs = run.write_logs()
    written = b"".join(path.read_bytes() for path in logs.rglob("*tfevents*"))
    for name in ("subset_accuracy", "label_accuracy", "f1_score"):
        assert name.encode() in written or name.replace("_", " ").encode() in written


def test_the_code_of_the_network_trains_it(run: Run, data: Dataset) -> None:
    code = CliRunner().invoke(main, ["report", str(run.folder), "--code"]).stdout
    assert "`tags` is logits of 3 labels: old, red, round." in code
    assert "keras.losses.BinaryCrossentropy(from_logits=True)" in code
    names: dict[str, Any] = {"__name__": "code"}
    exec(code, names)
    model = names["build_model"]()
    names["compile_model"](model)
    x, y = data.train.inputs[data.task.inputs[0].name], data.train.targets["tags"]
    losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert model.count_params() == run.recommended().params


def test_keras_tuner_s_hypermodel_trains_labels(data: Dataset) -> None:
    hypermodel = as_hypermodel("mlp", data.task, settings={"depth": 1, "width": 8})
    model = hypermodel.build(keras_tuner.HyperParameters())
    part = data.train
    done = model.fit(
        part.inputs[data.task.inputs[0].name],
        part.targets["tags"],
        epochs=2,
        verbose=0,
    )
    assert set(done.history) == {"auc", "loss"}
    assert done.history["loss"][1] < done.history["loss"][0]


def test_a_model_trained_by_hand_is_scored(data: Dataset) -> None:
    item = data.task.inputs[0]
    inputs = keras.Input(item.shape, name=item.name)
    hidden = keras.layers.Dense(16, "relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    scores = fit_model(model, data, learning_rate=0.02, epochs=6)
    assert scores[-1] > 0.5


def made_by_hand(hp: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Dense(hp.Int("units", 4, 16, step=4), "relu"),
            keras.layers.Dense(3, "sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    return model


@pytest.mark.slow
def test_a_hypermodel_of_the_user_is_searched(data: Dataset, tmp_path: Path) -> None:
    found = tune(data, hypermodel=made_by_hand, run=tmp_path / "mine", **SMALL)
    best = found.report().best
    assert best is not None and best.score > 0.3
    model = found.load_model("best")
    assert {"tags", "tags_labels"} == set(model.output)


def test_labels_and_classes_are_targets_of_one_network(data: Dataset) -> None:
    x = np.concatenate(
        [p.inputs[data.task.inputs[0].name] for p in data.parts.values()]
    )
    tags = np.concatenate([p.targets["tags"] for p in data.parts.values()])
    mixed = load_dataset((x, {"kind": tags[:, 0], "tags": tags, "size": x[:, :1] / 3}))
    assert [t.kind for t in mixed.task.targets] == ["classes", "labels", "real"]
    family = find_family("mlp")
    spec = family.spec(depth=1, width=8)
    model = build_model(family.blueprint(spec, mixed.task), seed=1)
    scores = fit_model(model, mixed, learning_rate=0.02, epochs=4)
    assert scores[-1] > scores[0]
    objective = task_objective(None, mixed.task)
    names = ["accuracy", "f1_score", "r2_score"]
    assert [part.name for _, part in objective.parts] == names


@pytest.mark.parametrize(
    "activation", ["sigmoid", pytest.param("linear", marks=pytest.mark.slow)]
)
def test_a_present_model_of_labels_is_compared_with(
    data: Dataset, tmp_path: Path, activation: str
) -> None:
    """From a logit of 0 and from a probability of a half on a label is an answer."""
    data = load_dataset(as_arrays(data))
    item = data.task.inputs[0]
    inputs = keras.Input(item.shape, name=item.name)
    hidden = keras.layers.Dense(8, "relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, activation)(hidden))
    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.BinaryCrossentropy(from_logits=activation == "linear"),
    )
    raw = {
        name: data.input_scaling[item.name].invert(part.inputs[item.name])
        for name, part in data.parts.items()
    }
    model.fit(raw["train"], data.train.targets["labels"], epochs=20, verbose=0)
    given = model.predict(raw["validation"], verbose=0)
    least = 0.5 if activation == "sigmoid" else 0.0
    chances = (given >= least).astype(float)
    score = LABELS.objectives["f1_score"].compute
    plan = {**SMALL, "trials": 1, "finalist_seeds": 0, "epochs": 1}
    run = tune(
        data, baseline=model, retrain_baseline=True, run=tmp_path / "run", **plan
    )
    rows = {row.name: row for row in run.references if row.part == "validation"}
    expected = score(data.validation.targets["labels"], chances)
    assert rows["present"].score == pytest.approx(expected, abs=1e-5)
    assert rows["retrained"].status == "ok"
