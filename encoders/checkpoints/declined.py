"""Networks that are known by the names of their tensors and cannot become a model.

The one table of them: what a file holds is said, in place of a list of names that tell nobody
anything. Some resemble a network that can be imported, and would be taken for a damaged one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Why a network cannot become a model.
_LAYERS = "its layers are others than those of StyleGAN 1, 2 and 3"
_GROWN = "it has neither a mapping network nor styles"
_TEXT = "its images depend on a text as well as on the code"
_VOLUME = "it renders a volume, seen from a camera, in place of decoding a code"
_STEPS = "it makes images in many steps out of noise, and not of one code"
_DIFFUSERS = "its layers stand in the config.json beside it: give that folder as diffusers:FOLDER"
_TRANSLATES = "it makes images of images, and not of codes"
_CLASSES = "its images depend on a class in every layer, and there is no adapter for it here"
_NO_IMAGES = "it makes no images"
_DECODER = re.compile(r"(?:^|[./])(?:decoder|generator|netG)[./]", re.MULTILINE)
_SEES = (
    "its file does not say all of it: give the folder as transformers:FOLDER, or its name as "
    "timm:NAME:FILE"
)
_NO_ADAPTER = (
    "there is no adapter for it here: one has some twenty lines, as 'Bring your own model' in the "
    "documentation shows"
)


@dataclass(frozen=True)
class Declined:
    """A kind of network that cannot be imported.

    ``signs`` are regular expressions for the names of tensors, without the modules around them:
    each has to match. ``reason`` completes "it cannot be converted, because ...".
    """

    kind: str
    signs: tuple[str, ...]
    reason: str

    def refusal(self, name: str) -> str:
        """The message for a network that stands in its file under ``name``."""
        article = "an" if self.kind[0] in "AEIOaeio" else "a"
        return (
            f"{name} is {article} {self.kind}: its file can be inspected, but it cannot be "
            f"converted, because {self.reason}"
        )


# The first whose signs are all there is it: particular kinds stand before general ones.
DECLINED = (
    # Derived from NVIDIA's repositories.
    Declined(
        "EG3D generator",
        (r"backbone\.synthesis\.b4\.const", r"(superresolution|decoder\.net)\."),
        _VOLUME,
    ),
    Declined(
        "StyleGAN-XL generator",
        (r"synthesis\.input\.freqs", r"mapping\.embed_proj\.weight"),
        "its layers and its mapping are others than those of StyleGAN 3",
    ),
    Declined("StyleGAN-T generator", (r"b\d+\.\w+\.affine\.proj\.weight",), _TEXT),
    Declined(
        "FastGAN generator of a Projected GAN",
        (r"synthesis\.init\.init\.0\.weight", r"synthesis\.feat_8\."),
        _LAYERS,
    ),
    # Derived from rosinality's.
    Declined("SWAGAN generator", (r"style\.1\.weight", r"iwt\.ll$"), _LAYERS),
    Declined("StyleSwin or StyleNAT generator", (r"blocks\.0\.norm1\.style\.weight",), _LAYERS),
    Declined(
        "StyleGAN2 generator of MMGeneration",
        (r"style_mapping\.1\.weight", r"constant_input\.weight"),
        "its layout is not supported; give the file that it was converted from",
    ),
    Declined(
        "StyleGAN2 generator of BasicSR or GFPGAN",
        (r"style_mlp\.1\.weight", r"constant_input\.weight"),
        _LAYERS,
    ),
    # Others with styles.
    Declined(
        "StyleGAN1 generator of idinvert",
        (r"synthesis\.layer1\.epilogue\.bias",),
        "its layout is not supported; give the generator in genforce's or the TensorFlow form",
    ),
    Declined(
        "StyleGAN2 generator of lucidrains' stylegan2-pytorch",
        (r"blocks\.0\.to_noise1\.weight", r"blocks\.0\.to_style1\.weight"),
        _LAYERS,
    ),
    Declined("ALAE autoencoder", (r"decode_block\.0\.style_1\.weight",), _LAYERS),
    Declined("GigaGAN generator", (r"style_to_conv_modulations\.weight",), _LAYERS),
    Declined(
        "StyleGAN1 generator of pytorch_GAN_zoo",
        (r"scaleLayers\.0\.0\.module\.weight", r"noiseModulators\."),
        _LAYERS,
    ),
    # Without styles.
    Declined("lightweight GAN of lucidrains", (r"D\.to_shape_disc_out\.0\.weight",), _LAYERS),
    Declined("FastGAN generator", (r"init\.init\.0\.weight", r"feat_8\."), _LAYERS),
    Declined(
        "BigGAN generator",
        (r"blocks\.0\.0\.bn1\.(gain|bias|embed)\b", r"output_layer\."),
        _CLASSES,
    ),
    Declined(
        "BigGAN generator",
        (r"gen_z\.weight", r"layers\.0\.bn_0\."),
        _CLASSES,
    ),
    Declined("progressive GAN generator", (r"4x4/Dense/weight", r"ToRGB_lod0/weight"), _GROWN),
    Declined(
        "progressive GAN generator",
        (r"scaleLayers\.0\.0\.module\.weight", r"toRGBLayers\."),
        _GROWN,
    ),
    Declined(
        "progressive GAN generator", (r"^layer0\.weight", r"^output0\.weight", r"^lod$"), _GROWN
    ),
    Declined("progressive GAN generator", (r"progression_4\.", r"to_rgb_\d+\."), _GROWN),
    Declined(
        "progressive or multi-scale GAN generator",
        (r"rgb_converters\.0\.weight", r"layers\.\d+\.conv_1\."),
        _GROWN,
    ),
    Declined("pi-GAN generator", (r"siren\.network\.0\.layer\.weight",), _VOLUME),
    # Small autoencoders.
    Declined(
        "VAE of pythae",
        (r"encoder\.embedding\.weight", r"encoder\.log_var\.weight", r"decoder\.layers\.0\."),
        _NO_ADAPTER,
    ),
    # Networks that turn images into images.
    Declined("StarGAN 2 generator", (r"decode\.0\.norm1\.fc\.weight",), _TRANSLATES),
    Declined("CycleGAN or pix2pix generator", (r"model\.10\.conv_block\.1\.weight",), _TRANSLATES),
    Declined("SPADE generator", (r"head_0\.norm_0\.mlp_gamma\.weight",), _TRANSLATES),
    # Diffusion, and what stands around it.
    Declined(
        "Stable Diffusion or latent diffusion model",
        (r"model\.diffusion_model\.input_blocks\.0\.0\.weight",),
        _STEPS,
    ),
    Declined(
        "U-Net of a diffusion model", (r"input_blocks\.0\.0\.weight", r"time_embed\."), _STEPS
    ),
    Declined(
        "U-Net of a diffusion model",
        (r"down_blocks\.0\.", r"time_embedding\.linear_1\.weight"),
        _STEPS,
    ),
    Declined("U-Net of a diffusion model", (r"temb\.dense\.0\.weight", r"conv_in\."), _STEPS),
    Declined("U-Net of a diffusion model", (r"downs\.0\.0\.", r"time_mlp\.1\.weight"), _STEPS),
    Declined(
        "U-Net of a diffusion model",
        (r"enc\.\d+x\d+_conv\.weight", r"(map_layer0|map_noise|emb_noise)\."),
        _STEPS,
    ),
    Declined(
        "transformer of a diffusion model",
        (r"x_embedder\.proj\.weight", r"blocks\.0\.adaLN_modulation\.1\.weight"),
        _STEPS,
    ),
    Declined(
        "VQGAN or VQ-VAE", (r"(quantize|quantizer|codebook|vq)\.embedding\.weight",), _NO_ADAPTER
    ),
    Declined("VQ-VAE", (r"quantize_[tb]\.embed$",), _NO_ADAPTER),
    Declined(
        "AutoencoderKL of diffusers",
        (r"encoder\.down_blocks\.0\.resnets\.", r"decoder\.up_blocks\.0\.resnets\."),
        _DIFFUSERS,
    ),
    Declined(
        "autoencoder of a latent diffusion model",
        (r"quant_conv\.weight", r"decoder\.(up\.0\.block|up_blocks)\."),
        _NO_ADAPTER,
    ),
    Declined("very deep VAE", (r"dec_blocks\.0\.", r"enc_blocks\.0\."), "its codes are many grids"),
    # Networks that see.
    Declined("CLIP model", (r"(text_projection|text_model\.)", r"visual|vision_model"), _SEES),
    Declined("ArcFace network", (r"body\.0\.res_layer\.1\.weight", r"output_layer\."), _NO_IMAGES),
    Declined("LPIPS network", (r"lin0\.model\.1\.weight",), _NO_IMAGES),
    Declined("Inception network", (r"Mixed_5b\.branch1x1\.conv\.weight",), _NO_IMAGES),
    Declined(
        "vision transformer",
        (r"cls_token|class_token", r"(patch_embed|conv_proj|embeddings)"),
        _SEES,
    ),
    Declined("classifier (ResNet)", (r"layer1\.0\.conv1\.weight", r"fc\.weight"), _SEES),
    Declined(
        "classifier (VGG, AlexNet, MobileNet, ...)",
        (r"features\.0\.(0\.|conv0\.)?weight|features\.conv0\.weight", r"classifier\."),
        _SEES,
    ),
)


def declined_kind(names: Iterable[str]) -> Declined | None:
    """The kind of network in the table that has tensors of these names; None where there is none.

    Modules around a network, whose names stand before those of its tensors, hide nothing. What has
    a decoder makes images, whatever network stands in its encoder or in its loss.
    """
    lines = "\n".join(names)
    decodes = _DECODER.search(lines) is not None
    rows = (row for row in DECLINED if not (decodes and row.reason in (_NO_IMAGES, _SEES)))
    return next((row for row in rows if all(_found(sign, lines) for sign in row.signs)), None)


def _found(sign: str, lines: str) -> bool:
    start = "" if sign.startswith("^") else r"(?:^|[./])"
    return re.search(rf"{start}(?:{sign})", lines, re.MULTILINE) is not None
