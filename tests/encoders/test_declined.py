"""Networks that cannot become a model are called by their name, and refused with the reason."""

import numpy as np
import pytest
import torch

from latentmap.encoders.checkpoints.declined import DECLINED, declined_kind
from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.errors import CheckpointError
from tests.encoders import foreign_writers, nvlabs_writer, tensorflow_writer
from tests.encoders.foreign_writers import STYLEGAN2, random_weights, save

# What it is -> some names of tensors that such a file has, and one in which they stand.
NAMES = {
    "EG3D generator": (
        "backbone.mapping.fc0.weight backbone.synthesis.b4.const "
        "superresolution.block0.conv0.weight decoder.net.0.weight"
    ),
    "StyleGAN-XL generator": "mapping.embed_proj.weight synthesis.input.freqs mapping.w_avg",
    "StyleGAN-T generator": "mapping.mlp.fc0.weight synthesis.b8.conv0.affine.proj.weight",
    "FastGAN generator of a Projected GAN": (
        "synthesis.init.init.0.weight_orig synthesis.feat_8.1.weight_orig synthesis.to_big.weight"
    ),
    "SWAGAN generator": "style.1.weight input.input conv1.conv.weight to_rgbs.0.iwt.ll iwt.ll",
    "StyleSwin or StyleNAT generator": (
        "style.1.weight input.input layers.0.blocks.0.norm1.style.weight to_rgbs.0.conv.weight"
    ),
    "StyleGAN2 generator of MMGeneration": (
        "generator_ema.style_mapping.1.weight generator_ema.constant_input.weight"
    ),
    "StyleGAN2 generator of BasicSR or GFPGAN": (
        "stylegan_decoder.style_mlp.1.weight stylegan_decoder.constant_input.weight"
    ),
    "StyleGAN1 generator of idinvert": (
        "mapping.dense0.fc.weight synthesis.layer1.epilogue.bias synthesis.output5.bias"
    ),
    "StyleGAN2 generator of lucidrains' stylegan2-pytorch": (
        "S.net.0.weight G.initial_block G.blocks.0.to_style1.weight G.blocks.0.to_noise1.weight"
    ),
    "ALAE autoencoder": "const decode_block.0.style_1.weight decode_block.0.noise_weight_1",
    "GigaGAN generator": "init_block style_network.net.0.weight style_to_conv_modulations.weight",
    "StyleGAN1 generator of pytorch_GAN_zoo": (
        "scaleLayers.0.0.module.weight toRGBLayers.0.module.weight noiseModulators.0.0.weight"
    ),
    "lightweight GAN of lucidrains": (
        "G.initial_conv.1.weight D.to_shape_disc_out.0.weight GE.out_conv.weight"
    ),
    "FastGAN generator": (
        "module.init.init.0.weight_orig module.feat_8.1.weight_orig module.se_64.main.1.weight_orig"
    ),
    "BigGAN generator": (
        "shared.weight linear.weight blocks.0.0.bn1.gain.weight output_layer.0.gain"
    ),
    "progressive GAN generator": (
        "scaleLayers.0.0.module.weight toRGBLayers.0.module.weight formatLayer.module.weight"
    ),
    "progressive or multi-scale GAN generator": (
        "layers.0.conv_1.weight layers.1.conv_1.weight rgb_converters.0.weight"
    ),
    "pi-GAN generator": "siren.network.0.layer.weight siren.mapping_network.network.0.weight",
    "VAE of pythae": (
        "encoder.layers.0.0.weight encoder.embedding.weight encoder.log_var.weight "
        "decoder.layers.0.0.weight"
    ),
    "StarGAN 2 generator": "from_rgb.weight decode.0.norm1.fc.weight to_rgb.2.weight",
    "CycleGAN or pix2pix generator": "model.1.weight model.10.conv_block.1.weight",
    "SPADE generator": "fc.weight head_0.norm_0.mlp_gamma.weight up_0.conv_0.weight_orig",
    "Stable Diffusion or latent diffusion model": (
        "model.diffusion_model.input_blocks.0.0.weight first_stage_model.quant_conv.weight "
        "model.diffusion_model.time_embed.0.weight"
    ),
    "U-Net of a diffusion model": "input_blocks.0.0.weight time_embed.0.weight",
    "transformer of a diffusion model": (
        "x_embedder.proj.weight t_embedder.mlp.0.weight blocks.0.adaLN_modulation.1.weight"
    ),
    "VQGAN or VQ-VAE": "encoder.conv_in.weight quantize.embedding.weight",
    "VQ-VAE": "enc_b.blocks.0.weight quantize_t.embed quantize_b.embed",
    "AutoencoderKL of diffusers": (
        "encoder.down_blocks.0.resnets.0.conv1.weight decoder.up_blocks.0.resnets.0.conv1.weight "
        "quant_conv.weight"
    ),
    "autoencoder of a latent diffusion model": (
        "quant_conv.weight decoder.up_blocks.0.resnets.0.conv1.weight"
    ),
    "very deep VAE": "decoder.dec_blocks.0.enc.c1.weight encoder.enc_blocks.0.c1.weight",
    "CLIP model": "text_model.embeddings.token_embedding.weight vision_model.post_layernorm.weight",
    "ArcFace network": "input_layer.0.weight body.0.res_layer.1.weight output_layer.3.weight",
    "LPIPS network": "lin0.model.1.weight lin1.model.1.weight",
    "Inception network": "Mixed_5b.branch1x1.conv.weight fc.weight",
    "vision transformer": "cls_token patch_embed.proj.weight blocks.0.attn.qkv.weight",
    "classifier (ResNet)": "conv1.weight layer1.0.conv1.weight fc.weight",
    "classifier (VGG, AlexNet, MobileNet, ...)": "features.0.weight classifier.0.weight",
}
MORE = [
    ("BigGAN generator", "generator.gen_z.weight generator.layers.0.bn_0.running_means"),
    ("BigGAN generator", "generator.gen_z.weight_orig generator.layers.0.bn_0.scale.weight_orig"),
    ("progressive GAN generator", "lod layer0.weight layer0.bias layer1.weight output0.weight"),
    ("progressive GAN generator", "progression_4.conv.0.weight to_rgb_8.weight"),
    ("U-Net of a diffusion model", "time_embedding.linear_1.weight down_blocks.0.resnets.0.conv1"),
    ("U-Net of a diffusion model", "temb.dense.0.weight conv_in.weight down.0.block.0.conv1.bias"),
    ("U-Net of a diffusion model", "model.downs.0.0.mlp.1.weight model.time_mlp.1.weight betas"),
    ("U-Net of a diffusion model", "model.map_layer0.weight model.enc.64x64_conv.weight"),
    (
        "autoencoder of a latent diffusion model",
        "quant_conv.weight decoder.up.0.block.0.conv1.bias",
    ),
    ("CLIP model", "text_projection visual.conv1.weight logit_scale"),
    ("classifier (VGG, AlexNet, MobileNet, ...)", "features.conv0.weight classifier.weight"),
    ("classifier (VGG, AlexNet, MobileNet, ...)", "features.0.0.weight classifier.1.weight"),
    ("vision transformer", "class_token conv_proj.weight encoder.layers.0.mlp.0.weight"),
]
CASES = [*NAMES.items(), *MORE]


