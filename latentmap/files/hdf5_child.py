"""What runs in the process that reads HDF5 files of strangers; hdf5_process.py starts it.

libhdf5 believes a file: one of a stranger makes it crash, never end, or open other files. So it
meets such files here alone, in a process that can take little memory and open nothing. This module
is no part of the package there: it imports h5py and numpy, and nothing else of latentmap.

A request is a line of JSON on stdin; the answer on stdout is a length (8 bytes, little-endian),
JSON of that length, and, where it says so in ``bytes``, the values of rows.
"""

from __future__ import annotations

import encodings.ascii  # noqa: F401  # Else opened when it is first used, which is too late.
import io
import json
import os
import resource
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5p, h5s, h5t, h5z

# Of one walk: a file of more is asked for one dataset by its name.
LINKS: Final = 20_000
DEPTH: Final = 16
NAME: Final = 500  # Bytes of a way from the root.
# Of the soft links that one way may lead through.
_DETOURS = 16


class Refused(Exception):
    """Something in the file that is not read; the text follows "is"."""


class Part(io.RawIOBase):
    """A part of an open file that is an HDF5 file."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size = descriptor, start, size
        self._at = 0

    def readinto(self, buffer: Any) -> int:
        room = min(len(buffer), max(0, self._size - self._at))
        data = os.pread(self._descriptor, room, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def main() -> None:
    """Answers requests until there are no more."""
    order = json.loads(sys.stdin.buffer.readline())
    _restrain(order["memory"])
    root = None
    # Open until the end: a chunk of many rows is decompressed once.
    served: dict[str, Any] = {}
    for line in sys.stdin.buffer:
        _allow_seconds(order["seconds"])
        request = json.loads(line)
        rows = None
        answer: dict[str, Any]
        try:
            if root is None:
                part = Part(order["descriptor"], order["start"], order["size"])
                root = _open(part, order["memory"] // 4)
            if "runs" in request:
                name = request["name"]
                if name not in served:
                    served[name] = _served(root, name)
                rows = _rows(served[name], request["runs"])
                answer = {"bytes": rows.nbytes}
            else:
                answer = _look(root, request, order["size"])
        except Refused as refusal:
            answer = {"error": f"{request.get('name')} is {refusal}"}
        except MemoryError:
            answer = {"error": "it needs more memory than it may take", "limit": "memory"}
        except Exception as error:  # Of h5py, which promises nothing about damaged files.
            answer = {"error": _reason(error)}
        head = json.dumps(answer).encode()
        sys.stdout.buffer.write(struct.pack("<Q", len(head)) + head)
        if rows is not None:
            sys.stdout.buffer.write(rows.data)
        sys.stdout.buffer.flush()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _restrain(memory: int) -> None:
    """Gives up what reading a file does not need."""
    # Some systems know not all of these, and then there is the time limit alone.
    limits = [("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_DATA", memory)]
    # What a person's own filters are loaded from is opened when they are first needed.
    if "HDF5_PLUGIN_PATH" not in os.environ:
        limits.append(("RLIMIT_NOFILE", 0))
    for name, most in limits:
        with suppress(AttributeError, OSError, OverflowError, ValueError):
            resource.setrlimit(getattr(resource, name), (most, most))


def _allow_seconds(seconds: int) -> None:
    """Ends this process when it computes for longer, though nobody be left to end it."""
    most = int(time.process_time()) + seconds + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with suppress(OSError, OverflowError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _open(part: Part, cache: int) -> Any:
    """The root of a file, of which ``cache`` bytes are kept: a chunk may have many rows."""
    try:
        file: Any = h5py.File(part, "r", rdcc_nbytes=cache)
        return h5g.open(file.id, b"/")
    except (OSError, RuntimeError) as error:
        raise ValueError(f"it is no HDF5 file, or is cut off: {error}") from None


def _look(root: Any, request: dict[str, Any], size: int) -> dict[str, Any]:
    """What a request asks for: of one dataset by its ``name``, or of all that hard links lead to;
    the ``attributes`` and ``texts`` of the names that are given, as far as they are there.
    """
    name = request["name"]
    answer = _walk(root) if name is None else _only(name, _resolve(root, name))
    answer["attributes"] = {
        way: _attribute(root, way, size) for way in request["attributes"] if _has(root, way)
    }
    answer["texts"] = {}
    for text in request["texts"]:
        with suppress(Refused):
            answer["texts"][text] = _text(_resolve(root, text))
    return answer


def _only(name: str, item: Any) -> dict[str, Any]:
    """The answer for one dataset."""
    return {"datasets": {name: _describe(item)}, "refused": {}, "groups": [], "complete": False}


def _walk(root: Any) -> dict[str, Any]:
    datasets: dict[str, Any] = {}
    refused: dict[str, str] = {}
    groups: list[str] = []
    waiting = [("", root)]
    # Links may make circles of groups.
    seen = {h5o.get_info(root).addr}
    left = LINKS
    complete = True
    while waiting:
        prefix, group = waiting.pop()
        inner = []
        for name, kind in _links(group, left + 1):
            way = prefix + name.decode("utf-8", "surrogateescape")
            left -= 1
            if left < 0 or prefix.count("/") > DEPTH or len(way) > NAME:
                complete = False
                continue
            if kind != h5l.TYPE_HARD:
                refused[way] = f"{'a soft' if kind == h5l.TYPE_SOFT else 'an external'} link"
                continue
            try:
                item = h5o.open(group, name)
                if isinstance(item, h5d.DatasetID):
                    datasets[way] = _describe(item)
            except Refused as refusal:
                refused[way] = str(refusal)
            except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
                refused[way] = f"damaged ({_reason(error)})"
            else:
                if isinstance(item, h5g.GroupID):
                    groups.append(way)
                    address = h5o.get_info(item).addr
                    complete = complete and address not in seen
                    if address not in seen:
                        seen.add(address)
                        inner.append((f"{way}/", item))
        waiting += reversed(inner)
    return {"datasets": datasets, "refused": refused, "groups": groups, "complete": complete}


def _links(group: Any, most: int) -> list[tuple[bytes, int]]:
    """The first links of a group, each with its kind."""
    found: list[tuple[bytes, int]] = []

    def take(name: bytes, info: Any) -> bool | None:
        found.append((name, info.type))
        return True if len(found) >= most else None

    ordered = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
    group.links.iterate(
        take, idx_type=h5py.h5.INDEX_CRT_ORDER if ordered else h5py.h5.INDEX_NAME, info=True
    )
    return found


def _resolve(root: Any, way: str) -> Any:
    """What a way from the root leads to, over hard links, and soft ones within the file."""
    names, item = _parts(way.encode("utf-8", "surrogateescape")), root
    detours = 0
    while names:
        name = names.pop(0)
        if not isinstance(item, h5g.GroupID) or name not in item:
            raise Refused("missing")
        kind = item.links.get_info(name).type
        if kind == h5l.TYPE_HARD:
            item = h5o.open(item, name)
            continue
        detours += 1
        if kind != h5l.TYPE_SOFT or detours > _DETOURS:
            raise Refused("a link out of the file, or in a circle")
        target = item.links.get_val(name)
        names = _parts(target) + names
        if target.startswith(b"/"):
            item = root
    return item


def _parts(way: bytes) -> list[bytes]:
    return [part for part in way.split(b"/") if part not in (b"", b".")]


def _describe(dataset: Any) -> dict[str, Any]:
    """The type, the shape and the place of the values of a dataset, which are not looked at."""
    if not isinstance(dataset, h5d.DatasetID):
        raise Refused("no dataset")
    storage = _own_storage(dataset)
    kind = dataset.get_type()
    if not _is_plain(kind):
        raise Refused("of a type that is neither plain numbers nor texts of one length")
    if dataset.get_space().get_simple_extent_type() == h5s.NULL:
        raise Refused("empty")
    chunk = 0
    if storage.get_layout() == h5d.CHUNKED:
        chunk = kind.get_size()
        for side in storage.get_chunk():
            chunk *= side
        for place in range(storage.get_nfilters()):
            code, _, _, name = storage.get_filter(place)
            if not h5z.filter_avail(code):
                raise Refused(f"compressed by {name.decode() or code}, which h5py does not know")
    return {
        "dtype": kind.dtype.str,
        "shape": dataset.shape,
        "offset": dataset.get_offset(),
        "stored": dataset.get_storage_size(),
        "chunk": chunk,
    }


def _is_plain(kind: Any) -> bool:
    """Whether values of a type lie in the file as numpy has them in memory."""
    if kind.get_class() == h5t.STRING:
        return not kind.is_variable_str()
    number = kind.get_super() if kind.get_class() == h5t.ENUM else kind
    if number.get_class() not in (h5t.INTEGER, h5t.FLOAT):
        return False
    try:
        return bool(h5t.py_create(number.dtype) == number)
    except (TypeError, ValueError):  # numpy has no such numbers.
        return False


def _own_storage(dataset: Any) -> Any:
    """How a dataset is stored, which must be in the file itself."""
    storage = dataset.get_create_plist()
    if storage.get_layout() == h5d.VIRTUAL or storage.get_external_count():
        raise Refused("a dataset whose values other files hold")
    return storage


def _has(root: Any, way: str) -> bool:
    group, name = _owner(root, way)
    return group is not None and bool(h5a.exists(group, name))


def _owner(root: Any, way: str) -> tuple[Any, bytes]:
    """The group of an attribute, None where there is none, and the name of the attribute."""
    group, _, name = way.rpartition("/")
    try:
        return _resolve(root, group), name.encode()
    except Refused:
        return None, name.encode()


def _attribute(root: Any, way: str, most: int) -> str | int | None:
    """An attribute that is a whole number or a text, None where it is anything else."""
    attribute = h5a.open(*_owner(root, way))
    kind = attribute.get_type()
    plain = kind.get_class() in (h5t.INTEGER, h5t.STRING)
    if not plain or attribute.shape != () or attribute.get_storage_size() > most:
        return None
    if attribute.get_space().get_simple_extent_type() != h5s.SCALAR:
        return None
    value = np.empty((), kind.dtype)
    attribute.read(value)
    return _plain(value[()])


def _text(dataset: Any) -> str | list[str]:
    """The text in a dataset, or the row of texts of several lengths."""
    if not isinstance(dataset, h5d.DatasetID):
        raise Refused("no dataset")
    _own_storage(dataset)
    kind = dataset.get_type()
    axes = dataset.get_space().get_simple_extent_ndims()
    if kind.get_class() != h5t.STRING or axes > kind.is_variable_str():
        raise Refused("no text")
    values = h5py.Dataset(dataset)[()]
    if isinstance(values, np.ndarray):
        return [str(_plain(value)) for value in values]
    return str(_plain(values))


def _plain(value: Any) -> str | int:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else int(value)


def _served(root: Any, name: str) -> Any:
    """The dataset of a name, if its rows may be read."""
    item = _resolve(root, name)
    _describe(item)
    return h5py.Dataset(item)


def _rows(dataset: Any, runs: list[list[int]]) -> np.ndarray:
    """The rows of a dataset in some runs, each from its start to before its stop."""
    count = sum(stop - start for start, stop in runs)
    rows = np.empty((count, *dataset.shape[1:]), dataset.dtype)
    for place, (start, stop) in _places(runs):
        dataset.read_direct(rows, np.s_[start:stop], np.s_[place : place + stop - start])
    return rows


def _places(runs: list[list[int]]) -> Iterator[tuple[int, list[int]]]:
    place = 0
    for run in runs:
        yield place, run
        place += run[1] - run[0]
