"""A user's models: drawn, counted, trained by their code, reported as a family."""

import json
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from tuning.made_data import digits
from tuning.made_models import (
    Conditional,
    adapted,
    custom,
    functional,
    sequential,
    subclassed,
)

from kscale import Run, load_dataset, tune
from kscale.errors import BudgetError, ResultsError, SpecError, TrialError
from kscale.guests.hypermodels.drawn_hyperparameters import DrawnHyperParameters
from kscale.guests.hypermodels.user_candidates import SIZES_FILE, raw_dataset
from kscale.guests.hypermodels.user_code import load_hypermodel
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.runs.folder import RESULTS_FILE
from kscale.runs.records import Training
from kscale.search.drawn import Aim
from kscale.search.draws import Draw
from kscale.search.features import Features
from kscale.search.model import Observation, ScoreModel
from kscale.searches import plan_search
from kscale.task.tasks import Target, Task

SMALL: dict[str, Any] = {
    "max_params": 1500,
    "trials": 3,
    "epochs": 1,
    "batch_size": 256,
    "finalist_seeds": 1,
    "most_finalists": 2,
}
ONE = {**SMALL, "trials": 1, "finalist_seeds": 0, "epochs": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that ended by itself."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    return tune(
        digits(), hypermodel=functional, depth_knob="layers", run=folder, **SMALL
    )


def own_results(run: Run) -> list[Training]:
    return [r for r in run.trainings if r.spec.family.endswith(":functional")]


def plan_of(hypermodel: Any, **asked: Any) -> Any:
    return plan_search(digits(), hypermodel=hypermodel, **{**SMALL, **asked}).candidates


def test_nothing_exceeds_the_budget_and_sizes_are_exact(finished: Run) -> None:
    assert own_results(finished)
    for result in own_results(finished):
        hp = keras_tuner.HyperParameters()
        hp.values = {"layers" if n == "depth" else n: v for n, v in result.spec.knobs}
        assert functional(hp).count_params() == result.params <= 1500


def test_a_spec_holds_only_what_makes_the_model(finished: Run) -> None:
    for result in own_results(finished):
        units = [name for name, _ in result.spec.knobs if name.startswith("units_")]
        assert len(units) == result.spec.depth
        assert result.learning_rate == result.spec["learning_rate"]


def test_it_has_baselines_finalists_and_scores_like_a_family(finished: Run) -> None:
    stages = [training.stage for training in finished.trainings]
    assert stages.count("search") == 3
    assert stages.count("finalist") == 2
    assert {row.family for row in finished.report().baselines} == {"linear", "majority"}
    assert "functional" in finished.to_text(all_rows=True)
    assert json.dumps(finished.to_json())
    assert list((finished.folder / "logs").glob("search-*functional*"))


def test_the_identity_names_the_code_and_its_hyperparameters(finished: Run) -> None:
    identity = finished.description["identity"]
    assert identity["families"] == ["tuning.made_models:functional"]
    assert len(identity["code"]) == 16
    assert ["layers", [1, 3]] in identity["hyperparameters"]
    domains = finished.description["hyperparameters"]
    assert domains["depth"] == [1, 3]
    assert domains["learning_rate"] == [0.001, 0.01]


def test_the_same_call_adds_nothing_and_more_trials_go_on(
    finished: Run, tmp_path: Path
) -> None:
    (tmp_path / SIZES_FILE).write_bytes((finished.folder / SIZES_FILE).read_bytes())
    before = (finished.folder / RESULTS_FILE).read_bytes()
    with (finished.folder / SIZES_FILE).open("a") as file:
        file.write('{"seed":0,"dra')
    asked = {"hypermodel": functional, "depth_knob": "layers", "run": finished.folder}
    tune(digits(), **asked, **SMALL)
    assert (finished.folder / RESULTS_FILE).read_bytes() == before
    lines = (finished.folder / SIZES_FILE).read_text().splitlines()
    assert all(json.loads(line)["drawn"] for line in lines)
    more = tune(digits(), **asked, **{**SMALL, "trials": 4, "finalist_seeds": 0})
    keys = [r.key for r in more.trainings if r.stage == "search"]
    assert len(keys) == len(set(keys)) == 4


