import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from latentmap.codes import PIXELS, Space
from latentmap.errors import MapError, OutputError
from latentmap.intervals import Estimate
from latentmap.mapping import LinearMap, exported_graphs, fit
from latentmap.mapping.exporting import FORMATS, export_map, export_path
from latentmap.mapping.held_out_error import HeldOutError
from latentmap.mapping.stored_map import StoredMap
from tests.core.mapping.grids import cells_by_hand, grid_pairs, patches_by_hand, random_grids

# Source, target, patch: flat, one grid, a finer source, a finer target.
CASES = {
    "flat": ((3, 4, 4), (2, 2, 3), "full"),
    "1x1": ((3, 4, 6), (2, 4, 6), 1),
    "3x3": ((3, 4, 6), (2, 4, 6), 3),
    "5x5": ((2, 5, 6), (3, 5, 6), 5),
    "fine source": ((2, 8, 12), (3, 4, 6), 3),
    "fine target": ((3, 4, 6), (2, 12, 18), 3),
}
KNOWN = HeldOutError(
    Estimate(0.9, 0.8, 0.95), Estimate(0.01, 0.008, 0.02), Estimate(20, 17, 21), 40, 38
)


def map_between(source, target, patch, *, kind="z"):
    """A map between random grids, whose target is of a kind, and source codes for it."""
    pairs = grid_pairs(random_grids(20, source), random_grids(20, target, seed=1) / 4)
    space = replace(pairs.target.space, kind=kind)
    pairs = replace(pairs, target=replace(pairs.target, space=space))
    found = fit(pairs, settings={"penalty": 1.0}, patch=patch)
    return replace(found, record={"held_out": KNOWN.to_json()}), pairs.source.vectors


def to_pixels(patch, *, source=(4, 5, 6), target=(3, 5, 6)):
    """A map into thumbnails."""
    return map_between(source, target, patch, kind=PIXELS)


def said_in(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["about"])


def built(path):
    """The network that the program in a file builds."""
    program = said_in(path)["use"].replace("FILE", str(path))
    names: dict = {}
    exec(program, names)
    return names["network"].eval()


@pytest.mark.parametrize("case", CASES)
def test_torch_builds_the_layer_by_the_program_in_the_file(case, tmp_path):
    found, x = map_between(*CASES[case])
    export_map(found, tmp_path / "layer.safetensors", "torch")
    codes = x.reshape(-1, *found.source.shape)
    with torch.no_grad():
        made = built(tmp_path / "layer.safetensors")(codes)
    assert tuple(made.shape[1:]) == found.target.shape
    assert (made.flatten(1) - found.apply(x)).abs().max() < 1e-5


