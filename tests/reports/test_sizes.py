"""Size tables: text that people read, with columns that add up."""

from collections.abc import Callable
from typing import Any

from made_runs import IMAGES

from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.networks.named import NAMED
from kscale.networks.sizing import Size, SizeRow, size_of, size_rows
from kscale.reports.counting import count_network
from kscale.reports.fitting_specs import FittingSpecs, list_fitting
from kscale.reports.size_tables import (
    ModelSize,
    parts_of,
)
from kscale.task.tasks import Task


def named(name: str) -> dict[str, Any]:
    """Arguments of `ModelSize` for a published network."""
    network = NAMED[name]
    family = FAMILIES[network.family]
    spec = family.spec(**network.knobs)
    blueprint = family.blueprint(spec, network.task)
    return {
        "title": name,
        "size": size_of(blueprint),
        "rows": size_rows(blueprint),
        "depth": spec.depth,
        "width": spec.width,
    }


def cnns() -> list[tuple[Spec, Size]]:
    cnn = FAMILIES["cnn"]
    specs = [cnn.spec(depth=d, width=w) for d in (3, 1, 2) for w in (8, 32, 16)]
    return [(spec, cnn.size(spec, IMAGES)) for spec in specs]


def added_up(text: str, column: int) -> tuple[int, int]:
    """Sum of a column of a table's rows, counted from the end, and its total."""
    lines = [line.split() for line in text.splitlines()]
    numbers = [int(line[column].replace(",", "")) for line in lines]
    return sum(numbers[:-1]), numbers[-1]


def test_size_of_bert_large(golden: Callable[[str], None]) -> None:
    golden(ModelSize(**named("BERT-large")).to_text(88))


def test_size_of_vgg16(golden: Callable[[str], None]) -> None:
    golden(ModelSize(**named("VGG16")).to_text(88))


def test_columns_of_the_layers_add_up_to_their_totals() -> None:
    for name in ("BERT-large", "VGG16", "ALBERT-base"):
        given = named(name)
        text = ModelSize(**given).to_text(100)
        layers = text.split("Layers\n")[1].split("\n", 1)[1]
        assert added_up(layers, -2) == (given["size"].params,) * 2
        assert added_up(layers, -1) == (given["size"].flops,) * 2


def test_parts_add_up_to_the_size() -> None:
    for name in NAMED:
        given = named(name)
        parts = parts_of(given["rows"])
        assert sum(part.params for part in parts) == given["size"].params
        assert sum(part.flops for part in parts) == given["size"].flops


def test_equal_blocks_are_one_part_and_unequal_ones_are_not() -> None:
    rows = [
        SizeRow("block1/dense", "Dense", (4,), 20, 40, 1),
        SizeRow("block2-4/dense", "Dense", (4,), 60, 120, 3),
        SizeRow("hidden1/dense", "Dense", (4,), 99, 4, 1),
        SizeRow("hidden2-3/dense", "Dense", (4,), 40, 8, 2),
    ]
    assert [(part.name, part.copies) for part in parts_of(rows)] == [
        ("block1-4", 4),
        ("hidden1", 1),
        ("hidden2-3", 2),
    ]


def test_the_shortcut_is_shown_with_its_share_of_the_exact_count() -> None:
    text = ModelSize(**named("BERT-large")).to_text(100)
    # 24 x 1024^2 = 25,165,824 of 335,141,888
    assert "depth x width^2 gives 25,165,824: 7.5 % of the params" in text


def test_a_network_without_a_width_has_no_shortcut() -> None:
    linear = FAMILIES["linear"]
    blueprint = linear.blueprint(linear.spec(), IMAGES)
    rows = size_rows(blueprint)
    text = ModelSize("linear", size_of(blueprint), rows, 0, None).to_text(100)
    assert "650 (all trainable)" in text
    assert "shortcut" not in text


