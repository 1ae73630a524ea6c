"""ONNX graphs, run by onnxruntime on the CPU: ``onnx:ENCODER.onnx[,DECODER.onnx]``.

Either may be missing: ``onnx:,DECODER.onnx``. What the graphs do not say is given as options:

    range             what black and white are for the networks: -1,1; 0,1 unless it is given
    mean, std         of the pixels in [0, 1], one number or one for each channel: instead of range
    output            of an encoder with several outputs, the one that codes are
    decoder-output    of a decoder with several outputs, the one that images are

Images are ``(n, c, h, w)`` or ``(n, h, w, c)`` for the graphs, codes have any shape after ``n``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentmap.encoders import LATENT
from latentmap.encoders.adapters.extras import require
from latentmap.encoders.adapters.onnx_files import digest_of_graph
from latentmap.encoders.adapters.scaling import Scaling, read_numbers, read_range
from latentmap.encoders.references import Given
from latentmap.errors import ModelError
from latentmap.files import reason_of
from latentmap.model import Model
from latentmap.model.clamping import clamp_to_unit

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_ERRORS_ALONE = 3  # Of the levels of onnxruntime's remarks on stderr.
_CHANNELS = (1, 3)


def load(given: Given) -> Model:
    """The model that one or two graphs are.

    Raises:
        ModelError: a file is missing or no graph, a graph has several inputs, or outputs of which
            none was chosen, its shapes are those of no images or codes, or onnxruntime is missing.
    """
    options = given.take_options("range", "mean", "std", "output", "decoder-output")
    paths = given.name.partition(",")[::2]
    encoder, decoder = (
        Graph(given.folder / path, options.get(option), option) if path else None
        for path, option in zip(paths, ("output", "decoder-output"), strict=True)
    )
    if encoder is None and decoder is None:
        raise ModelError(f"{given.text} names no graph: write onnx:ENCODER.onnx,DECODER.onnx")
    pixels = _pixels(options)
    stem = ",".join(Path(path).name for path in paths if path)
    return OnnxModel(encoder, decoder, pixels, size=given.size, name=f"onnx:{stem}")


def _pixels(options: Mapping[str, str]) -> Scaling:
    if "range" in options:
        if "mean" in options or "std" in options:
            raise ModelError("range and mean and std say the same twice: leave one of them out")
        return read_range(options["range"], "range")
    mean = read_numbers(options.get("mean", "0"), "mean")
    return Scaling(mean, read_numbers(options.get("std", "1"), "std", positive=True))


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph; a length in ``shape`` is None where any will do."""

    name: str
    shape: tuple[int | None, ...]
    type: str


class Graph:
    """A graph with one input, and the one of its outputs that is wanted."""

    def __init__(self, path: Path, output: str | None, option: str) -> None:
        self.digest = digest_of_graph(path)
        library = require("onnxruntime", "onnx")
        settings = library.SessionOptions()
        settings.log_severity_level = _ERRORS_ALONE
        settings.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = library.InferenceSession(
                str(path), settings, providers=["CPUExecutionProvider"]
            )
        # The library's own classes have no base of their own.
        except Exception as error:
            raise ModelError(
                f"{path} is no graph that onnxruntime {library.__version__} can run "
                f"({reason_of(error)}): export it again"
            ) from error
        self.path = path
        inputs, outputs = (
            [_port(one) for one in some]
            for some in (self._session.get_inputs(), self._session.get_outputs())
        )
        if len(inputs) != 1:
            raise ModelError(
                f"{path} has {len(inputs)} inputs ({_names(inputs)}), not one: export the encoder "
                "or the decoder alone"
            )
        self.input, self.output = inputs[0], _chosen(outputs, output, path, option)
        for port in (self.input, self.output):
            if port.type not in _TYPES:
                raise ModelError(
                    f"{path}: {port.name} is {port.type}, not a tensor of floating-point numbers: "
                    "export it without what makes bytes or whole numbers"
                )

    def run(self, given: Tensor) -> Tensor:
        """The output for an input, on the CPU as float32.

        Raises:
            ModelError: onnxruntime refuses it.
        """
        batch = self.input.shape[0] if self.input.shape else None
        parts = [given] if batch is None else list(given.split(batch))
        missing = 0 if batch is None else batch - len(parts[-1])
        if missing:  # A graph for batches of one size: the last one is filled up.
            parts[-1] = torch.cat([parts[-1], given.new_zeros(missing, *given.shape[1:])])
        found = [self._run(part.detach().cpu().numpy()) for part in parts]
        return torch.cat(found)[: len(given)]

    def _run(self, given: np.ndarray) -> Tensor:
        try:
            (found,) = self._session.run(
                [self.output.name], {self.input.name: given.astype(_TYPES[self.input.type])}
            )
        except Exception as error:
            raise ModelError(
                f"{self.path} cannot be run on {given.shape} ({reason_of(error)}): give the size "
                "that it was exported for"
            ) from error
        return torch.from_numpy(np.ascontiguousarray(found, np.float32))


def _port(one: Any) -> Port:
    shape = tuple(length if type(length) is int and length > 0 else None for length in one.shape)
    return Port(one.name, shape, one.type)


def _names(ports: list[Port]) -> str:
    return ", ".join(port.name for port in ports)


