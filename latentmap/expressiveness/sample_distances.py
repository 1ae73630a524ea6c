"""How near the images of random codes are to those of data sets, model by model: for priors, which
share everything else.

Distances are of codes in one encoder, which is named with them: they are no FID, and figures of one
encoder say nothing beside those of another. Shapes: ``n`` images, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.cache import Coder, CoderLike
from latentmap.codes import one_of_each, units_of
from latentmap.errors import ImageError
from latentmap.expressiveness.benchmark import names_of
from latentmap.expressiveness.checks import require_different, require_names
from latentmap.expressiveness.coverage import FEWEST, space_of
from latentmap.expressiveness.distances import Contrast
from latentmap.expressiveness.diversity import vendi_score
from latentmap.expressiveness.image_sets import ImageSet, choices_of
from latentmap.expressiveness.sample_figures import SHOWN, Encoded, Real, SetDistances, measure_set
from latentmap.images import ImageSource
from latentmap.model import Model, count_seen, images_between
from latentmap.report import Shown, Table

_BATCH = 64


@dataclass(frozen=True, eq=False)
class ModelDistances:
    """The distances of one model from every set; ``prior`` says in words what it samples from,
    where that was fitted, and ``shown`` are its first images ``(k, c, h, w)`` in [0, 1], with their
    ids.
    """

    name: str
    family: str
    fingerprint: str
    prior: str | None
    prior_fingerprint: str | None
    sets: Sequence[SetDistances]
    shown: Tensor
    shown_ids: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "model": self.name,
            "family": self.family,
            "fingerprint": self.fingerprint,
            "prior": self.prior,
            "prior_fingerprint": self.prior_fingerprint,
            "targets": [one.to_json() for one in self.sets],
        }


@dataclass(frozen=True, eq=False)
class SampleDistances(Shown):
    """The distances of several models, each of ``n`` generated images, by the codes of ``encoder``
    (a name).
    """

    models: Sequence[ModelDistances]
    encoder: str
    n: int
    skipped: tuple[str, ...]
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        names = ", ".join(one.name for one in self.models)
        return f"<SampleDistances of {names} in codes of {self.encoder}>"

    def tables(self) -> list[Table]:
        from latentmap.expressiveness.sample_tables import distance_tables

        return distance_tables(self)

    def to_json(self) -> dict[str, Any]:
        """All figures, with what made them."""
        return {
            "encoder": self.encoder,
            "space": space_of(self.encoder),
            "n_generated": self.n,
            "generators": [one.to_json() for one in self.models],
            "skipped": list(self.skipped),
            "record": dict(self.record),
        }


def compare_samples(
    models: Sequence[Model],
    image_sets: Sequence[ImageSet],
    coder: CoderLike,
    encoder: Model,
    *,
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> SampleDistances:
    """How far ``n`` images of random codes of each model, at a ``truncation``, are from the images
    of each set, in the codes of ``encoder``, and what else is known of them there (see
    ``SetDistances``). Generated images are kept in the cache of ``coder``; of copies in a set one
    is taken. ``record`` goes into the result. ``progress=True`` shows how far it is.

    Raises:
        ModelError: a model is given twice, has no decoder, or cannot truncate codes, or the encoder
            has none.
        ImageError: there are fewer than 6 images of a kind, or images cannot be read or seen.
    """
    coder = Coder.of(coder, progress=progress)
    encoder.require_encoder()
    require_different(models)
    for model in models:
        model.require_decoder()
    require_names(image_sets)
    smallest = min([n, *(len(one.ids) for one in image_sets)])
    if not image_sets or smallest < FEWEST:
        raise ImageError(
            f"distances take a set, and at least {FEWEST} images of each kind, not {smallest}"
        )
    skipped: dict[str, None] = {}
    space = space_of(encoder.name)
    reals = [_real(one, encoder, coder, seed, skipped) for one in image_sets]
    found: list[ModelDistances] = []
    first: list[tuple[Contrast, Contrast]] = []
    for name, model in zip(names_of(models), models, strict=True):
        made = _made(model, encoder, coder, n, seed=seed, truncation=truncation)
        sets = []
        for number, real in enumerate(reals):
            label = f"comparing {name} with {real.image_set.name}"
            with coder.stage(label) as told:
                before = first[number] if found else None
                one, distances = measure_set(real, made, model, space, before, seed=seed)
                if told is not None:
                    told(n, n)
            if not found:
                first.append(distances)
            sets.append(one)
        found.append(_described(name, model, sets, made))
    made_by = {
        "seed": seed,
        "truncation": truncation,
        "encoder": encoder.fingerprint,
        "choice": choices_of(image_sets),
        "targets": {one.name: one.images.fingerprint for one in image_sets},
        "n_seen": {
            one.name: count_seen(models, one.digests, one.images.groups) for one in image_sets
        },
        **(record or {}),
    }
    return SampleDistances(found, encoder.name, n, tuple(skipped), made_by)


def _described(
    name: str, model: Model, sets: Sequence[SetDistances], made: Encoded
) -> ModelDistances:
    prior, first = model.prior, np.arange(min(SHOWN, len(made.codes)))
    return ModelDistances(
        name=name,
        family=model.family,
        fingerprint=model.fingerprint,
        prior=None if prior is None else str(prior),
        prior_fingerprint=None if prior is None else prior.fingerprint,
        sets=sets,
        shown=made.pictures(first),
        shown_ids=made.ids(first),
    )


def _real(
    image_set: ImageSet, encoder: Model, coder: Coder, seed: int, skipped: dict[str, None]
) -> Real:
    seer = image_set.seen_by(encoder)
    codes, kept, failed = _encode(image_set.images, seer, coder, f"encoding {image_set.name}")
    skipped.update({str(image_set.ids[position]): None for position in failed})
    distinct = one_of_each(units_of(image_set.digests[kept]), seed=seed)
    units = image_set.held_out(kept[distinct]).units
    encoded = Encoded(codes[torch.from_numpy(distinct)], image_set.images, kept[distinct], seer)
    vendi = vendi_score(encoded.codes, units=units, seed=seed)
    return Real(image_set, encoded, units, vendi)


def _made(
    model: Model, encoder: Model, coder: Coder, n: int, *, seed: int, truncation: float
) -> Encoded:
    """The codes of a model's images in the encoder."""
    with coder.stage(f"generating with {model.name}") as progress:
        images, maker, seer = images_between(
            model,
            encoder,
            n,
            seed=seed,
            truncation=truncation,
            folder=coder.keep_generated(),
            progress=progress,
        )
    codes, kept, _ = _encode(images, seer, coder, f"encoding images of {model.name}")
    return Encoded(codes, images, kept, maker)


def _encode(
    images: ImageSource, encoder: Model, coder: Coder, label: str
) -> tuple[Tensor, np.ndarray, list[int]]:
    """Codes of images, on the CPU, their positions, and those of images that cannot be read. Even
    where a model made them: what it draws is not what the encoder tells of an image.
    """
    # In one place: small results of their own would keep memory of large images from being freed.
    codes, n = torch.empty(len(images), encoder.latent_dim), 0
    positions: list[np.ndarray] = []
    failed: list[int] = []
    with coder.stage(label) as progress:
        for batch in images.batches([encoder.view], batch_size=_BATCH, on_error=coder.on_error):
            if len(batch.positions):
                codes[n : n + len(batch.positions)] = encoder.encode(batch.floats(0))
                n += len(batch.positions)
                positions.append(batch.positions)
            failed += [position for position, _ in batch.failed]
            if progress is not None:
                progress(batch.stop, len(images))
    if n < FEWEST:
        raise ImageError(
            f"only {n} of the {len(images)} images of {images.path} can be "
            f"read, but distances take {FEWEST}: repair them, or give others"
        )
    return codes[:n], np.concatenate(positions), failed
