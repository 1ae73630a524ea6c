"""latentmap import, run as a user runs it."""

import io
import json
import pickle
import warnings
import zipfile

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import save_file

from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.encoders.native import read_header
from tests.encoders import foreign_writers, naive_tiny_autoencoder, nvlabs_writer
from tests.encoders.foreign_writers import (
    STYLEGAN1,
    STYLEGAN2,
    images_of,
    random_weights,
)

WEIGHTS = random_weights("stylegan2", STYLEGAN2)


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def refusal(*words) -> str:
    result = run(*words, code=1)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert result.stdout == ""
    return lines[0]


@pytest.fixture
def pickled(workdir):
    """A file as stylegan2-ada-pytorch leaves it after training."""
    path = workdir / "network-snapshot.pkl"
    contents = {
        "G": nvlabs_writer.generator(STYLEGAN2, WEIGHTS),
        "D": nvlabs_writer.discriminator(),
        "G_ema": nvlabs_writer.generator(STYLEGAN2, WEIGHTS),
        "training_set_kwargs": {"path": "faces.zip", "resolution": 32},
        "augment_pipe": None,
    }
    nvlabs_writer.write(path, contents)
    return path


def test_a_pickle_becomes_a_model_that_makes_the_same_images(pickled):
    result = run("import", pickled, "--out", "gan.safetensors")
    assert result.stdout.startswith("gan.safetensors: stylegan2, 32x32 pixels, w of")
    model = load("gan.safetensors")
    mean_and_sample = images_of("stylegan2", STYLEGAN2, WEIGHTS)
    expected = (mean_and_sample[:1] / 2 + 0.5).clamp(0, 1)
    mean = WEIGHTS["mapping.w_avg"][None]
    torch.testing.assert_close(model.decode(mean), expected, atol=1e-4, rtol=0)
    record = read_header("gan.safetensors").training
    assert record["imported"]["file"] == "network-snapshot.pkl"
    assert len(record["imported"]["sha256"]) == 64
    assert record["command"]


def test_inspect_tells_what_is_inside_and_writes_nothing(pickled, workdir):
    before = sorted(workdir.iterdir())
    brief = run("import", "--inspect", pickled).stdout
    first = brief.splitlines()[0]
    assert first.startswith(f"{pickled}: can be imported (--out): stylegan2, 32x32 colour, w of")
    assert "synthesis.b32.conv1.weight" not in brief
    text = run("import", "--inspect", "--tensors", pickled).stdout
    assert "G_ema: StyleGAN2 generator, class Generator" in text
    assert "source text, not run: sha256" in text
    assert "resolution = 32" in text
    assert "dnnlib.util.EasyDict" in text
    assert "synthesis.b32.conv1.weight" in text
    assert "4x4x3x3" in text
    found = json.loads(run("import", "--inspect", pickled, "--json").stdout)
    networks = {network["name"]: network for network in found["networks"]}
    assert set(networks) == {"G", "D", "G_ema"}
    assert networks["G_ema"]["tensors"]["synthesis.b4.const"] == [7, 4, 4]
    assert networks["G_ema"]["arguments"]["w_dim"] == 10
    assert len(networks["G_ema"]["source_sha256"]) == 64
    assert "torch_utils.persistence._reconstruct_persistent_obj" in found["unknown"]
    assert found["options"] == {"path": "faces.zip", "resolution": 32}
    assert (found["import"]["possible"], found["import"]["family"]) == (True, "stylegan2")
    assert sorted(workdir.iterdir()) == before


def test_the_frame_is_kept_in_the_model(pickled):
    run("import", pickled, "--out", "gan.safetensors", "--frame", "celeba", "--json")
    assert load("gan.safetensors").frame.name == "celeba"


def test_an_imported_model_is_described_and_sampled(pickled):
    found = json.loads(run("import", pickled, "--out", "gan.safetensors", "--json").stdout)
    shown = run("models", "show", "gan.safetensors").stdout
    assert "also z and w+" in shown
    assert 'architecture       "skip"' in shown
    assert found["fingerprint"] in shown
    run("sample", "gan.safetensors", "-n", "4", "--figure", "grid.png", "--device", "cpu")


def test_control_characters_of_a_file_do_not_reach_the_terminal(workdir):
    path = workdir / "evil.pkl"
    contents = {
        "G_ema": nvlabs_writer.generator(STYLEGAN2, WEIGHTS, name="Gen\x1b]0;owned\x07"),
        "training_set_kwargs": {"\x1b[2J": "\x1b[31mred\nline"},
    }
    nvlabs_writer.write(path, contents)
    text = run("import", "--inspect", path).stdout
    assert "\x1b" not in text
    assert "\\x1b[2J = \\x1b[31mred\\nline" in text
    path.write_bytes(pickle.dumps({"\x1b[2J": 1}))
    assert "\x1b" not in refusal("import", path, "--out", "x.safetensors")


