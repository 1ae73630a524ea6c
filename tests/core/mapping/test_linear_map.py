import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import RidgeCV

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError, OutputError, SpaceError
from latentmap.frames import Frame
from latentmap.mapping import METHODS, LinearMap, fit
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.moments import spectrum_of
from latentmap.mapping.selection import penalty_grid


def codes_of(vectors, name, *, frame=None):
    ids = [f"{i}.png" for i in range(len(vectors))]
    digests = np.random.default_rng(0).integers(1, 255, (len(ids), 16), dtype=np.uint8)
    space = Space("z", vectors.shape[1], name, name * 2)
    return Codes.from_array(ids, vectors, space=space, digests=digests, frame=frame)


def draw(n=60, p=6, q=4, *, noise=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator)
    y = x @ torch.randn(p, q, generator=generator) + noise * torch.randn(n, q, generator=generator)
    return x, y


def pairs_of(x, y):
    return pair(codes_of(x, "a", frame=Frame("celeba")), codes_of(y, "b"))


def test_a_map_says_what_it_was_fitted_from():
    pairs = pairs_of(*draw())
    fitted = fit(pairs, record={"command": "latentmap fit"})
    assert fitted.source is pairs.source.space
    assert fitted.target is pairs.target.space
    assert (fitted.source_frame, fitted.target_frame) == (Frame("celeba"), Frame())
    assert (fitted.method, fitted.n_pairs, fitted.rank) == ("ridge", 60, 6)
    assert fitted.record["selection"][0]["criterion"] == "loo"
    assert fitted.record["command"] == "latentmap fit"
    assert (fitted.train_digests == pairs.digests).all()
    assert 1 <= fitted.condition < 100


def test_the_default_is_scikit_learns_leave_one_out_ridge():
    x, y = draw()
    pairs = pairs_of(x, y)
    other = RidgeCV(alphas=penalty_grid(moments_of_pairs(pairs)).numpy())
    other.fit(x.double().numpy(), y.double().numpy())
    fitted = fit(pairs)
    assert fitted.penalty == pytest.approx(other.alpha_)
    np.testing.assert_allclose(fitted.weight.T, other.coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fitted.apply(x), other.predict(x.double().numpy()), atol=1e-5)


def test_a_given_penalty_is_used_and_said():
    fitted = fit(pairs_of(*draw()), settings={"penalty": 2})
    assert fitted.penalty == 2
    assert fitted.record["selection"] == []


# The others shrink, match single variables, see no pairs, or need to be told of noise.
@pytest.mark.parametrize(
    "method",
    sorted(
        set(METHODS) - {"published", "permutation", "gaussian-ot", "sparse", "errors-in-variables"}
    ),
)
def test_every_method_recovers_a_rotation(method):
    x, _ = draw(n=300)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.manual_seed(1)))[0]
    fitted = fit(pairs_of(x, x @ rotation), method=method)
    assert torch.allclose(fitted.weight.float(), rotation, atol=1e-5)
    assert torch.allclose(fitted.apply(x), x @ rotation, atol=1e-5)


def test_tensors_and_codes_are_mapped_alike():
    x, y = draw()
    fitted = fit(pairs_of(x, y))
    source: Codes = codes_of(x, "a")
    mapped = fitted.apply(source)
    assert mapped.space is fitted.target
    assert mapped.frame == Frame()
    assert mapped.ids.tolist() == [f"{i}.png" for i in range(60)]
    assert torch.equal(mapped.vectors, fitted.apply(x))
    assert torch.equal(mapped.take(np.array([7, 3])).vectors, fitted.apply(x[[7, 3]]))
    assert fitted.apply(x).dtype == torch.float32
    expected = x.double() @ fitted.weight + fitted.bias
    assert torch.allclose(fitted.apply(x).double(), expected, atol=1e-6)


def test_directions_are_differences_of_codes():
    x, y = draw()
    fitted = fit(pairs_of(x, y))
    directions = x[:3] - x[3:6]
    carried = fitted.apply_direction(directions)
    expected = fitted.apply(x[:3]) - fitted.apply(x[3:6])
    assert torch.allclose(carried, expected, atol=1e-5)
    assert (carried.dtype, carried.shape) == (torch.float32, (3, 4))
    assert torch.equal(fitted.apply_direction(directions[1]), carried[1])
    assert torch.equal(fitted.apply_direction(torch.zeros(6)), torch.zeros(4))
    for wrong in (torch.zeros(5), torch.zeros(2, 4), torch.zeros(1, 2, 6), torch.tensor(1.0)):
        with pytest.raises(MapError, match=r"takes directions of shape \(k, 6\), or one \(6,\)"):
            fitted.apply_direction(wrong)


