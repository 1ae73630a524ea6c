"""Information gain of every latent variable, and the order that it gives.

Asperti & Tonelli, "Comparing the latent space of generative models" (arXiv 2207.06812). Shapes:
``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, units_of
from latentmap.codes.channel_means import channel_space
from latentmap.codes.channels import word_of
from latentmap.diagnostics import are_active, has_unit_prior
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.support.activity import inactivity_of
from latentmap.support.centers import centers_of
from latentmap.support.controls import Controls
from latentmap.support.meter import Meter
from latentmap.support.ordered import Ordering as Ordering
from latentmap.support.ordered import OrderOptions as OrderOptions
from latentmap.support.race import CONFIDENCE, Outcome, Race
from latentmap.support.variances import (
    join_codes,
    means_of_channels,
    moments_of_codes,
    order_by_variance,
    record_of,
    traversal_units,
)


def order_variables(
    model: Model,
    images: ImageSource,
    coder: CoderLike = None,
    options: OrderOptions | None = None,
    *,
    seed: int = 0,
    progress: bool = False,
) -> Ordering:
    """The latent variables of ``model``, sorted by decreasing information gain on some images; see
    ``order_by_gain``. ``progress=True`` shows how far it is.

    Raises:
        SupportError: as there.
        ImageError, CacheError, ModelError: as encoding raises them.
    """
    options, coder = options or OrderOptions(), Coder.of(coder, progress=progress)
    options.check(model)
    (codes,) = coder.codes([model], images)
    with coder.stage("measuring", "decodes") as told:
        return order_by_gain(
            model,
            images,
            codes,
            options,
            seed=seed,
            batch_size=coder.batch_size,
            progress=told,
        )


def order_by_gain(
    model: Model,
    images: ImageSource,
    codes: Codes,
    options: OrderOptions | None = None,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Ordering:
    """The latent variables of ``model``, or its channels where codes have channels at positions,
    sorted by decreasing information gain; by ``order_by_variance`` of a model without decoder.

    ``codes`` are those of the images, joined by id; images without a code are left out. By default
    variables race (see ``latentmap.support.race``) until the ``leading`` ones and their order are
    sure; behind them the order is by gains that few images gave. A variable that is not active (or
    in a space without prior varies by 0.05 of the mean variance at most) is dropped when its gain
    on each of the first images is below 1 % of the largest. ``batch_size`` is of decodes, by
    default 64; one seed gives the same draw of images, whatever their order.

    Raises:
        SpaceError: the codes are of another model.
        SupportError: as ``OrderOptions.check``; fewer than two images have a code; or all codes
            are the same.
    """
    options = options or OrderOptions()
    model.space.require(codes.space, f"codes for {model.name}")
    options.check(model)
    if not model.can_decode:
        return order_by_variance(model, images, codes, options, seed=seed)
    positions, rows = join_codes(images, codes)
    chosen = codes.take(rows)
    mean, variance = moments_of_codes(chosen)
    center = centers_of(channel_space(model.space), mean, center=options.center)
    judged = has_unit_prior(model.space)
    varies = means_of_channels(variance, model.latent_shape)
    quiet = ~are_active(varies if judged else varies / varies.mean())
    meter = Meter(model, images, positions, codes=chosen, center=center)
    meter.batch_size, meter.progress = batch_size or meter.batch_size, progress
    units = units_of(chosen.digests, groups_of(images, chosen.ids))
    outcome = Race(
        meter,
        Controls.of(chosen, center, variance),
        np.random.default_rng(seed).permutation(len(rows)),
        leading=options.leading,
        quiet=quiet,
        exhaustive=options.exhaustive,
        units=units,
    ).run()
    without = np.setdiff1d(np.arange(len(images)), positions)
    return Ordering(
        **_outcome(outcome, len(rows)),
        n_units=int(units.max()) + 1,
        center=means_of_channels(center, model.latent_shape),
        unit=traversal_units(chosen, variance),
        inactive=tuple(np.flatnonzero(quiet).tolist()) if judged else None,
        mean=mean,
        decodes=meter.decodes,
        exhaustive_decodes=len(rows) * (len(quiet) + 1),
        leading=options.leading,
        skipped=tuple(map(str, images.ids[without])),
        warning=inactivity_of(chosen),
        record=record_of(model, codes, options, seed),
        what=word_of(model.latent_shape),
    )


def _outcome(outcome: Outcome, n: int) -> dict[str, Any]:
    """What a race over ``n`` images found, by the names of ``Ordering``."""
    complete = bool((outcome.images == n).all())
    return {
        **{name: getattr(outcome, name) for name in ("order", "gain", "low", "high", "images")},
        "n_images": n,
        "confidence": 1.0 if complete else CONFIDENCE,
        "ties": outcome.ties,
        "dropped": tuple(np.flatnonzero(outcome.dropped).tolist()),
    }