def test_another_hypermodel_is_refused_in_the_same_folder(finished: Run) -> None:
    with pytest.raises(ResultsError, match="holds another search: its"):
        tune(digits(), hypermodel=sequential, run=finished.folder, **SMALL)


def test_a_search_without_a_number_of_trials_ends_by_itself(tmp_path: Path) -> None:
    """There is one network, at a rate that only its code knows."""
    asked: dict[str, Any] = {**ONE, "trials": None, "run": tmp_path / "run"}
    run = tune(digits(), hypermodel=adapted, **asked)
    searched = [r for r in run.trainings if r.stage == "search"]
    assert {r.spec for r in searched} == {searched[0].spec}
    assert all(r.learning_rate == pytest.approx(0.01) for r in searched)


@pytest.mark.parametrize(
    "build",
    [
        sequential,
        adapted,
        pytest.param(subclassed, marks=pytest.mark.slow),
        pytest.param(custom, marks=pytest.mark.slow),
    ],
)
def test_models_of_every_kind_train(build: Any, tmp_path: Path) -> None:
    run = tune(digits(), hypermodel=build, run=tmp_path / "run", **ONE)
    (result,) = [r for r in run.trainings if r.stage == "search"]
    assert result.status == "ok", result.reason
    assert len(result.curve["score"]) == len(result.curve["loss"]) == 2
    assert result.curve["score"][-1] == pytest.approx(result.score, abs=1e-5)
    knobs = dict(result.spec.knobs)
    assert result.spec.width == knobs.get("width")


def raw_images(part: str) -> Any:
    return raw_dataset(digits()).parts[part].inputs["x"]  # type: ignore[index]


def test_the_winner_gives_class_names_and_the_reported_score(tmp_path: Path) -> None:
    """Its metrics and optimizer do not get in the way of its weights."""
    run = tune(
        digits(),
        hypermodel=functional,
        run=tmp_path / "run",
        **{**ONE, "epochs": 12, "batch_size": 32, "max_params": 640},
    )
    best = run.best()
    assert best.spec.family.endswith("functional")
    outputs = run.load_model("best").predict(raw_images("test"), verbose=0)
    wanted = digits().test.targets["label"]
    tested = [r for r in run.evaluations if r.spec == best.spec]
    assert (outputs["label"].argmax(axis=1) == wanted).mean() == tested[0].score
    names = [b"%d" % c for c in outputs["label"].argmax(axis=1)]
    assert outputs["label_class"].tolist() == names
    with pytest.raises(ResultsError, match="is your own: build it with"):
        run.to_code("best")
    with pytest.raises(ResultsError, match="best and recommended can be loaded"):
        run.load_model(best)


def test_an_own_fit_trains_with_its_own_hyperparameters(tmp_path: Path) -> None:
    asked = {**ONE, "searcher": "random"}
    run = tune(digits(), hypermodel=Conditional(), run=tmp_path / "run", **asked)
    (result,) = [r for r in run.trainings if r.stage == "search"]
    assert result.status == "ok", result.reason
    assert dict(result.spec.knobs) == {"kind": "plain", "batch": 128}
    assert len(result.curve["score"]) == 2


def test_conditional_hyperparameters_are_drawn_where_they_are_active() -> None:
    own = plan_of(Conditional)
    assert own.pool.at(10**6) is None
    found = {
        tuple(n for n, _ in spec.knobs if n != "batch") for spec in own.pool.specs()
    }
    assert found == {("kind",), ("kind", "number"), ("kind", "number", "units")}
    assert len(own.pool) == 2 * (1 + 1 + 2)
    (reason,) = own.pool.left_out
    assert "RuntimeError: eight is unlucky" in reason
    assert "made_models.py, line" in reason


