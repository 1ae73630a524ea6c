"""What a file that holds a whole Keras model says of its layers, against the published Split-VAE.

The weights do not say what their layers compute. Where the file does, a layer that computes
something else is refused: the model would be imported, and be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from latentmap.encoders.checkpoints.descriptions import in_words, shown
from latentmap.errors import CheckpointError
from latentmap.files import parse_json

# A class of layers -> its settings -> the values that the published code has.
_EXPECTED: dict[str, dict[str, tuple[Any, ...]]] = {
    "Activation": {"activation": ("swish", "silu")},
    "BatchNormalization": {"epsilon": (1e-5,), "center": (True,), "scale": (True,)},
    "Conv2D": {
        "activation": ("linear", "sigmoid"),
        "padding": ("same",),
        "dilation_rate": ([1, 1],),
        "groups": (1,),
        "data_format": ("channels_last",),
    },
    "Conv2DTranspose": {
        "activation": ("linear",),
        "padding": ("same",),
        "strides": ([2, 2],),
        "dilation_rate": ([1, 1],),
        "data_format": ("channels_last",),
    },
    "Dense": {"activation": ("linear",)},
}
_LAYERS = 5000


def check_description(description: str | bytes) -> None:
    """Passes where every layer of a Keras model (its configuration as JSON) is one that the
    published code makes.

    Raises:
        CheckpointError: one is another, or the text is no configuration.
    """
    try:
        config = parse_json(description)
    except ValueError:
        raise CheckpointError("the description of the model in the file is damaged") from None
    for kind, settings in _layers(config):
        for name, expected in _EXPECTED.get(kind, {}).items():
            value = settings.get(name, expected[0])
            if isinstance(value, tuple):
                value = list(value)
            if value not in expected:
                raise CheckpointError(
                    f"its layer {shown(str(settings.get('name')))} was made with {name}="
                    f"{in_words(value)}: a published Split-VAE has {expected[0]!r}, and no other "
                    "is supported"
                )


def _layers(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class and settings of each layer, those of nested models too."""
    waiting = [config]
    seen = 0
    while waiting and seen < _LAYERS:
        seen += 1
        layer = waiting.pop(0)
        settings = layer.get("config") if isinstance(layer, dict) else None
        if not isinstance(settings, dict):
            continue
        yield str(layer.get("class_name")), settings
        inner = settings.get("layers")
        waiting += inner if isinstance(inner, list) else []