def test_torch_of_vectors_is_a_linear_layer(tmp_path):
    x = torch.randn(30, 4, generator=torch.manual_seed(0))
    pairs = grid_pairs(x[:, :, None, None], x[:, :2, None, None] - 1)
    flat = [replace(part.space, shape=(part.space.dim,)) for part in (pairs.source, pairs.target)]
    pairs = replace(
        pairs,
        source=replace(pairs.source, space=flat[0]),
        target=replace(pairs.target, space=flat[1]),
    )
    found = fit(pairs)
    export_map(found, tmp_path / "layer.safetensors", "torch")
    network = built(tmp_path / "layer.safetensors")
    assert isinstance(network, torch.nn.Linear)
    assert (network(x) - found.apply(x)).abs().max() < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_numpy_has_all_that_is_needed_to_apply_it(case, tmp_path):
    source, target, patch = CASES[case]
    found, x = map_between(source, target, patch)
    export_map(found, tmp_path / "map.npz", "numpy")
    held = np.load(tmp_path / "map.npz", allow_pickle=False)
    assert (tuple(held["source_shape"]), tuple(held["target_shape"])) == (source, target)
    codes = x.numpy().astype(np.float64)
    if patch == "full":
        assert (held["patch"].tolist(), held["cells"].tolist()) == (0, [0, 0])
        expected = codes @ held["weight"] + held["bias"]
        assert np.abs(expected - found.apply(x).numpy()).max() < 1e-5
        return
    (h, w), side = held["cells"], source[1] // held["cells"][0]
    cells = codes.reshape(-1, source[0], h, side, w, side).transpose(0, 1, 3, 5, 2, 4)
    rows = patches_by_hand(cells.reshape(len(cells), -1, h, w), int(held["patch"]))
    expected = rows @ held["weight"] + held["bias"]
    own = found.apply(x).numpy().reshape(-1, target[0], h, target[1] // h, w, target[1] // h)
    own = own.transpose(0, 1, 3, 5, 2, 4).reshape(len(cells), -1, h, w)
    assert np.abs(expected - cells_by_hand(own)).max() < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_a_graph_gives_the_codes_of_the_map(case, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    found, x = map_between(*CASES[case])
    export_map(found, tmp_path / "map.onnx", "onnx")
    session = runtime.InferenceSession(tmp_path / "map.onnx", providers=["CPUExecutionProvider"])
    for n in (1, len(x)):
        codes = x[:n].reshape(-1, *found.source.shape).numpy()
        (made,) = session.run(["mapped"], {"codes": codes})
        assert made.shape == (n, *found.target.shape)
        assert np.abs(made.reshape(n, -1) - found.apply(x[:n]).numpy()).max() < 1e-5
    said = json.loads(session.get_modelmeta().custom_metadata_map["about"])
    assert said["held_out"] == KNOWN.to_json()


def test_a_graph_of_patches_takes_grids_of_any_size(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    found, _ = map_between((2, 8, 12), (3, 4, 6), 3)
    export_map(found, tmp_path / "map.onnx", "onnx")
    session = runtime.InferenceSession(tmp_path / "map.onnx", providers=["CPUExecutionProvider"])
    codes = random_grids(2, (2, 10, 6), seed=5)
    (made,) = session.run(None, {"codes": codes.numpy()})
    cells = torch.nn.functional.pixel_unshuffle(codes, 2).numpy()
    expected = patches_by_hand(cells, 3) @ found.weight.numpy() + found.bias.numpy()
    assert made.shape == (2, 3, 5, 3)
    assert np.abs(cells_by_hand(made) - expected).max() < 1e-5


def comfyui_preview(x0, factors, bias, reshape=None):
    """What ComfyUI shows of latents ``(1, c, h, w)``: ``(h, w, 3)`` in [0, 1]."""
    if reshape is not None:
        x0 = reshape(x0)
    image = x0[0].movedim(0, -1) @ torch.tensor(factors) + torch.tensor(bias)
    return ((image + 1) / 2).clamp(0, 1)


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_comfyui_shows_the_pixels_of_the_map(patch, tmp_path):
    found, x = to_pixels(patch)
    export_map(found, tmp_path / "preview.json", "comfyui")
    said = json.loads((tmp_path / "preview.json").read_text())
    names = {"torch": torch}
    reshape = said.get("latent_rgb_factors_reshape")
    assert (reshape is None) == (patch == 1)
    pixels = found.apply(x).reshape(-1, 3, 5, 6)
    for latents, expected in zip(x.reshape(-1, 1, 4, 5, 6), pixels, strict=True):
        shown = comfyui_preview(
            latents,
            said["latent_rgb_factors"],
            said["latent_rgb_factors_bias"],
            reshape and eval(reshape, names),
        )
        assert (shown - expected.movedim(0, -1).clamp(0, 1)).abs().max() < 1e-5


def test_factors_of_one_channel_by_hand(tmp_path):
    # Pixels (z, z / 2, 1 - z): in [-1, 1] these are 2z - 1, z - 1 and 1 - 2z.
    space = Space("z", 4, "one", "1" * 64, (1, 2, 2))
    found, _ = to_pixels(1, source=(1, 2, 2), target=(3, 2, 2))
    weight, bias = torch.tensor([[1.0, 0.5, -1.0]]), torch.tensor([0.0, 0.0, 1.0])
    found = replace(found, source=space, weight=weight.double(), bias=bias.double())
    export_map(found, tmp_path / "preview.json", "comfyui")
    text = (tmp_path / "preview.json").read_text()
    said = json.loads(text)
    assert said["latent_rgb_factors"] == [[2, 1, -2]]
    assert said["latent_rgb_factors_bias"] == [-1, -1, 1]
    assert "\n    [2.0, 1.0, -2.0]\n" in text
    assert said["source"] == space.to_json()
    assert "(RGB + 1) / 2 in [0, 1]" in said["about"]
    shown = comfyui_preview(
        torch.full((1, 1, 1, 1), 0.25), said["latent_rgb_factors"], said["latent_rgb_factors_bias"]
    )
    assert shown.tolist() == [[[0.25, 0.125, 0.75]]]


@pytest.mark.parametrize("patch", [1, 3])
def test_diffusers_gets_colours_as_its_decoders_make_them(patch, tmp_path):
    found, x = to_pixels(patch)
    export_map(found, tmp_path / "preview.safetensors", "diffusers")
    with torch.no_grad():
        made = built(tmp_path / "preview.safetensors")(x.reshape(-1, 4, 5, 6))
    assert ((made + 1) / 2 - found.apply(x).reshape(made.shape)).abs().max() < 1e-5
    assert said_in(tmp_path / "preview.safetensors")["output"] == "RGB in [-1, 1]"


@pytest.mark.parametrize("format", ["diffusers", "comfyui"])
@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: map_between((3, 4, 4), (3, 4, 4), 1), "goes to z of b .* fit one with --dst"),
        (lambda: to_pixels(1, target=(1, 5, 6)), "a map into pixels of three colours"),
        (lambda: to_pixels("full"), "of flat codes of z of a .* fit with --patch 1 or 3"),
        (lambda: to_pixels(1, target=(3, 10, 12)), "makes 10x12 of 5x6: .* --dst pixels:5x6"),
        (lambda: to_pixels(1, source=(2, 10, 12)), "makes 5x6 of 10x12: .* --dst pixels:10x12"),
    ],
)
def test_what_is_no_preview_is_refused(format, made, message, tmp_path):
    found, _ = made()
    with pytest.raises(MapError, match=message):
        export_map(found, tmp_path / "preview", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_a_cell_that_is_not_square_has_no_layer(format, tmp_path):
    pytest.importorskip("onnx")
    found, _ = map_between((2, 8, 6), (3, 4, 6), 1)
    with pytest.raises(MapError, match=f"{format} has no layer for cells .* 2x1: .* numpy"):
        export_map(found, tmp_path / "file", format)
    export_map(found, tmp_path / "file", "numpy")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "numpy"])
