"""Training a model on images, from their first reading to its native file, for every family.

Pixels are uint8 ``(n, c, h, w)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.encoders.training.batches import PixelBatches, require_batch
from latentmap.encoders.training.loop import FinishedRunError, Length, Recipe, never, train_by
from latentmap.encoders.training.runs import (
    Run,
    end_run,
    finished_model,
    prepare_folder,
    training_record,
)
from latentmap.frames import Frame
from latentmap.images import ImageSource, load_all
from latentmap.model import Model, SeenImages
from latentmap.progress import Progress


def _as_it_is(
    model: Model, pixels: Tensor, progress: Progress | None
) -> tuple[Model, dict[str, Any]]:
    return model, {}


@dataclass(frozen=True)
class Course:
    """A training that can begin: the recipe that it follows, the network of the model that comes
    out of it, and how the picture of an epoch is drawn, given the pixels of the data.

    ``finish`` gets the trained model and these pixels, and gives the model that is written, with
    what is added to its training record. A checkpoint is as it was trained. ``ended`` says
    after an epoch whether the training is over before its time.
    """

    recipe: Recipe
    result: nn.Module
    draw: Callable[[Tensor], Image.Image]
    finish: Callable[[Model, Tensor, Progress | None], tuple[Model, dict[str, Any]]] = _as_it_is
    ended: Callable[[], bool] = never


class Settings(Protocol):
    """What is trained, and how: a frozen dataclass for each kind of model.

    ``config`` is what a model of ``family`` is built from. ``steps`` takes the place of ``epochs``.
    ``start`` gives the course of a model with its first weights; what more it needs at random is
    drawn from torch's generator.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def family(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def epochs(self) -> int: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def seed(self) -> int: ...

    def start(self, model: Model) -> Course: ...


class Watch(Protocol):
    """What looks on while a model is trained, and tells of it at the end.

    ``begin`` gives the recipe that is followed in place of the course's, ``end`` is called when the
    model is written. ``identity`` (JSON) is what a run that is resumed must have in common with its
    beginning.
    """

    @property
    def identity(self) -> Mapping[str, Any]: ...

    def begin(
        self,
        recipe: Recipe,
        pixels: Tensor,
        images: ImageSource,
        read: np.ndarray,
        *,
        batch_size: int,
        total: int,
        seed: int,
    ) -> Recipe: ...

    def end(self, done: int, record: Mapping[str, Any]) -> None: ...


def train_on_images(
    images: ImageSource,
    settings: Settings,
    run: Run,
    *,
    frame: Frame | None = None,
    watch: Watch | None = None,
    weights: Mapping[str, Tensor] | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """Trains on all images of a source, in ``frame``, writes the native model file ``run.out``, and
    gives the model. Its first ``weights`` are drawn unless they are given. A run that was killed
    goes on with ``resume``, and ends as if it had not been; to the bit on one CPU, with the same
    versions and number of threads. One that is finished becomes longer so where ``run`` keeps its
    checkpoint.

    Raises:
        OutputError: the output, or a run towards it, exists, and neither ``resume`` nor ``force``
            is set.
        ModelError: the settings do not fit each other, the images or the run that is resumed.
        ImageError: an image cannot be read.
    """
    require_batch(len(images), settings.batch_size)  # Before anything is written.
    folder = prepare_folder(run)
    family, config = settings.family, settings.config
    with seeded_weights(settings.seed):
        # Copies, since they are trained where they lie.
        first = None if weights is None else {key: one.clone() for key, one in weights.items()}
        model = build(family, config, name=run.path.stem, frame=frame, weights=first).to(device)
        course = settings.start(model)
    with run.stage("reading") as progress:
        pixels, read, skipped = load_all(
            images, model.view, on_error=run.on_error, progress=progress
        )
    described = asdict(settings)
    seed = settings.seed
    batches = PixelBatches(pixels, size=settings.batch_size, seed=seed, device=model.device)
    total = settings.steps or settings.epochs * batches.per_epoch
    recipe = course.recipe
    if watch is not None:
        recipe = watch.begin(
            recipe, pixels, images, read, batch_size=batches.size, total=total, seed=seed
        )
    try:
        with run.stage("training", "images seen") as progress:
            figures = train_by(
                recipe,
                batches,
                Length(settings.epochs, seed, settings.steps, ended=course.ended),
                folder=folder,
                settings={
                    "family": family,
                    **{name: value for name, value in described.items() if name not in _APART},
                    **({} if watch is None else watch.identity),
                    "frame": model.frame.to_json(),
                    "data": images.fingerprint,
                },
                resume=run.resume,
                draw=lambda: course.draw(pixels),
                progress=progress,
            )
    except FinishedRunError:
        ending = {name: described[name] for name in _ENDING if name in described}
        return finished_model(run, ending, device=device)
    described.pop("config", None)  # Which the file has beside the record.
    # A new object, because the fingerprint is that of the trained weights.
    last = course.result.state_dict()
    trained = build(family, config, name=model.name, frame=model.frame, weights=last)
    with run.stage("finishing") as progress:
        trained, more = course.finish(trained, pixels, progress)
    trained.seen = SeenImages.of(images.digests[read])
    training = training_record(
        described,
        figures,
        data=images.fingerprint,
        images=len(pixels),
        skipped=[str(images.ids[position]) for position, _ in skipped],
        **more,
        **run.record,
    )
    save_model(trained, run.path, training=training)
    if watch is not None:
        made: dict[str, Any] = {"model": str(run.path), "model_fingerprint": trained.fingerprint}
        made |= {"settings": asdict(settings), "data": images.fingerprint}
        watch.end(int(figures["step"]), made)
    end_run(run)
    return trained


# What is done after the loop, and what it is told on its own.
_ENDING = ("normalise",)
_APART = ("batch_size", "epochs", "seed", "steps", *_ENDING)


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Within it, torch draws weights from ``seed``; afterwards as if nothing had been drawn."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
