import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from latentmap.codes import Codes
from latentmap.errors import MapError
from latentmap.mapping import LinearMap, fit
from latentmap.mapping.cells import convolved
from latentmap.mapping.uncertainty import carry, predict
from latentmap.report import as_text
from tests.core.mapping.grids import grid_pairs, random_grids


def a_map(source, target, *, patch, seed=0, names="ab"):
    """A map between random grids, and source codes for it."""
    x, y = random_grids(20, source, seed=seed), random_grids(20, target, seed=seed + 1)
    pairs = grid_pairs(x, y)
    if names != "ab":
        from dataclasses import replace

        spaces = [
            replace(codes.space, model=name, fingerprint=name * 8)
            for codes, name in zip((pairs.source, pairs.target), names, strict=True)
        ]
        pairs = replace(
            pairs,
            source=replace(pairs.source, space=spaces[0]),
            target=replace(pairs.target, space=spaces[1]),
        )
    return fit(pairs, settings={"penalty": 1.0}, patch=patch), x.flatten(1)


def test_a_file_gives_the_map_back(tmp_path):
    found, x = a_map((2, 6, 4), (1, 3, 4), patch=3)
    found.save(tmp_path / "map.safetensors")
    again = LinearMap.load(tmp_path / "map.safetensors")
    assert again.patches == found.patches
    assert torch.equal(again.apply(x), found.apply(x))
    assert torch.equal(again.moments.xx, found.moments.xx)
    assert again.digest == found.digest


def test_directions_of_patches_are_differences_of_codes():
    found, x = a_map((2, 6, 4), (1, 3, 4), patch=3)
    carried = found.apply_direction(x[:2] - x[2:4])
    assert torch.allclose(carried, found.apply(x[:2]) - found.apply(x[2:4]), atol=1e-5)


def test_what_is_shown_of_a_file_needs_no_torch(tmp_path):
    found, _ = a_map((2, 6, 4), (1, 3, 4), patch=3)
    found.save(tmp_path / "map.safetensors")
    code = (
        "import sys; from latentmap.mapping.stored_map import StoredMap\n"
        "from latentmap.mapping.tables import map_table\n"
        "from latentmap.report import as_text\n"
        f"print(as_text([map_table(StoredMap.load({str(tmp_path / 'map.safetensors')!r}))]))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "3x3 of 3x4 cells, border replicated" in done.stdout
    assert "over the cells of the images of the fit" in " ".join(done.stdout.split())
    assert as_text(found.tables()) == done.stdout.rstrip("\n")


def test_maps_of_flat_codes_keep_the_format_that_older_versions_read(tmp_path):
    for patch, number in (("full", 3), (3, 4)):
        found, _ = a_map((2, 4, 4), (1, 4, 4), patch=patch)
        found.save(tmp_path / "map.safetensors")
        with safe_open(tmp_path / "map.safetensors", "np") as file:
            assert json.loads(file.metadata()["latentmap"])["format"] == number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 5}, "larger than the grid of 3x4"),
        ({"size": 1}, "the weight must be a"),
        ({"size": 2}, "of 1, 3, 5 or any odd number"),
        ({"size": "3"}, "patches must have a size, two grids"),
        ({"source": [4, 3, 4]}, "the patches must be those of its spaces"),
        ({"source": [2, 6]}, "patches must have a size, two grids"),
        ({"target": [1, 5, 4]}, "6x4 and 5x4 do not"),
        ({"cells": [6, 4]}, "6x4 and 3x4 do not"),
        ({"cells": 4}, "patches must have a size, two grids"),
        ({"border": "zero"}, "a border that is replicated"),
    ],
)
def test_patches_of_a_file_are_not_believed(tmp_path, change, message):
    path = tmp_path / "map.safetensors"
    a_map((2, 6, 4), (1, 3, 4), patch=3)[0].save(path)
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["latentmap"])
    header["patches"] |= change
    save_file(load_file(path), path, {"latentmap": json.dumps(header)})
    with pytest.raises(MapError, match=message):
        LinearMap.load(path)


