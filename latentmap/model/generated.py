"""Generated images: a model's samples, with the codes that they were made of.

They are rendered once, in parts, so that an interruption costs one part, and kept as a pack.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from latentmap.codes import Codes, pack_ids
from latentmap.errors import ImageError, OutputError
from latentmap.files import (
    Notify,
    folders_in,
    hold_lock,
    look_into,
    refuse_links,
    replace_atomic,
    require_parent,
)
from latentmap.files.home import cache_home
from latentmap.frames import Frame
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.images.packed import Packed, PackedImages
from latentmap.images.packing import new_pack
from latentmap.model.contract import Model
from latentmap.model.kept_images import GENERATED, PART_FILE
from latentmap.model.sampling import decode_all, sample_codes
from latentmap.progress import Progress, ProgressLike, reporting

# Images that are lost at an interruption, at most; fewer where they are large.
_PART = 256
_PART_NUMBERS = 2**24
_BATCH = 64


def generated_images(
    model: Model,
    n: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    folder: str | Path | None = None,
    notify: Notify | None = None,
    progress: ProgressLike = None,
) -> ImageSource:
    """``n`` images that ``model`` makes of codes from its prior, kept in ``folder``; by default in
    the user's own cache.

    They are found again by the model, its space, settings and prior, ``seed``, ``truncation`` (see
    ``Model.sample``) and ``n``; ``codes_in`` of the result gives their codes.

    Raises:
        ModelError: the model has no decoder, or cannot truncate codes.
        ImageError: ``n`` is below 2, all images would be equal, or the model draws its noise anew
            every time.
        OutputError: the folder cannot be written, or is a link; or what is kept there are others.
    """
    model.require_decoder()
    if n < 2:
        raise ImageError(f"at least 2 images must be generated, not {n}")
    if truncation == 0:
        raise ImageError(
            f"at truncation 0 all images of {model.name} are equal, made of its mean code: give a "
            "truncation above 0"
        )
    if truncation != 1:
        model.sample(1, truncation=truncation)  # Refuses before anything is made or waited for.
    if model.rendering.get("noise") == "random":
        raise ImageError(
            f"{model.name} draws noise anew for every image, but only images that can be made "
            "again are kept: take the noise const or none"
        )
    key = {
        "model": model.fingerprint,
        "space": model.space.kind,
        "settings": model.rendering,
        "frame": model.frame.to_json(),
        "seed": seed,
        "n": n,
    }
    if model.prior is not None:  # The weights do not tell it.
        key["prior"] = model.prior.fingerprint
    if truncation != 1:  # Older versions made all images without.
        key["truncation"] = float(truncation)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_home() / GENERATED if folder is None else Path(folder)
    path = folder / f"{name}.h5"
    refuse_links(folder, error=OutputError)
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
        with hold_lock(
            folder / f"{name}.lock", f"the samples of {model.name}", timeout=None, notify=notify
        ):
            if not path.exists():
                vectors = model.sample(n, seed=seed, truncation=truncation)
                codes = sample_codes(vectors, model, seed=seed)
                with reporting(progress, f"generating with {model.name}") as told:
                    pack_decoded(model, codes, path, progress=told)
    container = PackedImages(path)
    if len(container.ids) != n:
        raise OutputError(
            f"{path} must hold {n} images, not {len(container.ids)}: remove it, and they are made "
            "again"
        )
    truncated = "" if truncation == 1 else f", truncation {truncation:g}"
    container.title = f"{n} samples of {model.name} (seed {seed}{truncated})"
    return ImageSource(container, np.arange(n))


def maker_of(source: Model, target: Model) -> Literal["source", "target"]:
    """Which of two models makes images for both: what has no encoder must, what has no decoder
    cannot, after that what is a generator; else the target does.
    """
    if source.can_encode != target.can_encode:
        return "target" if source.can_encode else "source"
    if source.can_decode != target.can_decode:
        return "source" if source.can_decode else "target"
    return "source" if source.is_generator and not target.is_generator else "target"


def images_between(
    maker: Model,
    other: Model,
    n: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    folder: str | Path,
    box: str | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
) -> tuple[ImageSource, Model, Model]:
    """``n`` images that ``maker`` makes, and both models as they see these; ``seed`` and
    ``truncation`` decide the codes.

    ``box`` is that of the images that ``other`` sees; by default the one that the maker's file
    knows (see ``estimate_box``), else what follows from the frames of the two. Where there is such
    a box, frames are relative to the image.

    Raises:
        ModelError: ``maker`` has no decoder, or cannot truncate codes.
        ImageError: the box is not inside the image; or there is none, and the frame of ``maker``
            does not hold that of ``other``.
    """
    maker.require_decoder()
    box = box or maker.boxes.get(other.fingerprint)
    if box is not None:
        maker = maker.seen_through(Frame("full", maker.frame.resize))
        other = other.seen_through(Frame(box, other.frame.resize))
    require_shown(maker, other)
    images = generated_images(
        maker,
        n,
        seed=seed,
        truncation=truncation,
        folder=folder,
        notify=notify,
        progress=progress,
    )
    return images, maker, other


def require_shown(maker: Model, other: Model) -> None:
    """Refuses images that ``maker`` makes for a model that cannot see them, by their frames.

    Raises:
        ImageError: the frame of ``maker`` does not hold that of ``other``.
    """
    try:
        _packed_as(maker).translate(other.view)
    except ImageError:
        raise ImageError(
            f"{maker.name} makes images in the frame {maker.frame.name}, which does not contain "
            f"the frame of {other.name}, {other.frame.name}: fit with the box of them that "
            f"{other.name} sees (--box 0,0,1,1 is all), or find it with `latentmap frames "
            "estimate`"
        ) from None


def _packed_as(model: Model) -> Packed:
    """What a pack of images that a model makes says of them."""
    return Packed(model.view, False, None, model.image_shape[0])


def pack_decoded(
    model: Model, codes: Codes, path: Path, *, progress: Progress | None = None
) -> None:
    """Writes the images of codes, and the codes, to a pack at ``path``, whole or not at all.

    What an interrupted call left beside it, of the same codes and model, is used again, and what
    others left there is removed.

    Raises:
        OutputError: the file cannot be written.
    """
    vectors = codes.vectors.numpy()
    made_of = [model.fingerprint, json.dumps(model.rendering, sort_keys=True)]
    digest = hashlib.sha256(vectors.tobytes() + "".join(made_of).encode()).hexdigest()[:16]
    parts = path.with_suffix(f".{digest}.parts")
    require_parent(parts)
    refuse_links(parts, error=OutputError)
    parts.mkdir(exist_ok=True)
    with _holding(parts):
        _clear_parts(path)
        names = _make_parts(model, codes, parts, progress)
        _join(names, path, model, codes.ids, vectors)
        for part in names:
            part.unlink()
    with suppress(OSError):  # Somebody else's file may be in it.
        parts.rmdir()


@contextmanager
def _holding(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Holds a folder of parts, which several writers may need, or one ``alone`` that removes them.

    Raises:
        BlockingIOError: it is for one alone, and somebody else holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _clear_parts(path: Path) -> None:
    """Removes what killed writers of a pack left beside it, of other codes or models."""
    names = re.compile(rf"{re.escape(path.stem)}\.[0-9a-f]{{16}}\.parts")
    for folder in folders_in(path.parent, names):
        with suppress(OSError), _holding(folder, alone=True):
            for part in look_into(folder, PART_FILE).ours:
                part.unlink()
            folder.rmdir()


def _make_parts(model: Model, codes: Codes, parts: Path, progress: Progress | None) -> list[Path]:
    """The files of the images of codes, in order; those that are there are not made again."""
    n, names = len(codes), []
    step = max(1, min(_PART, _PART_NUMBERS // math.prod(model.image_shape)))
    for start in range(0, n, step):
        stop = min(start + step, n)
        part = parts / f"{start:09}-{stop:09}.npy"
        names.append(part)
        if progress:
            progress(start, n)
        if not part.exists():
            images = decode_all(model, codes.read(start, stop), batch_size=_BATCH)
            pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
            with replace_atomic(part) as temporary, temporary.open("wb") as file:
                np.save(file, pixels)
    return names


def _join(
    parts: list[Path], path: Path, model: Model, ids: np.ndarray, vectors: np.ndarray
) -> None:
    """One pack of all parts."""
    packed = _packed_as(model)
    with replace_atomic(path) as temporary, new_pack(temporary, packed, len(ids)) as (file, disk):
        file["space"] = json.dumps(model.space.to_json())
        file["codes"] = vectors
        file["ids"] = pack_ids(ids)
        digests = np.empty((len(ids), 16), np.uint8)
        start = 0
        for part in parts:
            pixels = np.load(part, allow_pickle=False)
            stop = start + len(pixels)
            file["images"][start:stop] = pixels
            digests[start:stop] = (
                ArrayImages(pixels, str(part)).describe(np.arange(len(pixels))).digests
            )
            start = stop
            disk.check()
        file["digests"] = digests