def test_numbers_beyond_float32_are_refused(format, tmp_path):
    pytest.importorskip("onnx")
    found, _ = to_pixels(1)
    found = replace(found, weight=found.weight * 1e60)
    with pytest.raises(MapError, match="too large for float32: export it as numpy"):
        export_map(found, tmp_path / "file", format)
    assert not list(tmp_path.iterdir())


def test_a_graph_without_its_library_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    found, _ = to_pixels(1)
    with pytest.raises(MapError, match=r'not installed: pip install "latentmap\[onnx\]"'):
        export_map(found, tmp_path / "map.onnx", "onnx")


def test_a_graph_that_no_file_holds_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(exported_graphs, "_MOST", 10)
    found, _ = to_pixels(1)
    with pytest.raises(MapError, match=r"10 bytes at most, and this map has 48: .* torch"):
        export_map(found, tmp_path / "map.onnx", "onnx")


def test_a_format_that_is_none_and_a_file_that_exists_are_refused(tmp_path):
    found, _ = to_pixels(1)
    with pytest.raises(MapError, match="one of torch, onnx, numpy, diffusers, comfyui, not 'tf'"):
        export_map(found, tmp_path / "file", "tf")
    path = tmp_path / "there.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"there.json exists"):
        export_map(found, path, "comfyui")
    assert path.read_text() == "mine"
    export_map(found, path, "comfyui", force=True)
    assert "latent_rgb_factors" in path.read_text()


@pytest.mark.parametrize("format", FORMATS)
def test_every_file_tells_its_map_and_its_error(format, tmp_path):
    onnx = pytest.importorskip("onnx")
    found, _ = to_pixels(1)
    found = replace(found, record={**found.record, "command": "latentmap fit --data /secret"})
    path = tmp_path / "file"
    export_map(found, path, format)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    assert b"secret" not in path.read_bytes()
    if format == "comfyui":
        said = json.loads(path.read_text())
    elif format == "numpy":
        said = json.loads(str(np.load(path)["about"]))
    elif format == "onnx":
        said = json.loads({one.key: one.value for one in onnx.load(path).metadata_props}["about"])
    else:
        said = said_in(path)
    assert said["held_out"] == KNOWN.to_json()
    assert said["source"]["fingerprint"] == "a" * 8
    assert said["made_by"].startswith("latentmap ")


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_map_without_known_errors_says_so(tmp_path):
    found, _ = to_pixels(1)
    export_map(replace(found, record={}), tmp_path / "file.json", "comfyui")
    assert json.loads((tmp_path / "file.json").read_text())["held_out"] is None


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_file_holds_is_exported_as_the_map_is_without_torch(format, tmp_path):
    pytest.importorskip("onnx")
    found, _ = to_pixels(3)
    found.save(tmp_path / "map.safetensors")
    export_map(StoredMap.load(tmp_path / "map.safetensors"), tmp_path / "one", format)
    export_map(LinearMap.load(tmp_path / "map.safetensors"), tmp_path / "two", format)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    code = (
        "import sys; from latentmap.mapping.stored_map import StoredMap\n"
        "from latentmap.mapping.exporting import export_map\n"
        f"found = StoredMap.load({str(tmp_path / 'map.safetensors')!r})\n"
        f"export_map(found, {str(tmp_path / 'three')!r}, {format!r})\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "three").read_bytes() == (tmp_path / "one").read_bytes()


def test_files_of_formats_have_names_of_their_own():
    paths = {export_path(Path("folder/a-to-b.safetensors"), format) for format in FORMATS}
    assert len(paths) == len(FORMATS)
    assert Path("folder/a-to-b.safetensors") not in paths
    assert Path("folder/a-to-b-onnx.onnx") in paths
