"""Model: an encoder, a decoder, or a pair of them, behind one contract, whatever network is inside.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` float32 in [0, 1], codes ``(n,
d)`` float32; where codes have places, ``d`` is the product of ``latent_shape``.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from latentmap.arrays import Numbers, as_tensor
from latentmap.codes import CodeFile, Codes, Space
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.images import ImageSource, View
from latentmap.images.spooled import SpooledImages
from latentmap.model.clamping import check_range
from latentmap.model.digests import model_digest
from latentmap.model.exactness import exact_arithmetic
from latentmap.model.late_check import LateCheck, LateFinite
from latentmap.model.priors import Prior
from latentmap.model.seen import SeenImages
from latentmap.transfers import floats_on, to_channels_last

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, eq=False)
class Posterior:
    """The moments of the codes of some images: mean and variance, each ``(n, d)``."""

    mean: Tensor
    variance: Tensor


class Model:
    """The contract that every adapter keeps: shapes, ranges, device and finiteness are checked
    here, once.

    A subclass names its ``family`` and gives ``_posterior`` (or ``_encode``) and ``_decode``; these
    get and give tensors on the model's device, in evaluation mode and without gradients. One that
    has no encoder says ``can_encode = False``, one that has no decoder ``can_decode = False``.
    ``latentmap.model.testing.check_model`` tells whether a subclass keeps the contract.

    ``latent_shape`` is that of a code, ``(d,)`` unless it is given: ``(c, h, w)`` for a grid,
    ``(tokens, d)`` for vectors in a row. The networks take and give codes in this shape; outside
    they are flat. Where ``any_size`` is true, the network takes images of other sizes too, and
    ``resized`` gives the model of them: in another space, since its codes have another shape.

    ``network`` holds all weights; ``config`` is what builds it again (JSON). Both, with the frame,
    make the ``fingerprint``: a file's name or training record does not change it. ``space`` is
    given where the codes are those of another model, such as the generator that is decoded with.
    """

    family: ClassVar[str]
    # Whether images have codes in it, codes have images, and whether it was made to make images.
    can_encode: bool = True
    can_decode: bool = True
    is_generator: bool = False
    # The codes that it has of some images, where these are all that there is of it.
    stored: CodeFile | None = None
    # Whether it can be had for images of another size, and whether nothing is left to be fitted.
    any_size: bool = False
    is_complete: bool = True
    # Whether images have gradients in codes.
    has_gradients: ClassVar[bool] = True

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        config: Mapping[str, Any],
        latent_dim: int,
        image_shape: tuple[int, int, int],
        frame: Frame | None = None,
        space_kind: str = "z",
        space: Space | None = None,
        latent_shape: tuple[int, ...] = (),
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self.config = dict(config)
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.frame = frame or Frame()
        self.own_frame = self.frame  # It may be seen through another, in the same space.
        self.fingerprint = model_digest(self.family, self.config, self.frame, network)
        self.space = space or Space(space_kind, latent_dim, name, self.fingerprint, latent_shape)
        # Fingerprints of other models -> the box of this model's images that shows what they see.
        self.boxes: dict[str, str] = {}
        # The images that it was trained on, where that is known.
        self.seen: SeenImages | None = None
        # What it samples from, where that is not what its family does.
        self.prior: Prior | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: images {self.image_shape}, {self.space}>"

    def _repr_html_(self) -> str | None:
        """Images of a few random codes, for a notebook; None where there is no code to draw."""
        from latentmap.model.notebook import strip_of

        return strip_of(self)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code, whose product is ``latent_dim``."""
        return self.space.shape

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU where there are none."""
        tensors = itertools.chain(self.network.parameters(), self.network.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def to(self, device: str | torch.device) -> Model:
        """This model, with its weights moved to ``device``."""
        self.network.to(device)
        if self.device.type == "cuda":
            to_channels_last(self.network)
        return self

    @property
    def rendering(self) -> dict[str, Any]:
        """What decides an image besides the weights and the code (JSON); here nothing."""
        return {}

    @property
    def has_posterior(self) -> bool:
        """Whether the encoder gives a distribution of codes, whose means are the codes."""
        return type(self)._posterior is not Model._posterior

    @property
    def latent_scaling(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """Means and deviations, one for all channels or one for each, by which codes come of what
        the network itself gives: (latent - mean) / deviation. None where codes are that.
        """
        return None

    @property
    def parts(self) -> int:
        """Of how many codes of one distribution a code consists, side by side."""
        return 1

    @property
    def standard_normal(self) -> bool:
        """Whether its codes are drawn from the standard normal distribution."""
        return self.prior is None and type(self)._sample is Model._sample

    @property
    def sees_images(self) -> bool:
        """Whether it was made for images of some kind; not so a file of codes."""
        return self.stored is None

    @property
    def view(self) -> View:
        """What the model wants to see of an image: frame, size and channels."""
        channels, height, width = self.image_shape
        return View(self.frame, (height, width), channels)

    def seen_through(self, frame: Frame) -> Model:
        """The same model for images that show another part of the picture: its frame is ``frame``.

        Weights, space and fingerprint are shared: what the network does with an image stays.
        """
        other = copy.copy(self)
        other.frame = frame
        return other

    def resized(self, height: int, width: int) -> Model:
        """The same network for images of ``height`` by ``width`` pixels, with the same weights.

        Raises:
            ModelError: it takes images of one size alone, or not of this one.
        """
        own = self.image_shape[1:]
        if own == (height, width):
            return self
        raise ModelError(
            f"{self.name} takes images of {own[0]}x{own[1]} pixels alone, not {height}x{width}: "
            "leave the size out"
        )

    def completed(self, images: ImageSource) -> Model:
        """The model, with what is still to be fitted on training ``images``; most are whole."""
        return self

    def require_encoder(self) -> None:
        """Passes where images have codes in the model.

        Raises:
            ModelError: they have none.
        """
        if not self.can_encode:
            raise ModelError(
                f"{self.name} has no encoder: give it one with `latentmap train inversion`, or "
                "take images that it makes itself (--samples), or a pack of them (`latentmap "
                "sample --out`)"
            )

    def require_decoder(self) -> None:
        """Passes where codes have images in the model.

        Raises:
            ModelError: they have none.
        """
        if not self.can_decode:
            raise ModelError(
                f"{self.name} is an encoder alone, and has no decoder that makes images of codes: "
                "take a model that decodes"
            )

    def require_posterior(self) -> None:
        """Passes where the encoder gives a distribution of codes.

        Raises:
            ModelError: it gives one code an image, or there is none.
        """
        self.require_encoder()
        if not self.has_posterior:
            raise self._without_posterior()

    def encode(self, images: Numbers) -> Tensor:
        """Deterministic codes ``(n, d)`` of images in [0, 1], an array or a tensor; for a VAE the
        posterior means.

        Raises:
            ModelError: wrong shape, type or range, codes that are not finite, or no encoder.
        """
        self.require_encoder()
        images = self._taken(images)
        with self._running():
            return self._checked_codes(self._encode(images), len(images))

    def encode_pixels(self, pixels: Tensor, *, precision: Precision = "float32") -> Tensor:
        """Codes ``(n, d)`` of uint8 images ``(n, c, h, w)``, converted on the model's device.

        The result is float32 on the device, not yet checked for finiteness, so that the caller need
        not wait for it.

        Raises:
            ModelError: wrong shape or type, codes of another shape than the model's, or no encoder.
        """
        self.require_encoder()
        images = self._uploaded(pixels)
        with self._running(precision):
            return self._rows_of(self._encode(images), len(images)).float()

    def posterior(self, images: Numbers, *, precision: Precision = "float32") -> Posterior:
        """Mean and variance of the codes of images in [0, 1], an array or a tensor.

        Raises:
            ModelError: as for ``encode``, or the model has no posterior.
        """
        self.require_encoder()
        images = self._taken(images)
        with self._running(precision):
            posterior = self._posterior(images)
            return Posterior(
                self._checked_codes(posterior.mean, len(images)),
                self._checked_codes(posterior.variance, len(images)),
            )

    def launch_posterior(
        self, pixels: Tensor, *, precision: Precision = "float32"
    ) -> tuple[Posterior, LateFinite]:
        """What ``posterior`` gives of uint8 images, not yet checked for finiteness: see ``launch``.

        Raises:
            ModelError: wrong shape or type, or no posterior.
        """
        self.require_encoder()
        images = self._uploaded(pixels)
        with self._running(precision):
            found = self._posterior(images)
            mean, variance = (
                self._rows_of(one, len(images)).float() for one in (found.mean, found.variance)
            )
            return Posterior(mean, variance), LateFinite([mean, variance], model=self.name)

    def decode(self, codes: Numbers | Codes) -> Tensor:
        """Images ``(n, c, h, w)`` in [0, 1] of codes ``(n, d)``, or ``(n, *latent_shape)``: of an
        array, a tensor or ``Codes``.

        Raises:
            SpaceError: the codes say that they are in another space.
            ModelError: wrong shape or type, codes that are not finite, images outside [0, 1], or no
                decoder.
        """
        images, check = self.launch(codes)
        check.require()
        return images

    def launch(self, codes: Numbers | Codes) -> tuple[Tensor, LateCheck]:
        """What ``decode`` gives, not yet checked: a caller of many batches launches the next before
        it asks for the check of one, and so need not wait for the device.

        Raises:
            SpaceError: the codes say that they are in another space.
            ModelError: wrong shape or type, or no decoder.
        """
        self.require_decoder()
        if isinstance(codes, Codes):
            self.space.require(codes.space, f"codes for {self.name}")
            codes = codes.vectors
        codes = self._flat(as_tensor(codes, f"codes for {self.name}", error=ModelError))
        if not codes.is_floating_point():
            raise ModelError(
                f"{self.name} decodes finite floating-point codes; these are {codes.dtype}"
            )
        codes = codes.to(self.device, torch.float32)
        with self._running():
            images = self._decode(self._shaped(codes)).float()
            expected = (len(codes), *self.image_shape)
            if images.shape != expected:
                raise ModelError(
                    f"{self.name} must decode to shape {expected}, not {tuple(images.shape)}"
                )
            return images, LateCheck(images, codes, model=self.name)

    def decode_with_gradient(self, codes: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` of codes ``(n, d)``, through which a loss has gradients in the
        codes.

        For searches, which call it often: besides their shape nothing of the codes is checked, and
        nothing of the images, so that the caller need not wait for the device.

        Raises:
            ModelError: wrong shape, no decoder, or one without gradients.
        """
        self.require_decoder()
        if not self.has_gradients:
            raise ModelError(
                f"{self.name} has no gradients, along which codes are searched for: take the codes "
                "that its encoder gives"
            )
        codes = self._shaped(self._flat(codes))
        with self._running(gradients=True):
            return self._decode(codes.to(self.device, torch.float32)).float()

    def sample(self, n: int, *, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """``n`` codes ``(n, d)`` drawn from the prior; one seed, the same codes on any device.

        ``truncation`` below 1 draws them towards the mean of the prior by this factor: the images
        become more typical, and less different from each other.

        Raises:
            ModelError: ``n`` is below 1, codes have no images in the model, or cannot be truncated.
        """
        self.require_decoder()
        if n < 1:
            raise ModelError(f"the number of samples must be at least 1, not {n}")
        if not 0 <= truncation < math.inf:
            raise ModelError(f"the truncation must be a number of at least 0, not {truncation}")
        generator = torch.Generator().manual_seed(seed)
        with self._running():
            if self.prior is None:
                codes = self._sample(n, generator).to(self.device)
                if truncation != 1:
                    codes = self._truncate(codes, truncation)
            else:
                codes = torch.lerp(self.prior.mean, self.prior.draw(n, generator), truncation)
                codes = codes.to(self.device)
            return self._checked_codes(codes, n)

    def _encode(self, images: Tensor) -> Tensor:
        return self._posterior(images).mean

    def _posterior(self, images: Tensor) -> Posterior:
        raise self._without_posterior()

    def _without_posterior(self) -> ModelError:
        return ModelError(
            f"{self.name} ({self.family}) has no posterior: its encoder gives one code an image"
        )

    def _decode(self, codes: Tensor) -> Tensor:
        """Images of codes ``(n, *latent_shape)``; of every model but one that cannot decode."""
        raise NotImplementedError

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        """The standard normal prior; made on the CPU, so that devices agree."""
        return torch.randn(n, self.latent_dim, generator=generator)

    def _truncate(self, codes: Tensor, truncation: float) -> Tensor:
        """Codes drawn towards the mean of the prior, which is 0 for the standard normal."""
        return codes * truncation

    @contextmanager
    def _running(
        self, precision: Precision = "float32", *, gradients: bool = False
    ) -> Iterator[None]:
        if precision not in PRECISIONS:
            raise ModelError(
                f"unknown precision {precision!r}: choose one of {', '.join(PRECISIONS)}"
            )
        with (
            torch.set_grad_enabled(gradients),
            exact_arithmetic(self.device, full=precision == "float32"),
            torch.autocast(
                self.device.type, getattr(torch, precision), enabled=precision != "float32"
            ),
        ):
            yield

    def _taken(self, images: Numbers) -> Tensor:
        """Images that were given to be encoded, checked, on the device."""
        taken = as_tensor(images, f"images for {self.name}", error=ModelError)
        self.check_images(taken)
        return taken.to(self.device, torch.float32)

    def check_images(self, images: Tensor | SpooledImages) -> None:
        """Refuses images that ``encode`` would refuse.

        Raises:
            ModelError: wrong shape, type or range.
        """
        self._check_shape(images, "images", self.image_shape)
        if isinstance(images, SpooledImages):
            return  # Bytes have no other range.
        if not images.is_floating_point():
            raise ModelError(
                f"{self.name} takes images as floats in [0, 1], not {images.dtype}: divide by 255 "
                "first"
            )
        check_range(images, f"images for {self.name}")

    def _check_shape(
        self, tensor: Tensor | SpooledImages, what: str, expected: tuple[int, ...]
    ) -> None:
        if len(tensor.shape) != len(expected) + 1 or tuple(tensor.shape[1:]) != expected:
            wanted = ", ".join(map(str, ("n", *expected)))
            raise ModelError(
                f"{self.name} takes {what} of shape ({wanted}), not {tuple(tensor.shape)}"
            )

    def _flat(self, codes: Tensor) -> Tensor:
        """Codes that are flat, or in their own shape, as rows ``(n, d)``."""
        if len(self.latent_shape) > 1 and tuple(codes.shape[1:]) == self.latent_shape:
            codes = codes.flatten(1)
        self._check_shape(codes, "codes", (self.latent_dim,))
        return codes

    def _shaped(self, codes: Tensor) -> Tensor:
        return codes if len(self.latent_shape) == 1 else codes.unflatten(1, self.latent_shape)

    def _uploaded(self, pixels: Tensor) -> Tensor:
        """Images of uint8 pixels on the device, as networks take them there."""
        self._check_shape(pixels, "images", self.image_shape)
        if pixels.dtype != torch.uint8:
            raise ModelError(
                f"{self.name} takes pixels as uint8, not {pixels.dtype}: use encode for images in "
                "[0, 1]"
            )
        images = floats_on(pixels, self.device)
        if self.device.type == "cuda":
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def _checked_codes(self, codes: Tensor, n: int) -> Tensor:
        codes = self._rows_of(codes, n).float()
        LateFinite([codes], model=self.name).require()
        return codes

    def _rows_of(self, codes: Tensor, n: int) -> Tensor:
        """Codes that a network gave as rows ``(n, d)``."""
        if tuple(codes.shape[1:]) == self.latent_shape:
            codes = codes.flatten(1)
        if codes.shape != (n, self.latent_dim):
            raise ModelError(
                f"{self.name} must give codes of shape {(n, self.latent_dim)}, not "
                f"{tuple(codes.shape)}"
            )
        return codes
