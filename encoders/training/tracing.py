"""Tracing: a recipe that writes down what the variables of a VAE do while it is trained.

What is written down is part of the state of the run, and nothing is drawn at random for it: a run
that was killed and resumed leaves the trace of the uninterrupted one, and a traced run trains the
same model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from latentmap.diagnostics import kl_divergence
from latentmap.diagnostics.gain import information_gains
from latentmap.diagnostics.traces import Epochs, Paths, Steps, Trace
from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.training.batches import seeded
from latentmap.encoders.training.loop import Recipe
from latentmap.encoders.training.vae import VAERecipe
from latentmap.errors import ModelError
from latentmap.images import ImageSource
from latentmap.images.naming import natural_key

_POINTS = 500  # Of a trace, about.
_FOLLOWED = 10  # Images of each label, or of all where there are none.
_MOST = 200  # Images of all labels together: more are slow to follow, and nobody tells them apart.
_SAMPLE = 512  # Images on which variables are measured after an epoch.
_BATCH = 128
# A step takes a batch through both networks and back: about as much work as this many passes of it
# through one of them.
_PASSES = 6
_SHARE = 0.01  # Of the work of a training, for the paths and for the information gain.
_FEWEST = 8  # Images for the information gain.
# Steps from one that is written down to the next, at least: of a small network that takes a tenth
# of a step, however few images are followed.
_APART = 4


class Tracing:
    """A trace that a training writes to ``out`` when it has ended.

    ``labels`` ``(n,)`` are those of the images of the training, where they are known; so many
    ``images`` are followed, of each label where there are labels, of which at most 200 are followed
    in all: ``notify`` is told where that makes them fewer.
    """

    def __init__(
        self,
        out: str | Path,
        *,
        labels: Sequence[str] | np.ndarray | None = None,
        images: int = _FOLLOWED,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self.out = Path(out)
        self._labels = None if labels is None else np.asarray(labels)
        self.identity = {"trace_images": images, "trace_labels": _digest(self._labels)}
        self._images = images
        self._notify = notify

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
    ) -> TracedRecipe:
        """The recipe that writes down what the given one does; ``pixels`` are those of the images
        at the positions ``read``.

        Raises:
            ModelError: it trains no VAE.
        """
        if not isinstance(recipe, VAERecipe):
            raise ModelError("a trace is of the variables of a VAE: no other training has one")
        self._ids = images.ids[read]
        labels = None if self._labels is None else self._labels[read]
        drawn = seeded(seed, 3, 0).permutation(len(read))
        if labels is None:
            self._followed, self._of_followed = drawn[: self._images], None
        else:
            self._followed = self._of_each(labels, drawn)
            self._of_followed = labels[self._followed]
        self._traced = TracedRecipe(
            recipe, pixels, self._followed, batch_size=batch_size, total=total, seed=seed
        )
        return self._traced

    def _of_each(self, labels: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """The positions of the first images of each label, in an order that was ``drawn``."""
        ordered = labels[drawn]
        known, first = np.unique(ordered, return_index=True)
        # Of too many labels those of the images that come first.
        chosen = sorted(map(str, known[np.argsort(first)][:_MOST]), key=natural_key)
        count = min(self._images, max(_MOST // len(chosen), 1))
        if (len(chosen), count) != (len(known), self._images) and self._notify is not None:
            self._notify(
                f"the trace follows {count} of the images of each of {len(chosen):,} of "
                f"{len(known):,} labels: {_MOST} images in all are the most"
            )
        return np.concatenate([drawn[ordered == label][:count] for label in chosen])

    def end(self, done: int, record: Mapping[str, Any]) -> None:
        """Writes the trace of a run of ``done`` steps; ``record`` says what was trained.

        Raises:
            OutputError: it cannot be written.
        """
        labels = self._of_followed
        steps, epochs, paths, measured = self._traced.recorded(done)
        Trace(
            steps,
            epochs,
            paths,
            tuple(map(str, self._ids[self._followed])),
            None if labels is None else tuple(map(str, labels)),
            {**record, **measured},
        ).save(self.out)


class TracedRecipe:
    """A VAE's recipe, with a trace in its state.

    ``pixels`` uint8 ``(n, c, h, w)`` are the training images, ``followed`` the positions of those
    whose codes are followed. Every so many steps is recorded that a run of ``total`` steps has
    about 500, or fewer where that would be more often than every fourth, or following would take
    more than 1 % of the time.
    """

    def __init__(
        self,
        recipe: VAERecipe,
        pixels: Tensor,
        followed: np.ndarray,
        *,
        batch_size: int,
        total: int,
        seed: int,
    ) -> None:
        self._recipe, self._pixels = recipe, pixels
        self._per_epoch = len(pixels) // batch_size
        self.network: GaussianNetwork = recipe.network
        self.optimizers: dict[str, Optimizer] = recipe.optimizers
        self.state = recipe.state
        # In the state: a run that is made longer goes on as it began.
        affordable_every = len(followed) / (_SHARE * _PASSES * batch_size)
        every = max(total / _POINTS, affordable_every, _APART)
        self.state["trace.every"] = torch.tensor(math.ceil(every))
        drawn = seeded(seed, 2, 0).permutation(len(pixels))
        self._sample = torch.from_numpy(np.sort(drawn[:_SAMPLE]))
        d = recipe.network.latent_dim
        affordable = int(_SHARE * _PASSES * len(pixels) / (d + 1))
        self._measured = min(max(affordable, _FEWEST), len(self._sample))
        self._followed = torch.from_numpy(followed)

    def start_epoch(self) -> None:
        self._recipe.start_epoch()

    def step(self, images: Tensor, index: int) -> None:
        if index == 0:
            self._record_epoch(0)
            self._record_paths(0)
        self._recipe.step(images, index)
        if index % int(self.state["trace.every"]) == 0:
            self._record_step(index + 1)
            self._record_paths(index + 1)
        if (index + 1) % self._per_epoch == 0:
            self._record_epoch(index + 1)

    def figures(self) -> dict[str, float | int]:
        return self._recipe.figures()

    def diverged(self) -> bool:
        return self._recipe.diverged()

    @torch.no_grad()
    def _record_step(self, done: int) -> None:
        seen = self._recipe.last
        assert seen is not None, "a step was taken"
        # In float32: what a batch says is less exact than its sums.
        mean, log_variance, variance = seen.mean, seen.log_variance, seen.log_variance.exp()
        self._add(
            "steps",
            number=torch.tensor(done),
            loss=seen.loss,
            mse=seen.mse,
            gamma=self.state["gamma2"].sqrt(),
            mean_variance=mean.var(0, correction=0),
            posterior_variance=variance.mean(0),
            kl=kl_divergence(mean, variance, log_variance).mean(0),
            gates=seen.gates,
            multiplier=seen.multiplier,
        )

    @torch.no_grad()
    def _record_epoch(self, done: int) -> None:
        self.network.eval()
        mean, log_variance = (part.double() for part in self._posteriors(self._sample))
        variance = log_variance.exp()
        self._add(
            "epochs",
            number=torch.tensor(done),
            mean_variance=mean.var(0, correction=0),
            posterior_variance=variance.mean(0),
            kl=kl_divergence(mean, variance, log_variance).mean(0),
            gain=mean_gains(
                self.network, self._images(self._sample[: self._measured]), mean.mean(0)
            ),
            **self._recipe.measure(self._images(self._sample)),
        )
        self.network.train()

    @torch.no_grad()
    def _record_paths(self, done: int) -> None:
        self.network.eval()
        mean, log_variance = self._posteriors(self._followed)
        self._add("paths", number=torch.tensor(done), mean=mean, variance=log_variance.exp())
        self.network.train()

    def _posteriors(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of some images ``(n, d)``."""
        found = [self.network.encode(part) for part in self._images(index)]
        means, log_variances = zip(*found, strict=True)
        return torch.cat(means), torch.cat(log_variances)

    def _images(self, index: Tensor) -> list[Tensor]:
        device = self._recipe.device
        return [self._pixels[part].to(device).float() / 255 for part in index.split(_BATCH)]

    def _add(self, part: str, **rows: Tensor | None) -> None:
        for name, row in rows.items():
            if row is None:
                continue
            key, wide = f"trace.{part}.{name}", row.detach().cpu()[None]
            if wide.is_floating_point():
                wide = wide.float()
            known = self.state.get(key)
            self.state[key] = wide if known is None else torch.cat([known.cpu(), wide])

    def recorded(self, done: int) -> tuple[Steps, Epochs, Paths, dict[str, int]]:
        """What was recorded until step ``done``, and on how many images."""
        # The last of them may be earlier.
        for part, record in (("epochs", self._record_epoch), ("paths", self._record_paths)):
            if int(self.state[f"trace.{part}.number"][-1]) != done:
                record(done)

        def arrays(part: str, kind: type[Any]) -> dict[str, np.ndarray]:
            keys = {one.name: f"trace.{part}.{one.name}" for one in fields(kind)}
            return {
                name: self.state[key].cpu().numpy()
                for name, key in keys.items()
                if key in self.state
            }

        measured = {
            "every": int(self.state["trace.every"]),
            "sample": len(self._sample),
            "gain_images": self._measured,
        }
        return (
            Steps(**arrays("steps", Steps)),
            Epochs(**arrays("epochs", Epochs)),
            Paths(**arrays("paths", Paths)),
            measured,
        )


@torch.no_grad()
def mean_gains(network: GaussianNetwork, batches: Iterable[Tensor], center: Tensor) -> Tensor:
    """The information gain of each variable in the mean over some images, float64 ``(d,)``;
    ``center`` ``(d,)`` are the means of the variables.
    """
    found = [
        information_gains(network.decode, images, network.encode(images)[0], center)
        for images in batches
    ]
    return torch.cat(found).mean(0)


def _digest(labels: np.ndarray | None) -> str | None:
    """By which a run that is resumed knows the labels that it began with."""
    if labels is None:
        return None
    text = "\0".join(map(str, labels))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
