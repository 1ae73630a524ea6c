"""References: what a text on the command line, or in Python, names as a model.

A reference is a bundled name, the path of a model file, a short name of ``latentmap.toml``, or
``scheme:name``; each may be followed by options, ``?size=256x192&features=cls``. A scheme is a way
to have a model: one of ``SCHEMES``, or of an entry point of another package.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from latentmap.encoders.bundled import bundled_models
from latentmap.encoders.plugins import find_plugin
from latentmap.encoders.project import project_models
from latentmap.errors import ModelError

if TYPE_CHECKING:
    from latentmap.images import View
    from latentmap.model import Model

Size = tuple[int, int]  # Height and width, in pixels.

# Scheme -> "module:function". The function takes a ``Given``, and gives the model: for images of
# its ``size``, where there is a size, and the model can be had for it.
SCHEMES: dict[str, str] = {
    "diffusers": "latentmap.encoders.adapters.diffusers_models:load",
    "mean": "latentmap.encoders.reference_models:load_mean",
    "onnx": "latentmap.encoders.adapters.onnx_graphs:load",
    "pca": "latentmap.encoders.reference_models:load_pca",
    "pixels": "latentmap.encoders.reference_models:load_pixels",
    "python": "latentmap.encoders.adapters.python_code:load",
    "timm": "latentmap.encoders.adapters.timm_models:load",
    "transformers": "latentmap.encoders.adapters.transformers_models:load",
    "untrained": "latentmap.encoders.untrained:load_untrained",
}

# Schemes whose models see what another model beside them sees.
REFERENCES = frozenset(("mean", "pca", "pixels"))

_SCHEME = re.compile(r"[a-z][a-z0-9_]+(?=:)")  # Of one letter are the drives of Windows.
_SIDE = re.compile("(?=.{1,1000}$)0*[1-9][0-9]*", re.ASCII)  # What int reads.
_LONGEST_SIDE = 1 << 14  # Pixels: a picture of more has over three gigabytes.


@dataclass(frozen=True)
class Given:
    """A reference, taken apart.

    ``text`` is what was typed, ``scheme`` what stands before the colon (None: it is a name or a
    path), ``name`` what stands after it, ``options`` what stands after the question mark; ``size``
    is that of the images, and ``view`` what another model beside this one sees of an image, where
    they are known. Relative paths in the name start from ``folder``. ``alias`` is the short name
    that was typed, if one was: the model goes by it.
    """

    text: str
    scheme: str | None
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    size: Size | None = None
    view: View | None = None
    folder: Path = Path()
    alias: str | None = None

    @property
    def short(self) -> str:
        """The reference without its options."""
        return self.text.partition("?")[0]

    def take_options(self, *names: str) -> dict[str, str]:
        """The options, all of them among ``names``.

        Raises:
            ModelError: there is another one.
        """
        for name in self.options:
            if name not in names:
                known = f"known are {', '.join(sorted(names))}" if names else "it takes none"
                raise ModelError(f"{self.text}: there is no option {name!r} here: {known}")
        return dict(self.options)


def parse_reference(reference: str | Path) -> Given:
    """A reference, taken apart; in place of a short name of ``latentmap.toml`` what it stands for.

    A file that is there under the whole text is meant, whatever stands in its name.

    Raises:
        ModelError: options that are none, or a size that is none, or a fault in that file.
    """
    text = str(reference)
    if isinstance(reference, Path) or Path(text).is_file():
        return Given(text, None, text)
    given = _parse(text)
    if given.scheme is not None or Path(given.name).is_file() or given.name in bundled_models():
        return given
    project = project_models()
    if project is None or given.name not in project.references:
        return given
    known, folder = _parse(project.references[given.name]), project.path.parent
    beside = folder / known.name
    return replace(
        known,
        text=text,
        name=str(beside) if known.scheme is None and beside.is_file() else known.name,
        options={**known.options, **given.options},
        size=given.size or known.size,
        folder=folder,
        alias=given.name,
    )


def _parse(text: str) -> Given:
    whole, question, tail = text.partition("?")
    found = _SCHEME.match(whole)
    scheme, name = (None, whole) if found is None else (found[0], whole[found.end() + 1 :])
    if whole == "mean":  # The one of its scheme.
        scheme, name = "mean", ""
    options: dict[str, str] = {}
    for part in tail.split("&") if question else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value) or key in options:
            raise ModelError(
                f"{text}: what follows the question mark must be options, each once, such as "
                "?size=256x256&features=cls"
            )
        options[key] = value
    said = options.pop("size", None)
    if said is None:
        return Given(text, scheme, name, options)
    try:
        return Given(text, scheme, name, options, parse_size(said))
    except ValueError as error:
        raise ModelError(f"{text}: the size {said} {error}") from None


def parse_size(text: str) -> Size:
    """Height and width, in pixels, of a text such as ``256x192``, or ``64`` for a square.

    Raises:
        ValueError: it is none, or a side is too long; the message goes on from the text.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(_SIDE.fullmatch(side) for side in sides):
        raise ValueError("is no size: give one number, or height x width: 96x64")
    height, width = int(sides[0]), int(sides[-1])
    if max(height, width) > _LONGEST_SIDE:
        raise ValueError(f"is too large: give {_LONGEST_SIDE} pixels at most")
    return height, width


def load_given(given: Given) -> Model:
    """The model that a reference with a scheme names.

    Raises:
        ModelError: there is no such scheme, or it has no such model.
    """
    scheme = str(given.scheme)
    if scheme in SCHEMES:
        module, _, name = SCHEMES[scheme].partition(":")
        model: Model = getattr(importlib.import_module(module), name)(given)
        return model
    plugin = find_plugin(scheme)
    if plugin is None:
        raise ModelError(
            f"{given.text}: there is no scheme {scheme!r}: known are "
            f"{', '.join(f'{scheme}:' for scheme in sorted(SCHEMES))}"
        )
    return plugin.load_scheme(given)


def full_reference(reference: str | Path, model: Model) -> str:
    """A reference that names ``model`` again where nothing else says what it sees: with the size of
    its images where it takes any, and of a reference model with all of its view.
    """
    given = parse_reference(reference)
    options = dict(given.options)
    height, width = model.image_shape[1:]
    if given.scheme in REFERENCES:
        options |= {"channels": str(model.image_shape[0]), "frame": model.frame.name}
        options |= {"resize": model.frame.resize}
    elif not model.any_size:
        return given.text
    options["size"] = f"{height}x{width}"
    return f"{given.short}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