def test_bad_input_is_refused_in_one_line_and_nothing_is_written(workdir, pickled):
    out = ["--out", "out.safetensors"]
    empty = workdir / "empty.pkl"
    empty.touch()
    assert "is empty" in refusal("import", empty, *out)
    assert "there is no file" in refusal("import", "missing.pkl", *out)
    assert "cannot be read" in refusal("import", workdir, *out)

    alone = workdir / "d.pkl"
    nvlabs_writer.write(alone, {"D": nvlabs_writer.discriminator(), "G_ema": None})
    assert "generator" in refusal("import", alone, *out)

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("picture.png", b"x")
    other = workdir / "pictures.zip"
    other.write_bytes(stream.getvalue())
    assert "no file of torch.save" in refusal("import", other, *out)

    keras = workdir / "keras.h5"
    with h5py.File(keras, "w") as file:
        file.attrs["layer_names"] = np.array([b"dense"])
        group = file.create_group("dense")
        group.attrs["weight_names"] = np.array([b"dense/kernel:0"])
        group["dense/kernel:0"] = np.ones((2, 3), np.float32)
    assert "Split-VAE" in refusal("import", keras, *out)
    with h5py.File(keras, "w") as file:
        file["codes"] = np.ones(3)
    assert "nor Keras weights in HDF5" in refusal("import", keras, *out)

    for part in (0.2, 0.5, 0.9, 0.999):
        cut = workdir / "cut.pkl"
        cut.write_bytes(pickled.read_bytes()[: int(part * pickled.stat().st_size)])
        assert "ends in the middle" in refusal("import", cut, *out)
    assert "is of no known format" in refusal("import", _torch_file(workdir, [1, 2]), *out)
    assert not (workdir / "out.safetensors").exists()


def _torch_file(folder, value):
    path = folder / "other.pt"
    torch.save(value, path)
    return path


def test_an_output_that_exists_stays(pickled, workdir):
    (workdir / "out.safetensors").write_bytes(b"precious")
    assert "exists" in refusal("import", pickled, "--out", "out.safetensors")
    assert (workdir / "out.safetensors").read_bytes() == b"precious"
    run("import", pickled, "--out", "out.safetensors", "--force")
    assert load("out.safetensors").family == "stylegan2"


def test_a_native_file_needs_no_import(pickled):
    run("import", pickled, "--out", "gan.safetensors")
    assert "needs no import" in refusal("import", "gan.safetensors", "--out", "again.safetensors")


def test_what_a_file_does_not_say_is_noted_or_given(workdir):
    config = {**STYLEGAN1, "image_shape": [3, 8, 8], "channels": [3, 2]}
    state = foreign_writers.huangzh13(config, random_weights("stylegan1", config))
    foreign_writers.save(state, workdir / "port.pth")
    result = run("import", "port.pth", "--out", "assumed.safetensors")
    assert "note: the file does not say the epsilon" in result.stderr
    assert load("assumed.safetensors").config["instance_norm_epsilon"] == 1e-5
    given = ["--instance-norm-epsilon", "1e-8"]
    result = run("import", "port.pth", "--out", "given.safetensors", *given)
    assert "epsilon" not in result.stderr
    assert load("given.safetensors").config["instance_norm_epsilon"] == 1e-8
    assert "instance_norm_epsilon" in run("models", "show", "given.safetensors").stdout
    no_effect = ["import", "port.pth", "--out", "x.safetensors", "--final-tanh"]
    assert "--final-tanh has no effect on a StyleGAN1" in refusal(*no_effect)


def test_an_encoder_and_its_decoder_are_imported_by_one_command(workdir):
    torch.save(naive_tiny_autoencoder.encoder_state(4), "encoder.pth")
    torch.save(naive_tiny_autoencoder.decoder_state(4), "decoder.pth")
    torch.save(naive_tiny_autoencoder.decoder_state(16), "other.pth")
    words = ["import", "encoder.pth", "--size", "16x24", "--out", "tiny.safetensors"]
    result = run(*words, "--decoder", "decoder.pth")
    assert result.stdout.startswith(
        "tiny.safetensors: tiny-autoencoder, 16x24 pixels, latent of encoder"
    )
    model = load("tiny.safetensors")
    assert (model.can_encode, model.can_decode, model.latent_shape) == (True, True, (4, 2, 3))
    record = read_header("tiny.safetensors").training["imported"]
    assert (record["file"], record["decoder"]["file"]) == ("encoder.pth", "decoder.pth")
    run(*words, "--force")
    assert not load("tiny.safetensors").can_decode
    words[-1] = "new.safetensors"
    assert "the decoder does not fit the encoder" in refusal(*words, "--decoder", "other.pth")
    assert "there is no file missing.pth" in refusal(*words, "--decoder", "missing.pth")
    assert not (workdir / "new.safetensors").exists()
    inspected = run("import", "--inspect", "decoder.pth").stdout
    assert "can be imported (--out): tiny-autoencoder, 256x256 colour" in inspected
    run("import", "--inspect", "encoder.pth", "--decoder", "decoder.pth", code=2)


