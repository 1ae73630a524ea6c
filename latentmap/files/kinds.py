"""What a file is by its first bytes, whatever its name says: the one place that knows signatures.

Readers know their own formats; this names all others, so that a download that went wrong, an
archive or another program's file is told as what it is, wherever a file is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from latentmap.files.opening import open_regular

_HEAD = 4096
_LONGEST_HEADER = 100_000_000  # Of safetensors, by its format.
TABLE_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # What a table of LevelDB ends with.
# A page may begin with comments, or say that it is XML.
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?:<!--.*?-->|<\?xml[^>]*>)\s*)*"
    rb"<(?:!doctype\s+html|html|head|body|meta|title|script)\b",
    re.IGNORECASE | re.DOTALL,
)
# What texts that are pickles of protocol 0 begin with: a mark, or a name, and the end of the line.
_OLD_PICKLE = re.compile(r"\(?[dl(]p\d+\n|\(?c[\w.]+\n\w+\n|[(\]}cl][^ ]{0,40}$|[IFVS][^\n]*\n[.p]")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


@dataclass(frozen=True)
class FileKind:
    """What a file is: a ``name`` for programs, ``what`` it is in words that follow "it is", and
    ``advice``, which is empty where it depends on what the file was wanted for.

    ``broken`` says that this is not the file that was meant, whatever it was wanted for.
    """

    name: str
    what: str
    advice: str = ""
    broken: bool = False


_UNPACK = "unpack it and give the file in it"
_OTHER_PROGRAM = "weights alone (.safetensors, or a checkpoint of the training) are needed"

EMPTY = FileKind("empty", "empty", "get it again", broken=True)
_POINTER = FileKind(
    "pointer",
    "a Git LFS pointer, not the file itself",
    "run `git lfs pull` in the repository that it is from, or download the file from its page",
    broken=True,
)
_ANNEX = FileKind(
    "pointer",
    "a git-annex pointer, not the file itself",
    "run `git annex get` in the repository that it is from",
    broken=True,
)
_ZEROS = FileKind("zeros", "nothing but zeros where it begins", "get it again", broken=True)
SAFETENSORS: Final = FileKind("safetensors", "a safetensors file")
HDF5: Final = FileKind("hdf5", "an HDF5 file")
PICKLE: Final = FileKind("pickle", "a pickle")
TORCH: Final = FileKind("torch", "a file of torch.save")
ZIP: Final = FileKind("zip", "a zip archive", _UNPACK)
KERAS_ARCHIVE: Final = FileKind("keras", "a model that Keras 3 saved whole")
TABLE: Final = FileKind("table", "the index of a TensorFlow checkpoint")
NUMPY: Final = "numpy"  # The name of two kinds, one array and an archive of several.
# What may hold the weights of a network, beside safetensors; its readers tell more.
CHECKPOINTS: Final = (HDF5, KERAS_ARCHIVE, PICKLE, TABLE, TORCH)

# In this order; what a signature starts with comes after it.
_SIGNATURES: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89HDF\r\n\x1a\n", HDF5),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", TORCH),
    (b"\x89PNG\r\n\x1a\n", FileKind("image", "a PNG image")),
    (b"\xff\xd8\xff", FileKind("image", "a JPEG image")),
    (b"GIF8", FileKind("image", "a GIF image")),
    (b"II*\0", FileKind("image", "a TIFF image")),
    (b"MM\0*", FileKind("image", "a TIFF image")),
    (b"\x93NUMPY", FileKind(NUMPY, "a numpy array (.npy)")),
    (b"PK\x05\x06", FileKind("zip", "an empty zip archive", "get it again", broken=True)),
    (b"\x1f\x8b", FileKind("archive", "compressed by gzip", _UNPACK)),
    (b"BZh", FileKind("archive", "compressed by bzip2", _UNPACK)),
    (b"\xfd7zXZ\0", FileKind("archive", "compressed by xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("archive", "compressed by zstd", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("archive", "a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", FileKind("archive", "a RAR archive", _UNPACK)),
    (b"GGUF", FileKind("program", "a GGUF file, weights for llama.cpp", _OTHER_PROGRAM)),
    (b"%PDF", FileKind("document", "a PDF document")),
    (b"\x08\x01\x12", FileKind("program", "the graph of a TensorFlow SavedModel")),
)
_TFLITE = FileKind("program", "a TensorFlow Lite model", _OTHER_PROGRAM)
_ONNX = FileKind("program", "an ONNX model", _OTHER_PROGRAM)
_GRAPH = FileKind("program", "a frozen TensorFlow graph", _OTHER_PROGRAM)
_FLAX = FileKind("program", "MessagePack, as Flax writes its weights", _OTHER_PROGRAM)


def file_kind(path: str | Path) -> FileKind | None:
    """What the file is; None where its bytes do not say.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
        file.seek(max(0, size - len(TABLE_MAGIC)))
        return _kind_of(head, file.read())


