"""The user's present model beside a search: read, fed, scored and trained anew."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from data.made_speech import write_speech
from data.made_tables import write_csv
from reports.made_runs import summary_of
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tuning.made_data import digits
from tuning.made_models import sequential

from kscale import Run, train, tune
from kscale.cli import main
from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.errors import ExportError, SpecError
from kscale.guests.present_model.baseline_file import find_baseline
from kscale.guests.present_model.feeding import feeders_of
from kscale.guests.present_model.present_scores import Present, load_present
from kscale.guests.present_model.retraining import (
    RetrainedReference,
    as_network,
    check_retrainable,
    fresh_clone,
)
from kscale.reports.hparams import experiment_summary, session_values
from kscale.reports.measures import density
from kscale.reports.present import compared
from kscale.runs.records import Record, Reference, to_line
from kscale.searches import plan_search
from kscale.task.heads.classes import softmax
from kscale.tuning.plan import Plan
from kscale.tuning.references import ReferenceContext
from kscale.tuning.trainer import TimeUp

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 700,
    "trials": 1,
    "epochs": 2,
    "batch_size": 128,
    "finalist_seeds": 0,
    "settings": {"depth": 1},
}


def pixels(data: Dataset, part: str) -> np.ndarray:
    """Raw images of a part, of 0 to 16."""
    return data.input_scaling["x"].invert(data.parts[part].inputs["x"])


@pytest.fixture(scope="module")
def mine() -> keras.Model:
    """A classifier of flat pixels of 0 to 1, trained a few steps."""
    keras.utils.set_random_seed(3)
    first = [keras.Input((64,)), keras.layers.Rescaling(2.0, -1.0)]
    layers = [keras.layers.Dense(16, "tanh"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([*first, *layers], name="mine")
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    x = pixels(digits(), "train").reshape(-1, 64) / 16
    model.fit(x, digits().train.targets["label"], epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def path(mine: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file."""
    file = tmp_path_factory.mktemp("models") / "mine.keras"
    mine.save(file)
    return file


