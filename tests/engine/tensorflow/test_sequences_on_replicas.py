"""Losses of sequences are those of all tokens of a batch, on however many devices."""

import json
from pathlib import Path

import numpy as np
import pytest
from data.made_pairs import ZAHLEN
from data.made_speech import random_texts, write_speech
from data.made_tables import write_text
from warm_python import WarmPython

TWO_DEVICES = """
import json, sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tuning.made_data import made_loop, run_epochs, weights_of
from kscale.data.loading import load_dataset
from kscale.networks.families import find_family
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.devices import make_strategy

family, path, options, knobs = json.loads(sys.argv[1])
data, spec = load_dataset(path, **options), find_family(family).spec(**knobs)
recipe = Recipe(epochs=2, batch_size=8)
found = {}
for name in ("one", "mirrored"):
    loop = made_loop(spec, recipe, data, strategy=make_strategy(name))
    orders = [recipe.order(len(data.train), 1, epoch) for epoch in range(2)]
    found[name] = {
        "replicas": loop.strategy.num_replicas_in_sync,
        "losses": run_epochs(loop, orders),
        "weights": weights_of(loop).tolist(),
    }
json.dump(found, sys.stdout)
"""


def _sentences(path: Path) -> Path:
    """A table of pairs of one to nine words."""
    rows = [" ".join(ZAHLEN[row % 7 :][: 1 + row % 9]) for row in range(60)]
    lines = ["en\tde", *(f"{row.upper()}\t{row}" for row in rows)]
    return write_text(path, "\n".join(lines) + "\n")


def _speech(path: Path) -> Path:
    return write_speech(path.parent, random_texts(40), path.with_suffix(".csv").name)


@pytest.mark.parametrize(
    ("family", "made", "options", "knobs"),
    [
        pytest.param(
            *("seq2seq", _sentences, {"source": "en", "label": "de"}, {"dropout": 0.0}),
            marks=pytest.mark.slow,  # two languages take twice as long
        ),
        ("gpt", _sentences, {"next": "de"}, {"dropout": 0.0}),
        ("rnn", _speech, {"source": "wav", "label": "text"}, {"dropout": 0.0}),
    ],
)
def test_two_devices_train_on_sequences_what_one_device_trains(
    family: str, made, options, knobs, warm_python: WarmPython, tmp_path: Path
) -> None:
    path = str(made(tmp_path / "rows.tsv"))
    about = (family, path, options, {"depth": 1, "width": 16, **knobs})
    done = warm_python.run_here(TWO_DEVICES, json.dumps(about))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["mirrored"]["replicas"] == 2
    for figure in ("losses", "weights"):
        np.testing.assert_allclose(
            found["mirrored"][figure], found["one"][figure], rtol=1e-3, atol=2e-4
        )
