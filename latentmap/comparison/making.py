"""Images that one of several models makes for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentmap.errors import ImageError, ModelError
from latentmap.files import Notify
from latentmap.images import ImageSource
from latentmap.model import Model, generated_images, images_between
from latentmap.progress import Progress


def maker_among(models: Sequence[Model]) -> int:
    """The number of the model that makes images for all: what has no encoder must, after that the
    first generator; else the first model that has a decoder.

    Raises:
        ModelError: several models have no encoder, or none has a decoder.
    """
    silent = [number for number, model in enumerate(models) if not model.can_encode]
    if len(silent) > 1:
        raise ModelError(
            f"{' and '.join(models[number].name for number in silent)} have no encoder, but only "
            "one model can make the images: give the others one with `latentmap train inversion`"
        )
    if silent:
        return silent[0]
    makers = [number for number, model in enumerate(models) if model.can_decode]
    if not makers:
        raise ModelError(
            f"none of {', '.join(model.name for model in models)} has a decoder that makes images: "
            "give images (--data), or add a model that decodes"
        )
    return next((number for number in makers if models[number].is_generator), makers[0])


def images_for_all(
    models: Sequence[Model],
    maker: int,
    n: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    folder: Path,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> tuple[ImageSource, list[Model]]:
    """``n`` images that one of the models makes, and all models as they see these; ``seed`` and
    ``truncation`` decide the codes.

    What another model sees of them is what the maker's file knows (``latentmap frames estimate``);
    where it knows that of none, it follows from the frames.

    Raises:
        ModelError: it cannot truncate codes.
        ImageError: the maker's file knows the box of some models only, and another has a frame of
            its own; or the frames do not fit.
    """
    making = models[maker]
    if len(models) == 1:
        images = generated_images(
            making,
            n,
            seed=seed,
            truncation=truncation,
            folder=folder,
            notify=notify,
            progress=progress,
        )
        return images, [making]
    others = [model for number, model in enumerate(models) if number != maker]
    boxes = [making.boxes.get(other.fingerprint) for other in others]
    if any(boxes):
        for number, (other, box) in enumerate(zip(others, boxes, strict=True)):
            if box is None and other.frame.name != making.frame.name:
                raise ImageError(
                    f"{making.name} knows which box of its images some of these models see, but "
                    f"not that of {other.name}: find it with `latentmap frames estimate`"
                )
            boxes[number] = box or "full"
    seen = {}
    for other, box in zip(others, boxes, strict=True):
        images, making, seen[other.fingerprint] = images_between(
            making,
            other,
            n,
            seed=seed,
            truncation=truncation,
            folder=folder,
            box=box,
            notify=notify,
            progress=progress,
        )
    return images, [seen.get(model.fingerprint, making) for model in models]
