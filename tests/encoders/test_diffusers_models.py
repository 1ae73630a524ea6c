"""Autoencoders of diffusers: small random ones, saved and read from folders, without a network."""

import json
import shutil

import pytest
import torch

from latentmap.encoders import load
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model.testing import check_model

diffusers = pytest.importorskip("diffusers")

BLOCKS = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (4, 4),
    "norm_num_groups": 2,
}
TWO = ("ResBlock", "ResBlock")
KINDS = {
    "AutoencoderKL": {**BLOCKS, "shift_factor": 0.25},
    "VQModel": {**BLOCKS, "num_vq_embeddings": 8},
    "AutoencoderTiny": {
        "encoder_block_out_channels": (4, 4),
        "decoder_block_out_channels": (4, 4),
        "num_encoder_blocks": (1, 1),
        "num_decoder_blocks": (1, 1),
    },
    "AutoencoderDC": {
        "in_channels": 3,
        "latent_channels": 4,
        "attention_head_dim": 2,
        "encoder_block_types": TWO,
        "decoder_block_types": TWO,
        "encoder_block_out_channels": (4, 4),
        "decoder_block_out_channels": (4, 4),
        "encoder_layers_per_block": (1, 1),
        "decoder_layers_per_block": (1, 1),
        "encoder_qkv_multiscales": ((), ()),
        "decoder_qkv_multiscales": ((), ()),
        "scaling_factor": 0.4,
    },
    # Its statistics are among the weights.
    "AutoencoderKLLTXVideo": {
        "latent_channels": 4,
        "block_out_channels": (4, 4),
        "decoder_block_out_channels": (4, 4),
        "layers_per_block": (1, 1, 1),
        "decoder_layers_per_block": (1, 1, 1),
        "spatio_temporal_scaling": (True, False),
        "decoder_spatio_temporal_scaling": (True, False),
        "decoder_inject_noise": (False, False, False),
        "upsample_residual": (False, False),
        "upsample_factor": (1, 1),
        "patch_size": 1,
        "patch_size_t": 1,
        "down_block_types": ("LTXVideoDownBlock3D", "LTXVideoDownBlock3D"),
    },
    "AutoencoderKLWan": {
        "base_dim": 4,
        "z_dim": 2,
        "dim_mult": [1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False],
        "latents_mean": [0.5, -0.5],
        "latents_std": [2.0, 3.0],
        "scale_factor_spatial": 2,
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder with a small random autoencoder of each kind."""
    root = tmp_path_factory.mktemp("diffusers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kind, config in KINDS.items():
            network = getattr(diffusers, kind)(**config)
            if kind == "AutoencoderKLLTXVideo":
                network.latents_mean.copy_(torch.arange(4.0))
                network.latents_std.fill_(2)
            network.save_pretrained(root / kind)
    return root


@pytest.fixture
def copied(folders, tmp_path):
    """A copy of the KL autoencoder that a test may spoil."""
    return shutil.copytree(folders / "AutoencoderKL", tmp_path / "vae")


def original(folders, kind):
    return getattr(diffusers, kind).from_pretrained(folders / kind, low_cpu_mem_usage=False)


@pytest.mark.parametrize("kind", KINDS)
def test_an_autoencoder_keeps_the_contract_at_any_size(folders, kind):
    model = load(f"diffusers:{folders / kind}?size=16x12")
    check_model(model)
    assert model.latent_shape[1:] == (8, 6)
    larger = model.resized(20, 12)
    assert larger.latent_shape[1:] == (10, 6)
    assert not larger.space.same_as(model.space)
    assert model.resized(16, 12) is model


def test_codes_are_scaled_and_shifted_means(folders):
    model = load(f"diffusers:{folders / 'AutoencoderKL'}?size=16x16")
    network = original(folders, "AutoencoderKL")
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        found = network.encode(2 * images - 1).latent_dist
        codes = (found.mean - 0.25) * 0.18215
        decoded = (network.decode(found.mean).sample + 1) / 2
    assert torch.allclose(model.encode(images), codes.flatten(1), atol=1e-6)
    assert torch.allclose(model.decode(codes), decoded.clamp(0, 1), atol=1e-5)
    posterior = model.posterior(images)
    assert torch.allclose(
        posterior.variance, (found.var * 0.18215**2).flatten(1), rtol=1e-4, atol=1e-9
    )
    assert model.config["latents"]["mean"] == [0.25]
    assert model.latent_scaling == ((0.25,), (pytest.approx(1 / 0.18215),))


def test_videos_of_one_frame_are_images_and_channels_have_statistics_of_their_own(folders):
    model = load(f"diffusers:{folders / 'AutoencoderKLWan'}?size=16x16")
    network = original(folders, "AutoencoderKLWan")
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        mean = network.encode(2 * images.unsqueeze(2) - 1).latent_dist.mean.squeeze(2)
    codes = (mean - torch.tensor([0.5, -0.5]).view(1, 2, 1, 1)) / torch.tensor([2.0, 3.0]).view(
        1, 2, 1, 1
    )
    assert torch.allclose(model.encode(images), codes.flatten(1), atol=1e-5)


def test_statistics_among_the_weights_are_applied(folders):
    model = load(f"diffusers:{folders / 'AutoencoderKLLTXVideo'}?size=8x8")
    assert model.latent_scaling == ((0, 1, 2, 3), (2, 2, 2, 2))
    assert model.config["latents"] == {"mean": [0, 1, 2, 3], "std": [2, 2, 2, 2]}


def test_codes_of_half_precision_are_scaled_in_full(folders):
    model = load(f"diffusers:{folders / 'AutoencoderKL'}?size=16x16")
    pixels = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    images = pixels.float() / 255
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mean = original(folders, "AutoencoderKL").encode(2 * images - 1).latent_dist.mean
    codes = (mean.double() - 0.25) * 0.18215
    found = model.encode_pixels(pixels, precision="bfloat16")
    assert torch.allclose(found.double(), codes.flatten(1), rtol=1e-5, atol=1e-6)


def test_latents_that_are_not_scaled_have_no_scaling(folders):
    assert load(f"diffusers:{folders / 'AutoencoderTiny'}?size=8x8").latent_scaling is None


def test_what_a_configuration_leaves_out_is_as_in_the_library(copied, folders):
    path = copied / "config.json"
    config = json.loads(path.read_text())
    del config["scaling_factor"]
    path.write_text(json.dumps(config))
    model = load(f"diffusers:{copied}?size=8x8")
    assert model.config["latents"]["std"] == [pytest.approx(1 / 0.18215)]


def test_the_name_of_the_folder_is_no_part_of_the_space(copied, folders):
    one = load(f"diffusers:{folders / 'AutoencoderKL'}?size=8x8")
    other = load(f"diffusers:{copied.parent}:vae?size=8x8")
    assert one.space.same_as(other.space)
    assert one.name == "diffusers:AutoencoderKL"


def test_weights_in_several_files_are_read(copied, folders):
    network = original(folders, "AutoencoderKL")
    (copied / "diffusion_pytorch_model.safetensors").unlink()
    network.save_pretrained(copied, max_shard_size="8KB")
    assert (copied / "diffusion_pytorch_model.safetensors.index.json").exists()
    one = load(f"diffusers:{folders / 'AutoencoderKL'}?size=8x8")
    assert load(f"diffusers:{copied}?size=8x8").space.same_as(one.space)


def test_the_size_of_the_images_is_said_where_it_does_not_fit(folders):
    with pytest.raises(ModelError, match="multiples of 2, not 9x16: give a size such as 8x16"):
        load(f"diffusers:{folders / 'AutoencoderKL'}?size=9x16")


def test_a_size_that_no_image_has_is_not_tried(copied):
    change_config(sample_size=10**9)(copied)
    assert load(f"diffusers:{copied}").image_shape == (3, 256, 256)


def test_another_size_is_seen_through_the_same_frame(folders):
    model = load(f"diffusers:{folders / 'AutoencoderKL'}?size=8x8")
    other = model.seen_through(Frame("center")).resized(16, 16)
    assert other.frame.name == "center"
    assert other.space.same_as(model.resized(16, 16).space)


def spoil_weights(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("decoder.conv_in.bias")
    save_file(weights, path)


def rename_weights(folder):
    path = folder / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))


def lead_out(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "../other.safetensors"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def name_too_long(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "a" * 300 + ".safetensors"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def name_code(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "weights.bin"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def name_code_beside_weights(folder):
    index = {"metadata": {}, "weight_map": {"a": "weights.bin"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def change_config(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_weights, "lacks 1 of the weights, such as decoder.conv_in.bias"),
        (rename_weights, "but diffusion_pytorch_model.bin, which may hold code: save the model"),
        (lambda folder: (folder / "config.json").unlink(), r"has no config\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not as it should be"),
        (
            lambda folder: (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"x" * 99),
            r"safetensors is not as it should be",
        ),
        (lambda folder: (folder / "diffusion_pytorch_model.safetensors").unlink(), "no others"),
        (lead_out, r"names '\.\./other\.safetensors', which is no safetensors file beside it"),
        (name_too_long, r"index\.json cannot be read: File name too long"),
        (name_code, r"names 'weights\.bin', which is no safetensors file beside it"),
        (name_code_beside_weights, r"names 'weights\.bin', which is no safetensors file beside it"),
        (change_config(_class_name="UNet2DModel"), "'UNet2DModel', which is no autoencoder"),
        (change_config(_class_name="os.system"), r"'os\.system', which is no autoencoder"),
        (change_config(_class_name=["AutoencoderKL"]), "which is no autoencoder"),
        (change_config(quantization_config={}), "asks for quantization_config"),
        (change_config(scaling_factor="x"), "scaling_factor in config.json must be numbers above"),
        (change_config(scaling_factor=0), "scaling_factor in config.json must be numbers above 0"),
        (change_config(block_out_channels=[20000, 20000]), r"it describes [\d,]+ numbers, more"),
        (change_config(layers_per_block=10**6), "it describes more parameters than"),
        (change_config(layers_per_block=10**40), "it describes more parameters than"),
        (change_config(latents_mean=[1, 2, 3]), "have 4 channels, but 3 means"),
        (change_config(block_out_channels=[4]), "is not as diffusers wants it"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused_in_one_line(copied, spoil, message):
    spoil(copied)
    with pytest.raises(ModelError, match=message) as caught:
        load(f"diffusers:{copied}?size=8x8")
    assert "\n" not in str(caught.value)


def test_a_pipeline_says_which_folder_to_name(copied):
    (copied.parent / "model_index.json").write_text("{}")
    with pytest.raises(ModelError, match="it is a whole pipeline; name the folder of one model"):
        load(f"diffusers:{copied.parent}")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no/such/folder", "there is no folder no/such/folder: give one, or the id"),
        ("{0}:other", "there is no folder 'other' in"),
        ("{0}:../vae", "leads out of"),
        ("{0}?depth=3", "there is no option 'depth' here: it takes none"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(copied, reference, message):
    with pytest.raises(ModelError, match=message):
        load(f"diffusers:{reference.format(copied)}")


def test_without_a_network_an_id_is_refused_in_one_line(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(tmp_path)

    def refuse(name, *, allow_patterns):
        assert name == "someone/vae"
        assert "sub/config.json" in allow_patterns
        assert all(pattern.endswith((".json", ".safetensors")) for pattern in allow_patterns)
        raise OSError("[Errno -2] Name or service not known\nand more")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"no model of this id can be had .*Name or service"):
        load("diffusers:someone/vae:sub")


def test_an_id_is_downloaded_and_read_as_a_folder(monkeypatch, copied):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **_: str(copied))
    assert load("diffusers:someone/vae?size=8x8").name == "diffusers:vae"