def kind_of_bytes(data: bytes) -> FileKind | None:
    """``file_kind`` of a file that is at hand."""
    return _kind_of(data[:_HEAD], data[-len(TABLE_MAGIC) :])


def _kind_of(head: bytes, tail: bytes) -> FileKind | None:
    if not head:
        return EMPTY
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(head)
    if tail == TABLE_MAGIC:
        return TABLE
    return _binary_kind(head) or _text_kind(head)


def _zip_kind(head: bytes) -> FileKind:
    """What a zip archive holds, by the name of its first member."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b".npy"):
        return FileKind(NUMPY, "numpy arrays (.npz)")
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return KERAS_ARCHIVE
    if name.endswith((b"/data.pkl", b"/.format_version", b"/byteorder")):
        return TORCH
    return ZIP


def _binary_kind(head: bytes) -> FileKind | None:
    """What is told by more than a signature."""
    # A safetensors file begins with the length of a JSON object, and that.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        return SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return PICKLE
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileKind("image", "a WebP image")
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return FileKind("image", "a BMP image")
    if re.match(rb"P[1-7]\s", head):
        return FileKind("image", "a PNM image")
    if head[4:8] == b"TFL3":
        return _TFLITE
    if head[257:262] == b"ustar":
        return FileKind("archive", "a tar archive", _UNPACK)
    if len(head) >= 64 and not any(head):
        return _ZEROS
    # The fields of a protobuf: the version of ONNX and what follows it; the nodes of a graph.
    if re.match(rb"\x08[\x02-\x1f][\x12\x1a\x22\x3a\x42]", head):
        return _ONNX
    if re.match(rb"\x0a.{1,3}\x0a.[\w/.:-]+\x12.[A-Z]\w+", head, re.DOTALL):
        return _GRAPH
    if re.match(rb"[\x81-\x8f](?:[\xa1-\xbf]|\xd9.)[\w.]+", head, re.DOTALL):
        return _FLAX
    return None


def _text_kind(head: bytes) -> FileKind | None:
    """What a text is; pickles of old protocols are texts as well, and have no signature."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return _POINTER
    if re.match(rb"\S*/annex/objects/", head):
        return _ANNEX
    if _PAGE.match(head):
        title = _TITLE.search(head)
        words = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        return FileKind(
            "page",
            f"a web page{f' ({words!r})' if words else ''}, not the file itself",
            "open its address in a browser, and save the file that it offers",
            broken=True,
        )
    stripped = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if stripped.startswith((b"<?xml", b"<Error")):
        return FileKind("text", "an XML document", "get it again", broken=True)
    try:
        text = stripped.decode("utf-8")
    except UnicodeDecodeError as error:
        # A letter that the end of the head cuts in two is no reason.
        if len(head) < _HEAD or error.start < len(stripped) - 4:
            return None
        text = stripped[: error.start].decode("utf-8")
    if not all(letter.isprintable() or letter.isspace() for letter in text):
        return None
    if text.startswith(("{", "[")):
        return FileKind("text", "JSON text")
    # What an old pickle may begin with, in lines of its own.
    return None if _OLD_PICKLE.match(text) else FileKind("text", "a text")