def test_json_of_a_size_has_raw_integers() -> None:
    document = ModelSize(**named("VGG16")).to_json()
    assert document["params"] == 138_357_544
    assert document["weight_bytes"] == {
        "float32": 553_430_176,
        "float16": 276_715_088,
        "int8": 138_357_544,
        "int4": 69_178_772,
    }
    assert sum(layer["params"] for layer in document["layers"]) == 138_357_544
    assert sum(part["params"] for part in document["parts"]) == 138_357_544
    assert document["shortcut_params"] == 13 * 64**2


def fitting() -> FittingSpecs:
    budget = Budget(max_params=20_000)
    specs = tuple(pair for pair in cnns() if budget.allows(pair[1]))
    return FittingSpecs("cnn within 20k", budget, specs)


def test_of_what_fits_the_largest_of_each_depth_is_shown() -> None:
    shapes = [(spec.depth, spec.width) for spec, _ in fitting().largest]
    assert shapes == [(1, 32), (2, 32), (3, 16)]
    larger = FAMILIES["cnn"].size(FAMILIES["cnn"].spec(depth=3, width=32), IMAGES)
    assert larger.params > 20_000


def test_only_what_is_inside_the_budget_is_listed() -> None:
    budget = Budget(max_params=20_000)
    found = list_fitting(IMAGES, budget, ["cnn"])
    assert found.specs and all(budget.allows(size) for _, size in found.specs)


def test_table_of_what_fits(golden: Callable[[str], None]) -> None:
    golden(fitting().to_text(88))


def test_json_of_what_fits_has_raw_integers() -> None:
    rows = fitting().to_json()["largest"]
    assert [row["params"] for row in rows] == [
        size.params for _, size in fitting().largest
    ]
    assert rows[0]["bytes"] == 4 * rows[0]["params"]
    assert rows[0]["knobs"]["width"] == 32


def test_a_network_beside_a_device_says_whether_it_fits() -> None:
    task = Task.of("image", (28, 28, 1), classes=10)

    def counted(**limits: int) -> ModelSize:
        return count_network("cnn", task, {"depth": 4, "width": 8}, limits)

    text = counted(max_flash=100_000, max_ram=11_700).to_text()
    assert "21.6 kB of 100 kB (22 %): fits, 78.4 kB are left" in text
    assert (
        "11.6 kB of 11.7 kB (100 %): fits, 52 B are left; most at stage1/pool" in text
    )
    small = counted(max_ram=10_000)
    assert "16 %): does not fit, 1.65 kB too much" in small.to_text()
    found = small.to_json()["device"]
    assert (found["fits"], found["ram"], found["peak"]) == (False, 11648, "stage1/pool")
    assert "device" not in counted().to_json()
    refused = count_network("vit", task, {}, {"max_ram": 10**6})
    assert refused.to_json()["device"]["fits"] is False
    assert "does not run on a microcontroller here" in refused.to_text()
    assert "--set activation=relu has one" in refused.to_text()
    assert "116 times): does not fit" in counted(max_ram=100).to_text()


def test_a_network_that_sees_less_says_what_it_sees() -> None:
    task = Task.of("image", (28, 28, 1), classes=10)
    found = count_network("cnn", task, {"image_size": 14})
    assert found.title.endswith("image 28x28x1, seen as 14x14x1, to 10 classes")
    assert list(found.to_json()["seen"].values()) == [[14, 14, 1]]
    whole = count_network("cnn", task)
    assert whole.title.endswith("image 28x28x1 to 10 classes")
    budget, asked = Budget(max_params=5000), {"image_size": 14}
    listed = list_fitting(task, budget, ["cnn"], asked)
    assert listed.title.startswith("image 28x28x1, seen as 14x14x1, to 10 classes.")
    assert {tuple(*row["seen"].values()) for row in listed.to_json()["largest"]} == {
        (14, 14, 1)
    }


def test_what_fits_a_device_is_listed_with_flash_and_ram() -> None:
    found = list_fitting(IMAGES, Budget(max_ram=5_000), ["cnn"])
    assert "flash      RAM" in found.to_text()
    assert all(row["ram"] <= 5_000 for row in found.to_json()["largest"])
