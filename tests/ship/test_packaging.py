"""The model that ships computes what the trained network does, from raw inputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from tuning.made_data import digits, made_loop
from tuning.made_models import Net

from kscale import ExportError, ResultsError, count_model
from kscale.building.models import build_model
from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.checkpoints import save_checkpoint
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.guests.hypermodels.user_trainer import save_user_model
from kscale.naming import layer_name
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec, head_names
from kscale.ship.formats.base import write_whole
from kscale.ship.opening import open_model, shipped_model
from kscale.ship.packaging import package_model

EXAMPLES = 60
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Shipped:
    """A shipped model, and the network in it with weights that nobody trained."""

    data: Dataset
    network: keras.Model
    model: keras.Model


def shipped(family: str, x: Any, y: Any, folder: Path) -> Shipped:
    """The model of a network, after it was saved and opened again."""
    data = load_dataset((x, y))
    spec: Spec = find_family(family).spec(depth=1, width=8)
    network = build_model(find_family(family).blueprint(spec, data.task), seed=1)
    for variable in network.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape))
    save_checkpoint(folder / "weights.npz", network, None, Progress())
    model = package_model(
        spec,
        data.task,
        folder / "weights.npz",
        data.preprocessing,
        data.target_scaling,
    )
    write_whole(folder / "model.keras", model.save)
    assert not count_model(folder / "model.keras").unknown
    opened = keras.saving.load_model(folder / "model.keras", compile=False)
    return Shipped(data, network, opened)


def logits(made: Shipped, raw: dict[str, NDArray[Any]]) -> Any:
    """What the network gives for raw inputs that NumPy has preprocessed."""
    inputs = {name: item.apply(raw) for name, item in made.data.preprocessing.items()}
    alone = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    outputs = made.network.predict(alone, verbose=0)
    heads = map(layer_name, head_names(made.data.task))
    return [outputs[head] for head in heads] if isinstance(outputs, dict) else outputs


def shares_of(given: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(given - given.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_real_values_come_in_the_users_unit(tmp_path: Path) -> None:
    x = RNG.normal([5.0, -300.0], [2.0, 40.0], (EXAMPLES, 2)).astype(np.float32)
    y = (x @ np.array([[3e4, 1.0], [-2e3, 0.5]]) + 1e6).astype(np.float32)
    made = shipped("mlp", {"a/b c": x}, {"a/b c": y}, tmp_path)
    assert made.model.input.name == "a.b c"
    scaling = made.data.target_scaling["a/b c"]
    assert not scaling.is_identity
    wanted = scaling.apply(logits(made, {"a/b c": x}))
    np.testing.assert_allclose(made.model.predict(x, verbose=0), wanted, rtol=1e-4)


def test_several_inputs_are_taken_by_name(tmp_path: Path) -> None:
    x = {
        name: RNG.integers(0, 50, (EXAMPLES, 6)).astype(np.int32)
        for name in ("first text", "second-text")
    }
    made = shipped("transformer", x, np.arange(EXAMPLES) % 3, tmp_path)
    given = made.model.predict(x, verbose=0)
    assert given.keys() == {"label", "label_class"}
    wanted = shares_of(logits(made, x))
    np.testing.assert_allclose(given["label"], wanted, atol=1e-5)
    likeliest = [b"%d" % place for place in wanted.argmax(axis=1)]
    assert given["label_class"].tolist() == likeliest


def test_several_targets_come_by_name(tmp_path: Path) -> None:
    x = RNG.normal(7.0, 3.0, (EXAMPLES, 4)).astype(np.float32)
    y = {
        "x": np.array(["no", "yes", "per/haps"])[np.arange(EXAMPLES) % 3],
        "next year's": x[:, 0] * 1e4,
    }
    made = shipped("mlp", {"x": x}, y, tmp_path)
    given = made.model.predict(x, verbose=0)
    assert given.keys() == {"x", "x_class", "next year's"}
    classes, reals = logits(made, {"x": x})
    scaling = made.data.target_scaling["next year's"]
    values = scaling.apply(reals)
    np.testing.assert_allclose(given["next year's"], values, rtol=1e-4)
    np.testing.assert_allclose(given["x"], shares_of(classes), atol=1e-5)
    names = [name.decode() for name in given["x_class"]]
    assert names == [
        made.data.task.targets[0].class_names[i] for i in given["x"].argmax(axis=1)
    ]


@pytest.mark.parametrize("content", [b"", b"nothing"])
def test_damaged_weights_are_told(tmp_path: Path, content: bytes) -> None:
    x = RNG.normal(size=(EXAMPLES, 2)).astype(np.float32)
    made = shipped("mlp", x, np.arange(EXAMPLES) % 2, tmp_path)
    (tmp_path / "weights.npz").write_bytes(content)
    spec = find_family("mlp").spec(depth=1, width=8)
    data = made.data
    with pytest.raises(ExportError, match=r"weights\.npz is missing or damaged"):
        package_model(spec, data.task, tmp_path / "weights.npz", data.preprocessing, {})


def test_augmentation_does_not_ship(tmp_path: Path) -> None:
    spec = find_family("cnn").spec(depth=1, width=8, augment="shift+flip")
    loop = made_loop(spec, Recipe(epochs=1, batch_size=64))
    loop.run_epoch([np.arange(128, dtype=np.int32).reshape(2, 64)])
    save_checkpoint(tmp_path / "a.npz", loop.model, loop.optimizer, Progress(1))
    data = digits()
    model = package_model(
        spec, data.task, tmp_path / "a.npz", data.preprocessing, data.target_scaling
    )
    inputs = data.validation.inputs
    expected = shares_of(loop.predict(inputs)[0]["label"])
    # Called as it is, without a word on training.
    given = model(data.input_scaling["x"].invert(inputs["x"]))["label"]
    np.testing.assert_allclose(given, expected, atol=1e-5)


def saved_own(model: keras.Model, path: Path) -> str:
    data = digits()
    outputs = model(np.zeros((2, 8, 8, 1)))
    return save_user_model(model, UserOutputs.of(model, outputs, data.task), data, path)


def test_an_own_model_says_what_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "models" / "best.keras"
    first = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    last = keras.layers.Dense(10)
    assert saved_own(keras.Sequential([*first, last]), path) == ""
    half = keras.layers.Lambda(lambda x: x / 2)
    note = saved_own(keras.Sequential([*first, half, last]), path)
    with pytest.raises(ExportError) as caught:
        open_model(path)
    assert str(caught.value) == note
    assert f"Run('{tmp_path}').load_model('best', safe_mode=False)" in note
    assert open_model(path, safe_mode=False).count_params() == 650


def test_an_own_model_of_a_class_without_config_leaves_its_weights(
    tmp_path: Path,
) -> None:
    (tmp_path / "models").mkdir()
    note = saved_own(Net(4), tmp_path / "models" / "best.keras")
    assert note.startswith("best.keras could not be written (NotImplementedError: ")
    assert "Please implement `get_config()`); " in note
    with pytest.raises(ResultsError, match=r"build it by your own code and load .*h5"):
        shipped_model(tmp_path, {}, "best")
    with pytest.raises(ResultsError, match="no recommended model: the search has not"):
        shipped_model(tmp_path, {}, "recommended")
