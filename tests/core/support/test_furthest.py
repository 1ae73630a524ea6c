import numpy as np
import pytest

from latentmap.support.furthest import Furthest
from latentmap.support.sectors import reach_of


def every_direction(k):
    return 2 * ((np.arange(2**k)[:, None] >> np.arange(k)) & 1) - 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steps", [None, 2.0])
def test_the_furthest_is_that_of_a_look_at_every_image(seed, steps):
    generator = np.random.default_rng(seed)
    k = 1 + seed
    # Correlated, so that corners are empty; in steps, so that many reach as far.
    t = generator.standard_normal((500, k)) + 2 * generator.standard_normal((500, 1))
    t = t if steps is None else np.round(steps * t) / steps
    search, directions = Furthest(t), every_direction(k)
    expected = [int(reach_of(t, towards).argmax()) for towards in directions]
    assert search.best(directions).tolist() == expected


def test_those_that_are_taken_leave_the_next_and_at_last_the_only_one():
    t = np.random.default_rng(1).standard_normal((120, 3))
    search, towards = Furthest(t), np.array([1, -1, 1])
    order = np.argsort(-reach_of(t, towards), kind="stable").tolist()
    assert [search.into(towards, set(order[:taken])) for taken in range(120)] == order
