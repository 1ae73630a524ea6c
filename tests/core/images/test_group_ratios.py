import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import FEWEST, correct, group_ratios, ratios_of_all


def draw(seed, n, n_hats, *, hard=1.0, worse=1.0):
    """Hats are ``hard`` for any model, and ``worse`` than that for this one."""
    generator = np.random.default_rng(seed)
    hats = np.arange(n) < n_hats
    hardness = generator.lognormal(0, 0.5, n) * np.where(hats, hard, 1)
    errors = hardness * generator.lognormal(0, 0.3, n) * np.where(hats, worse, 1)
    reference = 0.5 * hardness * generator.lognormal(0, 0.15, n)
    return ImageGroups("Hat", ("Hat", "not Hat"), (~hats).astype(int)), errors, reference


def test_the_figures_are_those_of_a_case_by_hand():
    number = np.tile([0, 0, 1, 1, -1], 4)
    errors, reference = np.tile([[0.2, 0.4, 0.1, 0.2, 9], [0.1, 0.2, 0.1, 0.05, 9]], 4)
    groups = ImageGroups("Hat", ("Hat", "not Hat"), number)
    hat, other = group_ratios(groups, errors, reference)
    assert (hat.name, hat.positions.tolist()) == ("Hat", [1, 6, 11, 16, 0, 5, 10, 15])
    assert other.positions.tolist() == [3, 8, 13, 18, 2, 7, 12, 17] and other.n_units == 8
    assert hat.error.value == pytest.approx(0.3) and hat.share.value == pytest.approx(2)
    assert hat.plain.value == pytest.approx(2) and other.plain.value == pytest.approx(0.5)
    assert hat.ratio.value == pytest.approx(1) and other.ratio.value == pytest.approx(1)
    assert hat.p_value is None and hat.corrected is None and not hat.differs


def test_what_is_hard_for_any_model_is_not_held_against_one():
    hat, _ = group_ratios(*draw(0, 400, 60, hard=3))
    assert hat.plain.low > 1.5 and hat.ratio.low < 1 < hat.ratio.high < 1.5 and not hat.differs
    worse, other = group_ratios(*draw(0, 400, 60, hard=3, worse=2))
    assert worse.ratio.low > 1.5 and worse.differs and other.differs
    assert worse.corrected == other.corrected == worse.p_value == other.p_value


def test_without_a_whole_the_errors_themselves_are_compared():
    groups, errors, _ = draw(1, 400, 60, hard=3)
    hat, _ = group_ratios(groups, errors)
    assert hat.share is None and hat.ratio == hat.plain and hat.differs


def test_the_two_sides_of_an_attribute_are_inverse_to_each_other():
    hat, other = group_ratios(*draw(2, 300, 40, worse=1.3))
    assert hat.ratio.value * other.ratio.value == pytest.approx(1)
    assert hat.plain.value * other.plain.value == pytest.approx(1)


def test_scaling_the_errors_or_the_reference_changes_no_ratio():
    groups, errors, reference = draw(3, 200, 40)
    first = group_ratios(groups, errors, reference)
    for other in (
        group_ratios(groups, 7 * errors, reference),
        group_ratios(groups, errors, reference / 9),
    ):
        for one, another in zip(first, other, strict=True):
            assert one.ratio == pytest.approx(another.ratio) and one.p_value == another.p_value


def test_the_test_is_that_of_an_independent_implementation():
    groups, errors, reference = draw(4, 60, 15, worse=1.15)

    def distance(mine, others, axis=-1):
        logs, variances = [], []
        for rows in (mine, others):
            index = rows.astype(int)
            e, r = errors[index], reference[index]
            share = e.sum(-1) / r.sum(-1)
            left = e - share[..., None] * r
            logs.append(np.log(share))
            variances.append(left.var(-1, ddof=1) / e.shape[-1] / e.mean(-1) ** 2)
        return np.abs(logs[0] - logs[1]) / np.sqrt(variances[0] + variances[1])

    positions = np.arange(60)
    expected = permutation_test(
        (positions[groups.number == 0], positions[groups.number == 1]),
        distance,
        vectorized=True,
        n_resamples=9999,
        alternative="greater",
        random_state=np.random.default_rng(0),
    ).pvalue
    hat, _ = group_ratios(groups, errors, reference)
    # Two draws of 9999 rounds: four standard errors.
    assert hat.p_value == pytest.approx(expected, abs=4 * math.sqrt(expected / 9999 * 2))


def test_several_errors_of_the_same_images_have_each_its_own_ratios():
    number = np.random.default_rng(0).choice([-1, 0, 1, 2], 150, p=[0.1, 0.2, 0.3, 0.4])
    groups = ImageGroups("age", ("young", "middle", "old"), number)
    units = np.arange(150) // 2
    losses = [draw(seed, 150, 60)[1:] for seed in range(3)]
    losses.append((losses[0][0], None))
    together = ratios_of_all(groups, losses, units=units)
    for (errors, whole), found in zip(losses, together, strict=True):
        alone = group_ratios(groups, errors, whole, units=units)
        assert [one.name for one in found] == [*groups.names]
        for one, other in zip(found, alone, strict=True):
            assert (one.p_value, one.corrected) == (other.p_value, other.corrected)
            assert one.positions.tolist() == other.positions.tolist()
            for name in ("error", "plain", "ratio"):
                assert getattr(one, name) == pytest.approx(getattr(other, name))
            assert (one.share is None) == (other.share is None) == (whole is None)
            assert whole is None or one.share == pytest.approx(other.share)
    assert ratios_of_all(groups, []) == []
    one = ImageGroups("age", ("young",), np.zeros(30, int))
    assert ratios_of_all(one, [(np.ones(30), None)])[0][0].p_value is None


def test_images_of_a_unit_count_as_one():
    groups, errors, reference = draw(5, 120, 40, worse=1.2)
    times, units = np.repeat(np.arange(120), 4), np.repeat(np.arange(120), 4)
    copied = ImageGroups(groups.by, groups.names, groups.number[times])
    one, _ = group_ratios(groups, errors, reference)
    many, _ = group_ratios(copied, errors[times], reference[times], units=units)
    assert many.n_units == one.n_units == 40 and len(many.positions) == 160
    assert many.ratio == pytest.approx(one.ratio) and many.p_value == one.p_value


def test_few_units_are_told_nothing_of_and_do_not_count():
    groups, errors, reference = draw(6, 100, FEWEST - 1, worse=5)
    assert all(one.p_value is None for one in group_ratios(groups, errors, reference))
    groups, errors, reference = draw(6, 100, FEWEST, worse=5)
    assert all(one.p_value is not None for one in group_ratios(groups, errors, reference))


def test_groups_without_errors_or_scatter_differ_in_nothing():
    groups = ImageGroups("Hat", ("Hat", "not Hat"), np.arange(40) // 20)
    for errors in (np.zeros(40), np.ones(40)):
        assert [one.p_value for one in group_ratios(groups, errors, np.ones(40))] == [1, 1]
    assert group_ratios(ImageGroups("Hat", (), np.full(40, -1)), np.ones(40)) == []


def test_all_groups_of_all_attributes_are_corrected_for_and_two_sides_are_one():
    thirds = ImageGroups("age", ("young", "middle", "old"), np.arange(300) % 3)
    two, errors, reference = draw(7, 300, 60, worse=1.4)
    both = [group_ratios(one, errors, reference) for one in (two, thirds)]
    hat, other = correct(both)[0]
    assert hat.corrected == other.corrected == pytest.approx(min(1, 4 * hat.p_value))
    assert both[0][0].corrected == hat.p_value
    assert correct([]) == []