def test_what_is_not_active_makes_no_other_point_for_the_model_of_scores() -> None:
    models, draws = UserModels(Conditional(), digits().task), list[Draw]()
    points = [("plain", 1, 4), ("plain", 2, 16)]  # only these differ in nothing active
    points += [("deep", 1, 4), ("deep", 2, 4), ("deep", 2, 16)]
    for index, point in enumerate(points):
        known = dict(zip(("kind", "number", "units"), point, strict=True))
        drawn = models.draw(0, index, Aim(1, known))
        assert drawn.size is not None
        size = drawn.size
        draws.append(Draw(drawn.spec, None, size.training_work, size.params))
    features = Features(draws)
    assert features.networks.tolist() == [0, 0, 1, 2, 3]
    assert features.values[0].tolist() == features.values[1].tolist()
    assert len({tuple(row) for row in features.values.tolist()}) == 4
    model = ScoreModel(features.values, features.groups, features.networks)
    expected = model.expect([Observation(0, 0.0, 0.5), Observation(4, 0.0, 0.9)])
    assert expected.mean[0] == expected.mean[1] < expected.mean[4]
    assert expected.deviation[0] == expected.deviation[1] < expected.deviation[2]


def chosen(hp: Any) -> int:
    """Units by conditions in Python; of the same name in two parts, of other values."""
    if hp.Choice("kind", ["small", "large"]) == "small":
        if hp.Boolean("tiny"):
            return int(hp.Int("units", 1, 2))
        return int(hp.Int("units", 4, 8))
    return int(hp.Int("units", 64, 512) * hp.Choice("times", [1, 2]))


def scoped(hp: Any) -> int:
    """The same in scopes."""
    hp.Choice("kind", ["small", "large"])
    with hp.conditional_scope("kind", ["small"]):
        hp.Boolean("tiny")
        with hp.conditional_scope("tiny", [True]):
            few = hp.Int("units", 1, 2)
        with hp.conditional_scope("tiny", [False]):
            some = hp.Int("units", 4, 8)
    with hp.conditional_scope("kind", ["large"]):
        many, times = hp.Int("units", 64, 512), hp.Choice("times", [1, 2])
    return int(few or some or many * times)


