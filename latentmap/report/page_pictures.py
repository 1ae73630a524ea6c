"""The pictures of a page: each is in it once, however often it is shown, and ``report.json`` names
them there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from latentmap.report.parts import Block, Section
from latentmap.report.pictures import EmbeddedImage, ImageRows, Picture

_LETTERS = 24  # Of a digest.
# As the template `page.html` writes it.
_IN_PAGE = re.compile(
    r'<image id="(picture-[0-9a-f]{24})" width="\d+" height="\d+" '
    r'href="(data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2})"/>'
)
_Json = Any


def images_in(block: Block) -> Iterator[EmbeddedImage]:
    """The pictures that a block shows."""
    if isinstance(block, ImageRows):
        for row in block.rows:
            yield from row.images
    elif isinstance(block, Picture):
        yield block.image


def pictures_of(sections: Iterable[Section]) -> dict[str, EmbeddedImage]:
    """All different pictures of some sections, by their data URIs."""
    return {
        image.uri: image
        for section in sections
        for block in section.blocks
        for image in images_in(block)
    }


def picture_id(uri: str) -> str:
    """What a picture is called in the page: by its content.

    Example:
        >>> picture_id("data:image/png;base64,AAAA")
        'picture-bde6da8e9d3902a86a1452ec'
    """
    return f"picture-{hashlib.sha256(uri.encode()).hexdigest()[:_LETTERS]}"


def pictures_in_page(page: str) -> dict[str, str]:
    """The data URIs of the pictures in a page, by their ids; those that are not what their id says
    are left out.
    """
    found = _IN_PAGE.findall(page)
    return {id: uri for id, uri in found if id == picture_id(uri)}


def without_pictures(content: _Json, page: str) -> _Json:
    """The JSON of a report with references into the file ``page`` for its pictures."""

    def named(uri: str) -> str:
        return f"{page}#{picture_id(uri)}"

    return _changed(content, named)


def with_pictures(content: _Json, page: str, pictures: Mapping[str, str]) -> _Json:
    """The reverse, from the pictures of that page by their ids.

    Raises:
        KeyError: a picture is not among them.
    """

    def found(uri: str) -> str:
        file, _, id = uri.partition("#")
        return pictures[id] if file == page else uri

    return _changed(content, found)


def _changed(content: _Json, change: Callable[[str], str]) -> _Json:
    """The JSON of a report with other URIs; what is no such JSON stays as it is."""
    if isinstance(content, dict):
        return {
            key: change(value)
            if key == "uri" and isinstance(value, str)
            # What made a section is not ours to read.
            else value
            if key == "record"
            else _changed(value, change)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_changed(one, change) for one in content]
    return content
