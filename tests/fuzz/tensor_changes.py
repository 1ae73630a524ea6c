"""Changes of files of tensors: descriptions, names, types, shapes, numbers; sealed again."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

from safetensors.torch import load

from latentmap.files.tensor_file import _digest
from tests.fuzz.byte_changes import EDGES, change_bytes
from tests.fuzz.json_changes import change_text_of_json

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def change_tensors(chance: Random, data: bytes) -> bytes:
    """A safetensors file whose description or tensors are others; its seal, where it has one, is
    right in most cases.
    """
    size = int.from_bytes(data[:8], "little")
    header, content = json.loads(data[8 : 8 + size]), data[8 + size :]
    metadata = header.get("__metadata__", {})
    match chance.randrange(5):
        case 0 | 1 if "latentmap" in metadata:
            metadata["latentmap"] = change_text_of_json(chance, metadata["latentmap"])
        case 0 | 1 | 2:
            for _ in range(1 << chance.randrange(3)):
                content = _change_tensor(chance, header, content)
        case 3:
            content = _other_numbers(chance, content)
        case 4:
            return _joined(change_text_of_json(chance, json.dumps(header)), content)
    return seal(_joined(json.dumps(header), content)) if chance.random() < 0.95 else data


def seal(data: bytes) -> bytes:
    """The file with the digest that fits to its contents, where it has one."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.get("__metadata__", {})
    if "sha256" not in metadata:
        return data
    try:
        metadata["sha256"] = _digest(metadata["latentmap"], load(data))
    except Exception:  # The reader will say the same.
        return data
    return _joined(json.dumps(header), data[8 + size :])


def _joined(header: str, content: bytes) -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + content


def _change_tensor(chance: Random, header: dict[str, Any], content: bytes) -> bytes:
    names = [name for name in header if name != "__metadata__"]
    if not names:
        return content
    name = chance.choice(names)
    tensor = header[name]
    match chance.randrange(6):
        case 0:
            del header[name]
        case 1:
            header[chance.choice((f"{name}x", "", "\x00", f"network.{name}", "x" * 1000))] = tensor
        case 2:
            header[name] = dict(header[chance.choice(names)])
        case 3:
            return _made_anew(header, tensor, chance.choice(list(_SIZES)), tensor["shape"], content)
        case 4:
            shape = list(tensor["shape"])
            if shape:
                shape[chance.randrange(len(shape))] = chance.choice((0, 1, 2, 17))
            shape = chance.choice((shape, [], [0], [1, *shape], [*shape, 1], shape[:-1]))
            return _made_anew(header, tensor, tensor["dtype"], shape, content)
        case 5:
            tensor["shape"] = [chance.choice(EDGES) for _ in tensor["shape"]]
    return content


def _made_anew(
    header: dict[str, Any], tensor: dict[str, Any], dtype: str, shape: list[int], content: bytes
) -> bytes:
    """Puts a tensor at the end, with as many numbers as it says; the others move together."""
    parts = {id(one): one for key, one in header.items() if key != "__metadata__"}
    made = b""
    for one in parts.values():
        begin, end = one["data_offsets"]
        part = content[begin:end]
        if one is tensor:
            size = min(math.prod(shape) * _SIZES.get(dtype, 1), 1 << 20)
            part = (part * (size // max(len(part), 1) + 1))[:size].ljust(size, b"\0")
            one["dtype"], one["shape"] = dtype, shape
        one["data_offsets"] = [len(made), len(made) + len(part)]
        made += part
    return made


def _other_numbers(chance: Random, content: bytes) -> bytes:
    if chance.random() < 0.5 or len(content) < 8:
        return change_bytes(chance, content)
    value = chance.choice(
        (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\0" * 4, b"\xff" * 4, b"\1\0\0\0")
    )
    begin = chance.randrange(len(content)) & ~7
    length = min(len(content) - begin, 4 << chance.randrange(10))
    return content[:begin] + (value * (length // 4 + 1))[:length] + content[begin + length :]
