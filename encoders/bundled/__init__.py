"""Bundled models: small weights that ship with the package, each with its recipe and its card.

``NAME.json`` is the recipe that made ``NAME.safetensors``, ``NAME.md`` its card, and ``NAME.jpg``
images that it makes.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def bundled_models() -> dict[str, Path]:
    """The model files that ship with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