def tensors(names):
    return {name: torch.ones(2, 2) for name in names.split()}


def refused(path):
    recognised = recognise(open_foreign(path))
    with pytest.raises(CheckpointError) as refusal:
        recognised.convert()
    return recognised, str(refusal.value)


def test_every_kind_of_the_table_has_a_case():
    assert {row.kind for row in DECLINED} == {kind for kind, _ in CASES}


@pytest.mark.parametrize(("kind", "names"), CASES)
@pytest.mark.parametrize("place", ["alone", "entry", "inner"])
def test_a_network_that_cannot_be_imported_is_called_by_its_name(tmp_path, kind, names, place):
    state = tensors(names)
    contents = {
        "alone": state,
        "entry": {"G_ema": state, "step": 3},
        "inner": {"models": {"generator_s": state}},
    }[place]
    save(contents, tmp_path / "file")
    recognised, message = refused(tmp_path / "file")
    assert recognised.networks[0].kind == kind
    place_in_file = {"alone": "network", "entry": "G_ema", "inner": "models.generator_s"}[place]
    assert message.startswith(f"{place_in_file} is a")
    assert f" {kind}: its file can be inspected, but it cannot be converted, because " in message
    assert "\n" not in message


def test_the_generator_of_a_persistence_pickle_is_called_by_its_name(tmp_path):
    names = NAMES["EG3D generator"].split()
    generator = nvlabs_writer.other_network("TriPlaneGenerator", *names)
    contents = {"G": generator, "D": nvlabs_writer.discriminator(), "G_ema": generator}
    nvlabs_writer.write(tmp_path / "file", {**contents, "training_set_kwargs": {"path": "x"}})
    recognised, message = refused(tmp_path / "file")
    kinds = [network.kind for network in recognised.networks]
    assert kinds == ["EG3D generator", "discriminator", "EG3D generator"]
    assert recognised.options == {"path": "x"}
    assert message.startswith("G is an EG3D generator: ")
    assert "it renders a volume" in message