def test_codes_of_another_space_are_refused():
    fitted = fit(pairs_of(*draw()))
    with pytest.raises(SpaceError, match=r"codes for this map must be in z of a .* not in z of c"):
        fitted.apply(codes_of(draw()[0], "c"))
    with pytest.raises(MapError, match=r"takes codes of shape \(n, 6\), not \(2, 4\)"):
        fitted.apply(torch.zeros(2, 4))
    with pytest.raises(MapError, match=r"takes codes of shape \(n, 6\), not \(6,\)"):
        fitted.apply(torch.zeros(6))


def test_a_saved_map_is_the_same_map(tmp_path):
    x, y = draw()
    fitted = fit(pairs_of(x, y), record={"seed": 3, "text": "größer"})
    fitted = replace(fitted, source_reference="a", target_reference="b")
    path = tmp_path / "map.safetensors"
    fitted.save(path)
    loaded = LinearMap.load(path)
    assert torch.equal(loaded.apply(x), fitted.apply(x))
    assert loaded.source == fitted.source
    assert loaded.target == fitted.target
    assert loaded.source_frame == Frame("celeba")
    for name in ("method", "penalty", "rank", "condition", "n_pairs", "source_reference", "record"):
        assert getattr(loaded, name) == getattr(fitted, name)
    assert loaded.provenance == fitted.provenance
    assert loaded.digest == fitted.digest
    assert loaded.digest != replace(fitted, bias=fitted.bias + 1e-9).digest
    assert (loaded.train_digests == fitted.train_digests).all()
    assert str(loaded) == str(fitted)
    assert str(fitted).endswith(", 60 pairs, rank 6")
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.safetensors"]


def test_a_least_squares_map_has_no_penalty(tmp_path):
    fitted = fit(pairs_of(*draw()), method="least-squares")
    fitted.save(tmp_path / "m.safetensors")
    assert LinearMap.load(tmp_path / "m.safetensors").penalty is None
    assert "penalty" not in str(fitted)


def test_a_map_file_that_is_missing_or_cut_off_is_refused(tmp_path):
    path = tmp_path / "map.safetensors"
    with pytest.raises(MapError, match=r"there is no map file .*map\.safetensors"):
        LinearMap.load(path)
    fit(pairs_of(*draw())).save(path)
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(MapError, match="is cut off or of another kind"):
            LinearMap.load(path)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("weight", torch.zeros(3, 2, dtype=torch.float64)),
        ("weight", torch.full((2, 2), torch.nan, dtype=torch.float64)),
        ("bias", torch.zeros(2)),
        ("train_digests", torch.zeros(4, 3, dtype=torch.uint8)),
        ("moments.xx", torch.zeros(3, 3, dtype=torch.float64)),
        ("moments.state", torch.zeros(1, dtype=torch.float64)),
        ("moments.state", torch.zeros(3, 1, dtype=torch.float64)),
        ("moments.state", torch.tensor([torch.nan, 0, 0], dtype=torch.float64)),
        ("moments.state", torch.ones(3, dtype=torch.complex64)),
    ],
)
def test_a_map_file_whose_tensors_do_not_fit_is_refused(tmp_path, name, part):
    path = tmp_path / "m.safetensors"
    fit(pairs_of(*draw())).save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    parts = load_file(path)
    if name == "weight" and part.shape == (2, 2):
        part = torch.full_like(parts["weight"], torch.nan)
    save_file({**parts, name: part}, path, metadata)
    with pytest.raises(MapError, match=r"m\.safetensors is not as it should be"):
        LinearMap.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"kind": "z", "dim": "2", "model": "a", "fingerprint": "aa"}},
        {"source": 3},
        {"rank": "x" * 10**5},
        {"settings": []},
        {"source_frame": {"name": 7, "resize": None}},
        {"method": ["ridge"]},
    ],
)
def test_a_map_file_with_an_odd_description_is_refused(tmp_path, change):
    path = tmp_path / "m.safetensors"
    fit(pairs_of(*draw())).save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
    save_file(load_file(path), path, {"latentmap": json.dumps({**header, **change})})
    with pytest.raises(MapError, match=r"m\.safetensors is not as it should be") as caught:
        LinearMap.load(path)
    assert len(str(caught.value)) < 1000


def test_a_map_file_without_all_moments_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    fit(pairs_of(*draw())).save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    some = {name: part for name, part in load_file(path).items() if name != "moments.xy"}
    save_file(some, path, metadata)
    with pytest.raises(MapError, match=r"is not as it should be \('xy' is missing\)"):
        LinearMap.load(path)


