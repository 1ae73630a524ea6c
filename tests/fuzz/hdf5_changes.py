"""Changes of HDF5: links out of the file, arrays that other files hold, other types and shapes,
attributes of other kinds, and bytes.

Files are made in memory from seeds that are as they should be.
"""

from __future__ import annotations

from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.byte_changes import change_bytes
from tests.fuzz.json_changes import change_text_of_json

# From the folder of a case; seen when it is read.
SECRET = "../outside/secret"
_LARGEST = 1 << 16
_TYPES = ("<f4", ">f4", "<f8", "|u1", "|i1", "<u2", "<i8", "<f2", "|S7", "|S1", "<c8", "|b1", "|V9")


def change_hdf5(chance: Random, data: bytes) -> bytes:
    """An HDF5 file in which something is not as it should be."""
    if chance.random() < 0.5:
        return change_bytes(chance, data)
    file = _opened(data)
    try:
        for _ in range(1 << chance.randrange(2)):
            _change(chance, file)
        file.flush()
        made: bytes = file.id.get_file_image()
    finally:
        file.close()
    return change_bytes(chance, made) if chance.random() < 0.2 else made


def _opened(data: bytes) -> Any:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(data)
    return h5py.File(h5py.h5f.open(b"made", h5py.h5f.ACC_RDWR, access))


def _change(chance: Random, file: Any) -> None:
    names: list[str] = []

    def collect(name: str, item: Any) -> None:
        # An array that was put in chunks may have any size by now.
        if hasattr(item, "shape") and (item.size or 0) <= _LARGEST:
            names.append(name)

    file.visititems(collect)
    if not names:
        return
    name = chance.choice(names)
    array = file[name][()]
    match chance.randrange(12):
        case 0:
            del file[name]
            file[name] = _link(chance, name)
        case 1:
            del file[name]
            _virtual(chance, file, name, array)
        case 2:
            del file[name]
            size = max(np.asarray(array).nbytes, 1)
            where = [(SECRET, chance.choice((0, 8, 1 << 40)), size)]
            file.create_dataset(name, np.shape(array), np.asarray(array).dtype, external=where)
        case 3:
            del file[name]
            if chance.random() < 0.3:
                file.create_group(name)
        case 4 | 5:
            other = _other_array(chance, np.asarray(array))
            del file[name]
            try:
                file[name] = other
            except TypeError:
                file[name] = np.zeros(0)
        case 6:
            _in_chunks(chance, file, name, np.asarray(array))
        case 7:
            del file[name]
            kind = chance.choice(("vlen", "null", "enum", "reference", "compound", "text"))
            _odd(file, name, kind)
        case 8:
            holder = chance.choice((file, file[name]))
            for key in (*holder.attrs, chance.choice(("format", "version", "layer_names"))):
                _attribute(chance, holder, key)
        case 9:
            if array.dtype.kind in "OSu" and array.ndim <= 1:
                text = array.tobytes() if array.dtype.kind == "u" else file[name].asstr()[()]
                text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
                del file[name]
                changed = change_text_of_json(chance, text if text[:1] in "{[" else "{}")
                coded = changed.encode("utf-8", "replace").replace(b"\0", b"")
                stored = np.frombuffer(coded, np.uint8) if array.dtype.kind == "u" else coded
                file[name] = stored
        case 10:
            file[
                f"{name}/{'a/' * chance.choice((1, 60, 500))}x" if chance.random() < 0.2 else "more"
            ] = 1
        case 11:
            if isinstance(array, np.ndarray) and array.dtype.kind in "uif":
                numbers = array.reshape(-1).copy()
                odd = (np.nan, np.inf, -1, 1 << 62, 0)
                with np.errstate(all="ignore"):
                    value = np.array(chance.choice(odd)).astype(numbers.dtype)
                numbers[: chance.choice((1, len(numbers)))] = value
                file[name][...] = numbers.reshape(array.shape)


def _link(chance: Random, name: str) -> Any:
    return chance.choice(
        (
            h5py.SoftLink(f"/{name}"),
            h5py.SoftLink("/nothing"),
            h5py.SoftLink("/"),
            h5py.SoftLink("/" + "a/" * 5000),
            h5py.ExternalLink(f"{SECRET}.h5", "/images"),
            h5py.ExternalLink("case.h5", f"/{name}"),
            h5py.ExternalLink("/etc/passwd", "/"),
        )
    )


