"""Which image files are read: those of Pillow that are pictures, told by their first bytes.

Left out are what runs another program or its own instructions (EPS and PostScript, WMF and EMF),
layers and pages (PSD, PDF), video (FLI, MPEG), measurements, which need readers that know what the
numbers mean (FITS, GRIB, BUFR, HDF5), and what Pillow gives up (IM).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from latentmap.errors import ImageError

# Pillow's own order would load all its plugins, which takes longer than a small command.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
OTHER_FORMATS = (
    *("MPO", "DIB", "JPEG2000", "AVIF", "QOI", "ICO", "CUR", "ICNS", "DDS", "PCX", "DCX", "SGI"),
    *("SUN", "MSP", "PIXAR", "BLP", "FTEX", "GBR", "XBM", "XPM"),
    # These have no first bytes of their own, so that whatever nobody else knows comes to them.
    *("PCD", "TGA"),
)
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".avif", ".avifs", ".qoi"),
    *(".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".ico", ".cur", ".icns", ".dds", ".pcx"),
    *(".dcx", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".msp", ".pxr", ".blp", ".ftc", ".ftu"),
    *(".gbr", ".xbm", ".xpm", ".pcd", ".tga", ".icb", ".vda", ".vst"),
)
_NAMED = 5


def is_image_name(path: str) -> bool:
    """Whether a file is taken for an image, by its name."""
    return path.lower().endswith(SUFFIXES)


def count_suffixes(paths: Sequence[str]) -> str:
    """Files by what their names end with: ``3 .txt, 1 .psd``."""
    counts = Counter(PurePosixPath(path).suffix.lower() or "without suffix" for path in paths)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{count} {suffix}" for suffix, count in ordered[:_NAMED]]
    rest = sum(count for _, count in ordered[_NAMED:])
    return ", ".join(parts) + (f", {rest} others" if rest else "")


def no_images(title: str, others: Sequence[str]) -> ImageError:
    """The error for a folder or archive without images, which says what is there instead."""
    return ImageError(
        f"{title} holds no images (.jpg, .jpeg, .png, .gif, .tif, .pgm and others), "
        f"{_what_was_found(others)}: give a folder, an archive or a file of images"
    )


def _what_was_found(paths: Sequence[str]) -> str:
    if not paths:
        return "it is empty"
    named = ", ".join(repr(path) for path in sorted(paths)[:_NAMED])
    more = f" and {len(paths) - _NAMED} others" if len(paths) > _NAMED else ""
    return f"only files such as {named}{more}"
