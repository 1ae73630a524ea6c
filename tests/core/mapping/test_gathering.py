from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import moments_of
from latentmap.mapping.gathering import (
    moments_by_fold,
    moments_of_pairs,
    moments_of_spaces,
)
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.moments import merge_all
from latentmap.mapping.regression import solve_least_squares


def draw(n=500, p=7, q=4, *, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -2, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + torch.randn(n, q, generator=generator)
    return x, y


def exact(x, y, weights=None):
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    mean_x, mean_y = w @ x / w.sum(), w @ y / w.sum()
    xc, yc = x - mean_x, y - mean_y
    return mean_x, mean_y, xc.T * w @ xc, xc.T * w @ yc, yc.T * w @ yc


def parts(moments):
    return (moments.mean_x, moments.mean_y, moments.xx, moments.xy, moments.yy)


def assert_close(left, right, *, rtol=1e-11):
    for a, b in zip(left, right, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= rtol * max(np.abs(b).max(), 1e-300)


def gathered(x, y, size, **options):
    sums = MomentSums((x.shape[1], y.shape[1]), **options)
    for rows in zip(x.split(size), y.split(size), strict=True):
        sums.update(rows)
    return sums.moments().between(0, 1)


def codes_of(x, name="a", ids=None):
    ids = [f"{i}.png" for i in range(len(x))] if ids is None else ids
    return Codes.from_array(ids, x, space=Space("z", x.shape[1], name, 2 * name))


def pairs_of(x, y):
    return pair(codes_of(x, "a"), codes_of(y, "b"))


def test_moments_are_those_of_numpy_in_any_blocks():
    x, y = draw()
    for size in (1, 7, 100, 500):
        moments = gathered(x, y, size)
        assert moments.n == 500
        assert_close(parts(moments), exact(x, y))
    assert_close(parts(moments_of(x, y)), exact(x, y))
    assert_close(parts(moments_of(x.numpy(), y.numpy())), exact(x, y))


def test_a_case_solved_by_hand():
    x = torch.tensor([[1.0], [2.0], [6.0]])
    y = torch.tensor([[0.0], [2.0], [4.0]])
    moments = moments_of(x, y)
    assert [float(part) for part in parts(moments)] == pytest.approx([3, 2, 14, 10, 8])


@pytest.mark.parametrize(("n", "p", "q"), [(600, 200, 150), (300, 127, 1), (300, 128, 129)])
@pytest.mark.parametrize("targets", ["products", "squares"])
def test_codes_wider_than_a_panel_are_those_of_numpy(n, p, q, targets):
    x, y = draw(n, p, q, mean=1.0)
    moments = moments_of(x, y, targets=targets)
    expected = exact(x, y)
    assert_close(parts(moments)[:4], expected[:4])
    assert_close([moments.squares_y], [expected[4].diagonal()])
    if targets == "products":
        assert_close([moments.yy], [expected[4]])


def test_more_rows_than_are_multiplied_at_a_time():
    x, y = draw(n=5001, mean=3.0)
    assert_close(parts(moments_of(x, y)), exact(x, y))
    assert_close(parts(gathered(x, y, 2049)), exact(x, y))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_cut_into_blocks_and_any_order_of_merging_gives_the_same(data):
    n = data.draw(st.integers(1, 60))
    x, y = draw(n, 3, 2, mean=data.draw(st.sampled_from([0.0, 50.0])), seed=n)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, n), max_size=6))), n]
    ranges = list(pairwise(cuts))
    whole = exact(x, y)
    sums = MomentSums((3, 2))
    for start, stop in ranges:
        sums.update([x[start:stop], y[start:stop]])
    assert_close(parts(sums.moments().between(0, 1)), whole, rtol=1e-9)
    pieces = [moments_of(x[a:b], y[a:b]) for a, b in ranges if a < b]
    pieces = data.draw(st.permutations(pieces))
    half = data.draw(st.integers(0, len(pieces)))
    groups = [merge_all(group) for group in (pieces[:half], pieces[half:]) if group]
    merged = merge_all(groups)
    assert merged.n == n
    assert_close(parts(merged), whole, rtol=1e-9)