@pytest.mark.parametrize("units", [chosen, scoped])
def test_moved_values_are_those_of_what_is_active(units: Any) -> None:
    def build(hp: Any) -> keras.Model:
        layers = [keras.layers.Dense(units(hp)), keras.layers.Dense(10)]
        return keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), *layers]
        )

    models = UserModels(build, digits().task)
    values = {"kind": "large", "units": 100, "times": 2, "tiny": True}
    found = [
        models.draw(0, index, Aim(1, {**values, **more}, places=places))
        for index, (more, places) in enumerate(
            [
                ({}, {}),
                ({}, {"tiny": 0.0}),  # not active
                ({"kind": "small"}, {}),
                ({}, {"kind": 0.0}),
                ({}, {"kind": 0.0, "tiny": 0.0}),
            ]
        )
    ]
    assert found[0].spec == found[1].spec and len({each.spec for each in found}) == 3
    assert [len(each.spec.knobs) for each in found] == [3] * 5
    widths = [each.size.params // 75 for each in found if each.size]
    assert widths[:2] == [200, 200] and {*widths[2:4]} <= {1, 2}
    assert 4 <= widths[4] <= 8


def test_values_follow_their_own_law() -> None:
    def build(hp: Any) -> None:
        hp.Float("log", 1e-6, 1.0, sampling="log")
        hp.Int("step", 8, 64, step=8)

    values = []
    for seed in range(300):
        hp = DrawnHyperParameters(seed)
        build(hp)
        values.append([hp.values["log"], hp.values["step"]])
    logs, steps = np.array(values).T
    assert np.median(logs) == pytest.approx(1e-3, rel=0.9)
    assert {int(step) for step in steps} == set(range(8, 65, 8))


def test_a_draw_that_another_went_before_builds_nothing() -> None:
    built = []

    def build(hp: Any) -> keras.Model:
        built.append(hp.Int("units", 4, 6))
        return sequential(hp)

    models = UserModels(build, digits().task)
    drawn = [models.draw(0, index) for index in range(60)]
    assert len({each.spec for each in drawn}) == 15
    assert len(built) == 15


def test_a_tenth_of_the_time_limit_is_for_counting(tmp_path: Path) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Int("width", 4, 8)
        time.sleep(0.05)
        return sequential(hp)

    own = plan_of(build, time_limit=1.0)
    own.prepare(tmp_path, print, 20)
    assert 1 <= len(own.pool) < 5
    assert len(plan_of(build, time_limit=None).pool.some(0, 20)) == 5


def test_where_few_models_fit_those_that_are_too_large_are_shrunk(
    tmp_path: Path,
) -> None:
    def build(hp: Any) -> keras.Model:
        wide = [keras.layers.Dense(hp.Int(f"u{i}", 8, 2048, step=8)) for i in range(3)]
        return keras.Sequential([keras.Input((9,)), *wide, keras.layers.Dense(10)])

    x = np.eye(90, 9, dtype=np.float32)
    data = load_dataset((x, np.arange(90) % 10))
    own = plan_search(data, hypermodel=build, max_params=8000, trials=20).candidates
    notes: list[str] = []
    own.prepare(tmp_path, notes.append, 5)
    assert len(own.pool) == 5 and own.pool.draws < 200
    (note,) = own.notes()
    assert note in notes and f"Only {own.found}: moved to" in note
    assert " draws so far fit max_params=8k, and " in own.found
    assert max(own.size(spec).params for spec in own.pool.specs()) <= 8000


def test_names_that_mean_something_else_here_are_kept_apart() -> None:
    def build(hp: Any) -> keras.Model:
        hp.Choice("family", ["a", "b"])
        hp.Float("depth", 0.0, 1.0)
        return sequential(hp)

    models = UserModels(build, digits().task)
    spec = models.draw(0, 1).spec
    assert [name for name, _ in spec.knobs] == ["depth_", "family_", "width"]
    assert set(models.values(spec)) == {"depth", "family", "width"}
    assert models.counted(spec)[0] == models.draw(0, 1).size


def test_raw_examples_are_what_the_source_holds() -> None:
    images = raw_images("train")
    assert (images == np.rint(images)).all()
    assert images.max() == 16
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(1e6, 1, 90), rng.normal(0, 1e-5, 90)], axis=1)
    data = load_dataset((x.astype(np.float32), np.arange(90) % 2))
    parts = raw_dataset(data).parts.values()
    given = np.concatenate([part.inputs["x"][:] for part in parts])
    order = np.argsort(given[:, 1])
    wanted = x.astype(np.float32)[np.argsort(x[:, 1])]
    np.testing.assert_allclose(given[order], wanted, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("activation", "loss", "is_logits"),
    [
        ("softmax", None, False),
        (None, None, True),
        (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), True),
        ("softmax", "sparse_categorical_crossentropy", False),
    ],
)
def test_logits_are_told_by_loss_and_last_layer(
    activation: Any, loss: Any, is_logits: bool
) -> None:
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation=activation)]
    model = keras.Sequential(layers)
    if loss is not None:
        model.compile(loss=loss)
    task = Task(digits().task.inputs, (Target("y", "classes", 3),))
    for each in (model, keras.Sequential([keras.Input((4,)), model])):
        heads = UserOutputs.of(each, each(np.zeros((2, 4))), task)
        assert heads.are_logits(each) == {"y": is_logits}


