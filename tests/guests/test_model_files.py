"""A file from a stranger is counted without running anything of it, or refused."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
from click.testing import CliRunner
from keras.src.backend.common import global_state

from kscale import count_model
from kscale.cli import main
from kscale.errors import ExportError
from kscale.guests.model_files import load_trained


def write(path: Path, config: Any) -> Path:
    """A file as Keras writes it, but without weights."""
    with zipfile.ZipFile(path, "w") as archive:
        text = config if isinstance(config, str) else json.dumps(config)
        archive.writestr("config.json", text)
    return path


def small_model() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "gelu", kernel_regularizer="l2")],
        name="inner",
    )
    inputs = keras.Input((5, 3), name="x")
    x = keras.ops.mean(inputs, axis=1) * 2
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(inner(x)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_a_saved_model_has_the_size_of_the_model(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "small.keras"
    model.save(path)
    found, expected = count_model(path), count_model(model)
    assert found.size == expected.size
    assert found.rows == expected.rows
    assert found.title == "small.keras: Keras model of 5x3"


def recurrent(batch: int | None, **stateful: bool) -> keras.Model:
    inputs = keras.Input((5, 3), batch_size=batch)
    x = keras.layers.LSTM(4, return_sequences=True, dropout=0.1, **stateful)(inputs)
    inner = keras.layers.GRU(3, return_sequences=True, **stateful)
    x = keras.layers.Bidirectional(inner)(x)
    cells = [keras.layers.LSTMCell(2), keras.layers.SimpleRNNCell(2)]
    return keras.Model(inputs, keras.layers.RNN(cells, **stateful)(x))


def test_states_between_batches_are_no_weights(tmp_path: Path) -> None:
    config = keras.saving.serialize_keras_object(recurrent(4, stateful=True))
    found = count_model(write(tmp_path / "stateful.keras", config))
    assert found.size == count_model(recurrent(None)).size and not found.unknown


def test_a_network_of_keras_applications_inside_another(tmp_path: Path) -> None:
    with keras.StatelessScope(initialize_variables=False):
        base = keras.applications.MobileNetV3Small(
            input_shape=(32, 32, 3), alpha=0.75, weights=None, include_top=False
        )
        pool = keras.layers.GlobalAveragePooling2D()
        model = keras.Sequential([base, pool, keras.layers.Dense(2)])
    config = keras.saving.serialize_keras_object(model)
    found = count_model(write(tmp_path / "tuned.keras", config))
    assert found.size.params == model.count_params() == base.count_params() + 866
    assert found.size.flops == count_model(base).size.flops + 2 * 432 * 2


def test_weights_may_lie_where_hdf5_looks_for_a_beginning(tmp_path: Path) -> None:
    """At 512, 1,024, 2,048, ... bytes, as chance has it."""
    small_model().save(tmp_path / "model.keras")
    name, packed = "model.weights.h5", tmp_path / "moved.keras"
    with zipfile.ZipFile(tmp_path / "model.keras") as old:
        contents = {each: old.read(each) for each in old.namelist()}
    with zipfile.ZipFile(packed, "w") as new:
        for each in contents.keys() - {name}:
            new.writestr(each, contents[each])
        here = new.start_dir + 30 + len(name)
        filler = 2 ** here.bit_length() * 2 - here - 30 - 1
        new.writestr("x", bytes(filler))
        new.writestr(name, contents[name])
    assert h5py.is_hdf5(packed)
    assert load_trained(packed).count_params() == small_model().count_params()


def test_losses_of_ones_own_do_not_matter(tmp_path: Path) -> None:
    def own_loss(wanted: Any, given: Any) -> Any:
        return keras.ops.mean(wanted - given)

    model, path = small_model(), tmp_path / "own.keras"
    model.compile("sgd", own_loss)
    model.save(path)
    assert count_model(path).size == count_model(model).size


def test_reading_a_file_leaves_no_trace(tmp_path: Path) -> None:
    config = keras.saving.serialize_keras_object(small_model())
    path = write(tmp_path / "small.keras", config)
    keras.backend.clear_session()
    count_model(path)
    # Keras gives values to every variable that waits, at the end of the next scope.
    assert not global_state.get_global_attribute("uninitialized_variables")
    assert keras.layers.Dense(1).name == "dense"


@keras.saving.register_keras_serializable("elsewhere")
class Elsewhere(keras.layers.Layer):
    """A class that the reader of a file may not have."""

    def call(self, inputs: Any) -> Any:
        return inputs


def twice(x: Any) -> Any:
    """An activation of one's own."""
    return 2 * x


def with_layer(layer: keras.layers.Layer, **changes: Any) -> dict[str, Any]:
    """Config of a model with one layer, whose own config has these changes."""
    model = keras.Sequential([keras.Input((3,)), layer])
    config = keras.saving.serialize_keras_object(model)
    config["config"]["layers"][1].update(changes)
    return config


LONG = [f"arg{number}" for number in range(40)]

