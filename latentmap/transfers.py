"""Copies between the processor and a model's device that nobody waits for.

On CUDA a batch goes up on a stream of its own while the one before is computed, and what was
computed is asked for a batch late: whoever asks at once waits until the device has nothing left to
do. On the processor nothing is copied.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

Launched = TypeVar("Launched")


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor on ``device``. On CUDA it is copied on a stream of its own, for
    which what is computed with it waits, and nothing else.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    compute, copies = torch.cuda.current_stream(device), _copy_stream(device)
    with torch.cuda.stream(copies):
        there = tensor.pin_memory().to(device, non_blocking=True)
    compute.wait_stream(copies)
    there.record_stream(compute)
    return there


def device_of_sums(device: torch.device) -> torch.device:
    """Where float64 sums of what a model on ``device`` gives are made: there on CUDA; Apple's
    devices have no float64, and the processor makes them.
    """
    return device if device.type == "cuda" else torch.device("cpu")


def floats_on(pixels: Tensor, device: torch.device) -> Tensor:
    """Images in uint8 as float32 in [0, 1], converted on ``device``."""
    return upload(pixels, device).float().div_(255)


class Arriving:
    """A tensor on its way to the processor; on CUDA it is there once an event has passed."""

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if tensor.device.type != "cuda":
            self._host = tensor.cpu()
            return
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record(torch.cuda.current_stream(tensor.device))

    def wait(self) -> Tensor:
        """The tensor, in ordinary memory: what is pinned is freed for the batches that come."""
        if self._arrived is None:
            return self._host
        self._arrived.synchronize()
        return self._host.clone()


def a_batch_late(launched: Iterable[Launched]) -> Iterator[Launched]:
    """The same, each after the next one was launched.

    >>> list(a_batch_late("abc"))
    ['a', 'b', 'c']
    """
    pending: list[Launched] = []
    for one in launched:
        yield from pending
        pending = [one]
    yield from pending


def to_channels_last(network: nn.Module) -> None:
    """Lays the weights of convolutions out as cuDNN takes them for images in channels-last memory;
    else it would do so at every call.
    """
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
