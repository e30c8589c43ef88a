"""Data larger than memory gives what it gives in memory, and stays out of it."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import made_loop, run_epochs, weights_of

from kscale.data.assembling import dataset_of
from kscale.data.dataset import Dataset
from kscale.data.example_rows import (
    ComputedRows,
    MadeRows,
    StoredRows,
    is_in_memory,
)
from kscale.data.load_options import Options
from kscale.data.loading import load_dataset
from kscale.data.parts import PART_NAMES
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.engine.recipe import Recipe
from kscale.errors import DataError
from kscale.networks.families import find_family
from kscale.task.tasks import Input

COUNT = 300
RNG = np.random.default_rng(0)
Y = np.arange(COUNT) % 3
PIXELS = RNG.integers(0, 200, (COUNT, 6, 5), np.uint8) + (20 * Y[:, None, None]).astype(
    np.uint8
)
ARRAYS = {
    "bytes": PIXELS,
    "colours": np.stack([PIXELS, PIXELS // 2, 255 - PIXELS], axis=-1),
    "reals": RNG.normal(7.0, 3.0, (COUNT, 4)),
    "ids": RNG.integers(0, 50, (COUNT, 6)),
    "halves": RNG.normal(size=(COUNT, 3)).astype(np.float16),
}
RECIPE = Recipe(epochs=3, batch_size=20)


def images(memory: int | None, taken: list[int] | None = None) -> Dataset:
    """Images that are decoded when they are needed, as those of a folder are."""

    def decoded(rows: Any) -> Any:
        if taken is not None:
            taken.extend(rows.tolist())
        return PIXELS[rows][..., np.newaxis]

    x = RawArray("files", MadeRows(decoded, (COUNT, 6, 5, 1), np.uint8), is_slow=True)
    part = RawPart({"x": x}, {"": RawArray.of("folders", Y)})
    fit = ScaledFit(Input("x", "image", (6, 5, 1)))
    raw = RawData({"train": part}, (fit,))
    return dataset_of("images", raw, Options(memory=memory), 0)


def assert_same(streamed: Dataset, held: Dataset) -> None:
    """Same values, parts and task; one of them not in memory."""
    assert streamed.fingerprint == held.fingerprint
    assert streamed.task == held.task
    assert streamed.preprocessing == held.preprocessing
    for name in PART_NAMES:
        for key, rows in streamed.parts[name].inputs.items():
            whole = held.parts[name].inputs[key]
            assert is_in_memory(whole) and not is_in_memory(rows)
            np.testing.assert_array_equal(rows[:], whole[:], strict=True)
        for key, values in streamed.parts[name].targets.items():
            np.testing.assert_array_equal(values, held.parts[name].targets[key])


def test_files_are_decoded_once_and_give_the_same_parts() -> None:
    taken: list[int] = []
    streamed = images(0, taken)
    assert_same(streamed, images(None))
    assert sorted(taken) == list(range(COUNT))


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_give_the_same_parts(kind: str) -> None:
    source = (ARRAYS[kind], Y)
    assert_same(load_dataset(source, memory=0), load_dataset(source))


@pytest.mark.parametrize("batch", [None, 32])
@pytest.mark.parametrize("kind", ARRAYS)
def test_tensorflow_datasets_give_the_same_parts(kind: str, batch: int | None) -> None:
    stream = tf.data.Dataset.from_tensor_slices((ARRAYS[kind], Y))
    stream = stream.batch(batch) if batch else stream
    held = load_dataset((ARRAYS[kind], Y))
    assert load_dataset(stream).fingerprint == held.fingerprint
    for memory in (0, 3000):  # 3,000 bytes are full after some examples
        assert_same(load_dataset(stream, memory=memory), held)


def test_tensorflow_datasets_have_parts_and_named_inputs() -> None:
    cuts = {
        "train": slice(0, 200),
        "validation": slice(200, 250),
        "test": slice(250, 300),
    }

    def stream(rows: slice) -> Any:
        x = {"a": ARRAYS["reals"][rows], "b": PIXELS[rows]}
        return tf.data.Dataset.from_tensor_slices((x, Y[rows])).batch(16)

    parts = {part: stream(rows) for part, rows in cuts.items()}
    held, streamed = load_dataset(parts), load_dataset(parts, memory=0)
    assert_same(streamed, held)
    assert [len(part) for part in held.parts.values()] == [200, 50, 50]
    assert [item.name for item in held.task.inputs] == ["a", "b"]
    assert load_dataset(tuple(parts.values())).fingerprint == held.fingerprint
    two = load_dataset((parts["train"], parts["test"]))
    assert (two.test.targets["label"] == Y[cuts["test"]]).all()
    assert len(two.train) + len(two.validation) == 200


def test_wrong_parts_are_reported() -> None:
    stream = tf.data.Dataset.from_tensor_slices((PIXELS, Y))
    with pytest.raises(DataError, match="of which train must be there.* has test"):
        load_dataset({"test": stream})
    with pytest.raises(DataError, match="it has 1"):
        load_dataset((stream,))
    with pytest.raises(DataError, match="tf.data.Dataset test is empty"):
        load_dataset((stream, stream.take(0)))
    ragged = tf.data.Dataset.from_generator(
        lambda: ((np.zeros(n), 1) for n in (3, 4)),
        output_signature=(tf.TensorSpec([None]), tf.TensorSpec([])),
    )
    with pytest.raises(DataError, match=r"different shape, \(3,\) and \(4,\)"):
        load_dataset(ragged)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_number_on_disk_is_found(bad: float) -> None:
    x = ARRAYS["reals"].copy()
    x[250, 1] = bad
    stream = tf.data.Dataset.from_tensor_slices((x, Y))
    with pytest.raises(DataError, match="x has 1 (missing|infinite) value"):
        load_dataset(stream, memory=0)


def trained(data: Dataset, chunk_bytes: int) -> tuple[list[float], Any, Any, int]:
    """Losses, weights, outputs and chunks of an epoch of a small network."""
    spec = find_family("cnn").spec(depth=1, width=8)
    loop = made_loop(spec, RECIPE, data, chunk_bytes=chunk_bytes)
    orders = [RECIPE.order(len(data.train), 1, epoch) for epoch in range(3)]
    losses = run_epochs(loop, orders)
    outputs = loop.predict(data.validation.inputs)[0]["label"]
    return losses, weights_of(loop), outputs, len(list(loop.data.chunks(orders[0])))


def test_a_network_trains_on_chunks_as_it_trains_in_memory() -> None:
    held = trained(images(None), 2**20)
    streamed = trained(images(0), 3 * 20 * 6 * 5 * 4)
    assert held[3] == 1 and streamed[3] == 4  # 10 steps, three a chunk
    assert streamed[0] == pytest.approx(held[0], rel=1e-6)
    np.testing.assert_allclose(streamed[1], held[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(streamed[2], held[2], rtol=0, atol=1e-5)


ORDERS = {
    "ascending": np.array([0, 1, 2, 7, 999]),
    "any": np.array([999, 3, 3, 500, 0, 501]),
    "from the end": np.array([-1, -1000]),
    "scattered": np.sort(RNG.permutation(1000)[:100]),
    "none": np.array([], int),
}


@pytest.mark.parametrize("shape", [(3,), (5000,), (), (0,)])
@pytest.mark.parametrize("order", ORDERS)
def test_rows_on_disk_are_read_in_any_order(shape: Any, order: str) -> None:
    whole = RNG.normal(size=(1000, *shape)).astype(np.float32)
    rows = StoredRows(np.array_split(whole, 7), shape, np.float32)
    np.testing.assert_array_equal(
        rows[ORDERS[order]], whole[ORDERS[order]], strict=True
    )


def test_rows_on_disk_are_cut_as_arrays_are() -> None:
    whole = np.arange(20).reshape(10, 2)
    rows = StoredRows([whole[:4], whole[4:]], (2,), whole.dtype)
    for cut in (slice(None), slice(2, 5), slice(-3, None), slice(8, 2), slice(0, 9, 3)):
        np.testing.assert_array_equal(rows[cut], whole[cut])
    with pytest.raises(IndexError):
        rows[np.array([10])]
    computed = ComputedRows(lambda raw: raw["a"] * 2, {"a": rows}, (2,), whole.dtype)
    np.testing.assert_array_equal(computed[np.array([4, 1])], whole[[4, 1]] * 2)


LIMITED = """
import json, resource, sys
import numpy as np
import psutil
import tensorflow as tf
import kscale
from kscale.data.assembling import dataset_of
from kscale.data.example_rows import MadeRows
from kscale.data.raw import RawData
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.load_options import Options
from kscale.data.raw import RawArray, RawPart
from kscale.task.tasks import Input

