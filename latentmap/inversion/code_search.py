"""The search for the codes whose images are nearest to given ones, by gradients of the decoder.

Adam on many images at once, each with its own state. An image that is done makes room for the next,
so that the batch stays full, and what is found for one image does not depend on the others.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], ``d`` latent variables; ``s`` searches, some for
each image; ``b`` of them at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.images.spooled import SpooledImages
from latentmap.inversion.ranges import CodeRange, range_of
from latentmap.inversion.searches import Searches, new_searches, step_searches
from latentmap.inversion.starts import draw_samples, nearest_samples
from latentmap.model import Model
from latentmap.model.exactness import exact_arithmetic
from latentmap.progress import Progress
from latentmap.ssim import ssim

# Images at a time, if they are small; of larger ones so many that they hold this many numbers, and
# of decoders of grids, which keep wide images of the full size for the way back, fewer.
_BATCH, _NUMBERS, _OF_GRIDS = 64, 2**21, 2**19
# So many steps are made before it is asked which searches are done: to ask is to wait for the GPU.
_STRIDE = 10


@dataclass(frozen=True)
class SearchSettings:
    """How codes are searched for.

    Codes are held ``inside`` the range of the model, where 99.9 % of its samples lie (see
    ``CodeRange``); codes with channels at positions are not, nor is any where it is false.
    There are at most ``steps`` steps from a start; of ``starts`` starts all but the best are given
    up after ``trial`` steps. ``rate`` is Adam's first step size, in standard deviations of the
    prior. What is made small is the mean squared error, plus ``perceptual`` times (1 - SSIM), plus
    ``prior`` times the squared Mahalanobis distance from the mean of the prior, divided by d (for a
    standard normal prior the mean square of the code's variables; of the order of 1 for any). Of
    codes with channels at positions the prior is taken as that of one position.

    Raises:
        ModelError: a number is out of range.
    """

    steps: int = 500
    starts: int = 4
    trial: int = 50
    rate: float = 0.1
    perceptual: float = 0.0
    prior: float = 0.0
    inside: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "starts", "trial"):
            if getattr(self, name) < 1:
                raise ModelError(
                    f"{name} of a search must be at least 1, not {getattr(self, name)}"
                )
        if not 0 < self.rate < math.inf:
            raise ModelError(f"rate of a search must be above 0 and finite, not {self.rate}")
        for name in ("perceptual", "prior"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ModelError(
                    f"{name} of a search must be at least 0 and finite, not {getattr(self, name)}"
                )

    def holds(self, model: Model) -> bool:
        """Whether codes of a model are held inside its range."""
        return self.inside and len(model.latent_shape) == 1


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found: the best codes seen, ``(n, d)``.

    ``steps`` ``(n,)`` counts the steps that an image took from all its starts; ``chosen`` ``(n,)``
    is the start that the code came from, 0 the nearest (or the one that was given). ``distance``
    ``(n,)`` says how far codes are from the mean of what the model samples, of which 99.9 % are no
    further than ``limit``; see ``CodeRange``.
    """

    codes: Tensor
    steps: Tensor
    chosen: Tensor
    distance: Tensor
    limit: float


def search_codes(
    model: Model,
    images: Tensor | SpooledImages,
    *,
    start: Tensor | None = None,
    search: SearchSettings | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """Codes that ``model`` decodes to images near to the given ones.

    The starts of an image are, after ``start`` ``(n, d)`` if that is given, those of the prior's
    mean and of codes drawn from the prior whose images are nearest. One seed, one result for an
    image, whatever else is searched for, up to the rounding of batches of other sizes. ``progress``
    counts steps.

    Raises:
        ModelError: wrong shape, type or range.

    Example:
        >>> from latentmap.model.testing import LinearModel
        >>> model = LinearModel()
        >>> codes = model.sample(3, seed=1)
        >>> found = search_codes(model, model.decode(codes), seed=0)
        >>> bool((found.codes - codes).abs().max() < 0.05)
        True
    """
    model.check_images(images)
    search = search or SearchSettings()
    n, batch = len(images), batch_size or search_batch_size(model)
    samples = draw_samples(model, seed=seed)
    count = search.starts - (start is not None)
    starts = nearest_samples(model, images, samples, count=count, batch_size=batch)
    if start is not None:
        starts = torch.cat([start.to(starts)[:, None], starts], dim=1)
    count = starts.shape[1]
    code_range = range_of(model, samples, seed=seed)
    inside = search.holds(model)
    trial = min(search.trial, search.steps) if count > 1 else 0
    tried = n * (count - 1) * trial
    descent = _Descent(
        model,
        images,
        search,
        code_range=code_range,
        inside=inside,
        batch=batch,
        total=tried + n * search.steps,
        progress=progress,
    )
    rate = search.rate * (1 if inside else code_range.spread)
    searches = new_searches(descent.begun_at(starts.flatten(0, 1)), rate)
    descent.run(searches, torch.arange(n).repeat_interleave(count), limit=trial, done=0)
    chosen = searches.loss.unflatten(0, (n, count)).argmin(1).cpu()
    steps = searches.steps.unflatten(0, (n, count)).sum(1).cpu()
    searches = searches.take(torch.arange(n) * count + chosen)
    steps -= searches.steps.cpu()
    descent.run(searches, torch.arange(n), limit=search.steps, done=tried)
    codes = descent.codes_at(searches.best)
    away = code_range.distances(codes).cpu()
    return Found(codes.cpu(), steps + searches.steps.cpu(), chosen, away, code_range.limit)


def search_batch_size(model: Model) -> int:
    """How many images are searched for at a time: fewer, where they are large."""
    numbers = _NUMBERS if len(model.latent_shape) == 1 else _OF_GRIDS
    return max(1, min(_BATCH, numbers // math.prod(model.image_shape)))


class _Descent:
    """Gradient steps of many searches, ``batch`` at a time.

    Searches for codes that are held ``inside`` of ``code_range`` go through places in it, others
    through codes. ``total`` is the number of steps that ``progress`` shall hear of.
    """

    def __init__(
        self,
        model: Model,
        images: Tensor | SpooledImages,
        search: SearchSettings,
        *,
        code_range: CodeRange,
        inside: bool,
        batch: int,
        total: int,
        progress: Progress | None,
    ) -> None:
        self._model = model
        self._images = images
        self._search = search
        self._range = code_range
        self._inside = inside
        self._batch = batch
        self._total = total
        self._progress = progress

    def begun_at(self, codes: Tensor) -> Tensor:
        """Where searches are that begin at codes ``(s, d)``."""
        if not self._inside:
            return codes
        return self._range.hold(self._range.places(codes)).flatten(1)

    def codes_at(self, where: Tensor) -> Tensor:
        """The codes ``(s, d)`` of where searches are."""
        return self._range.codes(self._places(where)) if self._inside else where

    def _places(self, where: Tensor) -> Tensor:
        places: Tensor = where.unflatten(1, (self._range.parts, -1))
        return places

    def run(self, searches: Searches, owners: Tensor, *, limit: int, done: int) -> None:
        """Brings all searches, search ``i`` for the image ``owners[i]``, to their end, in place.

        One that has made ``limit`` steps is at its end. ``done`` steps were made before by others.
        """
        waiting = searches.going(limit).cpu().nonzero()[:, 0]
        rows = waiting[:0]
        targets = torch.empty(0, *self._model.image_shape, device=self._model.device)
        while len(rows) or len(waiting):
            free = self._batch - len(rows)
            begun, waiting = waiting[:free], waiting[free:]
            rows = torch.cat([rows, begun])
            part = searches.take(rows)
            # Those of searches that go on stay where they are.
            fresh = self._images[owners[begun]].to(self._model.device)
            targets = torch.cat([targets, fresh])
            for _ in range(min(_STRIDE, limit)):
                part = self._step(part, targets, limit)
            searches.put(rows, part)
            going = part.going(limit)
            targets, rows = targets[going], rows[going.cpu()]
            if self._progress is not None:
                # What a search does not need counts as done when it ends.
                made = torch.where(searches.going(limit), searches.steps, limit)
                self._progress(done + int(made.sum()), self._total)

    def _step(self, part: Searches, targets: Tensor, limit: int) -> Searches:
        where = part.codes.detach().requires_grad_()
        with exact_arithmetic(self._model.device):  # Of the way back, too.
            loss = self._loss(self.codes_at(where), targets)
            (gradient,) = torch.autograd.grad(loss.sum(), where)
        if not self._inside:
            return step_searches(part, loss.detach(), gradient, limit=limit)
        places = self._places(part.codes)
        gradient = self._range.along(places, self._places(gradient)).flatten(1)
        part = step_searches(part, loss.detach(), gradient, limit=limit)
        return part._replace(codes=self._range.hold(self._places(part.codes)).flatten(1))

    def _loss(self, codes: Tensor, targets: Tensor) -> Tensor:
        images = self._model.decode_with_gradient(codes)
        loss = (images - targets).square().mean(dim=(1, 2, 3))
        if self._search.perceptual:
            loss = loss + self._search.perceptual * (1 - ssim(images, targets))
        if self._search.prior:
            loss = loss + self._search.prior * self._range.places(codes).square().mean(dim=(1, 2))
        return loss
