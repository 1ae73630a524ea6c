"""Training a GAN from images to a native model file, which holds its generator alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from latentmap.encoders.building import build_network
from latentmap.encoders.gan import GANModel
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.dcgan import Discriminator
from latentmap.encoders.training.batches import PixelBatches, require_batch
from latentmap.encoders.training.gan import GANRecipe
from latentmap.encoders.training.loop import Schedule, run
from latentmap.encoders.training.runs import prepare_folder, training_record
from latentmap.encoders.training.settings import check_numbers, check_precision
from latentmap.errors import ModelError
from latentmap.files import replace_atomic
from latentmap.frames import Frame
from latentmap.images import ImageSource, OnError, load_all
from latentmap.progress import Progress
from latentmap.report import image_grid

_COLUMNS = 10
_ROWS = 4  # Of samples, in a preview.


@dataclass(frozen=True)
class GANSettings:
    """What is trained, and how; the defaults give digits in 20 minutes on one processor core.

    ``config`` is the generator's (see ``GANModel``); the discriminator has its image shape and
    norm. ``steps`` takes the place of ``epochs``. ``momentum`` is Adam's first beta.

    Published for the GAN (arXiv 2207.06812): ``base`` 16, ``widths`` and ``discriminator_widths``
    128, 256, 512, ``norm`` none, ``learning_rate`` 1e-4, the last weights. Here the widths are what
    a processor can train, and the norms are those of DCGAN: without them every generator tried on
    MNIST collapsed within 300 steps, and was still collapsed after 600.
    """

    config: dict[str, Any]
    epochs: int = 10
    steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 2e-4
    momentum: float = 0.5
    discriminator_widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.2
    label_noise: float = 0.05
    average_decay: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, positive=("epochs", "learning_rate", "steps"), not_negative=("seed",))
        check_precision(self.precision)
        for name in ("momentum", "dropout", "label_noise", "average_decay"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ModelError(
                    f"{name.replace('_', ' ')} must be at least 0 and below 1, not {value}"
                )
        if self.batch_size < 2:
            raise ModelError(
                f"a GAN takes at least 2 images a step, which it compares, not {self.batch_size}"
            )


def train_gan(
    images: ImageSource,
    settings: GANSettings,
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
) -> GANModel:
    """Trains on all images of a source, writes the native model file ``out``, and gives the model.

    The file holds the averaged generator; the discriminator stays in the checkpoint of the run. A
    killed run goes on with ``resume=True``. ``record`` is added to the training record of the file.

    Raises:
        OutputError: ``out``, or a run towards it, exists, and neither ``resume`` nor ``force`` is
            set.
        ModelError: the settings do not fit each other, the images or the run that is resumed.
        ImageError: an image cannot be read.
    """
    require_batch(len(images), settings.batch_size)  # Before anything is written.
    folder = prepare_folder(out, resume=resume, force=force)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(settings.seed)
        model = GANModel(settings.config, name=out.stem, frame=frame)
        discriminator = build_network(
            "GAN discriminator",
            lambda: Discriminator(
                model.image_shape,
                widths=settings.discriminator_widths,
                dropout=settings.dropout,
                norm=settings.config["norm"],
            ),
            None,
        )
    model.to(device)
    pixels, _, skipped = load_all(images, model.view, on_error=on_error, progress=loading)
    recipe = GANRecipe(
        model.network.requires_grad_(True),
        discriminator.to(device),
        latent_dim=model.latent_dim,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        label_noise=settings.label_noise,
        average_decay=settings.average_decay,
        autocast=torch.bfloat16 if settings.precision == "bfloat16" else None,
    )
    fixed = asdict(settings)
    batches = PixelBatches(
        pixels, size=fixed.pop("batch_size"), seed=settings.seed, device=model.device
    )
    # The same codes all along, so that the pictures show how their images change.
    codes = model.sample(_ROWS * _COLUMNS, seed=0)
    figures = run(
        recipe,
        batches,
        Schedule(*(fixed.pop(name) for name in ("epochs", "seed", "steps"))),
        folder=folder,
        settings={
            "family": model.family,
            **fixed,
            "frame": model.frame.to_json(),
            "data": images.fingerprint,
        },
        resume=resume,
        preview=lambda path: _preview(recipe, pixels[:_COLUMNS], codes, path),
        progress=progress,
    )
    trained = GANModel(
        settings.config,
        name=out.stem,
        frame=model.frame,
        weights=recipe.average.state_dict(),
    )
    described = asdict(settings)
    del described["config"]
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


@torch.no_grad()
def _preview(recipe: GANRecipe, pixels: Tensor, codes: Tensor, path: Path) -> None:
    rows = [("data", pixels.float() / 255)]
    rows += [("sampled", part.cpu()) for part in recipe.average(codes).split(_COLUMNS)]
    with replace_atomic(path) as temporary:
        image_grid(rows).save(temporary)
