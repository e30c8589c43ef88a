"""Methods that train: what they leave, and that they learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning.made_data import digits, small_spec

from kscale.engine.recipe import Recipe
from kscale.errors import ExportError, SpecError
from kscale.ship.compressing.contract import Subject, Trained
from kscale.ship.compressing.methods import METHODS, parse_chain
from kscale.ship.compressing.pruning import Pruner
from kscale.ship.compressing.training import trainer_of
from kscale.task.evaluation import mean_score
from kscale.task.objectives import task_objective


def subject_of(folder: Path, recipe: Recipe, **knobs: Any) -> Subject:
    """A network of the digits, trained by a recipe."""
    about = digits(), task_objective(None, digits().task), recipe
    weights = folder / "base.npz"
    network = Trained(small_spec(**knobs), weights, 0.01)
    subject = Subject(network, None, *about)
    made = trainer_of(subject).train(network, 7, weights, recipe.epochs, is_new=True)
    return replace(subject, network=made)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subject_of(tmp_path_factory.mktemp("subject"), Recipe(2, 128))


def made_by(name: str, subject: Subject, share: float, path: Path) -> Trained:
    """What a method makes."""
    train = METHODS[name].train
    assert train is not None
    return train(subject, share, path)


def arrays(path: Path) -> list[np.ndarray]:
    """Weights of a checkpoint."""
    with np.load(path) as file:
        names = (f"model/{i}" for i in range(1000))
        return [file[name] for name in names if name in file]


def kernels(path: Path) -> list[np.ndarray]:
    return [array for array in arrays(path) if array.ndim == 2]


def score(subject: Subject, network: Trained) -> float:
    """Accuracy on the validation part."""
    outputs = trainer_of(subject).outputs(network, "validation")
    pairs = digits().pairs("validation", outputs)
    return mean_score(subject.objective, digits().task, pairs)


def test_pruned_kernels_have_exactly_the_share_of_zeros(
    subject: Subject, tmp_path: Path
) -> None:
    pruned = made_by("prune", subject, 0.73, tmp_path / "pruned.npz")
    assert pruned.spec == subject.network.spec
    assert pruned.learning_rate == subject.network.learning_rate
    found = np.concatenate([kernel.ravel() for kernel in kernels(pruned.weights)])
    assert np.count_nonzero(found == 0) == round(0.73 * found.size)
    tuned = made_by("fine-tune", subject, 0.0, tmp_path / "tuned.npz")
    assert all(np.all(kernel != 0) for kernel in kernels(tuned.weights))


def test_each_layer_loses_its_share(subject: Subject, tmp_path: Path) -> None:
    path = made_by("prune-layers", subject, 0.5, tmp_path / "x.npz").weights
    for kernel in kernels(path):
        assert np.count_nonzero(kernel == 0) == kernel.size // 2


def test_what_was_removed_stays_removed_and_small_weights_go_next() -> None:
    pruner = Pruner()
    weights = {"a/kernel": np.array([[0.1, 3.0], [-0.2, 2.0]]), "a/bias": np.zeros(2)}
    assert pruner.choose(0.25, weights).keys() == {"a/kernel"}
    regrown = {"a/kernel": np.array([[9.0, 3.0], [0.2, -0.1]])}
    masks = pruner.choose(0.5, regrown)
    np.testing.assert_array_equal(masks["a/kernel"], [[0, 1], [1, 0]])
    with pytest.raises(SpecError, match="no kernels"):
        Pruner().choose(0.5, {"x/embeddings": np.ones(3)})


def test_nothing_removed_is_the_same_network(subject: Subject, tmp_path: Path) -> None:
    same = made_by("narrow", subject, 0.0, tmp_path / "same.npz")
    assert same.spec == subject.network.spec
    before, after = arrays(subject.network.weights), arrays(same.weights)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert score(subject, same) == score(subject, subject.network)


@pytest.mark.parametrize("name", ["narrow", "narrow-random", "scratch", "distill"])
def test_a_narrower_network_of_the_family_is_left(
    subject: Subject, tmp_path: Path, name: str
) -> None:
    made = made_by(name, subject, 0.5, tmp_path / "narrow.npz")
    assert made.spec == subject.network.spec.with_knobs(width=4)
    assert score(subject, made) > 0.2
    seconds = (
        made_by(name, replace(subject, seed=s), 0.5, tmp_path / "again") for s in (0, 1)
    )
    same, other = (kernels(each.weights)[0] for each in seconds)
    np.testing.assert_array_equal(same, kernels(made.weights)[0])
    assert np.any(same != other)


def test_chains_go_on_from_what_was_left(subject: Subject, tmp_path: Path) -> None:
    network = subject.network
    for number, step in enumerate(parse_chain("narrow:50%+prune:50%+int8").trained):
        path = tmp_path / f"{number}.npz"
        network = made_by(
            step.method.name, replace(subject, network=network), step.share, path
        )
    assert network.spec.width == 4
    sizes = [(np.count_nonzero(k == 0), k.size) for k in kernels(network.weights)]
    assert sum(zeros for zeros, _ in sizes) * 2 == sum(size for _, size in sizes)


def test_what_cannot_be_done_is_refused(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(SpecError, match="larger and better: give distill"):
        made_by("distill", subject, 0.0, path)
    lost = replace(subject.network, weights=tmp_path / "lost.npz")
    for name in ("narrow", "prune"):
        with pytest.raises(ExportError, match="lost.npz is missing or damaged"):
            made_by(name, replace(subject, network=lost), 0.5, path)
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "share", "least"),
    [("prune", 0.8, 0.93), ("narrow", 0.5, 0.9), ("distill", 0.5, 0.9)],
)
def test_real_trainings_keep_most_of_the_accuracy(
    tmp_path: Path, name: str, share: float, least: float
) -> None:
    subject = subject_of(tmp_path, Recipe(20, 32), width=32)
    assert score(subject, subject.network) > 0.95
    made = made_by(name, subject, share, tmp_path / "made.npz")
    assert score(subject, made) > least
