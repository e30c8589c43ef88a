"""The pool lists what fits, exactly."""

from dataclasses import replace

import numpy as np
import pytest
from contracts.searcher import made_pool

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES, find_family
from kscale.search import pool as pool_module
from kscale.search.pool import Pool, Space, always_searched
from kscale.task.tasks import Input, Task
from kscale.tuning.request import searched_knobs

DIGITS = Task.of("image", (8, 8, 1), classes=10)
TOKENS = Task.of("tokens", (12,), vocabulary=100, classes=3)


def made_space(family: str = "mlp", task: Task = DIGITS, **limits: int) -> Space:
    budget = Budget(**(limits or {"max_params": 50_000}))
    return Space((find_family(family),), task, budget)


@pytest.mark.parametrize("family", FAMILIES)
def test_pool_figures_are_those_of_the_specs(family: str) -> None:
    task = find_family(family).usual or DIGITS
    task = TOKENS if family == "transformer" else task
    limit = 50_000 if task in (TOKENS, DIGITS) else 5_000_000
    limit = 5_000_000 if family == "pretrained" else limit
    pool = Pool(made_space(family, task, max_params=limit))
    for index in np.linspace(0, len(pool) - 1, min(len(pool), 25)).astype(int):
        size = find_family(family).size(pool.spec(index), task)
        assert pool.params[index] == size.params
        assert pool.flops[index] == size.flops
        assert pool.share[index] == size.params / limit


def test_pool_holds_all_that_fits_and_nothing_else() -> None:
    pool, family = Pool(made_space()), find_family("mlp")
    listed = {(spec.depth, spec.width) for spec in pool.specs()}
    depths = family.knob("depth").values
    widths = family.knob("width").values
    fitting = {
        (depth, width)
        for depth in depths
        for width in widths
        if family.size(family.spec(depth=depth, width=width), DIGITS).params <= 50_000
    }
    assert listed == fitting


def test_all_limits_count_together() -> None:
    pool = Pool(made_space(max_params=50_000, max_flops=20_000, max_bytes=120_000))
    assert pool.params.max() <= 30_000
    assert pool.flops.max() <= 20_000
    assert pool.share.max() <= 1.0


def test_impossible_budget_names_the_smallest_size() -> None:
    with pytest.raises(
        BudgetError,
        match=r"No mlp fits max_params=50: the smallest mlp searched "
        r"\(depth=1, width=8\) has params=634\. With",
    ):
        Pool(made_space(max_params=50))


def test_set_knobs_are_fixed_and_searched_ones_vary() -> None:
    family = find_family("mlp")
    space = Space(
        (family,), DIGITS, Budget(50_000), ("norm", "dropout"), (("depth", 2),)
    )
    pool = Pool(space)
    specs = list(pool.specs())
    assert {spec.depth for spec in specs} == {2}
    assert {spec["norm"] for spec in specs} == {"none", "batch", "layer"}
    assert [knob.name for knob in space.drawn_knobs(family)] == ["dropout"]


@pytest.mark.parametrize(
    ("searched", "fixed", "text"),
    [
        (("dropot",), (), "Unknown knob of mlp 'dropot'. Did you mean 'dropout'"),
        (
            (),
            (("heads", 2),),
            "`heads` is a knob of transformer, vit, seq2seq, gpt, not of mlp",
        ),
        (("dropout",), (("dropout", 0.1),), "both set and searched"),
    ],
)
def test_wrong_knobs_are_refused(
    searched: tuple[str, ...], fixed: tuple[tuple[str, object], ...], text: str
) -> None:
    with pytest.raises(SpecError, match=text):
        Space((find_family("mlp"),), DIGITS, Budget(50_000), searched, fixed)


def test_widths_that_make_no_network_are_left_out() -> None:
    family = find_family("transformer")
    space = Space((family,), TOKENS, Budget(10**6), (), (("heads", 5),))
    widths = {spec.width for spec in Pool(space).specs()}
    assert widths and all(width % 5 == 0 for width in widths)


def test_impossible_knobs_give_their_own_message() -> None:
    family = find_family("transformer")
    fixed = (("heads", 7), ("width", 8))
    with pytest.raises(SpecError, match="`heads` .=7. must divide `width` .=8."):
        Pool(Space((family,), TOKENS, Budget(10**6), (), fixed))


def test_large_spaces_are_sampled_by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = ("heads", "mlp_ratio", "norm", "embedding_width")
    family = find_family("transformer")
    space = Space((family,), TOKENS, Budget(10**6), searched)
    whole = Pool(space)
    monkeypatch.setattr(pool_module, "MOST_SPECS", 2000)
    first, second, other = Pool(space, 1), Pool(space, 1), Pool(space, 2)
    assert 0 < len(first) <= 2000 < len(whole)
    assert set(first.specs()) <= set(whole.specs())
    assert list(first.specs()) == list(second.specs())
    assert set(first.specs()) != set(other.specs())


def test_several_families_share_one_pool() -> None:
    families = (find_family("mlp"), find_family("cnn"))
    pool = Pool(Space(families, DIGITS, Budget(50_000)))
    numbers = pool.by_family({"mlp": 1, "cnn": 2})
    names = [spec.family for spec in pool.specs()]
    assert {"mlp", "cnn"} == set(names)
    assert [{"mlp": 1, "cnn": 2}[name] for name in names] == numbers.tolist()


