"""Searches replayed on tables of others: files in their formats, and the command."""

import gzip
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from experiment_modules import experiment

replay = experiment("replay")
read_table = experiment("tables.reading").read_table


@pytest.fixture
def macro(tmp_path: Path) -> Path:
    """NAS-Bench-Macro's format: two layers, three seeds."""
    rows = {
        f"{a}{b}": {
            "test_acc": [90.0 + int(a), 91.0 + int(b), 92.0],
            "params": 100 + 10 * int(a) + int(b),
            "flops": 1000 * (1 + int(a)),
        }
        for a, b in product("012", repeat=2)
    }
    path = tmp_path / "macro_made.json.gz"
    with gzip.open(path, "wt") as file:
        json.dump(rows, file)
    return path


@pytest.fixture
def lcbench(tmp_path: Path) -> Path:
    """LCBench's format: at one layer all of ten widths are one network; a second data
    set has too few networks."""
    layers, units, rates, epochs = (1, 2, 3), range(64, 74), (0.001, 0.1), 4
    shape = (2, len(layers), len(units), len(rates), epochs)
    scores = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    net = np.arange(30).reshape(3, 10)
    net[0] = 0
    path = tmp_path / "lcbench_made.npz"
    np.savez(
        path,
        val_acc=scores,
        net=np.array([net, np.zeros((3, 10), int)]),
        params=np.array([net + 100, net + 100]),
        num_layers=np.array(layers),
        max_units=np.array(units),
        learning_rate=np.array(rates),
        names=np.array(["enough", "too few"]),
    )
    return path


@pytest.fixture
def hpobench(tmp_path: Path) -> Path:
    """HPOBench's format: two depths, widths, rates and batches, three seeds."""
    shape = (1, 2, 2, 2, 2, 3)
    path = tmp_path / "hpobench_made.npz"
    np.savez(
        path,
        val_bal_acc=np.linspace(0.5, 0.9, 48).reshape(shape),
        train_time=np.arange(16.0).reshape(shape[:-1]),
        params=np.array([[[10, 20], [30, 40]]]),
        depth=np.array([1, 2]),
        width=np.array([4, 8]),
        learning_rate=np.array([0.001, 0.01]),
        batch_size=np.array([16, 32]),
        dataset=np.array(["made"]),
    )
    return path


@pytest.fixture
def fcnet(tmp_path: Path) -> Path:
    """FCNet's format: two widths, a rate, a schedule, a batch, two dropouts."""
    shape = (1, 2, 2, 2, 2, 1, 2, 2, 3)
    errors = 10.0 ** -np.arange(np.prod(shape)).reshape(shape).astype(float)
    path = tmp_path / "fcnet_made.npz"
    np.savez(
        path,
        val_mse=errors,
        train_time=np.ones(shape[:-1]),
        params=np.array([[[1, 2], [3, 4]]]),
        n_units=np.array([16, 32]),
        init_lr=np.array([0.001, 0.01]),
        lr_schedule=np.array(["const", "cosine"]),
        batch_size=np.array([8]),
        dataset=np.array(["made"]),
    )
    return path


def test_a_layer_of_the_macro_table_is_a_knob(macro: Path) -> None:
    (task,) = read_table(macro)
    assert (task.name, task.curves.shape, task.epochs) == ("made", (3, 9, 1), 1)
    place = 5  # "12"
    assert dict(task.specs[place].knobs) == {
        "depth": 2,
        "layer1": "3x3, expansion 3",
        "layer2": "5x5, expansion 6",
    }
    assert (task.params[place], task.work[place]) == (112, 2000)
    assert task.curves[:, place, 0].tolist() == [91.0, 93.0, 92.0]
    assert task.truth[place] == 92.0


def test_names_of_one_network_of_lcbench_are_searched_once(lcbench: Path) -> None:
    (task,) = read_table(lcbench)
    assert task.name == "enough" and task.curves.shape == (1, 42, 4)
    knobs = [dict(spec.knobs) for spec in task.specs]
    assert sum(each["depth"] == 1 for each in knobs) == 2  # a network, two rates
    place = knobs.index({"depth": 3, "width": 65})
    assert task.params[place] == 121 and task.learning_rates[place] == 0.001
    # Hundredths of a per cent; the second width of the third depth is the 22nd of 30.
    assert task.curves[0, place].tolist() == [1.68, 1.69, 1.7, 1.71]
    assert task.truth[place] == 1.71


def test_the_axes_of_hpobench_are_knobs_and_a_rate(hpobench: Path) -> None:
    (task,) = read_table(hpobench)
    assert task.curves.shape == (3, 16, 1)
    place = 11  # second depth, first width, second rate, second batch
    assert dict(task.specs[place].knobs) == {"depth": 2, "width": 4, "batch": 32}
    assert (task.learning_rates[place], task.params[place]) == (0.01, 30)
    seen = 100 * np.linspace(0.5, 0.9, 48)[33:36]
    assert task.curves[:, place, 0] == pytest.approx(seen)
    assert task.truth[place] == pytest.approx(seen.mean())
    assert task.seconds[0, place] == 11