count, side, room, memory = map(int, sys.argv[1:])

def dataset(count, memory):
    labels = np.arange(count) % 2
    def decoded(rows):
        noise = np.random.default_rng(int(rows[0])).integers(0, 99, (side, side, 3))
        return noise.astype(np.uint8) + (100 * labels[rows, None, None, None]).astype(
            np.uint8
        )
    rows = MadeRows(decoded, (count, side, side, 3), np.uint8)
    x = RawArray("files", rows, is_slow=True)
    part = RawPart({"x": x}, {"": RawArray.of("folders", labels)})
    raw = RawData({"train": part}, (ScaledFit(Input("x", "image", x.shape[1:])),))
    return dataset_of("images", raw, Options(memory=memory), 0)

def train(data):
    family = kscale.find_family("linear")
    model = kscale.build_model(family.blueprint(family.spec(), data.task))
    return kscale.fit_model(model, data, learning_rate=1e-4, epochs=1, batch_size=64)

def held():
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmData"].split()[0]) * 1024

train(dataset(128, None))  # what TensorFlow holds in any case
before, rss = held(), psutil.Process().memory_info().rss
resource.setrlimit(resource.RLIMIT_DATA, (before + room, before + room))
try:
    score = train(dataset(count, memory or None))[-1]
except (MemoryError, tf.errors.ResourceExhaustedError):
    score = None
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"score": score, "peak": peak - rss, "size": count * side**2 * 3}))
"""


def limited(count: int, side: int, room: int, memory: int) -> dict[str, Any]:
    """Results of a training in another process, under a limit of memory."""
    path = [entry for entry in sys.path if entry]
    script = f"import sys; sys.path[:0] = {path!r}\n{LIMITED}"
    arguments = [str(number) for number in (count, side, room, memory)]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads /proc")
def test_a_training_needs_less_memory_than_its_data() -> None:
    room = 3 * 10**8
    streamed = limited(4096, 256, room, 5 * 10**7)
    held = limited(4096, 256, room, 0)
    assert streamed["size"] > 2.5 * room  # bytes; as numbers four times as much
    assert streamed["score"] > 0.9
    # Of what is resident, code of TensorFlow that is read late counts too.
    assert streamed["peak"] < 1.3 * room
    assert held["score"] is None