def test_arrays_of_any_program_are_described_with_what_they_may_be(workdir):
    codes, ids = np.ones((9, 5), np.float32), np.array([f"{n}.png" for n in range(9)])
    np.save("alone.npy", codes)
    np.savez("named.npz", codes=codes, ids=ids)
    np.savez("pictures.npz", imgs=np.zeros((7, 8, 6, 3), np.uint8), labels=np.arange(7))
    np.save("objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    with h5py.File("codes.h5", "w") as file:
        file["deep/codes"] = np.ones((9, 4, 2, 2), np.float64)
    torch.save({"embeddings": torch.ones(9, 5), "names": ["a"]}, "embeddings.pt")
    torch.save([torch.ones(3)], "list.pt")

    def described(name):
        found = json.loads(run("import", "--inspect", name, "--json").stdout)
        assert found["import"]["possible"] is False
        (arrays,) = found["networks"]
        assert arrays["guess"] in run("import", "--inspect", name).stdout
        return arrays["guess"], arrays["tensors"], arrays["types"]

    without = "which commands take in place of a model, with --row-ids or --by-position, for it"
    guess, shapes, types = described("alone.npy")
    assert guess == f"9 codes of 5 (array), {without} has no ids"
    assert (shapes, types) == ({"array": [9, 5]}, {"array": "float32"})
    guess, shapes, types = described("named.npz")
    assert guess == "9 codes of 5 (codes), which commands take in place of a model"
    assert types == {"codes": "float32", "ids": "texts"}
    assert described("pictures.npz")[0] == "7 images of 8x6 (imgs), for --data"
    assert described("objects.npy")[0].startswith("neither codes (floats, a row for each) nor")
    guess, shapes, types = described("codes.h5")
    assert guess.startswith("9 codes of 4x2x2 (deep/codes), which")
    assert (shapes, types) == ({"deep/codes": [9, 4, 2, 2]}, {"deep/codes": "float64"})
    assert "once they are saved with numpy.savez" in described("embeddings.pt")[0]
    assert described("list.pt")[1] == {"0": [3]}
    assert "alone.npy is a numpy array (.npy), and no checkpoint: it holds 9 codes" in shown(
        "alone.npy"
    )
    text = run("import", "--inspect", "--tensors", "named.npz").stdout
    assert "codes  9x5  float32" in text
    (workdir / "cut.npy").write_bytes((workdir / "alone.npy").read_bytes()[:150])
    assert "is a numpy array (.npy) that is cut off or damaged" in refusal(
        "import", "--inspect", "cut.npy"
    )


def test_unknown_networks_are_described_with_what_they_may_be(workdir):
    state = {
        "stem.weight": torch.ones(8, 3, 7, 7),
        "attn.qkv.weight": torch.ones(24, 8),
        "quantize.weight": torch.ones(9, 8),
        "out.weight": torch.ones(1, 8, 3, 3).half(),
    }
    torch.save({"model": state, "epoch": 3}, "unknown.pt")
    text = run("import", "--inspect", "unknown.pt").stdout
    assert "may be: 2 convolutions, 2 matrices, the first convolution may take colour images, " in (
        text
    )
    assert "the last one may make grey images, with attention, with a codebook" in text
    assert "tensors of float16, float32" in text
    torch.save({"a": {"scale": torch.ones(3)}}, "small.pt")
    assert "may be: numbers and vectors alone" in run("import", "--inspect", "small.pt").stdout


def test_a_program_of_torchscript_is_told_as_one(workdir):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That it is deprecated is why somebody has such a file.
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), "script.pt")
    assert "is a program of TorchScript, which would have to run: export its network" in shown(
        "script.pt"
    )


def test_a_network_that_cannot_be_imported_is_described_and_declined_by_name(workdir):
    names = ("G.initial_block", "G.blocks.0.to_style1.weight", "G.blocks.0.to_noise1.weight")
    torch.save({"GAN": {name: torch.ones(2, 2) for name in names}}, workdir / "model_1.pt")
    assert "StyleGAN2 generator of lucidrains" in run("import", "--inspect", "model_1.pt").stdout
    message = refusal("import", "model_1.pt", "--out", "x.safetensors")
    assert "model_1.pt: GAN is a StyleGAN2 generator of lucidrains' stylegan2-pytorch" in message
    assert "cannot be converted, because its layers are others than those of" in message