def test_a_folder_is_no_map_file(tmp_path):
    with pytest.raises(MapError, match="is a folder: give the path of a map file"):
        LinearMap.load(tmp_path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(MapError, match="a safetensors file, but no map of latentmap"):
        LinearMap.load(path)
    save_file({"weight": torch.zeros(2)}, path, metadata={"latentmap": "{"})
    with pytest.raises(MapError, match="a safetensors file, but no map of latentmap"):
        LinearMap.load(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"kind": "model", "format": 1}, "holds a model, not a map"),
        ({"kind": "map", "format": 99}, "has format 99, newer than 4: update latentmap"),
        ({"kind": "map", "format": 1}, r"is not as it should be \('source' is missing\)"),
        ({"format": 1}, "no map of latentmap: make one with"),
        ([], "no map of latentmap"),
    ],
)
def test_a_file_of_another_kind_or_format_is_refused(tmp_path, header, message):
    path = tmp_path / "other.safetensors"
    tensors = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}
    save_file(tensors, path, metadata={"latentmap": json.dumps(header)})
    with pytest.raises(MapError, match=message):
        LinearMap.load(path)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"settings": {"penalty": [1]}}, "the penalty must be a number of at least 0"),
        ({"settings": {"penalty": -1}}, "the penalty must be a number of at least 0"),
        ({"figures": {"kept": []}}, "its figures must be numbers"),
        ({"record": {"held_out": []}}, "errors on other images must be figures with intervals"),
        ({"record": {"held_out": {"r2": 1}}}, "must be figures with intervals"),
        ({"record": {"selection": 3}}, "its record must say in texts and numbers"),
        ({"record": {"selection": ["x"]}}, "its record must say in texts and numbers"),
        ({"record": {"known_by": ["ids"]}}, "its record must say in texts and numbers"),
        ({"record": {"made_of": [{}]}}, "its record must say in texts and numbers"),
        ({"record": {"truncation": "x"}}, "its record must say in texts and numbers"),
        ({"record": {"truncation": -1}}, "its record must say in texts and numbers"),
        ({"record": {"command": [1]}}, "its record must say in texts and numbers"),
        ({"source": [1]}, "a space must have a kind"),
    ],
)
def test_a_map_that_says_odd_things_of_itself_is_refused(tmp_path, part, message):
    path = tmp_path / "map.safetensors"
    fit(pairs_of(*draw())).save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, path, metadata={"latentmap": json.dumps({**header, **part})})
    with pytest.raises(MapError, match=message):
        LinearMap.load(path)


def test_a_map_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(OutputError, match="could not be written"):
        fit(pairs_of(*draw())).save(tmp_path / "missing" / "map.safetensors")


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(
        MapError, match="unknown method 'lasso': choose one of least-squares, ridge"
    ):
        fit(pairs_of(*draw()), method="lasso")


def test_one_pair_makes_no_map():
    with pytest.raises(MapError, match="needs at least 2 pairs, not 1"):
        fit(pairs_of(*draw(n=1)))


def test_two_pairs_make_a_map():
    fitted = fit(pairs_of(*draw(n=2)))
    assert torch.isfinite(fitted.weight).all()
    assert fitted.rank == 1


@pytest.mark.parametrize("penalty", [-1.0, math.nan])
def test_a_penalty_that_cannot_be_is_refused(penalty):
    with pytest.raises(MapError, match="a penalty must be a number of at least 0"):
        fit(pairs_of(*draw()), settings={"penalty": penalty})


def test_a_penalty_for_a_method_without_one_is_refused():
    with pytest.raises(MapError, match="least-squares takes no penalty"):
        fit(pairs_of(*draw()), method="least-squares", settings={"penalty": 1.0})


def test_a_code_that_is_not_finite_is_named():
    x, y = draw()
    x[17, 2] = torch.nan
    with pytest.raises(MapError, match=r"the code of 17\.png in z of a .* NaN"):
        fit(pairs_of(x, y))


def test_collapsed_variables_on_both_sides_do_no_harm():
    x, y = draw(n=500)
    noise = torch.randn(len(x), generator=torch.manual_seed(1))
    x[:, 1], x[:, 2], y[:, 0] = 0.7, 1e-4 * noise, -3.0
    fitted = fit(pairs_of(x, y))
    assert torch.allclose(fitted.apply(x)[:, 0], torch.tensor(-3.0), atol=1e-5)
    assert fitted.weight[2].abs().max() < 1e3
    assert fitted.weight[1].abs().max() < 1e-6


def test_moments_of_no_codes_are_refused():
    products = torch.full((4, 4), math.inf, dtype=torch.float64).fill_diagonal_(1)
    with pytest.raises(MapError, match="the moments are not those of any codes"):
        spectrum_of(products, 2, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0.7, 0.7, 0.7), (0.0, 0.0, 0.0), (0.7, 1.0, None)]
)
def test_a_map_made_of_maps_has_their_truncation_where_it_is_one(first, second, expected):
    one, two = (
        replace(fit(pairs_of(*draw())), record={"truncation": value}) for value in (first, second)
    )
    both = one.compose(replace(two, source=one.target, weight=two.weight[:4]))
    assert both.record.get("truncation") == expected
