import numpy as np
import pytest
from scipy.stats import ttest_1samp

from latentmap.comparison.nearer import Nearer, letters_of, nearer_of
from latentmap.comparison.resampled import Resampled
from latentmap.intervals import Estimate


def resampled(value, without):
    return Resampled(np.array(value), np.array(without), np.empty((0, 3, 3)))


def of_means(groups):
    """Similarities of three spaces that are means over groups ``(k, 3, 3)``."""
    every = groups.mean(0)
    k = len(groups)
    return resampled(every, (k * every - groups) / (k - 1))


def noise(k, seed):
    groups = np.random.default_rng(seed).normal(size=(k, 3, 3))
    return groups + groups.transpose(0, 2, 1)


def test_of_means_the_test_is_students():
    groups = noise(20, 0)
    groups[:, 0, 1] += 0.8
    tests = nearer_of(of_means(groups), higher_is_alike=True)
    assert [(one.space, one.first, one.second) for one in tests] == [
        (0, 1, 2),
        (1, 0, 2),
        (2, 0, 1),
    ]
    for one in tests:
        parts = groups[:, one.space, one.first] - groups[:, one.space, one.second]
        expected = ttest_1samp(parts, 0)
        low, high = expected.confidence_interval()
        assert one.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert tuple(one.difference) == pytest.approx((parts.mean(), low, high), rel=1e-9)


def test_questions_are_corrected_for_their_number():
    tests = nearer_of(of_means(noise(20, 1) + np.diag([0.0, 1, 2])), higher_is_alike=True)
    small = min(tests, key=lambda one: one.p_value)
    assert small.p_holm == pytest.approx(min(3 * small.p_value, 1))


def test_a_smaller_distance_is_nearer():
    found = of_means(noise(20, 2))
    alike = nearer_of(found, higher_is_alike=True)
    far = nearer_of(found, higher_is_alike=False)
    for one, other in zip(alike, far, strict=True):
        assert other.difference.value == -one.difference.value
        assert other.difference.low == pytest.approx(-one.difference.high)
        assert other.p_value == one.p_value


def test_rounding_is_no_difference_and_what_never_varies_is_certain():
    value = [[1, 1, 1 - 1e-9], [1, 1, 0.5], [1 - 1e-9, 0.5, 1]]
    tests = nearer_of(resampled(value, [value] * 20), higher_is_alike=True)
    assert [one.p_value for one in tests] == [1, 0, 0]


def test_a_similarity_that_is_not_defined_is_told_apart_from_nothing():
    groups = noise(20, 3)
    groups[:, 0, 1] = groups[:, 1, 0] = np.nan
    tests = nearer_of(of_means(groups), higher_is_alike=True)
    assert all(np.isnan(one.p_value) and np.isnan(one.p_holm) for one in tests[:2])
    assert tests[2].p_holm == tests[2].p_value
    assert tests[0].to_json()["difference"] is None
    assert letters_of(tests, 0, 0.05) == {1: "a", 2: "a"}


def test_two_spaces_have_no_third():
    pair = Resampled(np.eye(2), np.ones((20, 2, 2)), np.empty((0, 2, 2)))
    assert nearer_of(pair, higher_is_alike=True) == []
    assert letters_of([], 0, 0.05) == {}


def told_apart(values, pairs):
    """Tests of space 0 with others that have some values, of which some pairs are told apart."""
    return [
        Nearer(
            0,
            b,
            c,
            Estimate(values[b] - values[c], 0.0, 0.0),
            0.0,
            0.01 if (b, c) in pairs else 0.5,
        )
        for b in values
        for c in values
        if b < c
    ]


def test_letters_are_shared_by_what_is_not_told_apart():
    values = {1: 0.2, 2: 0.9, 3: 0.5, 4: 0.1}
    # 2 is nearer than 1 and 4; 3 is between, and nearer than 4.
    tests = told_apart(values, {(1, 2), (2, 4), (3, 4)})
    assert letters_of(tests, 0, 0.05) == {2: "a", 3: "ab", 1: "bc", 4: "c"}


def test_letters_of_all_and_of_nothing_told_apart():
    values = {1: 0.3, 2: 0.2, 3: 0.1}
    assert letters_of(told_apart(values, set()), 0, 0.05) == {1: "a", 2: "a", 3: "a"}
    every = told_apart(values, {(1, 2), (1, 3), (2, 3)})
    assert letters_of(every, 0, 0.05) == {1: "a", 2: "b", 3: "c"}


@pytest.mark.parametrize("seed", range(20))
def test_letters_say_what_the_tests_say_and_nothing_else(seed):
    generator = np.random.default_rng(seed)
    values = {number: float(generator.normal()) for number in range(1, 6)}
    pairs = {(b, c) for b in values for c in values if b < c and generator.random() < 0.4}
    letters = letters_of(told_apart(values, pairs), 0, 0.05)
    for b in values:
        for c in values:
            if b < c:
                assert bool(set(letters[b]) & set(letters[c])) == ((b, c) not in pairs)


def test_of_two_spaces_there_is_nothing_to_tell():
    assert letters_of([], 0, 0.05) == {}
