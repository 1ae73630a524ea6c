import numpy as np
import pytest

from latentmap.codes import Codes, Space, pair
from latentmap.errors import PairError
from latentmap.frames import Frame

A = Space("z", 2, "a", "aa")
B = Space("z", 1, "b", "bb")


def digests_of(ids):
    return np.array([[hash(name) % 251 + 1] * 16 for name in ids], dtype=np.uint8)


def codes(ids, space, *, start=0, digests=None, frame=None):
    vectors = np.arange(start, start + len(ids) * space.dim).reshape(len(ids), space.dim)
    if digests is None:
        digests = digests_of(ids)
    return Codes.from_array(ids, vectors, space=space, digests=digests, frame=frame)


def test_pairs_are_joined_by_id_and_not_by_position():
    pairs = pair(codes(["1", "2", "3"], A), codes(["3", "1", "2"], B))
    assert pairs.ids.tolist() == ["1", "2", "3"]
    assert pairs.target.vectors[:, 0].tolist() == [1, 2, 0]
    assert pairs.source.vectors[:, 0].tolist() == [0, 2, 4]
    assert pairs.dropped == 0


def test_images_that_one_side_alone_has_are_dropped_and_counted():
    pairs = pair(codes(["1", "2", "3", "9"], A), codes(["2", "8", "1"], B))
    assert pairs.ids.tolist() == ["1", "2"]
    assert pairs.target.vectors[:, 0].tolist() == [2, 0]
    assert pairs.dropped == 3


def test_other_frames_of_the_same_images_belong_together():
    assert len(pair(codes(["1"], A, frame=Frame("celeba")), codes(["1"], B))) == 1


def test_ids_alone_decide_where_the_content_is_not_known():
    unknown = codes(["1", "2"], A, digests=np.zeros((2, 16), np.uint8))
    assert len(pair(unknown, codes(["2", "1"], B))) == 2


def test_images_with_the_same_id_and_another_content_are_refused_and_named():
    other = digests_of(["1", "2"])
    other[1] += 1
    with pytest.raises(PairError, match=r"1 of 2 images have the same id .* content \(2\)"):
        pair(codes(["1", "2"], A), codes(["1", "2"], B, digests=other))
    with pytest.raises(PairError, match=r"1 of 2 images have the same id .* content \(2\)"):
        pair(codes(["1", "2", "3"], A), codes(["1", "2"], B, digests=other))


def test_codes_without_a_common_image_are_refused():
    with pytest.raises(PairError, match="no image in common: encode the same images"):
        pair(codes(["1", "2"], A), codes(["3"], B))


def test_the_same_images_under_other_ids_are_told_apart_from_other_images():
    with pytest.raises(PairError, match="1 images are the same under other ids"):
        pair(codes(["1"], A), codes(["x/1"], B, digests=digests_of(["1"])))


def test_an_id_that_stands_twice_is_refused():
    with pytest.raises(PairError, match=r"have some twice \(1\)"):
        pair(codes(["1", "1", "2"], A), codes(["1", "2"], B))


def test_equal_ids_and_digests_are_held_once():
    pairs = pair(codes(["1", "2"], A), codes(["1", "2"], B))
    assert pairs.source.ids is pairs.target.ids
    assert pairs.source.digests is pairs.target.digests
    taken = pairs.take(np.array([1]))
    assert taken.source.ids is taken.target.ids


def test_taking_pairs_keeps_order_and_can_be_repeated():
    pairs = pair(codes(list("abcde"), A), codes(list("edcba"), B))
    taken = pairs.take(np.array([3, 0, 1])).take(np.array([0, 2]))
    assert taken.ids.tolist() == ["d", "b"]
    assert taken.source.vectors.tolist() == [[6, 7], [2, 3]]
    assert taken.target.vectors.tolist() == [[1], [3]]


def test_pairs_can_be_taken_by_a_mask():
    pairs = pair(codes(list("abc"), A), codes(list("abc"), B))
    assert pairs.take(pairs.ids != "b").ids.tolist() == ["a", "c"]


def test_taking_pairs_reads_no_row():
    class Untouchable:
        shape: tuple[int, ...] = (3, 2)

        def read(self, start: int, stop: int) -> np.ndarray:
            raise AssertionError("a row was read")

        def take(self, index: np.ndarray) -> np.ndarray:
            raise AssertionError("a row was read")

    source = codes(list("abc"), A)
    lazy = Codes(source.ids, Untouchable(), A, source.frame, "", source.digests)
    pairs = pair(lazy, codes(list("bac"), B)).take(np.array([2, 0])).sample(1, seed=0)
    assert len(pairs) == 1
    with pytest.raises(AssertionError, match="a row was read"):
        next(pairs.blocks())


def test_blocks_hold_all_pairs_in_order():
    ids = [str(i) for i in range(25)]
    pairs = pair(codes(ids, A), codes(ids[::-1], B))
    blocks = list(pairs.blocks(10))
    assert [len(x) for x, _ in blocks] == [10, 10, 5]
    assert np.concatenate([y[:, 0] for _, y in blocks]).tolist() == list(range(24, -1, -1))


def test_a_sample_is_random_but_seeded_and_has_no_pair_twice():
    ids = [str(i) for i in range(100)]
    pairs = pair(codes(ids, A), codes(ids, B))
    sample = pairs.sample(20, seed=1)
    assert len(set(sample.ids)) == 20
    assert sample.ids.tolist() == pairs.sample(20, seed=1).ids.tolist()
    assert sample.ids.tolist() != pairs.sample(20, seed=2).ids.tolist()
    assert (sample.source.vectors[:, 0] == 2 * sample.target.vectors[:, 0]).all()


def test_pairs_that_are_their_own_units_are_drawn_as_ever():
    digests = np.zeros((50, 16), np.uint8)  # Not known: none is another's copy.
    ids = [str(i) for i in range(50)]
    pairs = pair(codes(ids, A, digests=digests), codes(ids, B, digests=digests))
    expected = np.sort(np.random.default_rng(3).permutation(50)[:20])
    assert pairs.draw(20, seed=3).tolist() == expected.tolist()
    assert pairs.draw(20, groups=np.arange(50), seed=3).tolist() == expected.tolist()


@pytest.mark.parametrize("n", [0, 4])
def test_a_sample_of_more_pairs_than_there_are_is_refused(n):
    with pytest.raises(PairError, match=f"{n} random pairs were asked for, but there are 3"):
        pair(codes(list("abc"), A), codes(list("abc"), B)).sample(n, seed=0)


def test_two_hundred_thousand_pairs_are_joined_without_a_loop():
    ids = np.char.add("images/", np.arange(200_000).astype(np.str_))
    digests = np.random.default_rng(0).integers(1, 255, (len(ids), 16), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(len(ids))[:150_000]
    values = np.arange(len(ids), dtype=np.float32)[:, None]
    source = Codes.from_array(ids, values.repeat(2, 1), space=A, digests=digests)
    target = Codes.from_array(ids[order], values[order], space=B, digests=digests[order])
    pairs = pair(source, target)
    assert len(pairs) == 150_000
    for x, y in pairs.take(np.arange(0, 150_000, 10)).blocks():
        assert (x[:, :1] == y).all()