def test_errors_of_fcnet_are_logarithms_and_low_ones_are_good(fcnet: Path) -> None:
    (task,) = read_table(fcnet)
    assert not task.higher_is_better and task.curves.shape == (3, 16, 1)
    place = 6  # second of the second widths, second rate, first schedule
    assert dict(task.specs[place].knobs) == {
        "width": 16,
        "width2": 32,
        "schedule": "const",
        "batch": 8,
    }
    assert (task.learning_rates[place], task.params[place]) == (0.01, 2)
    # Without dropout, which has 4 times 3 numbers for each.
    assert task.curves[:, place, 0].tolist() == pytest.approx([-72, -73, -74])
    assert task.truth[place] == pytest.approx(np.log10((1 + 0.1 + 0.01) / 3) - 72)


@pytest.mark.parametrize(
    ("name", "tasks", "networks"),
    [
        ("nas-bench-macro_cifar10.json.gz", 1, 6561),
        ("lcbench_given.npz", 14, 549),
        ("hpobench_mlp_given.npz", 4, 3000),
        ("fcnet_given.npz", 2, 1728),
    ],
)
def test_the_tables_themselves_are_read(name: str, tasks: int, networks: int) -> None:
    path = replay.SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = read_table(path)
    assert (len(found), len(found[0].specs)) == (tasks, networks)
    for task in found:
        assert len(set(zip(task.specs, task.learning_rates, strict=True))) == len(
            task.specs
        )
        assert np.isfinite(task.truth).all() and np.isfinite(task.curves).all()
        assert task.params.min() > 0


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """`experiments/replay.py` with some words."""
    monkeypatch.setattr(sys, "argv", ["replay.py", *words])
    replay.main()


def test_figures_of_several_tables_are_json(
    fcnet: Path,
    lcbench: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--searcher", "auto", "--searcher", "random", "--repeats", "2")
    shares = ("--fits", "50", "--fits", "100")
    missing = str(tmp_path / "missing.npz")
    command(monkeypatch, str(fcnet), str(lcbench), missing, *options, *shares, "--json")
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [*found] == [fcnet.name, lcbench.name] and "missing.npz is not there" in err
    for name in found:
        assert [*found[name]["regret"]] == ["auto", "random"]
        for regrets in found[name]["regret"].values():
            assert [*regrets] == ["50", "100"]
            assert [*regrets["50"]] == ["5", "10", "20", "50"]
            # 50 trainings are more than there are networks.
            assert regrets["100"]["50"] == 0 <= regrets["100"]["5"]
    assert not (tmp_path / "runs").exists()


def test_a_table_comes_with_a_picture(
    macro: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--searcher", "auto", "--fits", "50")
    command(monkeypatch, str(macro), *options, "--repeats", "3")
    picture = tmp_path / "runs" / "replay.svg"
    assert "<svg" in picture.read_text()
    out = capsys.readouterr().out
    assert "macro_made.json.gz" in out and "Picture: runs/replay.svg" in out
    assert out.count("(0.") == 4  # standard errors
    command(monkeypatch, str(macro), *options, "--repeats", "1", "--plot", "here.svg")
    assert (tmp_path / "here.svg").exists()
    of_one = capsys.readouterr().out.splitlines()
    assert not any("(0." in line for line in of_one)


def test_wrong_words_are_refused_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros(3))
    for words, said in {
        (str(other),): "other.npz is no table of a known kind: x",
        ("--repeats", "0"): "--repeats must be above 0",
        ("--fits", "101"): "at most 100",
    }.items():
        with pytest.raises(SystemExit) as stopped:
            command(monkeypatch, *words)
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err


def test_a_search_that_is_read_on_its_way_is_one_search(lcbench: Path) -> None:
    (task,) = read_table(lcbench)
    one = replay.Replay(task, task.limit(1.0), 0)
    costs = (1, 2, 4, 8)
    for name in ("auto", "random"):
        found = one.regrets(name, costs)
        assert len(found) == 4 and found[-1] == one.regret(name, 8)
    # Nobody who draws at random uses that the end is known.
    assert found == [one.regret("random", cost) for cost in costs]


def test_a_searcher_by_scores_misses_less_than_chance_on_a_smooth_table(
    hpobench: Path,
) -> None:
    (task,) = read_table(hpobench)
    missed = {
        name: np.mean(
            [replay.Replay(task, task.limit(1.0), r).regret(name, 5) for r in range(8)]
        )
        for name in ("auto", "random")
    }
    assert missed["auto"] < missed["random"]