def test_a_mean_far_from_zero_costs_no_digits():
    x, y = draw(n=20_000, mean=1000.0)
    assert_close(parts(gathered(x, y, 1000)), exact(x, y), rtol=1e-10)


def test_products_do_not_change_when_all_codes_are_shifted():
    # Whole numbers, so that the shifted codes are exact in float32.
    x, y = (
        torch.randint(-50, 50, (300, k), generator=torch.manual_seed(k)).float() for k in (5, 3)
    )
    plain = gathered(x, y, 64)
    shifted = gathered(x + 4096, y - 512, 64)
    assert_close(parts(shifted)[2:], parts(plain)[2:])
    assert_close([shifted.mean_x - 4096, shifted.mean_y + 512], parts(plain)[:2])


def test_the_order_of_pairs_does_not_matter():
    x, y = draw()
    order = torch.randperm(len(x), generator=torch.manual_seed(1))
    assert_close(parts(gathered(x, y, 64)), parts(gathered(x[order], y[order], 64)))


def test_an_empty_block_changes_nothing():
    x, y = draw(n=10)
    sums = MomentSums((7, 4))
    for rows in ([x[:0], y[:0]], [x, y], [x[:0], y[:0]]):
        sums.update(rows)
    assert_close(parts(sums.moments().between(0, 1)), exact(x, y))


def test_a_weight_counts_a_pair_so_many_times():
    x, y = draw(n=3000, mean=2.0)
    counts = torch.randint(0, 4, (3000,), generator=torch.manual_seed(1))
    repeated = moments_of(x.repeat_interleave(counts, 0), y.repeat_interleave(counts, 0))
    weighted = moments_of(x, y, weights=counts)
    assert weighted.n == pytest.approx(float(counts.sum()), rel=1e-12)
    assert_close(parts(weighted), parts(repeated), rtol=1e-10)
    by_pairs = moments_of_pairs(pairs_of(x, y), weights=counts.numpy().astype(float))
    assert_close(parts(by_pairs), parts(repeated), rtol=1e-10)


def test_fractions_of_weights_are_those_of_numpy():
    x, y = draw()
    weights = torch.rand(500, generator=torch.manual_seed(1)).double()
    moments = moments_of(x, y, weights=weights)
    assert moments.n == pytest.approx(float(weights.sum()))
    assert_close(parts(moments), exact(x, y, weights))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -0.5, 1.0], "3 numbers of at least 0.* of -0.5"),
        ([1.0, np.nan, 1.0], "3 numbers of at least 0"),
        ([1.0, 1.0], r"3 numbers of at least 0, one for each pair, not \(2,\)"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, message):
    with pytest.raises(MapError, match=message):
        moments_of(*draw(n=3), weights=np.array(weights))


def test_weights_of_zero_are_no_pairs():
    with pytest.raises(MapError, match="at least one pair"):
        moments_of(*draw(n=3), weights=np.zeros(3))


def test_squares_alone_are_the_diagonal_of_the_products():
    x, y = draw(mean=5.0)
    whole, squares = moments_of(x, y), moments_of(x, y, targets="squares")
    assert squares.yy is None
    assert_close(parts(squares)[:4], parts(whole)[:4])
    assert_close([squares.squares_y], [whole.yy.diagonal()])
    assert_close([whole.squares_y], [whole.yy.diagonal()], rtol=0)
    weights = torch.rand(500, generator=torch.manual_seed(1))
    assert_close(
        [moments_of(x, y, weights=weights, targets="squares").squares_y],
        [moments_of(x, y, weights=weights).squares_y],
    )


def test_fast_products_are_close_and_refused_for_ill_conditioned_codes():
    x, y = draw(n=5000, mean=1.0)
    fast = moments_of(x, y, precision="fast")
    assert fast.fast
    assert_close(parts(fast), exact(x, y), rtol=1e-5)
    assert_close(
        [solve_least_squares(fast).weight],
        [solve_least_squares(moments_of(x, y)).weight],
        rtol=1e-2,
    )
    x = x * torch.logspace(0, -1.2, 7)
    assert solve_least_squares(moments_of(x, y)).condition > 1e3
    with pytest.raises(MapError, match=r"float32 products are unsafe .* more than 1000"):
        solve_least_squares(moments_of(x, y, precision="fast"))


