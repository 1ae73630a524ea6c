"""ONNX graphs as models: built here node by node, so that what they compute is known."""

import numpy as np
import pytest
import torch

from latentmap.encoders import load
from latentmap.encoders.adapters.extras import require
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.train_inversion import InversionSettings, train_inversion
from latentmap.errors import ModelError
from latentmap.model.testing import check_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FLOAT = onnx.TensorProto.FLOAT
# Orthonormal columns: what encodes and decodes again is a projection.
MATRIX = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 5)))[0].astype(np.float32)


def node(kind, inputs, outputs, **attributes):
    return onnx.helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def save(path, nodes, inputs, outputs, numbers=None, **external):
    """Writes a graph; inputs and outputs are shapes by name, ``numbers`` its constants."""
    values = [
        [onnx.helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in some.items()]
        for some in (inputs, outputs)
    ]
    kept = [onnx.numpy_helper.from_array(value, name) for name, value in (numbers or {}).items()]
    graph = onnx.helper.make_graph(nodes, "graph", *values, kept)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path, **external)


def save_encoder(path, batch="n", **external):
    nodes = [node("Flatten", "x", "flat"), node("MatMul", "flat w", "z")]
    save(path, nodes, {"x": [batch, 3, 2, 2]}, {"z": [batch, 5]}, {"w": MATRIX}, **external)


def save_decoder(path, batch="n"):
    nodes = [node("MatMul", "z w", "flat"), node("Reshape", "flat shape", "y")]
    numbers = {"w": np.ascontiguousarray(MATRIX.T), "shape": np.array([-1, 3, 2, 2])}
    save(path, nodes, {"z": [batch, 5]}, {"y": [batch, 3, 2, 2]}, numbers)


