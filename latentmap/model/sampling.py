"""Sampling: codes that no image was encoded to, and the images of many codes.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from latentmap.codes import Codes
from latentmap.model.contract import Model
from latentmap.model.late_check import LateCheck
from latentmap.progress import Progress
from latentmap.transfers import Arriving, a_batch_late


def sample_codes(vectors: Tensor, model: Model, *, seed: int = 0) -> Codes:
    """Sampled vectors ``(n, d)`` as codes of ``model``; their ids say the seed and the number.

    Example:
        >>> from latentmap.model.testing import LinearModel
        >>> model = LinearModel()
        >>> sample_codes(model.sample(2, seed=7), model, seed=7).ids.tolist()
        ['seed7-000000', 'seed7-000001']
    """
    ids = [f"seed{seed}-{i:06}" for i in range(len(vectors))]
    return Codes.from_array(ids, vectors.cpu(), space=model.space, frame=model.frame)


def decode_all(
    model: Model, codes: Codes | Tensor, *, batch_size: int = 8, progress: Progress | None = None
) -> Tensor:
    """The images of all codes, on the CPU, decoded ``batch_size`` at a time.

    Raises:
        SpaceError: the codes say that they are in another space.
        ModelError: as for ``Model.decode``.
    """
    if isinstance(codes, Codes):
        model.space.require(codes.space, f"codes for {model.name}")
        codes = codes.vectors
    vectors = codes

    def launched() -> Iterator[tuple[LateCheck, Arriving]]:
        for start in range(0, len(vectors), batch_size):
            if progress:
                progress(start, len(vectors))
            decoded, check = model.launch(vectors[start : start + batch_size])
            yield check, Arriving(decoded)

    parts = []
    for check, images in a_batch_late(launched()):
        check.require()
        parts.append(images.wait())
    return torch.cat(parts)