REFUSED = {
    "lambda": (
        lambda: with_layer(keras.layers.Lambda(lambda x: x + 1)),
        "has a Lambda layer, whose code is not run",
    ),
    "custom": (
        lambda: with_layer(Elsewhere(), registered_name="elsewhere>Other"),
        r"custom class, .*\.Elsewhere, whose code is not run",
    ),
    "module": (
        lambda: with_layer(keras.layers.ReLU(), module="os", class_name="system"),
        r"custom class, os\.system, whose",
    ),
    "function": (
        lambda: with_layer(keras.layers.Dense(2, activation=twice)),
        "custom function, twice, whose code is not run",
    ),
    "builtins": (
        lambda: with_layer(keras.layers.ReLU(), module="builtins", class_name="eval"),
        r"custom class, builtins\.eval, whose",
    ),
    "saved": (
        lambda: with_layer(keras.layers.ReLU(), class_name="TFSMLayer"),
        "has a TFSMLayer layer, whose code is not run",
    ),
    "download": (
        lambda: with_layer(
            keras.layers.ReLU(), module="keras.utils", class_name="get_file"
        ),
        r"custom class, keras\.utils\.get_file, whose",
    ),
    "unknown": (
        lambda: with_layer(keras.layers.ReLU(), class_name="Nothing"),
        "cannot be rebuilt from Keras' own layers",
    ),
    "no_model": (
        lambda: keras.saving.serialize_keras_object(keras.layers.ReLU()),
        "holds a ReLU, not a model",
    ),
    "list": (lambda: [1, 2], "is no Keras model, or a damaged one"),
    "text": (lambda: "{", "is no Keras model, or a damaged one"),
    "deep": (lambda: "[" * 100_000, "is no Keras model, or a damaged one"),
    "deeper than code goes": (
        lambda: '{"config":' * 600 + "{}" + "}" * 600,
        "is no Keras model, or a damaged one",
    ),
    "system": (
        lambda: with_layer(
            keras.layers.Dense(2),
            kernel_regularizer={"module": "os", "class_name": "system", "config": {}},
        ),
        r"custom class, os\.system, whose",
    ),
    "no_module": (
        lambda: with_layer(keras.layers.ReLU(), module=None, class_name="Evil"),
        "has a custom class, Evil, whose code is not run",
    ),
    "value": (
        lambda: with_layer(keras.layers.Dense(2), config={"units": "x"}),
        r"own layers: Received an invalid value for `units`, .* units=x\.$",
    ),
    "named": (
        lambda: with_layer(keras.layers.Dense(2), config={"name": "a", "units": -5}),
        r"own layers: Dense 'a': Received an invalid value for `units`, .* units=-5\.$",
    ),
    "newer": (
        lambda: with_layer(
            keras.layers.Dense(2), config={"units": 2, **dict.fromkeys(LONG, True)}
        ),
        r"own layers: Unrecognized keyword arguments passed to Dense: .*arg12': .*\.$",
    ),
    "words": (
        lambda: with_layer(
            keras.layers.StringLookup(vocabulary=["a"]),
            config={"name": "words", "vocabulary": ["a", "a"]},
        ),
        "own layers: StringLookup 'words': The passed vocabulary has .* repeated term",
    ),
    "file": (
        lambda: with_layer(
            keras.layers.StringLookup(vocabulary=["a"]),
            config={"vocabulary": __file__},
        ),
        "own layers: Requested the loading of a vocabulary file outside",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_made_of_stock_layers_is_refused(name: str, tmp_path: Path) -> None:
    make, text = REFUSED[name]
    with pytest.raises(ExportError, match=text) as caught:
        count_model(write(tmp_path / f"{name}.keras", make()))
    assert "\n" not in str(caught.value)
    assert f"{name}.keras" in str(caught.value)


def test_a_class_that_the_program_registered_itself_is_taken(tmp_path: Path) -> None:
    found = count_model(write(tmp_path / "own.keras", with_layer(Elsewhere())))
    assert len(found.unknown) == 1


def refused(path: Path, *options: str) -> str:
    """The one line that the command says of a file, without a table."""
    done = CliRunner().invoke(main, ["size", str(path), *options])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert not done.stdout
    return done.stderr


def test_missing_and_damaged_files_are_one_line_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no archive")
    (tmp_path / "old.h5").write_text("anything")
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "half.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(9))
    cut = write(
        tmp_path / "cut.keras", keras.saving.serialize_keras_object(small_model())
    )
    cut.write_bytes(cut.read_bytes()[:300])
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "a")
    for name in ("text", "empty", "half", "cut", "other", "missing", "old"):
        suffix = ".h5" if name == "old" else ".keras"
        assert f"{name}{suffix}" in refused(tmp_path / f"{name}{suffix}")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_what_cannot_be_unpacked_is_damaged(method: int, tmp_path: Path) -> None:
    path = tmp_path / "packed.keras"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("config.json", json.dumps({"class_name": "a" * 999}))
    whole = bytearray(path.read_bytes())
    whole[45:60] = b"\xff" * 15
    path.write_bytes(whole)
    assert "is no Keras model, or a damaged one" in refused(path)


def test_weights_and_folders_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "some.weights.h5").write_bytes(b"")
    assert "is weights alone: give a model" in refused(tmp_path / "some.weights.h5")
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported/saved_model.pb").write_bytes(b"")
    assert "is a folder, as of a SavedModel" in refused(tmp_path / "exported")


