"""Kept views: pixels that will be asked for again, so that no image is decoded twice for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentmap.images.containers import Container, Failures
from latentmap.images.contents import Contents
from latentmap.images.scratch import Scratch
from latentmap.images.views import View

KEPT_BYTES = 256 << 20  # 20,000 images of 64 x 64 in colour.

# Which contents, (k, 16) uint8, will be asked for as views, as booleans (k,).
Needed = Callable[[np.ndarray], np.ndarray]


class KeptViews:
    """Images of a container as views see them, ``most`` bytes of them; the rest is decoded again.

    Those at the positions that are remembered stay until they are forgotten, others until they are
    taken. Threads may share it: a number that two of them change at once only moves the limit.
    """

    def __init__(self, container: Container, most: int = KEPT_BYTES) -> None:
        self._container = container
        self._left = most
        self._remembered = np.zeros(len(container.ids), np.int32)
        self._pixels: dict[tuple[int, View], np.ndarray] = {}

    def remember(self, index: np.ndarray) -> None:
        """Keeps what is decoded of the images at ``index`` from now on."""
        self._remembered[index] += 1

    def forget(self, index: np.ndarray) -> None:
        """Ends one ``remember``; what nobody else remembers is dropped."""
        self._remembered[index] -= 1
        for position, view in list(self._pixels):
            if not self._remembered[position]:
                self._drop(position, view)

    def describe(
        self, index: np.ndarray, views: Sequence[View], needed: Needed, scratch: Scratch
    ) -> Contents:
        """The contents of images; those that are ``needed`` are decoded as well, from the bytes
        that were read, as far as there is room.
        """
        room = sum(view.size[0] * view.size[1] * view.channels for view in views) * len(index)
        if not room or self._left < room:
            return self._container.describe(index)
        outs = [np.empty((len(index), *view.size, view.channels), np.uint8) for view in views]
        contents, shown = self._container.study(index, views, outs, needed, scratch)
        for k in shown:
            for view, out in zip(views, outs, strict=True):
                self._put(int(index[k]), view, out[k])
        return contents

    def render(
        self, index: np.ndarray, views: Sequence[View], outs: Sequence[np.ndarray], scratch: Scratch
    ) -> Failures:
        """As ``Container.render``, but for what is kept."""
        missing = []
        for k, position in enumerate(index.tolist()):
            found = [self._pixels.get((position, view)) for view in views]
            if any(pixels is None for pixels in found):
                missing.append(k)
                continue
            for view, pixels, out in zip(views, found, outs, strict=True):
                out[k] = pixels
                if not self._remembered[position]:
                    self._drop(position, view)
        if not missing:
            return []
        whole = len(missing) == len(index)
        parts = list(outs) if whole else [out[missing] for out in outs]
        failures = self._container.render(index[missing], views, parts, scratch)
        failed = {place for place, _ in failures}
        for place, k in enumerate(missing):
            if place in failed:
                continue
            for view, part, out in zip(views, parts, outs, strict=True):
                if not whole:
                    out[k] = part[place]
                if self._remembered[index[k]]:
                    self._put(int(index[k]), view, part[place])
        return [(missing[place], message) for place, message in failures]

    def _put(self, position: int, view: View, pixels: np.ndarray) -> None:
        if (position, view) not in self._pixels and self._left >= pixels.nbytes:
            self._pixels[position, view] = pixels.copy()
            self._left -= pixels.nbytes

    def _drop(self, position: int, view: View) -> None:
        pixels = self._pixels.pop((position, view), None)
        if pixels is not None:
            self._left += pixels.nbytes
