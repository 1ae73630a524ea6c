"""Folders of models in the layout of the hub: on the disk, or downloaded by their id.

Only files that a caller names are downloaded, none of which is code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from latentmap.encoders.adapters.extras import require
from latentmap.errors import ModelError
from latentmap.files import read_json, reading, reason_of

if TYPE_CHECKING:
    from latentmap.encoders.references import Given

# Pixels of a side, of what a description says: a network is run on such images to see what it
# gives. Who wants larger ones says so.
LARGEST_SIDE = 1 << 11

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_OF_HUB = ("diffusers", "transformers")  # Schemes.
# What a description may ask a library for that is neither safetensors nor a setting; the last
# names a file, which may lead anywhere.
_DEMANDS = ("quantization_config", "auto_map", "transformers_weights")
_ADAPTER = "adapter_config.json"
# What can run code when it is read, or is of another library; by the suffixes in such folders.
_OTHER_WEIGHTS = ("*.bin", "*.ckpt", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx")


def find_folder(name: str, files: Sequence[str], within: Path, *, extra: str) -> Path:
    """The folder that ``FOLDER``, ``ID``, ``FOLDER:subfolder`` or ``ID:subfolder`` stands for, with
    those of ``files`` (names or patterns) in it that there are.

    A folder on the disk, from ``within`` on, is taken as it is; otherwise the name is the id of a
    model on the hub, from which the files are downloaded, or taken from where they were kept.

    Raises:
        ModelError: there is no such folder, and no such model can be had.
    """
    if not name:
        raise ModelError("there is no name after the colon: give a folder, or the id of a model")
    if (within / name).is_dir():
        return within / name
    start, subfolder = _taken_apart(name)
    parts = PurePosixPath(subfolder).parts
    if ".." in parts or PurePosixPath(subfolder).is_absolute():
        raise ModelError(f"the subfolder {subfolder!r} leads out of {start}: name one in it")
    root = within / start
    if not root.is_dir():
        root = _download(start, subfolder, files, extra)
    folder = root.joinpath(*parts)
    if not folder.is_dir():
        raise ModelError(f"there is no folder {subfolder!r} in {start}: name one that is in it")
    return folder


def is_download(given: Given) -> bool:
    """Whether a reference names a model that is not on the disk, and would be asked for at the hub
    (or taken from where the hub's are kept).
    """
    if given.scheme == "timm":
        return ":" not in given.name
    folders = (given.folder / given.name, given.folder / _taken_apart(given.name)[0])
    return given.scheme in _OF_HUB and not any(folder.is_dir() for folder in folders)


def _taken_apart(name: str) -> tuple[str, str]:
    """The folder or the id, and the subfolder after the colon."""
    start, _, subfolder = name.rpartition(":") if ":" in name else (name, "", "")
    return start, subfolder


def _download(name: str, subfolder: str, files: Sequence[str], extra: str) -> Path:
    if _ID.fullmatch(name) is None:
        raise ModelError(f"there is no folder {name}: give one, or the id of a model on the hub")
    hub = require("huggingface_hub", extra)
    wanted = [f"{subfolder}/{file}" if subfolder else file for file in files]
    try:
        return Path(hub.snapshot_download(name, allow_patterns=wanted))
    # Without a network, with a name that nobody has, with no room: each has errors of its own.
    except Exception as error:
        raise ModelError(
            f"there is no folder {name}, and no model of this id can be had from the hub "
            f"({reason_of(error)}): give a folder, or try again with a network"
        ) from error


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The description in a folder of a model.

    Raises:
        ModelError: there is none, or it is no JSON object.
    """
    path = folder / name
    if not path.is_file():
        pipeline = (folder / "model_index.json").is_file()
        raise ModelError(
            f"{folder} has no {name}: "
            + (
                f"it is a whole pipeline; name the folder of one model in it, as in {folder}:vae"
                if pipeline
                else "give the folder in which a model was saved"
            )
        )
    with reading(path, ModelError, "get it again"):
        return read_json(path)


def require_plain(folder: Path, config: Mapping[str, Any]) -> None:
    """Passes where a description asks for nothing beside its weights: no code, no weights under
    another name, none of another kind, no adapter of them.

    Raises:
        ModelError: it asks for some of that.
    """
    parts = [config, *(part for part in config.values() if isinstance(part, Mapping))]
    asked = [key for key in _DEMANDS if any(key in part for part in parts)]
    asked += [_ADAPTER] if (folder / _ADAPTER).exists() else []
    if asked:
        raise ModelError(f"{folder} asks for {asked[0]}: get the model without it")


def require_safetensors(folder: Path, stem: str) -> None:
    """Passes where the weights are in ``stem.safetensors``, or in several that its index names.

    Raises:
        ModelError: there are none, or others.
    """
    index = folder / f"{stem}.safetensors.index.json"
    # Beside a single file, too: diffusers then takes what the index names.
    if index.exists():
        with reading(index, ModelError, "get it again"):
            named = read_json(index)["weight_map"].values()
            shards = {str(shard) for shard in named}
        _require_shards(index, shards)
        return
    if (folder / f"{stem}.safetensors").is_file():
        return
    others = sorted({path.name for other in _OTHER_WEIGHTS for path in folder.glob(other)})
    raise ModelError(
        f"{folder} has no weights as safetensors ({stem}.safetensors), "
        + (
            f"but {', '.join(others[:3])}, which may hold code: save the model again with "
            "safe_serialization=True, or get its files that end in .safetensors"
            if others
            else "and no others: get the whole folder"
        )
    )


def _require_shards(index: Path, shards: set[str]) -> None:
    for shard in sorted(shards):
        if "/" in shard or "\\" in shard or not shard.endswith(".safetensors"):
            raise ModelError(f"{index} names {shard!r}, which is no safetensors file beside it")
        with reading(index, ModelError, "get it again"):
            is_there = (index.parent / shard).is_file()
        if not is_there:
            raise ModelError(f"{index.parent} has no {shard}, which {index.name} names: get it")
