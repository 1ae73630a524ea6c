"""Information gain of every latent variable, and the order that it gives.

Asperti & Tonelli, "Comparing the latent space of generative models" (arXiv 2207.06812). Shapes:
``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, find_ids, units_of
from latentmap.diagnostics import are_active, has_unit_prior
from latentmap.errors import SupportError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.intervals import defined
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.report import Shown, Table
from latentmap.support.activity import inactivity_of
from latentmap.support.centers import Center, centers_of, check_center, scales_of
from latentmap.support.controls import Controls
from latentmap.support.meter import Meter
from latentmap.support.race import CONFIDENCE, Outcome, Race

_ROUNDING = 16 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class Ordering(Shown):
    """The latent variables of a model by what an image loses without each of them.

    The gain of variable i is the mean over images x of mse(x, dec(z with z_i = center_i)) - mse(x,
    dec(z)), where z is the code of x and mse is the mean over pixels and channels.

    ``center`` is the mean code, or 0; see ``OrderOptions``. ``order`` ``(d,)`` names the variables,
    the strongest first. ``gain``, ``low`` and ``high`` ``(d,)`` are by the number of the variable,
    with 95 % intervals over the ``n_units`` units of the images (images of one of their groups, and
    copies, are one). Each variable was measured on ``images`` ``(d,)`` of the ``n_images``: those
    that are clearly behind, or whose place is clear, on few. ``confidence`` is about the
    probability that the first ``leading`` variables and their order are those that measuring every
    variable on every image gives, and 1 where this was done; it is asymptotic, as the race compares
    means by Student's distribution. ``ties`` are neighbours down to the first behind the leading
    ones whose difference could be chance over images, by its 95 % interval. ``inactive`` are the
    variables that are not active (see ``latentmap.diagnostics.activity``), None in a space without
    prior, and ``dropped`` those that left the race because they do nothing. ``decodes`` were
    needed, in place of ``exhaustive_decodes``. ``unit`` and ``mean`` ``(d,)`` are the step of a
    traversal, which is 1 in a space of kind ``z`` and the standard deviation of the codes in any
    other, and the mean code. ``skipped`` are the ids of images without codes.
    """

    order: np.ndarray
    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    images: np.ndarray
    center: np.ndarray
    unit: np.ndarray
    mean: np.ndarray
    n_images: int
    n_units: int
    decodes: int
    exhaustive_decodes: int
    leading: int
    confidence: float
    ties: tuple[tuple[int, int], ...] = ()
    inactive: tuple[int, ...] | None = None
    dropped: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    warning: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        first = ", ".join(map(str, self.order[: self.leading]))
        return f"<Ordering of {len(self.order)} variables: {first} lead>"

    def tables(self) -> list[Table]:
        from latentmap.support.ordering_tables import gains_table, ordering_table

        return [gains_table(self), ordering_table(self)]

    @property
    def saved(self) -> float:
        """How many times fewer decodes were needed than for every variable and every image."""
        return self.exhaustive_decodes / self.decodes

    def to_json(self) -> dict[str, Any]:
        """All figures; ``variables`` stand in their order."""
        return {
            "leading": self.order[: self.leading].tolist(),
            "confidence": self.confidence,
            "ties": [list(pair) for pair in self.ties],
            "inactive": None if self.inactive is None else list(self.inactive),
            "dropped": list(self.dropped),
            "n_images": self.n_images,
            "n_units": self.n_units,
            "decodes": self.decodes,
            "exhaustive_decodes": self.exhaustive_decodes,
            "variables": [
                {
                    "variable": int(i),
                    "gain": float(self.gain[i]),
                    "gain_low": defined(self.low[i]),
                    "gain_high": defined(self.high[i]),
                    "images": int(self.images[i]),
                    "center": float(self.center[i]),
                }
                for i in self.order
            ],
            "skipped": list(self.skipped),
            "warning": self.warning,
            "record": dict(self.record),
        }


@dataclass(frozen=True)
class OrderOptions:
    """How variables are ordered.

    ``leading`` is how many are to be sure, with their order. ``exhaustive`` measures every variable
    on every image: ``n (d + 1)`` decodes. A variable is left out by setting it to its ``center``:
    the ``mean`` over the codes, or in a space of kind ``z`` ``zero``; see ``centers_of``.
    """

    leading: int = 7
    exhaustive: bool = False
    center: Center = "mean"

    def check(self, model: Model) -> None:
        """Refuses, before any work, what a model does not have.

        Raises:
            SupportError: ``leading`` is not from 1 to ``d``; or as ``check_center`` raises it.
        """
        check_center(self.center, model.space)
        if not 1 <= self.leading <= model.latent_dim:
            raise SupportError(
                f"{model.name} has {model.latent_dim} latent variables, so 1 to {model.latent_dim} "
                f"of them can lead, not {self.leading}"
            )


def order_variables(
    model: Model,
    images: ImageSource,
    coder: CoderLike,
    options: OrderOptions | None = None,
    *,
    seed: int = 0,
) -> Ordering:
    """The latent variables of ``model``, sorted by decreasing information gain on some images; see
    ``order_by_gain``.

    Raises:
        SupportError: as there.
        ImageError, CacheError, ModelError: as encoding raises them.
    """
    options, coder = options or OrderOptions(), Coder.of(coder)
    options.check(model)
    (codes,) = coder.codes([model], images)
    with coder.stage("measuring", "decodes") as progress:
        return order_by_gain(
            model,
            images,
            codes,
            options,
            seed=seed,
            batch_size=coder.batch_size,
            progress=progress,
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
    """The latent variables of ``model``, sorted by decreasing information gain.

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
    positions, rows = _join(images, codes)
    chosen = codes.take(rows)
    mean, variance = _moments(chosen, model)
    center = centers_of(model.space, mean, center=options.center)
    judged = has_unit_prior(model.space)
    quiet = ~are_active(variance if judged else variance / variance.mean())
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
        center=center,
        unit=scales_of(model.space, variance),
        inactive=tuple(np.flatnonzero(quiet).tolist()) if judged else None,
        mean=mean,
        decodes=meter.decodes,
        exhaustive_decodes=len(rows) * (model.latent_dim + 1),
        leading=options.leading,
        skipped=tuple(map(str, images.ids[without])),
        warning=inactivity_of(chosen),
        record=_record(model, codes, options, seed),
    )


