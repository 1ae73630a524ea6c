"""What a native model file says of its model, read without the weights, and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentmap.encoders import require_family
from latentmap.errors import ImageError, ModelError
from latentmap.files import TensorFile, reason_of
from latentmap.frames import Frame

MODEL_FILE = TensorFile(
    kind="model",
    format=3,
    error=ModelError,
    advice="give the path of a model file that `latentmap train` or `latentmap import` made, or "
    "the name of a bundled model (`latentmap models`)",
    elsewhere="`latentmap import --inspect` tells what it is, and whether it can be imported",
)


@dataclass(frozen=True)
class NativeHeader:
    """What a native model file says about itself; reading it does not read the weights.

    ``n_seen`` is the number of training images that it knows again, None where it does not say.
    ``prior`` says what prior it has (``words``, ``kind``, ``config``, ``fingerprint``, ``record``),
    None where it has none of its own.
    """

    family: str
    config: dict[str, Any]
    frame: Frame
    fingerprint: str
    training: dict[str, Any]
    boxes: dict[str, str]
    n_seen: int | None
    prior: dict[str, Any] | None


def read_header(path: str | Path) -> NativeHeader:
    """What a native model file says about itself.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    return parse_header(path, MODEL_FILE.read_header(path))


def parse_header(path: str | Path, header: dict[str, Any]) -> NativeHeader:
    """What the description of a model file says.

    Raises:
        ModelError: it does not describe a model as it should.
    """
    try:
        config, family = header["config"], header["family"]
        require_family(family)
        # What every family has, and what is shown of a model that is not loaded.
        numbers = [config["latent_dim"], *config["image_shape"]]
        if len(numbers) != 4 or not all(type(number) is int for number in numbers):
            raise TypeError("latent_dim is one number, image_shape three")
        if not isinstance(header["training"], dict) or not isinstance(header["fingerprint"], str):
            raise TypeError("the record of the training has names, the fingerprint is a text")
        if not isinstance(config.get("space", ""), str):
            raise TypeError("the space of the codes is a text")
        n_seen = header["seen"]["n"] if "seen" in header else None
        if type(n_seen) not in (int, type(None)):
            raise TypeError("the number of images that it has seen is none")
        return NativeHeader(
            family,
            config,
            Frame.from_json(header["frame"]),
            header["fingerprint"],
            header["training"],
            {str(name): Frame(str(box)).name for name, box in header.get("views", {}).items()},
            n_seen,
            _checked_prior(header.get("prior")),
        )
    except ModelError as error:
        raise ModelError(f"{path} cannot be used: {error}") from None
    except (AttributeError, KeyError, TypeError, ImageError) as error:
        raise ModelError(
            f"{path} does not describe its model as it should: {reason_of(error)}"
        ) from None


def _checked_prior(said: Any) -> dict[str, Any] | None:
    """What a file says of its prior, None where it has none.

    Raises:
        TypeError, KeyError: it is not said as it should be.
    """
    if said is None:
        return None
    texts = [said[name] for name in ("words", "kind", "fingerprint")]
    others = [said[name] for name in ("config", "record")]
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(one, dict) for one in others
    ):
        raise TypeError("the prior has texts and records")
    return {name: said[name] for name in ("words", "kind", "config", "fingerprint", "record")}