def test_a_family_of_which_nothing_fits_is_missing_with_its_reason() -> None:
    families = (find_family("mlp"), find_family("cnn"))
    pool = Pool(Space(families, DIGITS, Budget(500)))
    assert [family.name for family in pool.space.families] == ["cnn"]
    assert "smallest mlp searched (depth=1, width=8) has params=634" in str(
        pool.missing["mlp"]
    )
    assert list(pool.missing) == ["mlp"]


def test_the_vocabulary_is_searched_where_ids_can_be_left_out() -> None:
    text = Input("x", "tokens", (12,), 3000, unknown=1)
    family = find_family("transformer")
    tasks = [Task((replace(text, unknown=n),), TOKENS.targets) for n in (1, 0)]
    pools = [Pool(Space((family,), task, Budget(10**6))) for task in tasks]
    found = [{spec["vocabulary"] for spec in pool.specs()} for pool in pools]
    assert found == [{500, 1000, 2000, 0}, {0}]
    for index in (0, len(pools[0]) // 2, len(pools[0]) - 1):
        size = family.size(pools[0].spec(index), tasks[0])
        assert (pools[0].params[index], pools[0].flops[index]) == (
            size.params,
            size.flops,
        )
    space = Space((family,), tasks[0], Budget(10**6), (), (("vocabulary", 700),))
    assert {spec["vocabulary"] for spec in Pool(space).specs()} == {700}


def test_a_linear_model_of_texts_has_the_buckets_of_n_grams_for_a_size() -> None:
    space = made_space("linear", TOKENS, max_params=40_000)
    pool, words = Pool(space), 100
    found = {dict(spec.knobs).get("buckets", 0) for spec in pool.specs()}
    assert found == {0, 4096, 5120, 6144, 7168, 8192, 10240, 12288}
    assert pool.params.max() == 3 * (words + 12288) <= 40_000 < 3 * (words + 14336)
    largest = dict(pool.spec(int(pool.params.argmax())).knobs)
    assert largest["ngrams"] in (2, 3) and largest["buckets"] == 12288
    assert not any(
        {"ngrams", "buckets"} & {*dict(spec.knobs)}
        for spec in Pool(made_space("linear", max_params=40_000)).specs()
    )


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_a_search_of_texts_has_no_norm_unless_one_is_set(family: str) -> None:
    texts, images = made_space(family, TOKENS), made_space(family)
    for space, norm in ((texts, "none"), (images, "batch")):
        assert {spec["norm"] for spec in Pool(space).specs()} == {norm}
        assert find_family(family).spec(space.task)["norm"] == norm
        changed = replace(space, searched=("norm",))
        assert {"none", "batch"} <= {spec["norm"] for spec in Pool(changed).specs()}
        fixed = replace(space, fixed=(("norm", "batch"),))
        assert {spec["norm"] for spec in Pool(fixed).specs()} == {"batch"}


def test_a_knob_that_one_family_searches_by_itself_is_named_for_the_others() -> None:
    text = replace(TOKENS, inputs=(replace(TOKENS.inputs[0], unknown=1),))
    assert always_searched(["linear"], TOKENS) == ("ngrams", "buckets")
    assert always_searched(["mlp", "my:build"], text) == ("depth", "width")
    assert always_searched(["linear", "mlp"], DIGITS) == ("depth", "width")
    assert searched_knobs(["depth", "ngrams", "vocabulary", "norm"]) == (
        "ngrams",
        "norm",
    )


def test_a_pool_within_a_mask_holds_those_specs_and_their_sizes() -> None:
    pool = made_pool()
    fewer = pool.within(pool.flops < 20_000)
    assert 0 < len(fewer) < len(pool)
    kept = [
        spec for spec, n in zip(pool.specs(), pool.flops, strict=True) if n < 20_000
    ]
    assert list(fewer.specs()) == kept
    assert fewer.share.max() == 1.0 and len(pool) == len(list(pool.specs()))


def test_wider_specs_of_one_structure_are_found() -> None:
    pool = made_pool()
    index = next(i for i, spec in enumerate(pool.specs()) if spec.width == 16)
    spec = pool.spec(index)
    wider = {pool.spec(int(i)) for i in np.flatnonzero(pool.at_least(index))}
    assert wider == {
        other
        for other in pool.specs()
        if other.depth == spec.depth and (other.width or 0) >= 16
    }


@pytest.mark.parametrize("limits", [{"max_flash": 30_000}, {"max_ram": 8_000}])
def test_limits_of_a_device_hold_for_all_that_is_listed(limits: dict[str, int]) -> None:
    pool, family = Pool(made_space("cnn", **limits)), find_family("cnn")
    assert 20 < len(pool) < pool.counted
    for index in range(0, len(pool), 5):
        found = family.size(pool.spec(index), DIGITS).device()
        assert found is not None
        used = {"max_flash": found.flash, "max_ram": found.ram}
        (share,) = (used[name] / most for name, most in limits.items())
        assert share == pytest.approx(pool.share[index])


def test_functions_that_no_device_has_are_not_listed() -> None:
    space = replace(made_space("cnn", max_ram=20_000), searched=("activation",))
    assert not space.drawn_knobs(find_family("cnn"))
    functions = {spec["activation"] for spec in Pool(space).specs()}
    assert functions == {"relu", "silu"}


def test_a_family_that_no_device_runs_is_refused_with_the_layer() -> None:
    with pytest.raises(SpecError, match="no int8 operation for Recurrent"):
        Pool(made_space("rnn", max_ram=10**6))


def test_the_smallest_ram_that_can_be_reached_is_named() -> None:
    with pytest.raises(BudgetError, match="fits max_ram=1,000: .* has ram=[234],"):
        Pool(made_space("cnn", max_ram=1000))
