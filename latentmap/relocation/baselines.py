"""Baselines: what codes that know nothing of the source's training would do in its place.

An efficiency alone says little, since the coarse look of an image is easy to tell; nor does an R2,
since any network, trained or not, shows much of the image that it sees. So a map has others beside
it, by the same method on the same pairs, that read other codes of the same images: a thumbnail of
as many numbers, as many principal components, the source's own network before any training.

Shapes: ``n`` images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, Pairs, find_ids
from latentmap.errors import PairError
from latentmap.images import ImageSource
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.methods import find_method
from latentmap.mapping.patches import patches_between
from latentmap.model import Model
from latentmap.progress import ProgressLike, reporting
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.pairing import TrainingPairs

BaselineKind = Literal["pixels", "pca", "untrained"]
BASELINES: tuple[BaselineKind, ...] = get_args(BaselineKind)
# The models of baselines, by their kind.
BaselineModels: TypeAlias = Mapping[BaselineKind, Model]


@dataclass(frozen=True, eq=False)
class Baseline:
    """What stands beside a map: a ``model`` of a kind, and the map that reads its codes."""

    kind: BaselineKind
    model: Model
    linear_map: LinearMap


def fit_baseline(
    training: TrainingPairs,
    kind: BaselineKind,
    model: Model,
    coder: CoderLike,
    *,
    options: FitOptions | None = None,
    seed: int = 0,
    progress: ProgressLike = None,
) -> Baseline:
    """The map that reads the codes of ``model``, fitted on the images of the training pairs as the
    other one was; but that a penalty which was given is of the scale of other codes, and is chosen
    here.

    Raises:
        MapError, ModelError: the method has no map from these codes.
        ImageError, CacheError, PairError: as ``codes_beside`` raises them.
    """
    options = options or FitOptions()
    patches = patches_between(training.source.space, training.target.space, options.patch)
    own = {*find_method(options.method).free} & {"penalty"}
    options = replace(
        options,
        patch="full" if patches is None else patches.size,
        settings={name: value for name, value in options.settings.items() if name not in own},
    )
    pairs = training.pairs
    codes = codes_beside(model, pairs, training.images, training.coder_of(coder))
    reading = replace(training, source=model, pairs=replace(pairs, source=codes))
    with reporting(progress, f"fitting {model.name}", "steps") as told:
        linear_map = fit_training(reading, options=options, seed=seed, progress=told)
    return Baseline(kind, model, linear_map)


def codes_beside(model: Model, pairs: Pairs, images: ImageSource, coder: CoderLike) -> Codes:
    """The codes that a model has of the images of some pairs, row by row.

    Raises:
        PairError: an image cannot be read any more.
        ImageError, CacheError: as encoding raises them.
    """
    (codes,) = Coder.of(coder).codes([model], images)
    rows = find_ids(codes.ids, pairs.ids)
    if (rows < 0).any():
        missing = pairs.ids[rows < 0]
        raise PairError(
            f"{len(missing)} of {len(pairs)} images have codes, but cannot be read for "
            f"{model.name} ({missing[0]} is the first): leave baselines out"
        )
    return codes.take(rows)
