"""The real images that an inversion network learns from: of those that its generator has seen.

What the pair knows of its training images then stays true, and images that are held out of the
generator's training are held out of the network's.
"""

from __future__ import annotations

from latentmap.encoders.inverted import InvertedModel
from latentmap.encoders.training.batches import PixelBatches, require_batch
from latentmap.encoders.training.runs import Run
from latentmap.errors import ModelError
from latentmap.images import ImageSource, load_all
from latentmap.model import Model


def require_domain(
    generator: Model, domain: ImageSource | None, *, weight: float, batch_size: int
) -> None:
    """Passes where real images are given if they count, and the generator was trained on them, or
    does not know what it was trained on.

    Raises:
        ModelError: so it is not, or there are fewer images than a batch.
    """
    if (domain is None) != (weight == 0):
        raise ModelError(
            "real images to learn from belong to a real weight above 0: give both, or neither"
        )
    if domain is None:
        return
    require_batch(len(domain), batch_size)
    if generator.seen is None:
        return
    others = int((~generator.seen.contains(domain.digests)).sum())
    if others:
        raise ModelError(
            f"{generator.name} was not trained on {others} of these {len(domain)} images, which "
            "would no longer be held out: give images of its training, by the same --split and "
            "--group-by"
        )


def read_domain(
    domain: ImageSource, model: InvertedModel, run: Run, *, batch_size: int, seed: int
) -> PixelBatches:
    """Real images, in the view of the model.

    Raises:
        ImageError: an image cannot be read.
        ModelError: fewer than a batch can.
    """
    with run.stage("reading") as progress:
        pixels, _, _ = load_all(domain, model.view, on_error=run.on_error, progress=progress)
    return PixelBatches(pixels, size=batch_size, seed=seed, device=model.device)
