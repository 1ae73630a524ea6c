"""Maps for other programs, on the command line."""

import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def thumbnails(tmp_path, monkeypatch):
    """A folder with a map between thumbnails, 1x1 and 3x3."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    np.save(tmp_path / "few.npy", pixels)
    monkeypatch.chdir(tmp_path)
    target = "pixels:3x3?frame=0,0,0.9,1"  # Of which a thumbnail of the whole tells not all.
    models = ["--src", "pixels:4", "--dst", target, "--size", "12x12", "--data", "few.npy"]
    for patch in ("1", "3"):
        run("fit", *models, "--patch", patch, "--out", f"m{patch}.safetensors")
    return tmp_path


def test_a_preview_goes_beside_its_map_and_tells_its_error(thumbnails):
    result = run("map", "export", "m1.safetensors", "--format", "comfyui")
    first, second = result.stdout.splitlines()
    assert first.startswith("m1-comfyui.json: pixels of pixels:4 (3x3x3, ")
    assert first.endswith(", for comfyui")
    number = r"-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]"
    assert re.fullmatch(rf"held-out R2 {number}, PSNR {number} dB, over \d images", second)
    said = json.loads((thumbnails / "m1-comfyui.json").read_text())
    linear_map = LinearMap.load("m1.safetensors")
    assert np.allclose(said["latent_rgb_factors"], 2 * linear_map.weight)
    assert np.allclose(said["latent_rgb_factors_bias"], 2 * linear_map.bias - 1)


def test_json_says_what_the_file_says(thumbnails):
    words = ("map", "export", "m3.safetensors", "--format", "numpy", "--out", "x.npz", "--json")
    result = json.loads(run(*words).stdout)
    assert (result["file"], result["format"]) == ("x.npz", "numpy")
    record = LinearMap.load("m3.safetensors").record
    assert result["held_out"] == record["held_out"]
    assert result == {
        **json.loads(str(np.load("x.npz")["about"])),
        "file": "x.npz",
        "format": "numpy",
    }


def test_what_exists_stays_unless_it_is_forced(thumbnails):
    words = ("map", "export", "m3.safetensors", "--format", "torch")
    run(*words)
    (line,) = run(*words, code=1).stderr.splitlines()
    assert "m3-torch.safetensors exists: choose another path, or add --force" in line
    run(*words, "--force")
    (line,) = run(*words, "--force", "--out", "m3.safetensors", code=1).stderr.splitlines()
    assert "MAP and --out are both m3.safetensors" in line


@pytest.mark.parametrize("format", ["comfyui", "diffusers"])
def test_a_map_that_is_no_preview_is_refused_in_one_line(format, workdir):
    fit = ("fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy")
    run(*fit, "--out", "a-to-b.safetensors")
    words = ("map", "export", "a-to-b.safetensors", "--format", format)
    (line,) = run(*words, code=1).stderr.splitlines()
    assert "this one goes to z of b" in line
    assert "fit one with --dst pixels:8" in line
    assert not list(workdir.glob(f"a-to-b-{format}*"))


def test_a_map_of_maps_has_no_known_error(thumbnails):
    run("map", "inverse", "m1.safetensors", "--out", "back.safetensors")
    result = run("map", "export", "back.safetensors", "--format", "numpy")
    assert result.stdout.splitlines()[1].startswith("no held-out error is known")


def test_a_missing_library_and_a_wrong_format_are_one_line(thumbnails, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run("map", "export", "m1.safetensors", "--format", "onnx", code=1)
    (line,) = result.stderr.splitlines()
    assert 'pip install "latentmap[onnx]"' in line
    assert not (thumbnails / "m1-onnx.onnx").exists()
    result = run("map", "export", "m1.safetensors", "--format", "tf", code=2)
    assert "'torch', 'onnx', 'numpy', 'diffusers', 'comfyui'" in result.stderr
    (line,) = run("map", "export", "few.npy", "--format", "numpy", code=1).stderr.splitlines()
    assert "few.npy" in line
