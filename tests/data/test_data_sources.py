"""The contract of `tests/contracts/source.py` over all known sources and NPZ files."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts.source import CHECKS, Check, Checked
from shared_data import SHARED, needs

from kscale.data.loading import load_dataset
from kscale.data.sources.named import SOURCES, read
from kscale.errors import DataError

MNIST = SHARED / "data" / "mnist.npz"
MADE = ["images", "vectors", "tokens"]


@cache
def embedded(name: str) -> Checked:
    return Checked(name, read(name)[0])


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    rng = np.random.default_rng(1)
    x = {
        "images": rng.integers(0, 256, (200, 5, 4, 3), dtype=np.uint8),
        "vectors": rng.normal(50.0, [1, 1e3, 0.1], (200, 3)),
        "tokens": rng.integers(0, 90, (200, 7)),
    }[request.param]
    y = rng.integers(3, 7, 200)
    path = tmp_path_factory.mktemp("npz") / f"{request.param}.npz"
    np.savez(path, x_train=x[:150], y_train=y[:150], x_test=x[150:], y_test=y[150:])
    return Checked(str(path), x, cut=("validation",))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_keeps_the_contract(name: str, check: Check) -> None:
    check(embedded(name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_npz_file_keeps_the_contract(made: Checked, check: Check) -> None:
    check(made)


@needs("data/mnist.npz")
def test_mnist_keeps_the_contract_and_its_test_part() -> None:
    with np.load(MNIST) as file:
        x, y_test = np.concatenate([file["x_train"], file["x_test"]]), file["y_test"]
    mnist = Checked(str(MNIST), x, cut=("validation",))
    for check in CHECKS:
        check(mnist)
    parts = mnist.data.parts
    assert [len(part) for part in parts.values()] == [51_000, 9_000, 10_000]
    assert (mnist.data.test.targets["label"] == y_test).all()
    assert mnist.data.name == "mnist"


def test_known_sets_have_the_sizes_they_are_published_with() -> None:
    digits, diabetes = load_dataset("digits"), load_dataset("diabetes")
    assert sum(map(len, digits.parts.values())) == 1797
    assert sum(map(len, diabetes.parts.values())) == 442
    assert [len(part) for part in digits.parts.values()] == [1257, 270, 270]
    # Efron et al. 2004: the response lies between 25 and 346.
    values = [part.targets["value"] for part in diabetes.parts.values()]
    assert np.concatenate(values).min() == 25 and np.concatenate(values).max() == 346


def test_looking_at_tasks_imports_nothing_heavy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 4, 4)), y=np.arange(9) % 2)
    code = (
        "import pkgutil, sys, kscale.data\n"
        "for module in pkgutil.walk_packages(kscale.data.__path__, 'kscale.data.'):\n"
        "    __import__(module.name)\n"
        "from kscale.data import loading as data\n"
        "for source in (*data.SOURCES, *data.KERAS_DATASETS, sys.argv[1]):\n"
        "    data.peek_task(source)\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "options",
    [
        {"label": 3},
        {"ignore": ["a", 3]},
        {"vocabulary": "many"},
        {"memory": "1GB"},
        {"kind": 4},
        {"image_size": 32},
        {"image_size": "32"},
    ],
    ids=str,
)
def test_options_of_a_wrong_form_are_one_sentence(options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(DataError) as caught:
        load_dataset("digits", **options)
    assert str(caught.value).startswith(f"`{name}` cannot be {value!r}. ")
    assert str(caught.value).endswith(".") and "Expected" not in str(caught.value)
