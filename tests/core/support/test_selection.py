"""What is chosen, by rules that can be followed by hand, and by rivals with known optima."""

import itertools

import numpy as np
import pytest

from latentmap.codes import Codes, Space
from latentmap.errors import SupportError
from latentmap.support import ChoiceOptions, choose_support_set
from latentmap.support.selection import STRATEGIES
from latentmap.support.strategies import RIVALS, leverages, scaled


def codes_of(vectors, *, kind="z", digests=None):
    vectors = np.asarray(vectors, dtype=np.float32)
    names = [f"{i}.png" for i in range(len(vectors))]
    space = Space(kind, vectors.shape[1], "a", "aa")
    return Codes.from_array(names, vectors, space=space, digests=digests, data="dd")


def gaussian(n=2000, d=6, *, seed=0, kind="z"):
    return codes_of(np.random.default_rng(seed).standard_normal((n, d)), kind=kind)


def numbers_of(ids):
    return [int(name.removesuffix(".png")) for name in ids]


def about_zero(threshold, size, **more):
    """By hand: a few codes would have their mean anywhere."""
    return ChoiceOptions(threshold=threshold, size=size, center="zero", **more)


def test_every_occupied_sector_gives_one_member_and_an_empty_one_its_nearest():
    # Sector 0 (-,-) has two members, 3 (+,+) one; 1 (+,-) is touched, 2 (-,+) only missed.
    codes = codes_of([[-2, -2], [-1, -3], [2, 2], [1.5, -0.2], [2, -0.1], [0.1, 0.3]])
    support = choose_support_set(codes, (0, 1), about_zero(0.5, 4), seed=0)
    assert support.sector.tolist() == [0, 1, 2, 3]
    chosen = numbers_of(support.ids)
    assert chosen[0] in (0, 1)
    assert chosen[1:] == [3, 5, 2]
    assert support.relaxed.tolist() == [False, True, True, False]
    np.testing.assert_allclose(support.reach[1:], [0.2, -0.1, 2], atol=1e-6)
    np.testing.assert_allclose(support.short, [0, 0.3, 0.6, 0], atol=1e-6)
    assert support.wrong_signs.tolist() == [0, 0, 1, 0]
    assert support.occupancy.tolist() == [2, 0, 0, 1]
    assert support.orthants.tolist() == [2, 2, 0, 2]
    members = [numbers_of(support.members_of(sector)) for sector in range(4)]
    assert members == [[chosen[0], 1 - chosen[0]], [], [], [2]]


def test_strict_leaves_a_sector_empty():
    codes = codes_of([[-2, -2], [-1, -3], [2, 2], [1.5, -0.2]])
    support = choose_support_set(codes, (0, 1), about_zero(0.5, 4, strict=True), seed=0)
    assert sorted(support.sector.tolist()) == [0, 0, 3]
    assert not support.relaxed.any()
    with pytest.raises(SupportError, match="no image is a member of any of the 4 sectors at thres"):
        choose_support_set(codes, (0, 1), about_zero(9, 4, strict=True), seed=0)


def test_two_empty_sectors_never_take_the_same_image():
    # Both (+,-) and (-,+) are reached furthest by image 0; the other takes the next.
    codes = codes_of([[0.01, 0.01], [3, 3], [4, 4], [-3, -3]])
    support = choose_support_set(codes, (0, 1), ChoiceOptions(threshold=1, size=4), seed=0)
    assert len(set(support.ids.tolist())) == 4
    assert support.sector.tolist() == [0, 1, 2, 3]


def test_the_fill_up_takes_the_most_crowded_sectors_in_turn():
    side = np.repeat([[1, 1], [1, -1], [-1, -1], [-1, 1]], [4, 6, 2, 1], axis=0)
    codes = codes_of(side * 2.0)
    counts = [2, 6, 1, 4]  # Of the sectors 0 to 3.

    def taken(size):
        support = choose_support_set(codes, (0, 1), about_zero(1, size), seed=3)
        assert len(set(support.ids.tolist())) == size
        assert support.filled.sum() == size - 4
        return np.bincount(support.sector, minlength=4).tolist()

    assert [taken(size) for size in (4, 5, 6, 7, 8, 9, 13)] == [
        [1, 1, 1, 1],
        [1, 2, 1, 1],
        [1, 2, 1, 2],
        [2, 2, 1, 2],
        [2, 3, 1, 2],
        [2, 3, 1, 3],
        counts,
    ]


def test_when_no_members_are_left_those_that_reach_furthest_into_their_own_sector_follow():
    codes = codes_of([[2, 2], [-2, -2], [2, -2], [-2, 2], [0.3, 0.4], [0.5, -0.6], [0.1, 9]])
    support = choose_support_set(codes, (0, 1), about_zero(1, 6), seed=0)
    assert numbers_of(support.ids)[4:] == [5, 4]
    assert support.relaxed.tolist() == [False] * 4 + [True] * 2
    assert support.filled.tolist() == [False] * 4 + [True] * 2


