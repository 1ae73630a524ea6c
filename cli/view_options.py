"""The options that say what is seen of an image: ``--frame --resize --size --channels``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.declaring import IMAGES, option, together
from latentmap.cli.kinds import Size, Text

if TYPE_CHECKING:
    from latentmap.images import ImageSource, View

# A test compares these with the library's own list, which cannot be imported here without torch.
RESIZES = (
    "torch-bicubic",
    "torch-bilinear",
    "pillow-lanczos",
    "pillow-bicubic",
    "pillow-bilinear",
    "pillow-box",
)


frame_option = option(
    "--frame",
    type=Text(),
    title=IMAGES,
    metavar="FRAME",
    help="What is seen of an image: full, center (the largest square), celeba, or "
    "top,left,bottom,right from 0 to 1.  [default: full, or what a pack shows]",
)
resize_option = option(
    "--resize",
    title=IMAGES,
    type=click.Choice(RESIZES),
    help="The filter that brings the frame to its size, antialiased.  [default: torch-bicubic, or "
    "what made a pack]",
)
channels_option = option(
    "--channels",
    title=IMAGES,
    type=click.Choice(("1", "3")),
    callback=lambda _, __, value: value and int(value),
    help="1 for grey, 3 for colour.  [default: as the images are]",
)
size_option = option(
    "--size",
    title=IMAGES,
    type=Size(),
    metavar="N|HxW",
    help="Height and width in pixels.  [default: as the images are]",
)


@dataclass(frozen=True)
class ViewOptions:
    """What of images is wanted, as given on the command line; None is what they show themselves."""

    frame: str | None
    resize: Any
    size: tuple[int, int] | None
    channels: Literal[1, 3] | None

    def of(self, images: ImageSource) -> View:
        """The view of these images. Says so when their proportions are changed unasked.

        Raises:
            ImageError: they cannot be seen so.
        """
        seen = images.view(
            frame=self.frame, resize=self.resize, size=self.size, channels=self.channels
        )
        if self.frame is None and self.size is not None:
            self._tell_of_squashing(images, seen)
        return seen

    def _tell_of_squashing(self, images: ImageSource, seen: View) -> None:
        from latentmap.cli.output import warn
        from latentmap.frames import Frame
        from latentmap.images.views import squashed_size

        # What lies in a pack is what its frame shows.
        frame = seen.frame if images.packed is None else Frame()
        size = squashed_size(frame, images.shapes, seen.size)
        if size is not None:
            warn(
                f"images of {size[0]}x{size[1]} are squashed to {seen.size[0]}x{seen.size[1]} "
                "(height x width): say what is seen of them with --frame (center is the largest "
                "square), or choose a --size of their proportions"
            )


view_options = together(
    "view", ViewOptions, size_option, channels_option, frame_option, resize_option
)
