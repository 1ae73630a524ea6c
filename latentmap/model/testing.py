"""For tests, ours and those of adapters: an exact model, and a check of the contract."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from latentmap.codes import Codes, Space
from latentmap.errors import LatentmapError, ModelError, SpaceError
from latentmap.frames import Frame
from latentmap.model.clamping import clamp_to_unit
from latentmap.model.contract import Model, Posterior


class LinearModel(Model):
    """An exact model: images are 0.5 plus a combination of ``latent_dim`` orthogonal pictures.

    Codes in [-1, 1] decode into [0, 1] and encode back to themselves; other images are projected.
    The posterior variance is 0.25 for every variable. Two models with the same ``span_seed`` show
    the same images, and their codes differ by the orthogonal matrix that ``seed`` draws: a map
    between them exists and is exact.
    """

    family = "linear-test"

    def __init__(
        self,
        latent_dim: int = 4,
        image_shape: tuple[int, int, int] = (1, 4, 4),
        *,
        seed: int = 0,
        span_seed: int = 0,
        name: str = "linear",
        frame: Frame | None = None,
    ) -> None:
        channels, height, width = image_shape
        pictures = _orthogonal(channels * height * width, latent_dim, span_seed)
        pictures = pictures @ _orthogonal(latent_dim, latent_dim, seed)
        network = nn.Module()
        network.register_parameter("pictures", nn.Parameter(pictures))
        # The largest step for which no pixel leaves [0, 1] while codes stay in [-1, 1].
        self._step = float(0.5 / pictures.abs().sum(dim=1).max())
        config: dict[str, Any] = {"latent_dim": latent_dim, "image_shape": list(image_shape)}
        super().__init__(
            network,
            name=name,
            config=config,
            latent_dim=latent_dim,
            image_shape=image_shape,
            frame=frame,
        )

    @property
    def _pictures(self) -> Tensor:
        return self.network.get_parameter("pictures")

    def _posterior(self, images: Tensor) -> Posterior:
        mean = (images.flatten(1) - 0.5) @ self._pictures / self._step
        return Posterior(mean, torch.full_like(mean, 0.25))

    def _decode(self, codes: Tensor) -> Tensor:
        images = 0.5 + self._step * codes @ self._pictures.T
        return clamp_to_unit(images).reshape(-1, *self.image_shape)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return 2 * torch.rand(n, self.latent_dim, generator=generator) - 1


# Kernels may differ with the size of a batch; an eighth of a grey level is no difference to see.
_SAME_PIXELS = 0.125 / 255


def check_model(model: Model, *, seed: int = 0) -> None:
    """Checks that an adapter keeps the contract of ``Model``; gives back nothing when it does.

    Shapes, ranges and types of all calls; evaluation mode and no gradients. Of a model that
    encodes: codes that depend neither on the batch nor on chance, and posterior means that are the
    codes. Of one that decodes: samples that follow their seed; images that depend neither on the
    batch nor on chance, and have gradients in the codes; refusal of foreign codes. One that cannot
    (``can_encode``, ``can_decode`` or ``has_gradients`` is false) has to refuse to.

    Raises:
        ModelError: the first promise that is broken.

    >>> check_model(LinearModel())
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, *model.image_shape, generator=generator)
    _require(not model.network.training, "the network is in training mode")
    _require(
        not any(parameter.requires_grad for parameter in model.network.parameters()),
        "its parameters ask for gradients",
    )
    _require(model.can_encode or model.can_decode, "it neither encodes nor decodes")
    if model.can_encode:
        codes = _check_codes(model, images)
        _check_posterior(model, images, codes)
        _check_pixels(model, images)
        _require(_refuses(lambda: model.encode(images * 255)), "images outside [0, 1] are encoded")
        _require(
            _refuses(lambda: model.encode(images[:, :, 1:])), "images of another shape are encoded"
        )
    else:
        _require(_refuses(lambda: model.encode(images)), "images are encoded without an encoder")
    if model.can_decode:
        _check_samples(model, seed)
        _check_images(model, model.sample(3, seed=seed))
    else:
        codes = torch.zeros(3, model.latent_dim)
        _require(_refuses(lambda: model.decode(codes)), "codes are decoded without a decoder")


