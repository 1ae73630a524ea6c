"""Where searches for codes start: where the prior's images are nearest to the given ones.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], ``d`` latent variables.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from latentmap.images.spooled import SpooledImages
from latentmap.model import Model

# Samples that tell the moments of the prior, and the first of them that are starts for all images.
_SAMPLES, _CANDIDATES = 4096, 512
_NUMBERS = 2**23  # Of all samples of codes with positions, which tell as much as many samples.
_BLOCK = 256  # Images at a time.


def draw_samples(model: Model, *, seed: int = 0, purpose: str = "search") -> Tensor:
    """Codes ``(4096, d)`` drawn from the prior, fewer of large grids: not those of ``sample``, and
    others for each ``purpose``.
    """
    # A hash, lest an image that was sampled with the same seed meet its own code among the starts.
    # It has 32 bits, since torch looks at no more of a seed.
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    n = _SAMPLES
    if len(model.latent_shape) > 1:
        n = max(_CANDIDATES, min(_SAMPLES, _NUMBERS // model.latent_dim))
    return model.sample(n, seed=int.from_bytes(digest[:4], "big"))


def nearest_samples(
    model: Model, images: Tensor | SpooledImages, samples: Tensor, *, count: int, batch_size: int
) -> Tensor:
    """For each image the ``count`` codes ``(n, count, d)`` whose images are nearest to it.

    They are taken from the mean of the samples and from the first 512 samples.
    """
    if count == 0:
        return samples.new_empty(len(images), 0, samples.shape[1])
    candidates = torch.cat([samples.mean(0, keepdim=True), samples[:_CANDIDATES]])
    # Of every image, how far the nearest candidates so far are, and their numbers.
    count = min(count, len(candidates))
    least = torch.full((len(images), count), torch.inf, device=model.device)
    numbers = torch.zeros_like(least, dtype=torch.long)
    for first in range(0, len(candidates), batch_size):
        shown = model.decode(candidates[first : first + batch_size]).flatten(1)
        these = torch.arange(first, first + len(shown), device=shown.device)
        for start in range(0, len(images), _BLOCK):
            rows = slice(start, start + _BLOCK)
            flat = images[rows].to(shown).flatten(1)
            known = torch.cat([least[rows], torch.cdist(flat, shown)], dim=1)
            named = torch.cat([numbers[rows], these.expand(len(flat), -1)], dim=1)
            least[rows], places = known.topk(count, largest=False)
            numbers[rows] = named.gather(1, places)
    return candidates[numbers.to(candidates.device)]
