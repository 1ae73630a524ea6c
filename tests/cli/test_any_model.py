"""Models of other kinds than files, from the command line: encoded, fitted, scored."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap

DATA = ["--data", "few.npy", "--cache", "cache", "--device", "cpu"]
MINE = """
from torch import nn

into, out = nn.Linear(64, 3), nn.Linear(3, 64)

def load():
    return {
        "encode": lambda images: into(images.flatten(1)),
        "decode": lambda codes: out(codes).sigmoid().reshape(-1, 1, 8, 8),
        "image_shape": (1, 8, 8),
    }
"""


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def mine(workdir, monkeypatch):
    """A module of the user's own in the current folder; its reference."""
    name = f"mine_{workdir.name.replace('-', '_')}"
    Path(f"{name}.py").write_text(MINE)
    monkeypatch.syspath_prepend(workdir)
    return f"python:{name}:load"


def test_the_users_code_is_encoded_and_fitted(mine):
    assert "300 codes" in run("encode", mine, *DATA).stdout
    words = ["fit", "--src", mine, "--dst", "b.safetensors", *DATA, "--out", "map.safetensors"]
    found = json.loads(run(*words, "--json").stdout)
    assert found["m_mse"] > 0


def test_images_of_codes_without_a_prior_are_made_with_a_warning(mine):
    warned = run("sample", mine, "-n", "2", "--figure", "made.png").stderr
    assert f"{mine} has no prior: codes are drawn from the standard normal" in warned
    assert "prior" not in run("sample", "b.safetensors", "-n", "2", "--figure", "b.png").stderr


def test_a_file_of_codes_has_no_images(workdir):
    np.save("codes.npy", np.ones((3, 2), np.float32))
    refused = run("sample", "codes.npy", "--figure", "made.png", code=1).stderr
    assert "codes is a file of codes" in refused


def test_a_map_does_not_run_code_by_itself(mine):
    run("fit", "--src", mine, "--dst", "b.safetensors", *DATA, "--out", "map.safetensors")
    assert LinearMap.load("map.safetensors").source_reference == mine
    words = ["evaluate", "map.safetensors", *DATA, "--limit", "50"]
    refused = run(*words, code=1).stderr
    assert f"map.safetensors names {mine} as its source model, which runs code" in refused
    assert "give it with --src" in refused
    run(*words, "--src", mine)


def test_a_map_downloads_nothing_by_itself(workdir):
    run("fit", "--src", "a.safetensors", "--dst", "b.safetensors", *DATA, "--out", "m.safetensors")
    named = replace(LinearMap.load("m.safetensors"), target_reference="diffusers:someone/vae")
    named.save("other.safetensors")
    words = ["evaluate", "other.safetensors", *DATA, "--limit", "50"]
    refused = run(*words, code=1).stderr
    assert "names diffusers:someone/vae as its target model, which is not here" in refused
    run(*words, "--dst", "b.safetensors")


def test_code_that_raises_is_one_line_and_leaves_nothing(workdir):
    Path("broken_reference.py").write_text("def load():\n    return 1 / 0\n")
    before = sorted(workdir.iterdir())
    words = ["encode", "python:broken_reference:load", *DATA]
    message = run(*words, code=1).stderr
    assert message.startswith("Error: python:broken_reference:load raised ZeroDivisionError in ")
    assert len(message.splitlines()) == 1
    assert {one.name for one in workdir.iterdir()} - {one.name for one in before} <= {"__pycache__"}


def test_an_autoencoder_of_diffusers_is_encoded_and_fitted(workdir):
    diffusers = pytest.importorskip("diffusers")
    blocks = {"down_block_types": ["DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D"]}
    small = {"block_out_channels": [4], "norm_num_groups": 2, "latent_channels": 1}
    grey = {"in_channels": 1, "out_channels": 1}
    diffusers.AutoencoderKL(**blocks, **small, **grey).save_pretrained("vae")
    assert "300 codes" in run("encode", "diffusers:vae", "--size", "8x8", *DATA).stdout
    words = ["--src", "diffusers:vae?size=8x8", "--dst", "b.safetensors", *DATA]
    run("fit", *words, "--out", "map.safetensors")
    assert LinearMap.load("map.safetensors").source.shape == (1, 8, 8)
    run("evaluate", "map.safetensors", *DATA, "--limit", "50")
    (folder,) = [path for path in Path("vae").iterdir() if path.suffix == ".safetensors"]
    folder.unlink()
    message = run("encode", "diffusers:vae", *DATA, code=1).stderr
    assert message.startswith("Error: vae has no weights as safetensors")


