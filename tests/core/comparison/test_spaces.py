import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.comparison.spaces import join, maps_between
from latentmap.errors import PairError
from latentmap.mapping import FitOptions, fit
from latentmap.mapping.gathering import moments_of_spaces


def codes(name, ids, dim=2, digests=None):
    vectors = torch.randn(len(ids), dim, generator=torch.manual_seed(len(name)))
    space = Space("z", dim, name, name * 8)
    return Codes.from_array(ids, vectors, space=space, digests=digests)


def test_spaces_are_joined_by_the_images_that_all_have_in_the_order_of_the_first():
    one, two, three = codes("a", ["3", "1", "2", "9"]), codes("bb", ["2", "3", "1"]), None
    three = codes("ccc", ["1", "2", "8", "3"])
    joined = join([one, two, three])
    assert [part.ids.tolist() for part in joined] == [["3", "1", "2"]] * 3
    for before, after in zip((one, two, three), joined, strict=True):
        for row, name in enumerate(after.ids):
            where = int(np.flatnonzero(before.ids == name)[0])
            assert torch.equal(after.vectors[row], before.vectors[where])


def test_spaces_without_a_common_image_are_refused():
    with pytest.raises(PairError, match="have no image in common"):
        join([codes("a", ["1", "2"]), codes("bb", ["3"])])
    parts = [codes("a", ["1", "2"]), codes("bb", ["2", "3"]), codes("ccc", ["1", "3"])]
    with pytest.raises(PairError, match="have no image that is in all of them: encode the same"):
        join(parts)


def test_an_id_with_other_contents_is_refused():
    digests = [np.full((2, 16), number, np.uint8) for number in (1, 2)]
    parts = [codes("a", ["1", "2"], digests=digests[0]), codes("bb", ["1", "2"])]
    parts.append(codes("ccc", ["1", "2"], digests=digests[1]))
    with pytest.raises(PairError, match="have the same id in both spaces but not the same content"):
        join(parts)


def test_maps_are_those_of_fit_with_generalised_cross_validation():
    ids = [str(i) for i in range(60)]
    spaces = [codes("a", ids, 3), codes("bb", ids, 2), codes("ccc", ids, 4)]
    maps = maps_between(
        moments_of_spaces(spaces), spaces, references=["a.st", "b.st", "c.st"], record={"seed": 5}
    )
    assert list(maps) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    for (i, j), linear_map in maps.items():
        expected = fit(pair(spaces[i], spaces[j]), FitOptions(select="gcv"))
        assert linear_map.penalty == pytest.approx(expected.penalty)
        assert torch.allclose(linear_map.weight, expected.weight, atol=1e-10)
        assert torch.allclose(linear_map.bias, expected.bias, atol=1e-10)
        assert linear_map.n_pairs == 60
        assert linear_map.source_reference == ["a.st", "b.st", "c.st"][i]
        assert linear_map.record["seed"] == 5
