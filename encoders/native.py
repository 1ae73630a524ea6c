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

from latentmap.encoders import build
from latentmap.encoders.building import check_config
from latentmap.encoders.headers import MODEL_FILE, parse_header
from latentmap.encoders.headers import NativeHeader as NativeHeader
from latentmap.encoders.headers import read_header as read_header
from latentmap.encoders.two_stage import TwoStagePrior
from latentmap.errors import ModelError
from latentmap.files import hold_file, reading
from latentmap.model import Mixture, Model, Prior, SeenImages

_SEEN, _PRIOR = "seen_images.", "prior."
_OLDER = 2  # The format of a file without a prior, which older versions read.


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
    MODEL_FILE.write(path, weights, header)


def _require_readable(model: Model, path: str | Path) -> None:
    """Refuses a model that nothing could read again once it is written."""
    advice = (
        "a model of your own needs its class in latentmap.encoders.FAMILIES, or in an entry point "
        "latentmap.models, and a configuration from which that class makes it"
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
        header, weights = MODEL_FILE.read(path)
        parse_header(path, header)
        boxes = {**header.get("views", {}), other.fingerprint: box}
        MODEL_FILE.write(path, weights, {**header, "views": boxes})


def read_model(path: str | Path) -> NativeModel:
    """What a native model file holds; weights that are stored in float16 are computed with in
    float32.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    header, tensors = MODEL_FILE.read(path)
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
    said = parse_header(path, header)
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
    return any(tensor.dtype == torch.float16 for tensor in MODEL_FILE.read(path)[1].values())
