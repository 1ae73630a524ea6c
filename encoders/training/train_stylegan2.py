"""Training a StyleGAN 2 from images to a native model file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan2_discriminator import GROUP, Discriminator
from latentmap.encoders.stylegan import StyleGAN2Model
from latentmap.encoders.training.augmentation import AUGMENTATIONS
from latentmap.encoders.training.batches import PixelBatches, require_batch
from latentmap.encoders.training.loop import Schedule, run
from latentmap.encoders.training.runs import prepare_folder, training_record
from latentmap.encoders.training.settings import check_numbers, check_precision
from latentmap.encoders.training.stylegan2 import Balance, Networks, StyleGAN2Recipe
from latentmap.errors import ModelError
from latentmap.files import replace_atomic
from latentmap.frames import Frame
from latentmap.images import ImageSource, OnError, load_all
from latentmap.progress import Progress
from latentmap.report import mosaic

_PREVIEWS = 64


@dataclass(frozen=True)
class StyleGAN2Settings:
    """What is trained, and how; the defaults are for 32 and 64 pixels on a few processor cores.

    ``image_shape`` is ``(c, r, r)``. Layers have ``width`` channels at the full size, twice as many
    at every halving, up to ``max_width``; 4 pixels included. Published: 16384 / r and 512.
    ``latent_dim`` is the size of z and of w. ``steps`` takes the place of ``epochs``. ``r1`` is the
    weight of the gradient penalty, gamma, ``path_weight`` that of the path length penalty
    (published: 2), ``mixing`` the share of images that mix two codes (published: 0.9; small images
    become diverse sooner without), ``average`` the images after which a weight counts half in the
    average. ``augment`` is the probability of the
    ``augmentations`` (names of ``AUGMENTATIONS``), None adapts it.

    With a gamma of 0.0002 r^2 / batch size, the rule for long trainings (arXiv 2006.06676), or of
    1, digits of 32 pixels went from one shape to the next for 25,000 images; with 10, as published
    for R1 itself, they were of many shapes by then.
    """

    image_shape: tuple[int, int, int]
    epochs: int = 10
    steps: int | None = None
    batch_size: int = 16
    latent_dim: int = 64
    mapping_layers: int = 2
    width: int = 16
    max_width: int = 128
    learning_rate: float = 0.0025
    r1: float = 10.0
    path_weight: float = 0.0
    mixing: float = 0.0
    average: float = 10_000.0
    augment: float | None = None
    augmentations: tuple[str, ...] = ("translate", "scale", "color")
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        height, width = self.image_shape[1:]
        if height != width or height < 8 or height & (height - 1):
            raise ModelError(
                f"a StyleGAN makes square images of 8, 16, 32, 64, ... pixels, not {height}x{width}"
                f": give --size {_nearest(max(height, width))}"
            )
        sizes = ("batch_size", "latent_dim", "mapping_layers", "width", "max_width")
        check_numbers(
            self,
            positive=("epochs", "steps", *sizes, "learning_rate", "average"),
            not_negative=("r1", "path_weight", "seed"),
        )
        check_precision(self.precision)
        for name in ("mixing", "augment"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ModelError(f"{name} is a probability from 0 to 1, not {value}")
        if self.batch_size % GROUP:
            raise ModelError(
                f"the discriminator compares images in groups of {GROUP}: the batch size must be a "
                f"multiple of it, not {self.batch_size}"
            )
        if self.augment and not self.augmentations:
            raise ModelError(
                f"augment is {self.augment}, but there are no augmentations: name some, or leave "
                "it out"
            )
        for name in self.augmentations:
            if name not in AUGMENTATIONS:
                raise ModelError(
                    f"unknown augmentation {name!r}: choose of {', '.join(AUGMENTATIONS)}"
                )

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the generator (see ``latentmap.encoders.nets.stylegan2``)."""
        side = self.image_shape[1]
        sizes = [4 * 2**i for i in range(side.bit_length() - 2)]
        return {
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "z_dim": self.latent_dim,
            "c_dim": 0,
            "label": "none",
            "embed_dim": 0,
            "channels": [min(self.max_width, self.width * (side // size)) for size in sizes],
            "mapping_layers": self.mapping_layers,
            "mapping_multiplier": 0.01,
            "architecture": "skip",
            "conv_clamp": None,
        }

    @property
    def balance(self) -> Balance:
        """The weights of the recipe."""
        return Balance(
            self.r1, self.path_weight, self.mixing, self.average, self.augment, self.augmentations
        )


def train_stylegan2(
    images: ImageSource,
    settings: StyleGAN2Settings,
    *,
    out: Path,
    frame: Frame | None = None,
    device: str | torch.device = "cpu",
    resume: bool = False,
    force: bool = False,
    on_error: OnError = "stop",
    record: dict[str, Any] | None = None,
    loading: Progress | None = None,
    progress: Progress | None = None,
) -> StyleGAN2Model:
    """Trains on all images of a source, writes the native model file ``out``, and gives the model.

    The model is the moving average of the generator; the discriminator stays in the checkpoint. A
    killed run goes on with ``resume=True``. ``record`` is added to the training record of the file.

    Raises:
        OutputError: ``out``, or a run towards it, exists, and neither ``resume`` nor ``force`` is
            set.
        ModelError: the settings do not fit the images or the run that is resumed.
        ImageError: an image cannot be read.
    """
    require_batch(len(images), settings.batch_size)  # Before anything is written.
    folder = prepare_folder(out, resume=resume, force=force)
    config = settings.config
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(settings.seed)
        model = build("stylegan2", config, name=out.stem, frame=frame)
        assert isinstance(model, StyleGAN2Model)
        assert isinstance(model.network, StyleGAN2)
        discriminator = Discriminator(settings.image_shape, config["channels"])
        networks = Networks(StyleGAN2(config), model.network, discriminator)
    model.to(device)
    networks.to(device)
    pixels, _, skipped = load_all(images, model.view, on_error=on_error, progress=loading)
    recipe = StyleGAN2Recipe(
        networks,
        settings.balance,
        learning_rate=settings.learning_rate,
        dtype=getattr(torch, settings.precision),
    )
    fixed = asdict(settings)
    batches = PixelBatches(
        pixels, size=fixed.pop("batch_size"), seed=settings.seed, device=model.device
    )
    figures = run(
        recipe,
        batches,
        Schedule(*(fixed.pop(name) for name in ("epochs", "seed", "steps"))),
        folder=folder,
        settings={
            **fixed,
            "recipe": "stylegan2",
            "frame": model.frame.to_json(),
            "data": images.fingerprint,
        },
        resume=resume,
        preview=lambda path: _preview(model, path),
        progress=progress,
    )
    # A new object, because the fingerprint is that of the trained weights.
    trained = build(
        "stylegan2",
        config,
        name=out.stem,
        frame=model.frame,
        weights=model.network.state_dict(),
    )
    assert isinstance(trained, StyleGAN2Model)
    described = asdict(settings)
    training = training_record(
        described,
        figures,
        data=images.fingerprint,
        images=len(pixels),
        skipped=[str(images.ids[position]) for position, _ in skipped],
        **(record or {}),
    )
    save_model(trained, out, training=training)
    return trained


def _nearest(side: int) -> int:
    """The power of two, 8 or more, that is nearest to a side by ratio."""
    return max(8, 1 << round(math.log2(side)))


def _preview(model: StyleGAN2Model, path: Path) -> None:
    samples = model.decode(model.sample(_PREVIEWS, seed=0))
    with replace_atomic(path) as temporary:
        mosaic(samples.cpu(), scale=1).save(temporary)