def test_unknown_precision_and_targets_are_refused():
    with pytest.raises(MapError, match="unknown precision 'half' of moments: choose exact or fast"):
        moments_of(*draw(), precision="half")
    with pytest.raises(MapError, match="unknown targets 'all': choose products or squares"):
        moments_of(*draw(), targets="all")


def test_moments_of_pairs_follow_the_ids():
    x, y = draw(n=50)
    ids = np.array([f"{i}.png" for i in range(50)])
    order = np.random.default_rng(0).permutation(50)
    pairs = pair(codes_of(x), codes_of(y[order], "b", ids[order]))
    assert_close(parts(moments_of_pairs(pairs)), exact(x, y))


def test_moments_of_folds_are_those_of_the_subsets():
    # More rows than are read at a time, so that folds go over several blocks.
    x, y = draw(n=9000, mean=1.0)
    folds = np.random.default_rng(0).integers(0, 3, 9000)
    weights = np.random.default_rng(1).random(9000)
    pairs = pairs_of(x, y)
    for weight in (None, weights):
        found = moments_by_fold(pairs, folds, weights=weight)
        assert len(found) == 3
        for number, moments in enumerate(found):
            here = folds == number
            chosen = None if weight is None else weight[here]
            assert_close(parts(moments), exact(x[here], y[here], chosen), rtol=1e-10)
    assert_close(
        parts(merge_all(moments_by_fold(pairs, folds))), parts(moments_of_pairs(pairs)), rtol=1e-10
    )


def test_an_empty_fold_is_refused():
    with pytest.raises(MapError, match="at least one pair"):
        moments_by_fold(pairs_of(*draw(n=4)), np.array([0, 0, 2, 2]))


def test_joint_moments_of_spaces_are_those_of_each_pair():
    generator = torch.manual_seed(0)
    spaces = [
        codes_of(torch.randn(400, d, generator=generator) + d, name)
        for d, name in ((3, "a"), (130, "b"), (6, "c"))
    ]
    joint = moments_of_spaces(spaces)
    for i, source in enumerate(spaces):
        for j, target in enumerate(spaces):
            assert_close(
                parts(joint.between(i, j)),
                parts(moments_of_pairs(pair(source, target))),
                rtol=1e-10,
            )


def test_means_and_squares_of_one_space_need_no_products():
    x, _ = draw(n=3000, p=300, mean=5.0)
    x[:, 7] = 2.5
    alone = moments_of_spaces([codes_of(x)], targets="squares")
    wide = x.double().numpy()
    assert_close(alone.mean, torch.from_numpy(wide.mean(0)))
    squares = torch.from_numpy(np.square(wide - wide.mean(0)).sum(0))
    assert_close(alone.squares, squares, rtol=1e-9)
    assert float(alone.squares[7]) == 0
    assert alone.products.shape == (0, 300)


def test_spaces_of_other_images_are_refused():
    x, y = draw(n=3)
    other = codes_of(y, "b", ["0.png", "2.png", "1.png"])
    with pytest.raises(
        MapError, match=r"same images in the same order, but those in z of a .*z of b"
    ):
        moments_of_spaces([codes_of(x), other])


@pytest.mark.parametrize("gather", [moments_of_pairs, "spaces", "folds"])
def test_a_code_that_is_not_finite_is_named(gather):
    x, y = draw(n=9000)
    y[8500, 1] = torch.inf
    pairs = pair(codes_of(x), codes_of(y, "svae"))
    calls = {
        "spaces": lambda pairs: moments_of_spaces([pairs.source, pairs.target]),
        "folds": lambda pairs: moments_by_fold(pairs, np.arange(9000) % 2),
    }
    with pytest.raises(MapError, match=r"the code of 8500\.png in z of svae .* NaN or infinite"):
        calls.get(gather, gather)(pairs)


