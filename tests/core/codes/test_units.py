import numpy as np
import pytest

from latentmap.codes import Seen, contains, hold_out, one_of_each, units_of
from latentmap.codes.units import draw_of_units


def digests_of(*contents):
    """A digest for each content; 0 is one that is not known."""
    return np.array(contents, np.uint8)[:, None].repeat(16, 1)


def test_what_is_not_known_is_a_unit_by_itself():
    assert units_of(digests_of(0, 0, 0)).tolist() == [0, 1, 2]


def test_equal_contents_are_one_unit_numbered_as_they_first_stand():
    assert units_of(digests_of(9, 4, 9, 0, 4, 0)).tolist() == [0, 1, 0, 2, 1, 3]


def test_images_of_a_group_are_one_unit_whatever_groups_are_called():
    for names in (["b", "a", "b", "c"], [2, 1, 2, 3]):
        assert units_of(digests_of(1, 2, 3, 4), np.array(names)).tolist() == [0, 1, 0, 2]


def test_a_copy_under_another_group_joins_both_groups():
    groups = np.array([1, 1, 2, 2, 3])
    # Content 7 is in groups 1 and 2; that of group 3 is not known.
    assert units_of(digests_of(5, 7, 7, 6, 0), groups).tolist() == [0, 0, 0, 0, 1]


def test_chains_of_any_length_are_one_unit():
    n = 400
    groups = np.arange(n) // 2
    contents = (np.arange(n) + 1) // 2  # Each shared with the next group.
    digests = np.zeros((n, 16), np.uint8)
    digests[:, :2] = np.stack([contents % 256, contents // 256 + 1], 1)
    order = np.random.default_rng(0).permutation(n)
    assert (units_of(digests[order], groups[order]) == 0).all()


def test_no_image_has_no_unit():
    assert units_of(np.zeros((0, 16), np.uint8)).tolist() == []
    assert units_of(np.zeros((0, 16), np.uint8), np.zeros(0, np.int64)).tolist() == []


def test_one_image_of_each_unit_is_drawn_in_order():
    units = np.array([0, 1, 0, 0, 2, 1])
    drawn = [one_of_each(units, seed=seed) for seed in range(30)]
    assert all(units[one].tolist() in ([0, 1, 2], [0, 2, 1], [1, 0, 2]) for one in drawn)
    assert all((np.diff(one) > 0).all() for one in drawn)
    assert {int(i) for one in drawn for i in one} == set(range(6))
    assert one_of_each(np.arange(5), seed=3).tolist() == [0, 1, 2, 3, 4]


def test_contains_knows_contents():
    found = contains(digests_of(1, 0, 3), digests_of(3, 0, 2, 1))
    assert found.tolist() == [True, False, False, True]


# What is held out.


@pytest.mark.parametrize("groups", [None, np.arange(5)])
def test_what_was_seen_is_left_out_under_any_name(groups):
    held = hold_out(digests_of(1, 2, 1, 0, 3), [Seen("fitted", digests_of(1, 0))], groups=groups)
    assert held.positions.tolist() == [1, 3, 4]
    assert held.units.tolist() == [0, 1, 2]
    assert held.left_out == {"fitted": 2}
    assert held.n_left_out == 2


@pytest.mark.parametrize("seed", range(20))
def test_a_second_of_a_unit_is_drawn_after_one_of_each(seed):
    units = np.array([5] * 30 + [1, 1, 1] + [2])
    for n, most in ((1, 1), (2, 1), (3, 1), (5, 2), (7, 3), (8, 4), (34, 30)):
        drawn = draw_of_units(units, n, seed=seed)
        assert len(set(drawn.tolist())) == n and (np.diff(drawn) > 0).all()
        counts = np.unique(units[drawn], return_counts=True)[1]
        assert len(counts) == min(n, 3) and counts.max() == most


def test_each_image_and_each_unit_is_drawn_as_often_as_the_others():
    units = np.array([0] * 4 + [1] * 4 + [2] * 4)
    times = np.zeros(12)
    for seed in range(1200):
        times[draw_of_units(units, 1, seed=seed)] += 1
    # 100 each, with a standard deviation of 9.6.
    assert abs(times - 100).max() < 4 * 9.6


def test_others_of_a_unit_that_was_seen_are_left_out_too():
    groups = np.array(["a", "a", "b", "c", "c"])
    seen = Seen("fitted", digests_of(1, 8), np.array(["z", "b"]))
    held = hold_out(digests_of(1, 2, 3, 4, 5), [seen], groups=groups)
    # 2 is of the group of 1, 3 of a group of which 8 was fitted on.
    assert held.positions.tolist() == [3, 4]
    assert held.units.tolist() == [0, 0]
    assert held.left_out == {"fitted": 1, "fitted_unit": 2}


def test_groups_of_seen_images_count_only_where_they_are_known():
    digests, groups = digests_of(1, 2, 3), np.array([0, 1, 2])
    held = hold_out(digests, [Seen("fitted", digests_of(9, 8))], groups=groups)
    assert held.positions.tolist() == [0, 1, 2]
    held = hold_out(digests, [Seen("fitted", digests_of(9), np.array([1]))])
    assert held.positions.tolist() == [0, 1, 2]


def test_each_image_is_left_out_for_the_first_reason():
    seen = [Seen("fitted", digests_of(1)), Seen("trained", digests_of(1, 2))]
    held = hold_out(digests_of(1, 2, 3), seen)
    assert held.left_out == {"fitted": 1, "trained": 1}
    assert hold_out(digests_of(1, 2), []).left_out == {}