def test_codes_are_mapped_when_they_are_read():
    found, x = a_map((2, 6, 4), (1, 3, 4), patch=3)
    ids = [str(i) for i in range(20)]
    mapped = found.apply(Codes.from_array(ids, x, space=found.source))
    assert mapped.space == found.target
    assert torch.equal(mapped.read(3, 7), found.apply(x[3:7]))
    with pytest.raises(MapError, match=r"takes codes of shape \(n, 48\), not \(20, 12\)"):
        found.apply(x[:, :12])


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize(
    ("ends", "middle"),
    [(((2, 3, 4), (3, 3, 4)), (1, 6, 8)), (((2, 6, 8), (1, 9, 4)), (3, 3, 4))],
)
def test_composed_maps_do_one_after_the_other(sizes, ends, middle, tmp_path):
    # A middle that is finer than both is unfolded and folded; one that is coarser has the cells.
    one, x = a_map(ends[0], middle, patch=sizes[0])
    two, _ = a_map(middle, ends[1], patch=sizes[1], names="bc")
    both = one.compose(two)
    both.save(tmp_path / "map.safetensors")
    both = LinearMap.load(tmp_path / "map.safetensors")
    assert both.patches.size == max(sizes)
    assert torch.allclose(both.apply(x), two.apply(one.apply(x)), atol=1e-4)


def test_maps_that_cannot_be_one_are_refused():
    one, _ = a_map((2, 4, 4), (1, 4, 4), patch=3)
    same, _ = a_map((1, 4, 4), (2, 4, 4), patch=3, names="bc")
    flat, _ = a_map((1, 4, 4), (2, 4, 4), patch="full", names="bc")
    coarse, _ = a_map((1, 4, 4), (2, 2, 2), patch=1, names="bc")
    with pytest.raises(MapError, match="one has to be 1x1, not 3x3 and 3x3"):
        one.compose(same)
    with pytest.raises(MapError, match="a map of patches and one of flat codes cannot be made one"):
        one.compose(flat)
    with pytest.raises(MapError, match="the first has 4x4 and the second 2x2"):
        one.compose(coarse)


def test_the_inverse_of_one_cell_undoes_the_map():
    found, x = a_map((2, 4, 4), (8, 2, 2), patch=1)
    back = found.inverse()
    assert torch.allclose(back.apply(found.apply(x)), x, atol=1e-3)
    assert back.figures["kept_variance"] == pytest.approx(1)
    assert found.cycle_error(back) == pytest.approx(0, abs=1e-9)
    larger, _ = a_map((2, 4, 4), (1, 4, 4), patch=3)
    with pytest.raises(MapError, match="inverse of a map of 3x3 patches is no map of patches"):
        larger.inverse()


def test_a_cycle_error_is_of_the_same_cells():
    found, x = a_map((2, 4, 4), (1, 4, 4), patch=1)
    back, _ = a_map((1, 4, 4), (2, 4, 4), patch=1, names="ba")
    again = back.apply(found.apply(x))
    lost = (again - x).square().sum() / (
        x - x.reshape(20, 2, 16).mean((0, 2)).repeat_interleave(16)
    ).square().sum()
    assert found.cycle_error(back) == pytest.approx(float(lost), rel=1e-4)
    flat, _ = a_map((1, 4, 4), (2, 4, 4), patch="full", names="ba")
    with pytest.raises(MapError, match="two maps of flat codes, or of the same cells"):
        found.cycle_error(flat)


def test_the_uncertainty_of_patches_is_not_that_of_pairs():
    found, x = a_map((2, 4, 4), (1, 4, 4), patch=3)
    with pytest.raises(MapError, match="the covariance of predictions is of maps of flat codes"):
        predict(found, x)
    with pytest.raises(MapError, match="the uncertainty of a direction is of maps of flat codes"):
        carry(found, x[:1])


def test_a_map_says_that_it_is_of_patches():
    found, _ = a_map((2, 4, 4), (1, 4, 4), patch=3)
    assert "patches of 3x3 of 4x4 cells" in str(found)
    assert found.provenance["patches"]["size"] == 3
    assert not np.isnan(found.figures.get("kept_variance", 0))


def test_what_a_convolution_copies_is_bounded(monkeypatch):
    """The processor makes a matrix of all patches of a batch, k^2 times as large as the codes."""
    from latentmap.mapping import patch_maps

    seen = []

    def watched(codes, weight, bias, patches):
        seen.append(len(codes) * patches.cells * weight.shape[0])
        return convolved(codes, weight, bias, patches)

    found, x = a_map((8, 8, 8), (2, 8, 8), patch=5)
    whole = found.apply(x)
    monkeypatch.setattr(patch_maps, "convolved", watched)
    monkeypatch.setattr(patch_maps, "_NUMBERS", 3 * 64 * 8 * 25)
    assert torch.equal(found.apply(x), whole)
    assert max(seen) <= patch_maps._NUMBERS and len(seen) == 7
    assert found.apply(x[:0]).shape == (0, 2 * 8 * 8)


def test_mapped_grids_have_gradients_in_codes():
    found, x = a_map((2, 6, 4), (1, 3, 4), patch=3)
    x.requires_grad_()
    found.apply(x).sum().backward()
    assert x.grad is not None and (x.grad != 0).all()