def _virtual(chance: Random, file: Any, name: str, array: Any) -> None:
    """An array of another file, or of itself."""
    shape = np.shape(array) or (1,)
    dtype = np.asarray(array).dtype
    if dtype.kind == "O":
        return
    layout = h5py.VirtualLayout(shape, dtype)
    where = chance.choice((f"{SECRET}.h5", ".", "pack.h5", "images.h5", "made", "/dev/zero"))
    source = h5py.VirtualSource(where, chance.choice((name, "images", "x")), shape)
    layout[...] = source
    file.create_virtual_dataset(name, layout)


def _other_array(chance: Random, array: np.ndarray) -> np.ndarray:
    if chance.random() < 0.5:
        sides = list(array.shape) or [1]
        sides[chance.randrange(len(sides))] = chance.choice((0, 1, 2, 5, 300))
        shape = tuple(sides)
        shape = chance.choice((shape, (), (0,), (*shape, 1), shape[1:], shape[::-1], (1,) * 20))
        if np.prod(shape) > 1 << 20:
            return array
        return np.resize(array, shape)
    with np.errstate(all="ignore"):
        try:
            return array.astype(chance.choice(_TYPES))
        except (TypeError, ValueError):
            return np.zeros(array.shape, chance.choice(_TYPES))


def _in_chunks(chance: Random, file: Any, name: str, array: np.ndarray) -> None:
    """The array in chunks, perhaps far larger than what is written of it."""
    if array.dtype.kind == "O" or not array.ndim:
        return
    del file[name]
    sides = list(array.shape)
    if chance.random() < 0.7:
        sides[0] = chance.choice((0, 1, 10**6, 10**9, 10**15))
    if chance.random() < 0.3:
        sides[-1] = chance.choice((1, 3, 10**5, 10**9))
    chunks = tuple(min(max(side, 1), 100) for side in sides)
    options: dict[str, Any] = chance.choice(
        (
            {},
            {"compression": "gzip"},
            {"compression": "lzf"},
            {"shuffle": True},
            {"fletcher32": True},
        )
    )
    if chance.random() < 0.2:
        chunks = tuple(min(max(side, 1), 4000) for side in sides)
    try:
        made = file.create_dataset(name, tuple(sides), array.dtype, chunks=chunks, **options)
        if made.shape == array.shape:
            made[...] = array
    except (ValueError, OverflowError):
        file[name] = array


def _odd(file: Any, name: str, kind: str) -> None:
    match kind:
        case "vlen":
            made = file.create_dataset(name, (3,), h5py.vlen_dtype(np.uint8))
            made[0] = np.arange(5, dtype=np.uint8)
        case "null":
            file[name] = h5py.Empty("f4")
        case "enum":
            file.create_dataset(name, (3,), h5py.enum_dtype({"a": 0, "b": 1}, basetype="u1"))
        case "reference":
            file.create_dataset(name, (2,), h5py.ref_dtype)
        case "compound":
            file[name] = np.zeros(3, [("r", "<f4"), ("i", "<f4")])
        case "text":
            file.create_dataset(name, data=["a", "\u202e", "x" * 5000], dtype=h5py.string_dtype())


def _attribute(chance: Random, holder: Any, key: str) -> None:
    value = holder.attrs[key] if key in holder.attrs else ""
    if isinstance(value, str) and value[:1] == "{" and chance.random() < 0.7:
        text = change_text_of_json(chance, value).replace("\0", "")
        value = text.encode("utf-8", "replace").decode()
    else:
        odd = (
            1,
            2**60,
            -1.5,
            "",
            "x\x1b[2J",
            "\u202e",
            np.zeros((2, 2)),
            np.array(["a", "b"], "S1"),
        )
        value = chance.choice((*odd, h5py.Empty("S1"), h5py.Empty("f4"), np.bytes_(b"\xff\xfe")))
    if len(value) > 60_000 if isinstance(value, str) else False:
        return
    holder.attrs[key] = value
