import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space
from latentmap.errors import MapError
from latentmap.mapping.moments import MomentSums, moments_of_blocks, moments_of_pairs
from latentmap.pairs import pair


def draw(n=500, p=7, q=4, *, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -2, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + torch.randn(n, q, generator=generator)
    return x, y


def exact(x, y):
    x, y = x.double().numpy(), y.double().numpy()
    xc, yc = x - x.mean(0), y - y.mean(0)
    return x.mean(0), y.mean(0), xc.T @ xc, xc.T @ yc, yc.T @ yc


def parts(moments):
    return (moments.mean_x, moments.mean_y, moments.xx, moments.xy, moments.yy)


def assert_close(left, right, *, rtol=1e-11):
    for a, b in zip(left, right, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a - b).max() <= rtol * max(np.abs(b).max(), 1e-300)


def blocks(x, y, size):
    return zip(x.split(size), y.split(size), strict=True)


def test_moments_are_those_of_numpy_in_any_blocks():
    x, y = draw()
    for size in (1, 7, 100, 500):
        moments = moments_of_blocks(blocks(x, y, size))
        assert moments.n == 500
        assert_close(parts(moments), exact(x, y))


def test_a_case_solved_by_hand():
    x = torch.tensor([[1.0], [2.0], [6.0]])
    y = torch.tensor([[0.0], [2.0], [4.0]])
    moments = moments_of_blocks([(x, y)])
    assert [float(part) for part in parts(moments)] == pytest.approx([3, 2, 14, 10, 8])


def test_merged_parts_are_one_pass():
    x, y = draw(mean=100.0)
    whole = moments_of_blocks(blocks(x, y, 50))
    merged = moments_of_blocks([(x[:123], y[:123])]).merge(
        moments_of_blocks([(x[123:130], y[123:130])]).merge(moments_of_blocks([(x[130:], y[130:])]))
    )
    assert merged.n == whole.n
    assert_close(parts(merged), parts(whole), rtol=1e-10)


def test_a_mean_far_from_zero_costs_no_digits():
    x, y = draw(n=20_000, mean=1000.0)
    assert_close(parts(moments_of_blocks(blocks(x, y, 1000))), exact(x, y), rtol=1e-10)


def test_products_do_not_change_when_all_codes_are_shifted():
    # Whole numbers, so that the shifted codes are exact in float32.
    x, y = (
        torch.randint(-50, 50, (300, k), generator=torch.manual_seed(k)).float() for k in (5, 3)
    )
    plain = moments_of_blocks(blocks(x, y, 64))
    shifted = moments_of_blocks(blocks(x + 4096, y - 512, 64))
    assert_close(parts(shifted)[2:], parts(plain)[2:])
    assert_close([shifted.mean_x - 4096, shifted.mean_y + 512], parts(plain)[:2])


def test_the_order_of_pairs_does_not_matter():
    x, y = draw()
    order = torch.randperm(len(x), generator=torch.manual_seed(1))
    assert_close(
        parts(moments_of_blocks(blocks(x, y, 64))),
        parts(moments_of_blocks(blocks(x[order], y[order], 64))),
    )


def test_an_empty_block_changes_nothing():
    x, y = draw(n=10)
    moments = moments_of_blocks([(x[:0], y[:0]), (x, y), (x[:0], y[:0])])
    assert_close(parts(moments), exact(x, y))


def test_moments_of_pairs_follow_the_ids():
    x, y = draw(n=50)
    ids = [f"{i}.png" for i in range(50)]
    order = np.random.default_rng(0).permutation(50)
    source = Codes.from_array(ids, x, space=Space("z", 7, "a", "aa"))
    target = Codes.from_array(np.array(ids)[order], y[order], space=Space("z", 4, "b", "bb"))
    assert_close(parts(moments_of_pairs(pair(source, target))), exact(x, y))


def test_a_code_that_is_not_finite_is_named():
    x, y = draw(n=9000)
    y[8500, 1] = torch.inf
    ids = [f"{i}.png" for i in range(len(x))]
    source = Codes.from_array(ids, x, space=Space("z", 7, "a", "aa"))
    target = Codes.from_array(ids, y, space=Space("z", 4, "svae", "bb"))
    with pytest.raises(MapError, match=r"the code of 8500\.png in z of svae .* NaN or infinite"):
        moments_of_pairs(pair(source, target))


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf])
def test_a_block_that_is_not_finite_is_not_added(bad):
    x, y = draw(n=20)
    sums = MomentSums(7, 4)
    for _ in range(2):
        spoiled = x.clone()
        spoiled[3, 2] = bad
        with pytest.raises(MapError, match="every code must be finite"):
            sums.update(spoiled, y)
        sums.update(x, y)
    assert sums.n == 40
    assert_close(parts(sums.moments()), exact(x.repeat(2, 1), y.repeat(2, 1)))


def test_blocks_of_another_shape_are_refused():
    with pytest.raises(MapError, match=r"must have shapes \(k, 7\) and \(k, 4\), not \(3, 7\) and"):
        MomentSums(7, 4).update(torch.zeros(3, 7), torch.zeros(2, 4))


def test_no_pairs_have_no_moments():
    with pytest.raises(MapError, match="at least one pair"):
        moments_of_blocks([])
    with pytest.raises(MapError, match="at least one pair"):
        MomentSums(2, 2).moments()


def test_progress_reaches_the_number_of_pairs():
    ids = [str(i) for i in range(10)]
    codes = Codes.from_array(
        ids, np.random.default_rng(0).random((10, 2)), space=Space("z", 2, "a", "aa")
    )
    seen = []
    moments_of_pairs(pair(codes, codes), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 10)]