def save_graph(path, kinds, shapes, numbers):
    """Writes a graph that is a chain of operators, each with one constant or none."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in zip("xz", shapes, strict=True)
    ]
    names = ["x", *map(str, range(len(kinds) - 1)), "z"]
    nodes = [
        onnx.helper.make_node(kind, [into, *([kind] if kind in numbers else [])], [out])
        for kind, into, out in zip(kinds, names, names[1:], strict=False)
    ]
    kept = [onnx.numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], kept)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def test_graphs_are_encoded_and_fitted(workdir):
    # The means of 2x2 pixels, which are the codes of a thumbnail.
    cells = np.kron(np.eye(4), np.ones((2, 1)))
    means = np.kron(cells, cells).astype(np.float32)
    images, codes = ["n", 1, 8, 8], ["n", 16]
    save_graph("e.onnx", ["Flatten", "MatMul"], (images, codes), {"MatMul": means / 4})
    back = {"MatMul": np.ascontiguousarray(means.T), "Reshape": np.array([-1, 1, 8, 8])}
    save_graph("d.onnx", ["MatMul", "Reshape"], (codes, images), back)
    assert "300 codes" in run("encode", "onnx:e.onnx", *DATA).stdout
    words = ["--src", "onnx:e.onnx,d.onnx", "--dst", "pixels:2", *DATA]
    found = json.loads(run("fit", *words, "--out", "map.safetensors", "--json").stdout)
    assert found["r2"] > 0.999
    assert found["m_mse"] == pytest.approx(found["floor_mse"], rel=1e-3)
    run("evaluate", "map.safetensors", *DATA, "--limit", "50")
    message = run("sample", "onnx:e.onnx", "--out", "new.h5", code=1).stderr
    assert "onnx:e.onnx is an encoder alone, and has no decoder" in message


def test_a_vision_encoder_is_encoded(workdir):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 8, "image_size": 8, "patch_size": 4, "num_channels": 1}
    transformers.ViTModel(transformers.ViTConfig(**small)).save_pretrained("vit")
    message = run("encode", "transformers:vit", *DATA, code=1).stderr
    assert "vit has no preprocessor_config.json, which says how images are normalised" in message
    reference = "transformers:vit?features=patches&mean=0.5&std=0.5"
    assert (
        "300 codes in latent of transformers:vit?features=patches (8x2x2,"
        in run("encode", reference, *DATA).stdout
    )


def test_short_names_are_listed_and_described(workdir):
    Path("latentmap.toml").write_text('[models]\nshort = "a.safetensors"\nother = "pixels:2"\n')
    listed = run("models", "list").stdout
    assert "Names in" in listed
    assert "short" in listed
    found = json.loads(run("models", "list", "--json").stdout)
    assert {"name": "other", "reference": "pixels:2"} in found
    assert "a.safetensors: vae" in run("models", "show", "short").stdout
    run("encode", "short", *DATA)


def test_a_model_that_is_no_file_is_described(mine):
    shown = run("models", "show", mine).stdout
    assert f"{mine}: python" in shown
    assert "space        latent, 3 variables" in shown
    assert "does         encodes and decodes" in shown
    found = json.loads(run("models", "show", mine, "--json").stdout)
    assert (found["latent_shape"], found["can_decode"]) == ([3], True)


def test_a_model_is_checked(mine):
    assert f"{mine} keeps the contract" in run("models", "check", mine).stdout
    found = json.loads(run("models", "check", "b.safetensors", "--json").stdout)
    assert (found["keeps"], found["broken"], found["latent_dim"]) == (True, None, 3)


def test_the_check_says_where_the_fingerprint_is_of_the_text(workdir):
    Path("means_of_pixels.py").write_text(
        "def load():\n    return {'encode': lambda x: x.mean((2, 3)), 'image_shape': (1, 8, 8)}\n"
    )
    shown = run("models", "check", "python:means_of_pixels:load").stdout
    assert "fingerprint  of the text of the module: no torch module was given" in shown


def test_a_broken_promise_is_exit_code_1(workdir):
    Path("random_codes.py").write_text(
        "import torch\n"
        "def load():\n"
        "    return {'encode': lambda x: torch.rand(len(x), 2), 'image_shape': (1, 8, 8)}\n"
    )
    words = ["models", "check", "python:random_codes:load"]
    message = run(*words, code=1).stderr
    assert message.splitlines() == [
        "Error: the model does not keep the contract: encoding the same images twice gives other "
        "codes"
    ]
    found = json.loads(run(*words, "--json", code=1).stdout)
    assert (found["keeps"], found["broken"][:9]) == (False, "the model")