def _chosen(outputs: list[Port], name: str | None, path: Path, option: str) -> Port:
    found = [port for port in outputs if name is None or port.name == name]
    if len(found) != 1:
        raise ModelError(
            f"{path} has the outputs {_names(outputs)}: choose one with ?{option}=NAME"
        )
    return found[0]


class OnnxModel(Model):
    """An encoder, a decoder, or both, as graphs; nothing has gradients in them."""

    family = "onnx"
    has_gradients = False

    def __init__(
        self,
        encoder: Graph | None,
        decoder: Graph | None,
        pixels: Scaling,
        *,
        size: tuple[int, int] | None,
        name: str,
    ) -> None:
        self._encoder, self._decoder, self._pixels = encoder, decoder, pixels
        self.can_encode, self.can_decode = encoder is not None, decoder is not None
        port, path = _image_port(encoder, decoder)
        self._channels_last, image_shape, self.any_size = _image_shape(port, size, path)
        pixels.require_channels(image_shape[0], f"the images of {name}")
        if encoder is not None:
            images = torch.full((1, *image_shape), 0.5)
            latent_shape = tuple(encoder.run(self._given(images)).shape[1:])
            if decoder is not None:
                _require_fitting(decoder, latent_shape)
        else:
            latent_shape = _latent_shape(decoder, path)
        super().__init__(
            nn.Module(),
            name=name,
            config={
                "encoder": None if encoder is None else encoder.digest,
                "decoder": None if decoder is None else decoder.digest,
                "outputs": [None if one is None else one.output.name for one in (encoder, decoder)],
                "pixels": pixels.to_json(),
                "image_shape": list(image_shape),
                "latent_shape": list(latent_shape),
                "latent_dim": math.prod(latent_shape),
            },
            latent_dim=math.prod(latent_shape),
            latent_shape=latent_shape,
            space_kind=LATENT if self.can_encode else "z",
            image_shape=image_shape,
        )

    def to(self, device: str | torch.device) -> Model:
        """This model, which stays on the CPU, wherever others are."""
        return self

    def resized(self, height: int, width: int) -> Model:
        if not self.any_size or (height, width) == self.image_shape[1:]:
            return super().resized(height, width)
        model = OnnxModel(
            self._encoder, self._decoder, self._pixels, size=(height, width), name=self.name
        )
        return model.seen_through(self.frame)

    def _given(self, images: Tensor) -> Tensor:
        values = self._pixels.apply(images)
        return values.permute(0, 2, 3, 1) if self._channels_last else values

    def _encode(self, images: Tensor) -> Tensor:
        assert self._encoder is not None
        return self._encoder.run(self._given(images))

    def _decode(self, codes: Tensor) -> Tensor:
        assert self._decoder is not None
        values = self._decoder.run(codes)
        if self._channels_last and values.ndim == 4:
            values = values.permute(0, 3, 1, 2)
        return clamp_to_unit(self._pixels.undo(values))


def _require_fitting(decoder: Graph, latent_shape: tuple[int, ...]) -> None:
    """Passes where the decoder takes what the encoder gives.

    Raises:
        ModelError: it takes codes of another shape.
    """
    taken = decoder.input.shape[1:]
    fits = len(taken) == len(latent_shape) and all(
        length in (None, given) for length, given in zip(taken, latent_shape, strict=False)
    )
    if not fits:
        raise ModelError(
            f"{decoder.path}: {decoder.input.name} has the shape {_said(decoder.input.shape)}, but "
            f"the encoder gives codes of shape {_said((None, *latent_shape))}: give two graphs of "
            "one autoencoder"
        )


def _image_port(encoder: Graph | None, decoder: Graph | None) -> tuple[Port, Path]:
    if encoder is not None:
        return encoder.input, encoder.path
    assert decoder is not None
    return decoder.output, decoder.path


def _image_shape(
    port: Port, size: tuple[int, int] | None, path: Path
) -> tuple[bool, tuple[int, int, int], bool]:
    """Whether channels come last, the shape ``(c, h, w)`` of images, and whether any size will do.

    Raises:
        ModelError: these are no images, or it takes any size, and none is given.
    """
    shape = port.shape
    places = {1: False, 3: True} if len(shape) == 4 else {}
    found = [last for place, last in places.items() if shape[place] in _CHANNELS]
    if not found:
        raise ModelError(
            f"{path}: {port.name} has the shape {_said(shape)}, not that of images with 1 or 3 "
            "channels, (n, c, h, w) or (n, h, w, c): export it with one of these"
        )
    last = found[0]
    channels, height, width = (shape[at] for at in ((3, 1, 2) if last else (1, 2, 3)))
    assert channels is not None
    any_size = height is None or width is None
    if any_size and size is None:
        raise ModelError(
            f"{path} takes images of any size: say which, with --size HxW or ?size=HxW"
        )
    rows, columns = size if any_size and size is not None else (height, width)
    assert rows is not None
    assert columns is not None
    return last, (channels, rows, columns), any_size


def _latent_shape(decoder: Graph | None, path: Path) -> tuple[int, ...]:
    assert decoder is not None
    shape = decoder.input.shape[1:]
    if not shape or None in shape:
        raise ModelError(
            f"{path}: {decoder.input.name} has the shape {_said(decoder.input.shape)}, which does "
            "not say how large codes are: give the encoder beside it, or export it with a fixed "
            "size"
        )
    return tuple(length for length in shape if length is not None)


def _said(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"