def _record(model: Model, codes: Codes, options: OrderOptions, seed: int) -> dict[str, Any]:
    return {
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "space": model.space.kind,
        "data": codes.data,
        "seed": seed,
        "exhaustive": options.exhaustive,
        "centered_on": options.center,
    }


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


def _join(images: ImageSource, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images that have codes, and the rows of these; in the order of their ids."""
    rows = find_ids(codes.ids, images.ids)
    positions = np.flatnonzero(rows >= 0)
    positions = positions[np.argsort(images.ids[positions], kind="stable")]
    if len(positions) < 2:
        raise SupportError(
            f"the gain of variables needs at least 2 images with codes, not {len(positions)}: give "
            "more images"
        )
    return positions, rows[positions]


def _moments(codes: Codes, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the variance of every variable, float64 ``(d,)``."""
    first = codes.read(0, 1).numpy().astype(np.float64)[0]
    total, squares = np.zeros((2, len(first)))
    for block in codes.blocks():
        about = block.numpy() - first  # Near the mean, so that nothing cancels.
        total += about.sum(axis=0)
        squares += np.square(about).sum(axis=0)
    mean = total / len(codes)
    variance = np.maximum(squares / len(codes) - np.square(mean), 0)
    mean += first
    if (np.sqrt(variance) <= _ROUNDING * np.abs(mean)).all():
        raise SupportError(
            f"{model.name} gives all {len(codes)} images the same code, so its variables have no "
            "gain: check the model, or give images that differ"
        )
    return mean, variance
