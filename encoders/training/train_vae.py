"""Training a VAE or a Split-VAE from images to a native model file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.encoders.training.batches import PixelBatches, require_batch
from latentmap.encoders.training.loop import Schedule, run
from latentmap.encoders.training.runs import prepare_folder, training_record
from latentmap.encoders.training.settings import check_numbers, check_precision
from latentmap.encoders.training.vae import VAERecipe
from latentmap.encoders.vae import GaussianVAE
from latentmap.files import replace_atomic
from latentmap.frames import Frame
from latentmap.images import ImageSource, OnError, load_all
from latentmap.progress import Progress
from latentmap.report import image_grid

_PREVIEWS = 10


@dataclass(frozen=True)
class VAESettings:
    """What is trained, and how; the defaults are those published for the VAE.

    The Split-VAE was published with ``beta`` 3, on MNIST 8.
    ``config`` is the network's (see the family's adapter). ``steps`` takes the place of ``epochs``.
    ``gamma`` fixes the balance of the loss, which otherwise follows the error; ``beta`` weighs the
    KL divergence.
    """

    family: str
    config: dict[str, Any]
    epochs: int
    steps: int | None = None
    batch_size: int = 100
    learning_rate: float = 1e-4
    beta: float = 1.0
    gamma: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=("epochs", "batch_size", "learning_rate", "steps", "gamma"),
            not_negative=("beta", "seed"),
        )
        check_precision(self.precision)


def train_vae(
    images: ImageSource,
    settings: VAESettings,
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
) -> GaussianVAE:
    """Trains on all images of a source, writes the native model file ``out``, and gives the model.

    A killed run goes on with ``resume=True``. ``record`` is added to the training record of the
    file.

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
        model = build(settings.family, settings.config, name=out.stem, frame=frame)
    assert isinstance(model, GaussianVAE)
    model.to(device)
    pixels, _, skipped = load_all(images, model.view, on_error=on_error, progress=loading)
    recipe = VAERecipe(
        model.network.requires_grad_(True),
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        gamma=settings.gamma,
        autocast=torch.bfloat16 if settings.precision == "bfloat16" else None,
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
        settings={**fixed, "frame": model.frame.to_json(), "data": images.fingerprint},
        resume=resume,
        preview=lambda path: _preview(model, pixels[:_PREVIEWS], path),
        progress=progress,
    )
    # A new object, because the fingerprint is that of the trained weights.
    trained = build(
        settings.family,
        settings.config,
        name=out.stem,
        frame=model.frame,
        weights=model.network.state_dict(),
    )
    assert isinstance(trained, GaussianVAE)
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
def _preview(model: GaussianVAE, pixels: Tensor, path: Path) -> None:
    images = pixels.to(model.device).float() / 255
    reconstruction = model.network.decode(model.network.encode(images)[0])
    samples = model.decode(model.sample(len(images), seed=0))
    rows = [("data", images), ("rebuilt", reconstruction), ("sampled", samples)]
    with replace_atomic(path) as temporary:
        image_grid([(label, row.cpu()) for label, row in rows]).save(temporary)
