import numpy as np
import pytest

from latentmap.codes import find_ids, first_of_content, matching
from latentmap.codes.matching import IdIndex, id_keys


def first_by_hand(wanted, known):
    names = list(known)
    return [names.index(name) if name in names else -1 for name in wanted]


def names_of(generator, n, *, among):
    letters = ["a", "b/", "\N{GREEK SMALL LETTER ALPHA}", "0", "\N{GRINNING FACE}", "."]
    return np.array(["".join(generator.choice(letters, 1 + i % 5)) for i in range(n)][:among])


@pytest.mark.parametrize("seed", range(5))
def test_ids_are_found_as_one_by_one(seed):
    generator = np.random.default_rng(seed)
    ids, wanted = (names_of(generator, n, among=n) for n in (300, 200))
    assert find_ids(ids, wanted).tolist() == first_by_hand(wanted.tolist(), ids.tolist())


def test_ids_of_other_widths_are_the_same():
    ids, wanted = np.array(["1", "a long one/000.png"]), np.array(["1", "2"])
    assert find_ids(ids, wanted).tolist() == [0, -1]
    assert find_ids(wanted, ids).tolist() == [0, -1]
    assert id_keys(ids)[0] == id_keys(wanted)[0]


def test_no_id_is_found_among_none():
    none = np.array([], np.str_)
    assert find_ids(none, np.array(["a"])).tolist() == [-1]
    assert find_ids(np.array(["a"]), none).tolist() == []


@pytest.mark.parametrize("keys", [1, 7, 10**6])
def test_ids_that_share_a_key_are_told_apart(monkeypatch, keys):
    def few_keys(ids):
        return id_keys(ids) % np.uint64(keys)

    monkeypatch.setattr(matching, "id_keys", few_keys)
    ids = np.array([f"{i}.png" for i in np.random.default_rng(0).permutation(60)])
    wanted = np.array([f"{i}.png" for i in range(40, 90)])
    assert find_ids(ids, wanted).tolist() == first_by_hand(wanted.tolist(), ids.tolist())
    # One that stands alone in its index, whose key another id has elsewhere.
    assert find_ids(ids[:1], wanted).tolist() == first_by_hand(wanted.tolist(), ids[:1].tolist())
    assert IdIndex.of(np.array(["b", "a", "b"])).repeated().tolist() == ["b"]


def test_ids_that_stand_twice_are_named_once():
    assert IdIndex.of(np.array(list("cabcdbb"))).repeated().tolist() == ["b", "c"]
    assert IdIndex.of(np.array(list("abc"))).repeated().tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_the_first_of_a_content_is_that_of_a_search(seed):
    generator = np.random.default_rng(seed)
    contents = generator.integers(0, 60, 200)
    digests = np.zeros((200, 16), np.uint8)
    # Equal in one half or the other, or in both, which alone is one content.
    digests[:, 3], digests[:, 12] = contents % 8, contents // 8
    expected = [
        i if contents[i] == 0 else int(np.flatnonzero(contents == contents[i])[0])
        for i in range(200)
    ]
    assert first_of_content(digests).tolist() == expected