def _check_codes(model: Model, images: Tensor) -> Tensor:
    codes = model.encode(images)
    _require(codes.shape == (3, model.latent_dim), f"codes have shape {tuple(codes.shape)}")
    _require(not codes.requires_grad, "codes carry gradients")
    _require(
        torch.equal(codes, model.encode(images)), "encoding the same images twice gives other codes"
    )
    single = torch.cat([model.encode(image[None]) for image in images])
    _require(
        torch.allclose(codes, single, atol=1e-4, rtol=1e-4),
        "a code depends on the other images of its batch",
    )
    return codes


def _check_posterior(model: Model, images: Tensor, codes: Tensor) -> None:
    try:
        posterior = model.posterior(images)
    except ModelError as error:
        _require("has no posterior" in str(error), str(error))
    else:
        _require(
            torch.allclose(posterior.mean, codes, atol=1e-5), "posterior means are not the codes"
        )
        _require(bool((posterior.variance > 0).all()), "posterior variances are not positive")


def _check_pixels(model: Model, images: Tensor) -> None:
    if model.can_decode:  # Images of its own kind, as all that are met later.
        images = model.decode(model.encode(images))
    pixels = (255 * images).round().to(torch.uint8)
    from_pixels = model.encode_pixels(pixels).cpu()
    from_floats = model.encode(pixels.float() / 255).cpu()
    _require(
        torch.allclose(from_pixels, from_floats, atol=1e-4, rtol=1e-4),
        "uint8 pixels give other codes than floats",
    )


def _check_samples(model: Model, seed: int) -> None:
    samples = model.sample(2, seed=seed)
    _require(
        torch.equal(samples, model.sample(2, seed=seed)),
        "sampling twice with one seed gives other codes",
    )
    _require(not torch.equal(samples, model.sample(2, seed=seed + 1)), "sampling ignores its seed")


def _check_images(model: Model, codes: Tensor) -> None:
    images = model.decode(codes)
    _require(not images.requires_grad, "images carry gradients")
    _require(
        torch.equal(images, model.decode(codes)), "decoding the same codes twice gives other images"
    )
    single = torch.cat([model.decode(code[None]) for code in codes])
    _require(
        torch.allclose(images, single, atol=_SAME_PIXELS, rtol=0),
        "an image depends on the other codes of its batch",
    )
    _check_gradients(model, codes, images)
    foreign = Space(model.space.kind, model.latent_dim, "another model", "0" * 64)
    stranger = Codes.from_array(["a"], codes[:1].cpu(), space=foreign)
    _require(
        _refuses(lambda: model.decode(stranger), SpaceError), "codes of another space are decoded"
    )
    _require(_refuses(lambda: model.decode(codes[:, 1:])), "codes of another shape are decoded")


def _check_gradients(model: Model, codes: Tensor, images: Tensor) -> None:
    """A search for the code of an image goes along the gradient: without one it would not move."""
    codes = codes.detach().clone().requires_grad_()
    if not model.has_gradients:
        _require(
            _refuses(lambda: model.decode_with_gradient(codes)),
            "gradients are given, and none are promised",
        )
        return
    rendered = model.decode_with_gradient(codes)
    _require(
        torch.allclose(rendered.detach(), images, atol=_SAME_PIXELS, rtol=0),
        "an image depends on whether gradients are taken",
    )
    _require(rendered.requires_grad, "images have no gradients in their codes")
    (gradient,) = torch.autograd.grad(rendered.square().sum(), codes)
    _require(bool(gradient.isfinite().all()), "gradients in the codes are not finite")


def _require(condition: bool, broken: str) -> None:
    if not condition:
        raise ModelError(f"the model does not keep the contract: {broken}")


def _refuses(call: Any, error: type[LatentmapError] = LatentmapError) -> bool:
    try:
        call()
    except error:
        return True
    return False


def _orthogonal(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns_at_random = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    orthogonal: Tensor = torch.linalg.qr(columns_at_random).Q
    return orthogonal.float()
