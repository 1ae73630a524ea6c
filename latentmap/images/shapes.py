"""Shapes of arrays of images: which axis is which, and which shapes could mean two things."""

from __future__ import annotations

from latentmap.errors import ImageError

_COLOURS = (1, 3)
_TINY = 8


def channels_first(shape: tuple[int, ...], title: str) -> bool:
    """Whether the channels of images of a shape come before their height: ``(n, c, h, w)``.

    Raises:
        ImageError: it is no shape of images, or could as well be that of one picture.
    """
    told = f"{title} has shape {shape}"
    if 0 in shape:
        raise ImageError(f"{told}: images need (n, h, w) or more, with at least one image")
    if len(shape) == 3:
        _refuse_one_picture(shape, told)
        return False
    if len(shape) == 4:
        if shape[3] in _COLOURS:
            return False
        if shape[1] in _COLOURS:
            return True
        for axis, cut in ((3, "..., "), (1, ":, ")):
            if shape[axis] in (2, 4):
                what = "leave out transparency" if shape[axis] == 4 else "choose one"
                kept = 3 if shape[axis] == 4 else 1
                raise ImageError(
                    f"{told}: images need 1 or 3 channels, not {shape[axis]}: {what}, as "
                    f"array[{cut}:{kept}]"
                )
    other = ""
    if len(shape) == 2:
        other = "; one picture is array[None], rows of flattened images are array.reshape(-1, h, w)"
    raise ImageError(
        f"{told}: images need (n, h, w), (n, h, w, c) or (n, c, h, w) with c 1 or 3{other}"
    )


def _refuse_one_picture(shape: tuple[int, ...], told: str) -> None:
    first, height, last = shape
    # No picture is 1 to 4 pixels wide, unless it is tiny altogether.
    if (last == 3 and height != 3) or (last in (1, 2, 4) and min(first, height) >= _TINY):
        kept = {1: "", 2: ", ..., :1", 3: "", 4: ", ..., :3"}[last]
        channels = f"{last} channel{'s' * (last > 1)}"
        raise ImageError(
            f"{told}, which is that of one picture with {channels}: give array[None{kept}], "
            f"or, if it is {first} grey images of {height}x{last}, array[..., None]"
        )
    if first == 3 and min(height, last) >= _TINY:
        raise ImageError(
            f"{told}, which is that of one colour picture or of 3 grey images: give array[None] "
            "or array[..., None]"
        )