def test_a_size_below_the_number_of_sectors_uses_fewer_variables():
    support = choose_support_set(
        gaussian(), (5, 1, 3), ChoiceOptions(threshold=0.2, size=7), seed=0
    )
    assert support.settings["variables"] == [5, 1]
    assert len(support.occupancy) == 4
    assert len(support) == 7


def test_the_size_is_that_of_the_latent_space_but_one_a_sector_at_least():
    codes = gaussian(d=6)
    assert len(choose_support_set(codes, variables=(0, 1), seed=0)) == 6
    assert len(choose_support_set(codes, variables=range(4), seed=0)) == 16


def test_a_seed_gives_one_set_and_another_seed_another():
    one, same, other = (
        choose_support_set(
            gaussian(), range(3), ChoiceOptions(threshold=0.5), seed=seed
        ).ids.tolist()
        for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["z", "w"])
def test_every_strategy_gives_so_many_different_images(strategy, kind):
    codes = gaussian(500, kind=kind)
    support = choose_support_set(codes, (0, 1), ChoiceOptions(strategy=strategy, size=40), seed=5)
    assert len(set(support.ids.tolist())) == 40
    rows = numbers_of(support.ids)
    np.testing.assert_array_equal(support.codes, codes.vectors.numpy()[rows])
    again = choose_support_set(codes, (0, 1), ChoiceOptions(strategy=strategy, size=40), seed=5)
    assert again.ids.tolist() == support.ids.tolist()
    assert support.settings["strategy"] == strategy


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_can_take_all_images(strategy):
    codes = gaussian(12)
    support = choose_support_set(codes, (0,), ChoiceOptions(strategy=strategy, size=12), seed=0)
    assert sorted(numbers_of(support.ids)) == list(range(12))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [11, 12])
def test_no_strategy_takes_an_image_twice_where_few_are_left(strategy, size):
    vectors = gaussian(12).vectors.numpy().copy()
    vectors[0] = 40  # So far out that a design would rather lose another image than this.
    support = choose_support_set(
        codes_of(vectors), (0,), ChoiceOptions(strategy=strategy, size=size), seed=0
    )
    assert len(set(support.ids.tolist())) == len(support) == size


def test_rivals_need_no_leading_variables():
    support = choose_support_set(gaussian(), (), ChoiceOptions(strategy="farthest", size=5), seed=0)
    assert support.settings["variables"] == []
    assert support.occupancy.tolist() == [2000]
    assert not support.relaxed.any()


@pytest.mark.parametrize("offset", [0, 1e3, 1e5])
def test_farthest_images_are_those_of_the_definition(offset):
    codes = codes_of(np.random.default_rng(0).standard_normal((60, 3)) + offset)
    chosen = RIVALS["farthest"](codes, 8, seed=4, progress=None).tolist()
    z = codes.vectors.numpy().astype(float)
    for count in range(1, 8):
        nearest = np.sqrt(np.square(z[:, None] - z[chosen[:count]]).sum(-1)).min(1)
        assert chosen[count] == nearest.argmax()


def test_two_clusters_far_apart_lose_no_digits():
    # About their common mean both are far out, and what images differ by is a millionth of that.
    rng = np.random.default_rng(0)
    z = np.concatenate([0.01 * rng.standard_normal((20, 3)) + side for side in (-1e4, 1e4)])
    codes = codes_of(z)
    exact = codes.vectors.numpy().astype(float)
    chosen = RIVALS["farthest"](codes, 6, seed=1, progress=None)
    for count in range(1, 6):
        nearest = np.sqrt(np.square(exact[:, None] - exact[chosen[:count]]).sum(-1)).min(1)
        assert nearest[chosen[count]] == pytest.approx(nearest.max(), rel=1e-6)
    middles = RIVALS["kmeans"](codes, 2, seed=0, progress=None)
    for row in middles.tolist():
        own = exact[:20] if row < 20 else exact[20:]
        away = np.linalg.norm(own - own.mean(0), axis=1)
        assert away.min() == pytest.approx(away[row % 20], abs=1e-3)


