import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import SpaceError
from latentmap.mapping import fit, typicality
from latentmap.relocation.distances import distances_in_words, distances_of, shares_in_words
from tests.core.mapping.drawing import codes_of
from tests.core.mapping.grids import grid_pairs, random_grids


def a_map(n, p):
    x = torch.randn(n, p, generator=torch.Generator().manual_seed(0))
    return fit(pair(codes_of(x), codes_of(x[:, :1], "b")), settings={"penalty": 1.0})


def test_every_image_has_its_distance():
    linear_map, codes = a_map(300, 2), codes_of(torch.tensor([[0.0, 0.0], [50.0, 0.0]]))
    distances = distances_of(linear_map, codes)
    expected = typicality(linear_map, codes)
    record = distances.to_json()
    assert record["images"][1] == {
        "id": "1.png",
        "distance": pytest.approx(expected.distances[1]),
        "nearer": 1.0,
        "outside": True,
    }
    assert record["images"][0]["outside"] is False
    assert record["limit"] == expected.limit
    assert distances_in_words(distances).startswith("1 of 2 source codes are farther out than 99 %")
    assert shares_in_words(distances)[1] == "100 %"


def test_too_few_pairs_give_distances_without_a_limit():
    distances = distances_of(a_map(20, 30), codes_of(torch.ones(2, 30)))
    record = distances.to_json()
    assert record["limit"] is None
    assert record["images"][0]["outside"] is None
    assert np.isfinite(record["images"][0]["distance"])
    assert "20 pairs are too few to say where 99 % of their kind are" in record["reason"]
    assert distances_in_words(distances).endswith(record["reason"])


def test_maps_of_patches_have_none_and_say_why():
    pairs = grid_pairs(random_grids(20, (2, 4, 4)), random_grids(20, (1, 4, 4), seed=1))
    distances = distances_of(fit(pairs), pairs.source)
    assert distances.to_json()["images"] is None
    assert "is told of maps of whole codes" in distances_in_words(distances)
    assert shares_in_words(distances) == []


def test_codes_of_another_space_are_refused():
    with pytest.raises(SpaceError, match="codes for this map must be in"):
        distances_of(a_map(20, 2), codes_of(torch.ones(2, 2), "c"))