def test_one_output_is_the_second_of_two_classes() -> None:
    task = Task(digits().task.inputs, (Target("y", "classes", 2, ("no", "yes")),))
    given = np.array([[0.25], [0.75]])
    one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    shares = np.exp(UserOutputs.of(one, given, task).read(one, given)["y"])
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0.25, 0.75]], rtol=1e-6)
    with pytest.raises(TrialError, match="gives 3 outputs, but y has 2 classes"):
        UserOutputs.of(one, np.zeros((2, 3)), task)


def test_what_only_families_have_is_refused() -> None:
    for asked, error, text in (
        ({"family": "mlp"}, SpecError, "a hypermodel or a family, not both"),
        ({"settings": {"depth": 1}}, SpecError, "cannot be set or searched"),
        ({"search": "dropout"}, SpecError, "cannot be set or searched"),
        ({"precision": "bfloat16"}, SpecError, "the code of a hypermodel decides"),
        ({"parametrization": "mup"}, SpecError, "which weights of a hypermodel grow"),
        ({"depth_knob": "leyers"}, SpecError, "Did you mean 'layers'"),
        ({"depth_knob": "learning_rate"}, SpecError, "must name whole numbers"),
    ):
        with pytest.raises(error, match=text):
            plan_of(functional, **asked)
    with pytest.raises(BudgetError, match=r"\(width=4\) has params=310"):
        plan_search(digits(), hypermodel=sequential, max_params=100)
    x = np.eye(20)
    several = load_dataset((x, {"a": x.argmax(1) % 2, "b": x.argmax(1) % 3}))
    asked = {"hypermodel": functional, "class_weights": "balanced"}
    with pytest.raises(SpecError, match="class weights of one target"):
        plan_search(several, max_params=100, **asked)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("nowhere_at_all:build", "no module 'nowhere_at_all' in"),
        ("tuning.made_models:sequentiel", "Did you mean 'sequential'"),
        ("tuning.made_models", "named MODULE:NAME"),
        ("./nowhere_at_all.py:build", "There is no file ./nowhere_at_all.py"),
        (3, "is a keras_tuner.HyperModel or a function"),
    ],
)
def test_what_is_no_hypermodel_is_told_in_one_line(source: Any, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        load_hypermodel(source)


def test_a_hypermodel_may_be_named_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "far/alone_at_home.py": "import beside_at_home\ndef build(hp): ...",
        "far/beside_at_home.py": "",
        "far/packed_at_home/__init__.py": "",
        "far/packed_at_home/inner.py": "from . import other\ndef build(hp): ...",
        "far/packed_at_home/other.py": "",
        "far/json.py": "def build(hp): ...",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    for given in ("./far/alone_at_home.py", f"{tmp_path}/far/alone_at_home.py"):
        assert load_hypermodel(f"{given}:build").name == "alone_at_home:build"
    inner = load_hypermodel("far/packed_at_home/inner:build")
    assert (inner.name, inner.folder) == (
        "packed_at_home.inner:build",
        tmp_path / "far",
    )
    with pytest.raises(SpecError, match=r"far/json.py cannot be imported: json is .*"):
        load_hypermodel("far/json.py:build")


def hopeless(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A model that learns next to nothing, so that the linear one is better."""
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(inputs)
    hidden = keras.layers.Dense(2 + hp.Int("units", 0, 3))(flat)
    model = keras.Model(inputs, keras.layers.Dense(10)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-6), loss)
    return model


def test_a_baseline_that_becomes_a_finalist_is_trained_as_a_baseline(
    tmp_path: Path,
) -> None:
    options = {**SMALL, "finalist_seeds": 1, "max_params": 3000}
    run = tune(digits(), hypermodel=hopeless, run=tmp_path / "run", **options)
    finalists = [t for t in run.trainings if t.stage == "finalist"]
    linear = [t for t in finalists if t.family == "linear"]
    assert [(t.status, t.params) for t in linear] == [("ok", 650)]