def test_wrong_usage(pickled):
    no_effect = run("import", pickled, "--inspect", "--fused-scale", "all", code=2)
    assert "--fused-scale has no effect with --inspect" in no_effect.stderr
    no_frame = run("import", pickled, "--inspect", "--frame", "celeba", code=2)
    assert "--frame has no effect with --inspect" in no_frame.stderr
    for epsilon in ("0", "1", "nan"):
        words = ["--out", "x.safetensors", "--instance-norm-epsilon", epsilon]
        run("import", pickled, *words, code=2)
    assert "either --out" in run("import", pickled, code=2).stderr
    both = run("import", pickled, "--inspect", "--out", "x.safetensors", code=2)
    assert "either --out" in both.stderr
    alone = run("import", pickled, "--tensors", "--out", "x.safetensors", code=2)
    assert "--tensors goes with --inspect" in alone.stderr


def shown(*words):
    """What a refusal and the first line of a description say of a file."""
    return refusal("import", *words, "--out", "x.safetensors")


def first_line(path):
    return run("import", "--inspect", path).stdout.splitlines()[0]


def test_a_file_of_safetensors_of_somebody_else_is_described_and_sends_nobody_in_a_circle(workdir):
    path = workdir / "other.safetensors"
    save_file({"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2)}, path)
    asked = refusal("models", "show", path)
    assert "no model of latentmap: `latentmap import --inspect` tells what it is" in asked
    text = run("import", "--inspect", path, "--tensors").stdout
    assert text.startswith(f"{path}: cannot be imported: it is of no known format")
    assert "network: unknown network, 8 numbers in 2 tensors" in text
    assert "a.weight  2x3" in text
    assert "is of no known format" in shown(path)


def test_a_model_of_latentmap_is_described_as_one(pickled):
    run("import", pickled, "--out", "gan.safetensors")
    assert first_line("gan.safetensors").endswith(
        "it is a model of latentmap already, which needs no import: every command takes it as it is"
    )
    with safe_open("gan.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
    own = {"latentmap": json.dumps({**header, "family": "mine"})}
    save_file({"x": torch.zeros(2)}, "mine.safetensors", own)
    assert "cannot be used: unknown model family 'mine'" in first_line("mine.safetensors")
    save_file({"x": torch.zeros(2)}, "map.safetensors", {"latentmap": '{"kind": "map"}'})
    assert first_line("map.safetensors").endswith("it is a map of latentmap, and no checkpoint")


def test_checkpoints_of_no_known_format_are_described(workdir):
    lightning = {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {"model.fc.weight": torch.ones(3, 4)},
        "hyper_parameters": {"latent_dim": 16},
    }
    text = run("import", "--inspect", _torch_file(workdir, lightning)).stdout
    assert text.splitlines()[0].endswith("'Bring your own model' in the documentation shows")
    assert "a checkpoint of PyTorch Lightning 2.4.0" in text
    assert "state_dict: unknown network, 12 numbers in 1 tensors" in text
    assert "latent_dim = 16" in text
    array = workdir / "array.pkl"
    array.write_bytes(pickle.dumps(np.ones(3)))
    text = run("import", "--inspect", array).stdout
    assert "it holds one array of shape (3,)" in text
    assert "one array or tensor" in text
    assert "a list" in run("import", "--inspect", _torch_file(workdir, [1, 2])).stdout
    found = json.loads(run("import", "--inspect", array, "--json").stdout)
    assert found["import"]["possible"] is False
    assert "is of no known format" in found["import"]["reason"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer, not the file"),
        (b"<html><title>Scan</title>", "is a web page ('Scan'), not the file itself: open"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image, and no checkpoint that can be imported: give"),
        (b"\x1f\x8b\x08", "compressed by gzip, and no checkpoint that can be imported: unpack it"),
        (b'{"a": 1}', "is JSON text, and no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named_everywhere(workdir, content, message):
    path = workdir / "network.pkl"
    path.write_bytes(content)
    assert message in shown(path)
    assert message in refusal("import", "--inspect", path)
    brief = message.split(",")[0].removeprefix("is ")
    assert brief in refusal("models", "show", path)
    assert brief in run("models", "list").stderr


def test_a_cut_off_file_of_safetensors_is_told_as_that(workdir):
    path = workdir / "other.safetensors"
    save_file({"a": torch.ones(200, 3)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    assert "is a safetensors file that is cut off or damaged" in shown(path)
