"""A table with awkward names, from its CSV file to a model that reads it again."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from data.made_tables import write_csv

import kscale

NAMES = ["hours per-week", "Größe/m", "native country", "class"]


def awkward(path: Path, rows: int) -> Path:
    rng = np.random.default_rng(rows)
    kinds = rng.integers(0, 2, rows).tolist()
    lines = [
        [row % 7, row * kind if row % 5 else "?", "ab"[kind], ("no", "yes")[kind]]
        for row, kind in enumerate(kinds)
    ]
    return write_csv(path, NAMES, *lines)


def test_a_shipped_table_model_reads_the_rows_of_a_file(tmp_path: Path) -> None:
    awkward(tmp_path / "train.csv", 80), awkward(tmp_path / "test.csv", 20)
    data = kscale.load_dataset(tmp_path)
    run = kscale.train("linear", data=data, epochs=2, run=tmp_path / "run")
    model = run.load_model("best")

    examples = list(data.reader.examples(tmp_path / "test.csv"))
    rows = [example.raw for example in examples if example.raw is not None]
    fed = {
        name: tf.constant([row[name].item() for row in rows])
        for name in ("hours_per_week", "Gr_e_m", "native_country")
    }
    given = model(fed)
    assert given["class"].shape == (20, 2)
    named = [name.decode() for name in given["class_class"].numpy().tolist()]
    truth = np.array(data.task.targets[0].class_names)[data.test.targets["class"]]
    assert {
        result.score for result in run.evaluations if result.spec.family == "linear"
    } == {np.mean(np.array(named) == truth)}

    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    served = exported.serve(fed)
    np.testing.assert_allclose(served["class"], given["class"], atol=1e-6)