@pytest.fixture(scope="module")
def run(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search beside it, with a budget that it exceeds."""
    folder = tmp_path_factory.mktemp("runs") / "beside"
    return tune(digits(), run=folder, baseline=path, retrain_baseline=True, **SMALL)


def parts_of(run: Run, name: str) -> dict[str, Reference]:
    return {item.part: item for item in run.references if item.name == name}


def present(model: Any, data: Any = None) -> Present:
    plan = plan_search(
        digits() if data is None else data, max_params=9e5, baseline=model
    )
    found = load_present(plan.baseline, plan.dataset, plan.objective)
    return found


def context_of(
    plan: Plan,
    folder: Path,
    seconds: float = math.inf,
    known: Sequence[Record] = (),
    on_epoch: Any = lambda *seen: None,
) -> ReferenceContext:
    return ReferenceContext(plan.setup, known, folder, 0, lambda: seconds, on_epoch)


def test_it_is_counted_and_scored_on_both_parts(run: Run, mine: keras.Model) -> None:
    found = parts_of(run, "present")
    assert found.keys() == {"validation", "test"}
    assert found["validation"].params == mine.count_params() == 65 * 16 + 17 * 10
    assert found["validation"].flops == 2 * (64 * 16 + 16 * 10)
    for part in ("validation", "test"):
        x = pixels(digits(), part).reshape(-1, 64) / 16
        chosen = mine.predict(x, verbose=0).argmax(axis=1)
        wanted = digits().parts[part].targets["label"]
        assert found[part].score == pytest.approx((chosen == wanted).mean())


def test_it_is_over_the_budget_and_never_an_answer(run: Run) -> None:
    report = run.report()
    rows = {row.family: row for row in report.rows}
    for family in ("present", "retrained"):
        assert rows[family].over_budget and rows[family].is_baseline
        assert not rows[family].is_front
    # It may score best of all, or lie within a larger budget: it stays no answer.
    assert {e.spec.family for e in run.entries()} <= {"mlp", "linear"}


def test_a_note_says_what_it_was_fed(run: Run) -> None:
    notes = " ".join(map(str, run.report().notes))
    assert "mine.keras was fed the raw inputs divided by 16 (with the raw" in notes
    assert "taken for probabilities" in notes


def test_it_is_trained_anew_once(run: Run, path: Path) -> None:
    found = parts_of(run, "retrained")
    assert found.keys() == {"validation", "test"}
    training = found["validation"]
    assert training.status == "ok", training.reason
    assert len(training.curve["loss"]) == training.epochs == 2
    assert training.curve["loss"][1] < training.curve["loss"][0]
    assert training.learning_rate == 1e-3 and training.params == 1210
    again = tune(
        digits(), run=run.folder, baseline=path, retrain_baseline=True, **SMALL
    )
    assert len(again.results) == len(run.results)


def test_its_training_goes_on_where_it_was_interrupted(
    tmp_path: Path, mine: keras.Model, run: Run
) -> None:
    plan = plan_search(digits(), baseline=mine, retrain_baseline=True, **SMALL)
    found = load_present(plan.baseline, plan.dataset, plan.objective)
    seen: list[int] = []

    def epoch_done(job: Any, member: int, epochs: int, score: float) -> None:
        seen.append(epochs)

    def scored(seconds: float, known: Sequence[Record] = ()) -> list[Reference]:
        context = context_of(plan, tmp_path, seconds, known, epoch_done)
        return list(RetrainedReference(found).records(context))

    with pytest.raises(TimeUp):
        scored(0.0)
    seen.clear()
    results = scored(math.inf)
    assert seen == [2] and [item.part for item in results] == ["validation", "test"]
    whole = parts_of(run, "retrained")
    assert results[0].curve == whole["validation"].curve
    assert results[1].left_out == whole["test"].left_out
    assert not scored(0.0, results)
    assert not list(tmp_path.iterdir())


def test_saved_anew_it_is_the_same_baseline(run: Run, path: Path, mine: Any) -> None:
    """The file has other bytes: a date, an optimizer; and names of layers differ."""
    anew = path.parent / "anew.keras"
    loaded = keras.saving.load_model(path, compile=False)
    loaded.compile("sgd", "mse")
    loaded.save(anew)
    assert anew.read_bytes() != path.read_bytes()
    shutil.copy(anew, path.with_name("mine.keras"))
    again = tune(
        digits(), run=run.folder, baseline=path, retrain_baseline=True, **SMALL
    )
    assert len(again.results) == len(run.results)
    assert digest_of(mine) == digest_of(loaded)


def layered(size: int = 3, activation: str = "relu", rate: float = 0.1) -> keras.Model:
    """A model of many kinds of layers, with weights that are always the same."""
    x = inputs = keras.Input((4, 2))
    x = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(x)
    twice = keras.layers.Dense(4, activation)
    inner = keras.Sequential([keras.Input((4, 4)), keras.layers.Conv1D(4, size)])
    x = inner(keras.layers.Dropout(rate)(twice(twice(x)) + 1.0))
    x = keras.layers.Dense(2, dtype="mixed_float16")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def digest_of(given: Any) -> str:
    found = find_baseline(given)
    assert found is not None
    return found.digest


def test_models_of_sequences_are_refused_at_the_door(tmp_path: Path, mine: Any) -> None:
    texts = ["ab", "c", "ba", "cc", "abc"] * 4
    data = load_dataset(write_speech(tmp_path, texts), source="wav", label="text")
    with pytest.raises(SpecError, match="Hypermodels predict no sequences"):
        plan_search(data, hypermodel=sequential, max_params=100_000)
    with pytest.raises(SpecError, match="Present models predict no sequences"):
        tune(data, max_params=100_000, baseline=mine, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_digest_is_of_content_alone(tmp_path: Path) -> None:
    changed, frozen = layered(), layered()
    changed.layers[-1].bias.assign_add([0.0, 1e-6])
    frozen.layers[-1].trainable = False
    others = [layered(activation="tanh"), layered(rate=0.2), changed, frozen]
    models = [layered(), layered(), *others]
    assert models[0].layers[1].name != models[1].layers[1].name
    for number, model in enumerate(models):
        model.save(tmp_path / f"{number}.keras")
    loaded = keras.saving.load_model(tmp_path / "0.keras")
    files = [digest_of(tmp_path / f"{number}.keras") for number in range(6)]
    for digests in ([digest_of(model) for model in models], files):
        assert digests[0] == digests[1] and len(set(digests)) == 5
    assert digest_of(loaded) == digest_of(models[0])


def told_apart(kind: str, changed: str) -> keras.Model:
    """A model in Python of which one setting is another, and no weight."""
    factor, strides, activation = 1 / 255, 1, "relu"
    factor = 1 / 127 if changed == "factor" else factor
    strides = 2 if changed == "strides" else strides
    activation = "sigmoid" if changed == "activation" else activation
    layers = [
        keras.layers.Rescaling(factor),
        keras.layers.Conv2D(2, 3, strides, kernel_initializer="ones"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(32, activation, kernel_initializer="ones"),
    ]
    if kind == "own":
        return Chain(layers)
    silent = [Silent()] if kind == "silent" else []
    return keras.Sequential([keras.Input((8, 8, 1)), *silent, *layers])


class Silent(keras.layers.Layer):
    """A layer that cannot tell its settings."""

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> Any:
        raise NotImplementedError


class Chain(keras.Model):
    """Layers that a custom call runs."""

    def __init__(self, chain: list[Any]) -> None:
        super().__init__()
        self.chain = chain
        self(np.zeros((1, 8, 8, 1)))

    def call(self, inputs: Any) -> Any:
        for layer in self.chain:
            inputs = layer(inputs)
        return inputs


@pytest.mark.parametrize("kind", ["sequential", "silent", "own"])
def test_the_digest_of_a_model_in_python_is_of_its_settings(kind: str) -> None:
    changes = ("factor", "strides", "activation")
    digests = [digest_of(told_apart(kind, changed)) for changed in ("", "", *changes)]
    assert digests[0] == digests[1] and len(set(digests)) == 4


def test_a_finished_run_takes_a_baseline_and_then_another(
    path: Path, tmp_path: Path
) -> None:
    """Nothing is trained again for it, and no row of the first is that of the other."""
    folder = tmp_path / "run"
    lines = [to_line(r) for r in tune(digits(), run=folder, **SMALL).results]
    other = headed(keras.layers.Dense(10, "softmax"))
    for baseline, retrain, families in (
        (path, False, ["present"] * 2),
        (other, True, ["present"] * 2 + ["retrained"] * 2),
        (path, False, []),
    ):
        asked = {"baseline": baseline, "retrain_baseline": retrain}
        run = tune(digits(), run=folder, **asked, **SMALL)
        assert [to_line(r) for r in run.results[: len(lines)]] == lines
        assert [r.name for r in run.results[len(lines) :]] == families
        lines = [to_line(r) for r in run.results]
        rows = [r for r in run.report().rows if r.family in ("present", "retrained")]
        params = 650 if baseline is other else 1210
        assert [row.params for row in rows] == [params] * (1 + retrain)
        assert rows[0].test_score is not None and not rows[0].knobs
        (log,) = (folder / "logs").glob("*.experiment*")
        assert b"retrained" in log.read_bytes()
    # Without one it goes on, and shows what it had.
    found = tune(digits(), run=folder, **SMALL).to_json()["present"]
    assert found["name"] == "mine.keras" and found["retrained"] is None


def test_a_baseline_is_no_part_of_the_folders_name(mine: Any) -> None:
    plans = [plan_search(digits(), **SMALL, baseline=each) for each in (None, mine)]
    assert plans[0].name == plans[1].name and plans[0].identity == plans[1].identity


def test_json_compares_it_with_the_recommended_row(run: Run) -> None:
    assert "present model: " in summary_of(run)
    document = run.to_json()
    found, best = document["present"], document["recommended"]
    assert found["name"] == "mine.keras" and found["over_budget"]
    assert found["recommended"]["params"] == best["params"]
    assert found["recommended"]["times_fewer_params"] == 1210 / best["params"]
    assert found["recommended"]["gain"] == best["score"] - found["score"]
    assert found["same_size"]["params"] <= found["params"]
    assert found["retrained"]["times_fewer_params"] == 1.0


def test_the_report_of_the_folder_pairs_its_answers(run: Run, path: Path) -> None:
    """By what is written alone, as the models answer the same test examples."""
    report = Run(run.folder).report()
    item = compared(report, report.recommended)
    assert item is not None and item.beside.is_paired
    right = []
    for file in (run.folder / "models" / "recommended.keras", path):
        wanted, given = present(file).pairs(digits().test)["label"]
        right.append((given.argmax(axis=1) == wanted).astype(float))
    differences = right[0] - right[1]
    assert item.beside.gain == pytest.approx(differences.mean())
    # 100 groups give it to about 7 %.
    stderr = differences.std() / len(differences) ** 0.5
    assert item.beside.stderr == pytest.approx(stderr, rel=0.3)
    text = " ".join(run.to_text().split())
    assert f"on the same {len(differences)} test examples" in text


def test_the_page_and_the_plot_show_it(run: Run, tmp_path: Path) -> None:
    page = run.write(tmp_path / "report.html").read_text()
    assert "present model</strong>: mine.keras: 1,210" in page
    assert "yours: present, 1.21k params" in page
    assert run.write(tmp_path / "plot.png").stat().st_size > 1000


def test_hparams_have_its_row_with_its_size(run: Run) -> None:
    values = session_values(parts_of(run, "present")["validation"])
    assert (values["family"], values["params"]) == ("present", 1210)
    names = [path.name for path in (run.folder / "logs").iterdir()]
    assert any(name.startswith("baseline-present-") for name in names)
    assert any(name.startswith("baseline-retrained-") for name in names)
    content = experiment_summary(run, 0.0).value[0].metadata.plugin_data.content
    assert b"present" in content and b"retrained" in content


def test_density_is_above_the_majority_class_and_no_other_baseline(run: Run) -> None:
    chance = parts_of(run, "majority")["validation"].score
    assert chance is not None
    searched = [item for item in run.trainings if item.stage == "search"]
    for result in (parts_of(run, "present")["validation"], searched[-1]):
        name = f"{result.stage}-{result.family}*{result.key[-16:][:8]}"
        (log,) = (run.folder / "logs").glob(f"{name}/*.training")
        values = [
            value for e in EventFileLoader(str(log)).Load() for value in e.summary.value
        ]
        (found,) = [v.tensor.float_val[0] for v in values if v.tag == "summary/density"]
        exact = density(run.objective, result.score or 0.0, chance, result.params)
        assert found == pytest.approx(exact, rel=1e-6)


def test_the_model_that_a_search_ships_is_a_baseline(run: Run) -> None:
    """It takes raw images, and gives class names beside the probabilities."""
    best = run.report().best
    found = present(run.folder / "models" / "best.keras")
    assert best is not None and found.feeder.text == "the raw inputs"
    given = found.pairs(digits().test)["label"][1]
    wanted = digits().test.targets["label"]
    assert (given.argmax(axis=1) == wanted).mean() == pytest.approx(best.test_score)
    clone = fresh_clone(found.feeder.model, seed=1)
    assert clone.count_params() == best.params


def headed(*layers: Any, shape: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    start = [keras.Input(shape), keras.layers.Flatten()]
    return keras.Sequential([*start, *layers], name="odd")


def test_probabilities_logits_and_independent_chances_are_told_apart() -> None:
    forms = {
        name: present(headed(keras.layers.Dense(10, name)))
        for name in ("softmax", "linear", "sigmoid")
    }
    assert forms["softmax"].to_json()["outputs"] == "probabilities"
    assert forms["linear"].to_json()["outputs"] == "logits"
    assert forms["sigmoid"].to_json()["outputs"] == "probabilities"
    for found in forms.values():
        given = found.pairs(digits().validation)["label"][1]
        np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "linear", "sigmoid"])
def test_as_a_network_it_gives_the_same(activation: str) -> None:
    """What is trained anew takes scaled inputs and gives logits."""
    found = present(headed(keras.layers.Dense(10, activation)))
    network = as_network(found.feeder, found)
    logits = network.predict(digits().test.inputs["x"], verbose=0)
    given = found.pairs(digits().test)["label"][1]
    np.testing.assert_allclose(softmax(logits), given, atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_each_of_several_true_labels_has_a_chance_of_its_own(activation: str) -> None:
    x = made("classes")["x"]
    data = load_dataset((x, (x[:, :2] > 0).astype(int)))
    assert data.task.targets[0].kind == "labels"
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Activation(activation)(9 * inputs[:, :2]))
    found = present(model, data)
    assert (
        found.to_json()["outputs"]
        == {"sigmoid": "probabilities", "linear": "logits"}[activation]
    )
    ((wanted, given),) = found.pairs(data.test).values()
    np.testing.assert_array_equal(given > 0.5, wanted)
    network = as_network(found.feeder, found)
    logits = network.predict(data.test.inputs["x"], verbose=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), given, atol=1e-4)


def mixed() -> tuple[Dataset, keras.Model]:
    """Two heads of classes and one of values, each output of another form."""
    arrays = made("classes")
    x, second = arrays["x"], arrays["y"]
    targets = {"kind": np.argmax(x, 1), "side": second, "size": 300 + 50 * x[:, 0]}
    inputs = keras.Input((3,))
    heads = {
        "kind": keras.layers.Dense(3)(inputs),
        "size": keras.layers.Dense(1)(inputs),
        "side": keras.layers.Dense(1, "sigmoid")(inputs),
    }
    model = keras.Model(inputs, heads, name="mixed")
    rng = np.random.default_rng(1)
    model.set_weights([3 * rng.normal(size=w.shape) for w in model.get_weights()])
    size = next(t for t in model.layers if t.output is model.output["size"])
    size.set_weights([np.array([[50.0], [0], [0]]), np.array([300.0])])
    return load_dataset((x, targets)), model


def test_each_of_several_outputs_has_a_form_of_its_own() -> None:
    data, model = mixed()
    found = present(model, data)
    assert found.forms["kind"] == "logits" and found.forms["size"] == "values"
    assert found.forms["side"] == "the probability of the second class"
    network = as_network(found.feeder, found)
    given = network.predict(data.test.inputs["x"], verbose=0)
    pairs = found.pairs(data.test)
    for name in ("kind", "side"):
        chances = softmax(given[f"head.{name}"])
        np.testing.assert_allclose(chances, pairs[name][1], atol=1e-4)
    # A linear output learns scaled values, whichever layer is the model's last.
    np.testing.assert_allclose(given["head.size"], pairs["size"][1], rtol=1e-4)


def test_the_shipped_model_of_a_table_reads_its_raw_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        [int(a), "uv"[a % 2], ["no", "yes"][a % 2]] for a in rng.integers(9, size=60)
    ]
    write_csv(tmp_path / "train.csv", ["age", "city", "class"], *rows)
    data = load_dataset(tmp_path / "train.csv")
    run = train("linear", data=data, epochs=2, run=tmp_path / "run")
    row = run.report().best
    found = present(run.folder / "models" / "best.keras", data)
    wanted, given = found.pairs(data.test)["class"]
    assert row is not None and found.feeder.text == "the raw inputs"
    assert (given.argmax(axis=1) == wanted).mean() == pytest.approx(row.test_score)
    with pytest.raises(SpecError, match="reads texts, sounds or columns of a table"):
        check_retrainable(found)


def of_numbers(*layers: Any, size: int = 2) -> keras.Model:
    return keras.Sequential([keras.Input((size,)), *layers], name="odd")


def test_one_matrix_may_be_the_raw_numbers_of_a_table(tmp_path: Path) -> None:
    """In the order of the file, without its words, blanks as NaN."""
    rng = np.random.default_rng(0)
    rows = [[a, "uv"[a % 2], b, a + b / 10] for a, b in rng.integers(90, size=(80, 2))]
    blanks = [["", "u", 1, 3]] * 20
    write_csv(tmp_path / "train.csv", ["b", "city", "a", "price"], *rows, *blanks)
    data = load_dataset(tmp_path / "train.csv", label="price")
    model = of_numbers(keras.layers.Dense(1))
    model.set_weights([np.array([[1.0], [0.1]]), np.zeros(1)])
    feeder = feeders_of(model, data, "odd")[0]
    assert "raw numbers of the table" in feeder.text
    (given,) = feeder.outputs(data.test, np.arange(len(data.test))).values()
    is_known = np.isfinite(given)
    assert 0 < is_known.sum() < len(given)
    np.testing.assert_allclose(
        given[is_known], data.test.targets["price"][is_known], rtol=1e-5
    )
    with pytest.raises(SpecError, match="not finite on this data: blanks are NaN"):
        present(model, data)
    (features,) = data.task.inputs[0].shape
    wanted = present(of_numbers(keras.layers.Dense(1), size=features), data)
    assert wanted.feeder.text == "the inputs as kscale's networks read them"


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_whole_numbers_reach_a_model_of_integers_exactly(dtype: str) -> None:
    """Although they were scaled, and turned back with an error."""
    rng = np.random.default_rng(0)
    x = rng.integers(256, size=(60, 3, 2, 1)).astype(np.uint8)
    data = load_dataset((x, x.sum(axis=(1, 2, 3)).astype(np.float32)))
    inputs = keras.Input((3, 2, 1), dtype=dtype)
    total = keras.ops.sum(keras.ops.cast(inputs, "float32"), axis=(1, 2))
    found = present(keras.Model(inputs, total), data)
    ((wanted, given),) = found.pairs(data.test).values()
    assert found.feeder.text == "the raw inputs"
    np.testing.assert_array_equal(given, wanted)
    assert as_network(found.feeder, found).output_shape == (None, 1)


def made(kind: str, count: int = 60) -> dict[str, np.ndarray]:
    """Two classes, or a value of hundreds, that follow from the first feature."""
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return {"x": x, "y": x[:, 0] > 0 if kind == "classes" else 300 + 50 * x[:, 0]}


def linear_model(weight: float, bias: float, activation: str) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, activation)], name="odd"
    )
    kernel = np.array([[weight], [0], [0]], np.float32)
    model.set_weights([kernel, np.array([bias], np.float32)])
    return model


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_one_number_is_the_second_of_two_classes(activation: str) -> None:
    data = load_dataset(made("classes"))
    found = present(linear_model(5.0, 0.0, activation), data)
    wanted, given = next(iter(found.pairs(data.test).values()))
    assert (given.argmax(axis=1) == wanted).all()
    assert found.to_json()["outputs"].endswith("of the second class")


def test_values_are_in_the_users_unit(tmp_path: Path) -> None:
    data = load_dataset(made("values"))
    run = tune(
        data,
        run=tmp_path / "run",
        baseline=linear_model(50.0, 300.0, "linear"),
        retrain_baseline=True,
        **{**SMALL, "max_params": 100, "batch_size": 8},
    )
    assert parts_of(run, "present")["test"].score == pytest.approx(0.0, abs=1e-3)
    assert (parts_of(run, "retrained")["test"].score or 0.0) > 1.0
    assert "worse by" in run.to_text()


def refused() -> dict[str, tuple[Callable[[], Any], str]]:
    dense = keras.layers.Dense
    return {
        "classes": (
            lambda: headed(dense(7)),
            "odd gives 7 numbers for each example, but 'label' of the data has 10",
        ),
        "shape": (
            lambda: headed(dense(10), shape=(9, 8)),
            r"odd takes .* 9x8, but the data has x 8x8x1",
        ),
        "map": (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), dense(10)], name="odd"),
            "odd gives 8x8x10 numbers",
        ),
        "unbuilt": (Own, "own was never built, so its weights would be random"),
        "number": (lambda: 5, "path of a .keras file or a keras.Model, but got int"),
        "finite": (
            lambda: headed(
                dense(10, bias_initializer=keras.initializers.Constant(np.nan))
            ),
            "numbers that are not finite",
        ),
    }


@pytest.mark.parametrize(
    "name", ["classes", "shape", "map", "unbuilt", "number", "finite"]
)
def test_what_does_not_suit_the_data_is_refused_at_once(
    name: str, tmp_path: Path
) -> None:
    make, text = refused()[name]
    with pytest.raises(SpecError, match=text) as caught:
        tune(digits(), run=tmp_path / "run", baseline=make(), **SMALL)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_best_feeding_is_doubted_if_it_is_no_better_than_chance() -> None:
    arrays = made("values")
    data = load_dataset({"x": 20 + 10 * arrays["x"], "y": arrays["y"]})
    assert "constant answer" in present(linear_model(40.0, 0.0, "linear"), data).doubt
    found = present(linear_model(50.0, 300.0, "linear"), data)
    assert found.feeder.text == "the inputs as kscale's networks read them"
    assert found.to_json()["outputs"] == "values" and not found.doubt
    assert present(linear_model(5.0, 200.0, "linear"), data).doubt == ""


def test_raw_inputs_are_left_for_what_is_clearly_better_alone() -> None:
    x = np.random.default_rng(0).uniform(size=(1000, 2, 1, 1)).astype(np.float32)
    data = load_dataset((2 * x, (x[:, 0, 0, 0] > 0.5).astype(int)))
    kernel = np.array([[60.0], [0.0]], np.float32)
    for bias, text in ((-55, "the raw inputs"), (-30, "divided by 1.99")):
        layers = [keras.Input((2, 1, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.set_weights([kernel, np.array([bias], np.float32)])
        assert text in present(model, data).feeder.text


@pytest.mark.parametrize("weight", [0.01, -0.01])
def test_values_near_0_are_no_scaled_targets(weight: float) -> None:
    """One of both is by luck a little better than the mean."""
    model = linear_model(0.0, 0.0, "linear")
    model.set_weights([np.array([[0], [weight], [0]]), np.zeros(1)])
    assert "constant answer" in present(model, load_dataset(made("values"))).doubt


def test_classes_in_another_order_are_doubted(mine: keras.Model) -> None:
    swapped = keras.models.clone_model(mine)
    *first, kernel, bias = mine.get_weights()
    order = [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    swapped.set_weights([*first, kernel[:, order], bias[order]])
    assert "classes in another order?" in present(swapped).doubt
    assert not present(mine).doubt


def test_a_stateful_model_is_compared_as_its_stateless_twin() -> None:
    """It was saved for batches of four, and each example is an example alone."""
    x = np.random.default_rng(0).normal(size=(60, 5, 3)).astype(np.float32)
    data = load_dataset((x, x[:, 0, 0] > 0))
    inputs = keras.Input((5, 3), batch_size=4)
    states = keras.layers.LSTM(4, stateful=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(states))
    single = keras.Input((5, 3))
    twin = keras.Model(
        single, keras.layers.Dense(2)(keras.layers.LSTM(4)(single)), name="twin"
    )
    twin.set_weights(model.get_weights())
    found = present(model, data)
    assert found.size.size.params == model.count_params()
    assert found.size.size == present(twin, data).size.size
    ((_, given),) = found.pairs(data.test).values()
    ((_, wanted),) = present(twin, data).pairs(data.test).values()
    np.testing.assert_allclose(given, wanted, atol=1e-6)
    check_retrainable(found)


def test_several_inputs_go_by_name_or_in_order() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 60, 2)).astype(np.float32)
    data = load_dataset(({"a": a, "b": b}, (a[:, 0] > 0).astype(int)))
    for names in (("b", "a"), ("first", "second")):
        inputs = [keras.Input((2,), name=name) for name in names]
        own = inputs[names.index("a")] if "a" in names else inputs[0]
        model = keras.Model(inputs, own[:, :1] * 9)
        feeder = feeders_of(model, data, "odd")[0]
        (given,) = feeder.outputs(data.test, np.arange(len(data.test))).values()
        np.testing.assert_array_equal(given[:, 0] > 0, data.test.targets["label"])


def test_missing_and_damaged_files_are_one_line(tmp_path: Path, path: Path) -> None:
    damaged = tmp_path / "damaged.keras"
    shutil.copy(path, damaged)
    damaged.write_bytes(damaged.read_bytes()[:-300])
    for file in (tmp_path / "missing.keras", damaged):
        with pytest.raises(ExportError, match=file.name) as caught:
            tune(digits(), run=tmp_path / "run", baseline=file, **SMALL)
        assert "\n" not in str(caught.value)
    wrong = [
        (["--retrain-baseline"], "--retrain-baseline needs --baseline"),
        (["--baseline", "nothing.keras"], "There is no file nothing.keras."),
    ]
    for options, text in wrong:
        done = CliRunner().invoke(main, ["tune", "--max-params", "1k", *options])
        assert done.exit_code == 1 and text in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_lambda_layer_is_not_run(tmp_path: Path) -> None:
    model = headed(keras.layers.Lambda(lambda x: x[:, :10]))
    model.save(tmp_path / "own.keras")
    with pytest.raises(ExportError, match="own.keras has a Lambda layer"):
        present(tmp_path / "own.keras")


def test_new_weights_follow_from_the_seed_and_frozen_ones_stay() -> None:
    frozen = keras.layers.Dense(4, trainable=False)
    model = headed(frozen, keras.layers.Dense(2))
    one, two, other = (fresh_clone(model, seed).get_weights() for seed in (1, 1, 2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
    by_shape = {w.shape: w for w in one}
    np.testing.assert_array_equal(by_shape[(64, 4)], frozen.get_weights()[0])
    new = {w.shape: w for w in other}
    assert not np.array_equal(by_shape[(4, 2)], new[(4, 2)])


def test_sides_that_a_model_leaves_open_are_those_of_the_data() -> None:
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x), name="open")
    assert present(model).size.size.flops > 2 * 64 * 9 * 4


class Own(keras.Model):
    """A model with a custom call."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.head = keras.layers.Dense(10)

    def call(self, inputs: Any) -> Any:
        return self.head(keras.ops.reshape(inputs, (-1, 64)))


def test_a_subclassed_model_is_compared_but_not_trained_anew(tmp_path: Path) -> None:
    model = Own()
    model(np.zeros((1, 8, 8, 1)))
    found = present(model)
    assert found.size.size.params == 650 and found.size.unknown
    plan = plan_search(digits(), max_params=9e5, baseline=model)
    for result in found.records(context_of(plan, tmp_path)):
        assert result.unknown_flops == len(found.size.unknown)
    with pytest.raises(SpecError, match="own has another `call`"):
        tune(
            digits(),
            run=tmp_path / "run",
            baseline=model,
            retrain_baseline=True,
            **SMALL,
        )


def adapted(kind: str) -> keras.Model:
    """A model with a layer that cannot be trained anew, below another."""
    last = keras.layers.Dense(10)
    if kind == "lambda":
        return headed(keras.layers.Lambda(lambda x: x / 16), last)
    inner = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8)])
    model = headed(inner, last)
    if kind == "lora":
        inner.layers[0].enable_lora(2)
    else:
        inner.layers[0].quantize(kind)
    return model


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int8", "odd has layers quantized to int8, whose kernels are not trained"),
        ("lora", "odd has layers adapted by LoRA, whose kernels are not trained"),
        ("lambda", "odd cannot be built with new weights .*Python lambda"),
    ],
)
def test_what_cannot_be_trained_anew_is_refused_at_once(
    kind: str, text: str, tmp_path: Path
) -> None:
    asked = {"baseline": adapted(kind), "retrain_baseline": True, **SMALL}
    with pytest.raises(SpecError, match=text) as caught:
        tune(digits(), run=tmp_path / "run", **asked)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()
    assert "--retrain-baseline" in str(caught.value)


def test_one_trained_network_is_compared_with_it_too(
    path: Path, tmp_path: Path
) -> None:
    asked = ["train", "mlp", "--depth", "1", "--width", "8", "--epochs", "1", "--json"]
    asked += ["--run", str(tmp_path / "run"), "--baseline", str(path)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    found, best = document["present"], document["recommended"]
    assert found["name"] == "mine.keras" and found["params"] == 1210
    assert best["family"] == found["recommended"]["family"] == "mlp"
    assert found["recommended"]["times_fewer_params"] == 1210 / best["params"]
    assert found["retrained"] is None
    alone = CliRunner().invoke(main, ["train", "mlp", "--retrain-baseline"])
    assert alone.exit_code == 1 and "needs --baseline" in alone.stderr
