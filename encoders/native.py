"""Native model files: one safetensors file whose metadata says how to build the model again.

The description holds family, configuration, frame, fingerprint and the record of the training.
Beside the weights the file may have a filter of the images that the model was trained on, since
format 2, and a prior, since format 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders import build, require_family
from latentmap.encoders.building import check_config
from latentmap.encoders.two_stage import TwoStagePrior
from latentmap.errors import ImageError, ModelError
from latentmap.files import TensorFile, hold_file, reading, reason_of
from latentmap.frames import Frame
from latentmap.model import Mixture, Model, Prior, SeenImages

_FILE = TensorFile(
    kind="model",
    format=3,
    error=ModelError,
    advice="give the path of a model file that `latentmap train` or `latentmap import` made, or "
    "the name of a bundled model (`latentmap models`)",
    elsewhere="`latentmap import --inspect` tells what it is, and whether it can be imported",
)


_SEEN, _PRIOR = "seen_images.", "prior."
_OLDER = 2  # The format of a file without a prior, which older versions read.


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


@dataclass(frozen=True, eq=False)
class NativeModel:
    """All that a native model file holds: what it says of itself, the weights by name, on the CPU,
    the images that the model was trained on, and its prior, where it has them.
    """

    header: NativeHeader
    weights: dict[str, Tensor]
    seen: SeenImages | None
    prior: Prior | None


def save_model(
    model: Model, path: str | Path, *, training: Mapping[str, Any], half: bool = False
) -> None:
    """Writes a model to a native file, whole or not at all; ``training`` is the record of how it
    was made.

    ``half`` writes the weights in float16: of a model that ``halved`` made, without another loss.

    Raises:
        ModelError: ``load`` could not make the model again: its family is not in ``FAMILIES``, or
            makes another model of this configuration and these weights.
        OutputError: the file cannot be written.
    """
    _require_readable(model, path)
    header: dict[str, Any] = {
        "family": model.family,
        "config": model.config,
        "frame": model.frame.to_json(),
        "fingerprint": model.fingerprint,
        "training": dict(training),
        "views": dict(model.boxes),
    }
    weights = model.network.state_dict()
    if half:
        weights = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    if model.seen is not None:
        header["seen"] = {"n": len(model.seen), "fingerprint": model.seen.fingerprint}
        weights |= {_SEEN + name: part for name, part in model.seen.to_tensors().items()}
    if model.prior is None:
        header["format"] = _OLDER
    else:
        header["prior"] = {
            "words": str(model.prior),
            "kind": model.prior.kind,
            "config": model.prior.config,
            "fingerprint": model.prior.fingerprint,
            "record": dict(model.prior.record),
        }
        weights |= {_PRIOR + name: part for name, part in model.prior.to_tensors().items()}
    _FILE.write(path, weights, header)


def _require_readable(model: Model, path: str | Path) -> None:
    """Refuses a model that nothing could read again once it is written."""
    advice = (
        "a model of your own needs its class in latentmap.encoders.FAMILIES, and a configuration "
        "from which that class makes it"
    )
    try:
        weights = model.network.state_dict()
        again = build(model.family, dict(model.config), frame=model.frame, weights=weights)
        # What a file has to say of every model, whatever its family needs.
        _ = model.config["latent_dim"], model.config["image_shape"]
    except (KeyError, ModelError) as error:
        missing = f"its configuration has no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{path} is not written, for nothing could read it again: {missing}; {advice}"
        ) from None
    if again.fingerprint != model.fingerprint:
        raise ModelError(
            f"{path} is not written, for nothing could read it again: the family {model.family!r} "
            f"makes another model of this one's configuration and weights; {advice}"
        )


def add_box(path: str | Path, other: Model, box: str) -> None:
    """Writes into a model file which box of the model's images shows what another model sees; the
    rest of the file stays as it is. Several processes may do so at the same time.

    Raises:
        ModelError: it is no model file.
        OutputError: it cannot be written.
    """
    read_header(path)  # Nothing else is held, or waited for.
    with hold_file(path):
        header, weights = _FILE.read(path)
        _parse(path, header)
        boxes = {**header.get("views", {}), other.fingerprint: box}
        _FILE.write(path, weights, {**header, "views": boxes})


def read_header(path: str | Path) -> NativeHeader:
    """What a native model file says about itself.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    return _parse(path, _FILE.read_header(path))


def read_model(path: str | Path) -> NativeModel:
    """What a native model file holds; weights that are stored in float16 are computed with in
    float32.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    header, tensors = _FILE.read(path)
    beside = {
        prefix: {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        for prefix in (_SEEN, _PRIOR)
    }
    wide = {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
        if not name.startswith((_SEEN, _PRIOR))
    }
    said = _parse(path, header)
    seen = _seen_in(path, header, beside[_SEEN])
    return NativeModel(said, wide, seen, _prior_in(path, said, beside[_PRIOR]))


def _seen_in(
    path: str | Path, header: Mapping[str, Any], parts: Mapping[str, Tensor]
) -> SeenImages | None:
    if "seen" not in header:
        return None
    with reading(path, ModelError, "get it again"):
        try:
            return SeenImages.from_tensors(parts, header["seen"].get("fingerprint", ""))
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None


def _prior_in(path: str | Path, header: NativeHeader, parts: Mapping[str, Tensor]) -> Prior | None:
    said = header.prior
    if said is None:
        return None
    prior: Prior
    with reading(path, ModelError, "get it again", what="has a prior that is not as it should be"):
        try:
            check_config(said["config"], len(parts))
            if said["kind"] == TwoStagePrior.kind:
                prior = TwoStagePrior.from_tensors(said["config"], parts, said["record"])
            elif said["kind"] == Mixture.kind:
                prior = Mixture.from_tensors(parts, said["record"])
            else:
                raise ModelError(f"this version knows no prior of the kind {said['kind']!r:.80}")
        except ModelError as error:
            raise ModelError(f"{path} has a prior that cannot be used: {error}") from None
    if prior.latent_dim != header.config["latent_dim"] or prior.fingerprint != said["fingerprint"]:
        raise ModelError(
            f"the prior in {path} is not the one that was saved: the file is damaged, get it again"
        )
    return prior


def is_half(path: str | Path) -> bool:
    """Whether a model file holds its weights in float16.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    return any(tensor.dtype == torch.float16 for tensor in _FILE.read(path)[1].values())


def _parse(path: str | Path, header: dict[str, Any]) -> NativeHeader:
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