@pytest.mark.parametrize("precision", ["exact", "fast"])
@pytest.mark.parametrize("targets", ["products", "squares"])
def test_sums_of_a_device_are_the_same_without_waiting_for_it(precision, targets):
    x, y = draw(n=9000)
    at_once = MomentSums((7, 4), targets=targets, precision=precision)
    late = MomentSums((7, 4), targets=targets, precision=precision, late=True)
    for start in range(0, 9000, 1500):
        block = [x[start : start + 1500], y[start : start + 1500]]
        at_once.update(block)
        with Waits() as waits:
            late.update(block)
        assert waits.n == 0
    found, expected = (sums.moments() for sums in (late, at_once))
    assert torch.equal(found.products, expected.products)
    assert torch.equal(found.squares, expected.squares)


def test_a_code_that_is_not_finite_is_named_late(monkeypatch):
    x, y = draw(n=9000)
    y[8500, 1] = torch.inf
    pairs = pair(codes_of(x), codes_of(y, "svae"))
    monkeypatch.setattr("latentmap.mapping.gathering.MomentSums", partial(MomentSums, late=True))
    sums = MomentSums((7, 4), late=True)
    sums.update([x, y])
    with pytest.raises(MapError, match="every code must be finite, but some"):
        sums.moments()
    for gather in (moments_of_pairs, lambda pairs: moments_of_spaces([pairs.source, pairs.target])):
        with pytest.raises(
            MapError, match=r"the code of 8500\.png in z of svae .* NaN or infinite"
        ):
            gather(pairs)


class Waits(TorchDispatchMode):
    """Counts how often a number of a tensor is asked for, which on a GPU is to wait for it."""

    n = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.n += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf])
@pytest.mark.parametrize("targets", ["products", "squares"])
def test_a_block_that_is_not_finite_is_not_added(bad, targets):
    x, y = draw(n=20)
    sums = MomentSums((7, 4), targets=targets)
    for _ in range(2):
        for space, column in ((0, 2), (1, 3)):
            spoiled = [x.clone(), y.clone()]
            spoiled[space][3, column] = bad
            with pytest.raises(MapError, match="every code must be finite"):
                sums.update(spoiled)
        sums.update([x, y])
    assert sums.n == 40
    moments = sums.moments().between(0, 1)
    expected = exact(x.repeat(2, 1), y.repeat(2, 1))
    assert_close(parts(moments)[:4], expected[:4])
    assert_close([moments.squares_y], [expected[4].diagonal()])


def test_blocks_of_another_shape_are_refused():
    with pytest.raises(MapError, match=r"must have shapes \(k, 7\) and \(k, 4\), not \(3, 7\) and"):
        MomentSums((7, 4)).update([torch.zeros(3, 7), torch.zeros(2, 4)])


def test_no_pairs_have_no_moments():
    with pytest.raises(MapError, match="at least one pair"):
        moments_of(torch.zeros(0, 2), torch.zeros(0, 2))
    with pytest.raises(MapError, match="at least one pair"):
        MomentSums((2, 2)).moments()


def test_progress_reaches_the_number_of_pairs():
    x, y = draw(n=9000, p=2, q=2)
    seen = []
    moments_of_pairs(pairs_of(x, y), progress=lambda *call: seen.append(call))
    assert seen == [(8192, 9000), (9000, 9000)]
    seen.clear()
    spaces = [codes_of(x), codes_of(y, "b")]
    moments_of_spaces(spaces, progress=lambda *call: seen.append(call))
    assert seen == [(8192, 9000), (9000, 9000)]


@pytest.mark.parametrize("gather", ["pairs", "spaces"])
def test_products_that_the_memory_does_not_hold_are_refused(monkeypatch, gather):
    pairs = pairs_of(torch.randn(40, 6), torch.randn(40, 3))
    spaces = [pairs.source, pairs.target]
    do = (
        partial(moments_of_pairs, pairs)
        if gather == "pairs"
        else partial(moments_of_spaces, spaces)
    )
    monkeypatch.setattr("latentmap.mapping.moment_sums._SMALL", 0)
    wanted = 8 * 10 * 10 * 3
    monkeypatch.setattr("latentmap.mapping.moment_sums.available_memory", lambda: 2 * wanted)
    do()
    monkeypatch.setattr("latentmap.mapping.moment_sums.available_memory", lambda: 2 * wanted - 1)
    with pytest.raises(MapError, match=r"products of 9 variables of codes take 0.0 GiB, more than"):
        do()