def test_the_progressive_gan_of_tensorflow_is_called_by_its_name(tmp_path):
    ones = np.ones((2, 2), np.float32)
    generator = {"lod": np.float32(0), "4x4/Dense/weight": ones, "ToRGB_lod0/weight": ones}
    networks = [
        tensorflow_writer.Network("G", generator, function="G_paper"),
        tensorflow_writer.discriminator(),
        tensorflow_writer.Network("Gs", generator, function="G_paper"),
    ]
    tensorflow_writer.write(tmp_path / "file", tuple(networks))
    _, message = refused(tmp_path / "file")
    assert message.startswith("G is a progressive GAN generator: ")
    assert "neither a mapping network nor styles" in message


def test_a_swagan_is_not_taken_for_a_damaged_stylegan2(tmp_path):
    state = foreign_writers.rosinality_state(STYLEGAN2, random_weights("stylegan2", STYLEGAN2))
    wavelet = {"iwt.ll": torch.ones(2, 2), "to_rgbs.0.dwt.ll": torch.ones(2, 2)}
    save({"g_ema": state | wavelet, "args": {"size": 32}}, tmp_path / "file")
    recognised, message = refused(tmp_path / "file")
    assert recognised.options == {"size": 32}
    assert message.startswith("g_ema is a SWAGAN generator: ")


def test_a_network_beside_a_generator_that_can_be_imported_does_not_hinder(tmp_path):
    weights = random_weights("stylegan2", STYLEGAN2)
    encoder = tensors(NAMES["ArcFace network"])
    contents = foreign_writers.around_rosinality(STYLEGAN2, weights, encoder=encoder)
    contents["state_dict"] |= {f"face.{name}": value for name, value in encoder.items()}
    save(contents, tmp_path / "file")
    recognised = recognise(open_foreign(tmp_path / "file"))
    assert recognised.convert().family == "stylegan2"
    assert recognised.networks[0].kind == "StyleGAN2 generator"


def test_what_has_a_decoder_makes_images_whatever_is_in_its_encoder_or_its_loss():
    for kind in ("LPIPS network", "classifier (ResNet)", "CLIP model"):
        names = [f"model.{name}" for name in NAMES[kind].split()]
        assert declined_kind(names).kind == kind
        assert declined_kind([*names, "model.decoder.0.weight"]) is None


def test_the_article_is_that_of_the_kind():
    for kind, article in [
        ("EG3D g", "an"),
        ("autoencoder of", "an"),
        ("U-Net", "a"),
        ("SPADE", "a"),
    ]:
        message = next(row for row in DECLINED if row.kind.startswith(kind)).refusal("x")
        assert message.startswith(f"x is {article} {kind}")


def test_names_that_tell_nothing_are_of_no_kind():
    assert declined_kind(["weight", "bias", "main.0.weight", "encoder.layers.0.weight"]) is None
    assert declined_kind([]) is None