def save_convolution(path, *, last=False, size=("h", "w"), stride=2):
    """A grid of means of 2x2 pixels, of images of any size."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]) if last else node("Identity", "x", "t"),
        node("AveragePool", "t", "z", kernel_shape=[2, 2], strides=[stride, stride]),
    ]
    shape = ["n", *size, 3] if last else ["n", 3, *size]
    save(path, nodes, {"x": shape}, {"z": ["n", 3, "a", "b"]})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_graphs_are_a_model():
    save_encoder("e.onnx")
    save_decoder("d.onnx")
    model = load("onnx:e.onnx,d.onnx?range=-1,1")
    check_model(model)
    assert (model.image_shape, model.latent_shape, model.name) == (
        (3, 2, 2),
        (5,),
        "onnx:e.onnx,d.onnx",
    )
    images = torch.rand(4, 3, 2, 2)
    codes = (2 * images - 1).flatten(1) @ torch.from_numpy(MATRIX)
    assert torch.allclose(model.encode(images), codes, atol=1e-6)
    decoded = ((codes @ torch.from_numpy(MATRIX).T).reshape(-1, 3, 2, 2) + 1) / 2
    assert torch.allclose(model.decode(codes), decoded.clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("reference", ["onnx:e.onnx", "onnx:,d.onnx"])
def test_one_graph_is_half_a_model(reference):
    save_encoder("e.onnx")
    save_decoder("d.onnx")
    model = load(reference)
    assert (model.can_encode, model.can_decode) == ("e.onnx" in reference, "d.onnx" in reference)
    assert not model.has_gradients
    check_model(model)


def test_a_graph_for_batches_of_one_size_takes_any_number_of_images():
    save_encoder("e.onnx")
    save_encoder("two.onnx", batch=2)
    assert load("onnx:two.onnx").encode(torch.zeros(0, 3, 2, 2)).shape == (0, 5)
    images = torch.rand(5, 3, 2, 2)
    expected = load("onnx:e.onnx").encode(images)
    assert torch.allclose(load("onnx:two.onnx").encode(images), expected, atol=1e-6)


@pytest.mark.parametrize("last", [False, True])
def test_images_of_any_size_are_a_grid(last):
    save_convolution("e.onnx", last=last)
    with pytest.raises(ModelError, match=r"takes images of any size: say which, with --size"):
        load("onnx:e.onnx")
    model = load("onnx:e.onnx", size=(4, 6))
    check_model(model)
    assert (model.any_size, model.latent_shape) == (True, (3, 2, 3))
    images = torch.rand(2, 3, 4, 6)
    means = torch.nn.functional.avg_pool2d(images, 2).flatten(1)
    assert torch.allclose(model.encode(images), means, atol=1e-6)
    assert model.resized(8, 8).latent_shape == (3, 4, 4)


def test_a_graph_of_one_size_has_no_other():
    save_encoder("e.onnx")
    assert load("onnx:e.onnx", size=(8, 8)).image_shape == (3, 2, 2)
    with pytest.raises(ModelError, match="takes images of 2x2 pixels alone"):
        load("onnx:e.onnx?size=8x8")


def test_means_and_deviations_are_those_of_channels():
    save_encoder("e.onnx")
    images = torch.rand(2, 3, 2, 2)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1, 2])
    values = (images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    expected = load("onnx:e.onnx").encode(images)
    model = load("onnx:e.onnx?mean=0.1,0.2,0.3&std=0.5,1,2")
    assert torch.allclose(
        model.encode(images), values.flatten(1) @ torch.from_numpy(MATRIX), atol=1e-6
    )
    assert not torch.allclose(model.encode(images), expected)


def test_the_contents_decide_the_fingerprint_wherever_the_numbers_are():
    save_encoder("e.onnx")
    save_encoder("copy.onnx")
    save_encoder("outside.onnx", save_as_external_data=True, location="numbers", size_threshold=0)
    one, copy = load("onnx:e.onnx"), load("onnx:copy.onnx")
    assert one.space.same_as(copy.space)
    before = load("onnx:outside.onnx")
    images = torch.rand(2, 3, 2, 2)
    assert torch.allclose(before.encode(images), one.encode(images), atol=1e-6)
    numbers = np.fromfile("numbers", np.float32)
    (numbers * 2).tofile("numbers")
    after = load("onnx:outside.onnx")
    assert not after.space.same_as(before.space)
    assert torch.allclose(after.encode(images), 2 * one.encode(images), atol=1e-6)


def test_numbers_outside_the_folder_are_refused():
    save_encoder("e.onnx", save_as_external_data=True, location="numbers", size_threshold=0)
    for place in ("../numbers", "/etc/hostname", "a/../../numbers", "c:numbers", ""):
        graph = onnx.load("e.onnx", load_external_data=False)
        graph.graph.initializer[0].external_data[0].value = place
        onnx.save(graph, "moved.onnx")
        with pytest.raises(ModelError, match=r"outside its folder"):
            load("onnx:moved.onnx")


def test_numbers_of_graphs_inside_a_graph_are_found():
    inner = [node("Identity", "w", "out")]
    tensor = onnx.numpy_helper.from_array(MATRIX, "w")
    onnx.external_data_helper.set_external_data(tensor, "../secret")
    tensor.ClearField("raw_data")
    value = onnx.helper.make_tensor_value_info("out", FLOAT, [12, 5])
    branch = onnx.helper.make_graph(inner, "branch", [], [value], [tensor])
    nodes = [node("If", "c", "z", then_branch=branch, else_branch=branch)]
    save("e.onnx", nodes, {"c": [1]}, {"z": [12, 5]})
    with pytest.raises(ModelError, match=r"numbers in '\.\./secret', outside its folder"):
        load("onnx:e.onnx")


def save_two_outputs(path):
    nodes = [node("Flatten", "x", "mean"), node("Flatten", "x", "variance")]
    save(path, nodes, {"x": ["n", 3, 2, 2]}, {"mean": ["n", 12], "variance": ["n", 12]})


def test_one_of_several_outputs_is_chosen():
    save_two_outputs("e.onnx")
    with pytest.raises(ModelError, match=r"outputs mean, variance: choose one with \?output=NAME"):
        load("onnx:e.onnx")
    assert load("onnx:e.onnx?output=mean").latent_dim == 12


def test_a_graph_with_two_inputs_is_refused():
    nodes = [node("Add", "a b", "z")]
    save("e.onnx", nodes, {"a": ["n", 3], "b": ["n", 3]}, {"z": ["n", 3]})
    with pytest.raises(ModelError, match=r"has 2 inputs \(a, b\), not one"):
        load("onnx:e.onnx")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("onnx:", "names no graph"),
        ("onnx:missing.onnx", r"missing\.onnx cannot be read: No such file"),
        ("onnx:junk.onnx", "is no ONNX file .*; export it again|is no ONNX file"),
        ("onnx:empty.onnx", "is no ONNX file"),
        ("onnx:cut.onnx", "is no ONNX file|no graph that onnxruntime"),
        ("onnx:d.onnx", r"z has the shape \(any, 5\), not that of images"),
        ("onnx:e.onnx?range=1,-1", "range must be two numbers, the smaller first"),
        ("onnx:e.onnx?range=0,1&mean=0.5", "say the same twice"),
        ("onnx:e.onnx?mean=0.5,0.5", "have 3 channels, but 2 means"),
        ("onnx:e.onnx?std=0", "std must be numbers above 0"),
        ("onnx:e.onnx?output=q", "has the outputs z: choose one"),
        ("onnx:e.onnx?other=q", "there is no option 'other' here"),
        ("onnx:,any.onnx", "does not say how large codes are"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(folder, reference, message):
    save_encoder("e.onnx")
    save_decoder("d.onnx")
    nodes = [node("Identity", "z", "y")]
    save("any.onnx", nodes, {"z": ["n", 3, "a", 2]}, {"y": ["n", 3, 2, 2]})
    (folder / "junk.onnx").write_bytes(b"junk" * 9)
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "cut.onnx").write_bytes((folder / "e.onnx").read_bytes()[:-60])
    with pytest.raises(ModelError, match=message) as caught:
        load(reference)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_no_codes():
    nodes = [node("Flatten", "x", "f"), node("ArgMax", "f", "z", axis=1)]
    value = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.INT64, ["n", 1])
    images = onnx.helper.make_tensor_value_info("x", FLOAT, ["n", 3, 2, 2])
    graph = onnx.helper.make_graph(nodes, "graph", [images], [value])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), "e.onnx")
    with pytest.raises(ModelError, match=r"z is tensor\(int64\), not a tensor of floating-point"):
        load("onnx:e.onnx")


def test_searches_are_refused_without_gradients():
    save_decoder("d.onnx")
    with pytest.raises(ModelError, match="has no gradients"):
        load("onnx:,d.onnx").decode_with_gradient(torch.zeros(1, 5))


def test_a_library_that_is_missing_says_how_it_is_installed():
    with pytest.raises(ModelError, match=r'no_such_library: pip install "latentmap\[onnx\]"'):
        require("no_such_library", "onnx")


def test_a_library_that_does_not_fit_says_why(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "of_another_torch.py").write_text("raise RuntimeError('operator does not exist')")
    with pytest.raises(ModelError, match=r"cannot be imported \(operator does not exist\)"):
        require("of_another_torch", "timm")


def test_a_decoder_of_other_codes_is_refused():
    save_encoder("e.onnx")
    numbers = {"shape": np.array([-1, 3, 2, 2])}
    nodes = [node("Reshape", "z shape", "y")]
    save("d.onnx", nodes, {"z": ["n", 12]}, {"y": ["n", 3, 2, 2]}, numbers)
    expected = r"d.onnx: z has the shape \(any, 12\), but the encoder gives .* \(any, 5\)"
    with pytest.raises(ModelError, match=expected):
        load("onnx:e.onnx,d.onnx")


def test_no_file_can_hold_a_graph_beside_its_inversion(tmp_path):
    save_decoder("d.onnx")
    settings = InversionSettings(steps=1)
    with pytest.raises(ModelError, match="of the family 'onnx', which no model file can be of"):
        train_inversion(load("onnx:,d.onnx"), settings, Run(tmp_path / "out.safetensors"))
