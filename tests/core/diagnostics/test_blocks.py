import numpy as np
import pytest

from latentmap.diagnostics.blocks import Blocks, blocks_of


def sums_of(values, blocks):
    sums = np.zeros((blocks.max() + 1, *values.shape[1:]))
    np.add.at(sums, blocks, values)
    return sums


def figures(values, blocks, seed=0):
    """The mean variance of pixels over blocks, with its interval."""
    weighted = Blocks(np.bincount(blocks).astype(float), seed=seed)
    squares = sums_of((values**2).mean(1, keepdims=True), blocks)
    spread = weighted.means(squares)[:, 0] - weighted.squared_means(sums_of(values, blocks))
    return weighted.estimate(spread)


def test_few_units_are_blocks_and_many_are_dealt_whole():
    units = np.repeat(np.arange(40), 3)
    assert blocks_of(units, pixels=10, seed=0) is units
    many = np.repeat(np.arange(1000), 2)
    blocks = blocks_of(many, pixels=10, seed=0)
    assert np.bincount(blocks).tolist() == [10] * 200
    assert (blocks[::2] == blocks[1::2]).all()
    assert len(np.unique(blocks_of(many, pixels=2**20, seed=0))) == 50
    assert (blocks != blocks_of(many, pixels=10, seed=1)).any()


def test_the_variance_of_pixels_is_that_of_numpy():
    generator = np.random.default_rng(0)
    values = generator.gamma(2.0, size=(700, 12))
    found = figures(values, blocks_of(np.arange(700), pixels=12, seed=0))
    assert found.value == pytest.approx(values.var(0).mean(), rel=1e-10)
    assert found.low < found.value < found.high


def test_every_resampling_is_that_of_the_images_themselves():
    values = np.random.default_rng(1).random((30, 5))
    blocks = np.arange(30)
    weighted = Blocks(np.ones(30))
    counts = np.round(weighted._shares[1:1001] * 30).astype(int)
    assert (counts.sum(1) == 30).all()
    spread = weighted.means((values**2).mean(1, keepdims=True))[:, 0]
    spread = spread - weighted.squared_means(sums_of(values, blocks))
    for row, found in zip(counts[:20], spread[1:21], strict=True):
        drawn = np.repeat(values, row, axis=0)
        assert found == pytest.approx(drawn.var(0).mean(), rel=1e-10)
    left_out = np.delete(values, 4, axis=0)
    assert spread[1 + 1000 + 4] == pytest.approx(left_out.var(0).mean(), rel=1e-10)


def test_blocks_have_the_interval_of_a_naive_bootstrap():
    generator = np.random.default_rng(2)
    # Images that share most of what varies, as real ones do.
    shared = generator.gamma(1.5, size=(2000, 1))
    values = shared * generator.random(16) + 0.2 * generator.standard_normal((2000, 16))
    naive = [values[generator.integers(0, 2000, 2000)].var(0).mean() for _ in range(1000)]
    low, high = np.quantile(naive, [0.025, 0.975])
    widths = []
    for seed in range(8):
        found = figures(values, blocks_of(np.arange(2000), pixels=16, seed=seed), seed)
        widths.append(found.high - found.low)
        assert abs((found.low + found.high) / 2 - (low + high) / 2) < 0.2 * (high - low)
    # Of one dealing the width is uncertain by 5 %, and the naive one by some as well.
    assert np.mean(widths) == pytest.approx(high - low, rel=0.06)
    assert np.std(widths) / np.mean(widths) < 0.12


def test_intervals_cover_the_variance_loss():
    generator = np.random.default_rng(3)
    covered = 0
    for seed in range(100):
        code = generator.gamma(2.0, size=(600, 1)) / np.sqrt(2)
        x = code @ np.ones((1, 4)) + generator.standard_normal((600, 4))
        shown = 0.8 * code @ np.ones((1, 4))
        blocks = blocks_of(np.arange(600), pixels=4, seed=seed)
        weighted = Blocks(np.bincount(blocks).astype(float), seed=seed)
        parts = [
            weighted.means(sums_of((one**2).mean(1, keepdims=True), blocks))[:, 0]
            - weighted.squared_means(sums_of(one, blocks))
            for one in (x, shown)
        ]
        loss = weighted.estimate(parts[0] - parts[1])
        covered += loss.low <= 2.0 - 0.64 <= loss.high
    # Binomial of 100 at 95 %: 88 and fewer have a probability of 0.4 %.
    assert covered > 88


def test_images_of_one_unit_are_drawn_together():
    once = np.random.default_rng(4).random((60, 3))
    units = np.arange(60)
    single = figures(once, units)
    doubled = figures(np.repeat(once, 2, axis=0), np.repeat(units, 2))
    assert doubled == pytest.approx(single)


def test_one_unit_has_no_interval():
    found = figures(np.random.default_rng(5).random((7, 3)), np.zeros(7, int))
    assert found.value > 0
    assert np.isnan([found.low, found.high]).all()