def with_weights(path: Path, source: Path, weights: bytes | None) -> Path:
    """A copy of a file with other weights, or without any."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", old.read("config.json"))
        if weights is not None:
            new.writestr("model.weights.h5", weights)
    return path


def test_a_file_is_told_for_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "small.keras"
    model.save(path)
    model.save_weights(tmp_path / "only.weights.h5")
    shutil.copy(tmp_path / "only.weights.h5", tmp_path / "only.keras")
    shutil.copy(path, tmp_path / "small.zip")
    with h5py.File(tmp_path / "old.keras", "w") as file:
        file.attrs["model_config"] = "{}"
    write(
        tmp_path / "layer.keras", keras.saving.serialize_keras_object(model.layers[-1])
    )
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    for name, content in {"no": None, "bad": b"no", "cut": weights[:3000]}.items():
        with_weights(tmp_path / f"{name}.keras", path, content)
    texts = {
        "only.keras": "only.keras is weights alone",
        "old.keras": "old.keras is in Keras' old format",
        "small.zip": "small.zip holds a Keras model, .* ends with .keras: rename it",
        "layer.keras": "layer.keras holds a Dense, not a model",
        "no.keras": "no.keras has no weights, damaged ones or those of another model",
        "bad.keras": "bad.keras has no weights, damaged ones",
        "cut.keras": "cut.keras has no weights, damaged ones",
    }
    for name, text in texts.items():
        with pytest.raises(ExportError, match=text) as caught:
            load_trained(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert count_model(tmp_path / "small.zip").size == count_model(model).size


def test_another_version_of_keras_is_told(tmp_path: Path) -> None:
    layer = with_layer(keras.layers.Dense(2), config={"units": 2, "new": True})
    path = write(tmp_path / "newer.keras", layer)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", '{"keras_version": "9.1"}')
    assert f"(saved by Keras 9.1; this is {keras.__version__})." in refused(path)


def test_a_shape_that_a_model_cannot_take_is_told(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(2, 3)(image))
    path = tmp_path / "image.keras"
    write(path, keras.saving.serialize_keras_object(keras.Model(image, pooled)))
    assert "--input 224x224x3" in refused(path)
    said = refused(path, "--input", "2x2x3")
    assert "cannot take 2x2x3: Computed output size would be zero or negative" in said
    unbuilt = keras.Sequential([keras.layers.Conv2D(2, 3)])
    write(path, keras.saving.serialize_keras_object(unbuilt))
    said = refused(path, "--input", "5")
    assert "image.keras cannot take 5: " in said and "expected min_ndim=4" in said


def test_the_command_shows_the_table_or_json(tmp_path: Path) -> None:
    path = str(tmp_path / "small.keras")
    small_model().save(path)
    done = CliRunner().invoke(main, ["size", path])
    assert done.exit_code == 0, done.stderr
    assert "26 (all trainable)" in done.stdout and "inner/dense" in done.stdout
    done = CliRunner().invoke(main, ["size", path, "--json"])
    assert json.loads(done.stdout)["params"] == 16 + 10
    done = CliRunner().invoke(main, ["size", path, "--classes", "3"])
    assert done.exit_code == 2 and "--classes does not go with a file" in done.stderr


def test_the_shape_may_be_repeated_for_a_file_only(tmp_path: Path) -> None:
    sides = [keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")]
    table = keras.layers.Embedding(9, 2)
    outputs = keras.layers.Concatenate(1)([table(side) for side in sides])
    config = keras.saving.serialize_keras_object(keras.Model(sides, outputs))
    path = write(tmp_path / "two.keras", config)
    assert "open, ? and ?: give" in refused(path) and "--input 128." in refused(path)
    shapes = ["--input", "5", "--input", "7"]
    done = CliRunner().invoke(main, ["size", str(path), *shapes])
    assert done.exit_code == 0 and "Keras model of 5 and 7" in done.stdout
    done = CliRunner().invoke(main, ["size", "mlp", *shapes])
    assert done.exit_code == 2 and "for the file of a model only" in done.stderr


def test_a_model_saved_before_it_had_an_input_needs_one(tmp_path: Path) -> None:
    config = keras.saving.serialize_keras_object(
        keras.Sequential([keras.layers.Dense(3)])
    )
    path = write(tmp_path / "open.keras", config)
    with pytest.raises(ExportError, match="give its shape with --input"):
        count_model(path)
    assert count_model(path, (7,)).size.params == 24