def test_kmeans_finds_the_middles_of_separate_clusters():
    rng = np.random.default_rng(0)
    centers = 20 * np.eye(4)
    z = np.repeat(centers, 50, axis=0) + rng.standard_normal((200, 4))
    z[::50] = centers + 0.01  # The first of each cluster lies almost in its middle.
    chosen = RIVALS["kmeans"](codes_of(z), 4, seed=0, progress=None)
    assert sorted((chosen // 50).tolist()) == [0, 1, 2, 3]
    distance = np.linalg.norm(z[chosen] - centers[chosen // 50], axis=1)
    assert (distance < 1).all()


def test_a_doptimal_design_is_near_the_best_of_all_and_beats_chance():
    z = np.random.default_rng(1).standard_normal((12, 2))

    def log_det(rows):
        x = np.c_[np.ones(len(rows)), z[list(rows)]]
        return np.linalg.slogdet(x.T @ x)[1]

    every = [log_det(rows) for rows in itertools.combinations(range(12), 4)]
    for seed in range(6):
        chosen = RIVALS["doptimal"](codes_of(z), 4, seed=seed, progress=None)
        assert log_det(chosen) >= np.quantile(every, 0.99)


@pytest.mark.parametrize("strategy", ["doptimal", "leverage"])
def test_designs_do_not_depend_on_the_units_of_variables(strategy):
    z = np.random.default_rng(2).standard_normal((300, 4))
    mixed = z @ np.array([[3, 1, 0, 0], [0, 0.1, 0, 0], [0, 1, 2, 0], [1, 0, 0, 9]]) + 5
    one, other = (
        RIVALS[strategy](codes_of(vectors), 20, seed=0, progress=None) for vectors in (z, mixed)
    )
    assert one.tolist() == other.tolist()


def test_leverages_are_the_diagonal_of_the_hat_matrix():
    z = np.random.default_rng(3).standard_normal((40, 3)) * [1, 10, 0.1] + 4
    x = np.c_[np.ones(40), z.astype(np.float32)]
    hat = x @ np.linalg.pinv(x)
    np.testing.assert_allclose(leverages(codes_of(z)), hat.diagonal(), rtol=1e-4)


def test_a_constant_variable_changes_no_leverage_and_no_distance():
    z = np.random.default_rng(3).standard_normal((40, 3))
    padded = np.c_[z, np.full(40, 0.7)]
    np.testing.assert_allclose(leverages(codes_of(padded)), leverages(codes_of(z)), rtol=1e-5)
    assert (scaled(codes_of(padded, kind="w"))[:, 3] == 0).all()


def test_images_with_one_content_are_one_candidate():
    digests = np.zeros((6, 16), np.uint8)
    digests[:, 0] = [1, 2, 2, 3, 3, 3]
    codes = codes_of(np.eye(6), digests=digests)
    support = choose_support_set(codes, (), ChoiceOptions(strategy="random", size=3), seed=0)
    assert support.n_candidates == 3
    assert sorted(numbers_of(support.ids)) == [0, 1, 3]
    with pytest.raises(SupportError, match="4 images cannot be chosen among 3 different ones"):
        choose_support_set(codes, (), ChoiceOptions(strategy="random", size=4), seed=0)


def test_wrong_wishes_are_refused():
    codes = gaussian(20)
    with pytest.raises(SupportError, match="unknown strategy 'best': choose one of sectors, ran"):
        choose_support_set(codes, (), ChoiceOptions(strategy="best"), seed=0)
    with pytest.raises(SupportError, match="sectors need leading variables"):
        choose_support_set(codes, (), seed=0)
    with pytest.raises(SupportError, match="there is no variable 6"):
        choose_support_set(codes, variables=(6,), seed=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_constant_codes_are_refused(strategy):
    with pytest.raises(SupportError, match="has one code for all 30 images: check the encoder"):
        choose_support_set(
            codes_of(np.ones((30, 3))), (0,), ChoiceOptions(strategy=strategy, size=5), seed=0
        )


@pytest.mark.parametrize("kind", ["z", "w"])
def test_where_the_codes_lie_does_not_matter_about_their_mean(kind):
    here = gaussian(kind=kind).vectors.numpy()
    options = ChoiceOptions(size=40)
    one, other = (
        choose_support_set(codes_of(z, kind=kind), range(4), options) for z in (here, here + 3)
    )
    assert one.ids.tolist() == other.ids.tolist()
    assert one.threshold == other.threshold > 0
    assert one.occupancy.tolist() == other.occupancy.tolist()
    if kind == "z":
        zero = choose_support_set(codes_of(here + 3), range(4), about_zero("auto", 40))
        assert zero.relaxed.sum() > 10
        assert (zero.wrong_signs > 0).sum() == zero.to_json()["wrong_side"] > 0
        assert zero.settings["center"] == [0] * 4


def test_a_center_that_there_is_not_is_refused():
    with pytest.raises(SupportError, match="zero is the center of a prior in z, and w of a"):
        choose_support_set(gaussian(kind="w"), (0,), about_zero(1, 6))
    with pytest.raises(SupportError, match="unknown center 'middle': choose one of mean, zero"):
        choose_support_set(gaussian(), (0,), ChoiceOptions(center="middle"))
