"""What files are by their first bytes: one of each kind, as its own program begins it."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from latentmap.files import file_kind

BUNDLED = Path(__file__).parents[3] / "encoders" / "bundled"


def image(kind):
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, kind)
    return stream.getvalue()


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(__file__, "test.py")
    return stream.getvalue()


def archive(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return stream.getvalue()


def saved(save, *values):
    stream = io.BytesIO()
    save(stream, *values)
    return stream.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 381673535\n"
BROKEN = [
    (b"", "empty", "empty"),
    (POINTER, "pointer", "a Git LFS pointer, not the file itself"),
    (b"../../.git/annex/objects/aB/SHA256--0\n", "pointer", "a git-annex pointer"),
    (b"/annex/objects/MD5E-s9--0.pkl\n", "pointer", "a git-annex pointer"),
    (
        b"<!DOCTYPE html><html><title>Quota\n full</title>",
        "page",
        "web page ('Quota full')",
    ),
    (b"\xef\xbb\xbf\n <HTML lang=en><body>x", "page", "a web page, not the file itself"),
    (b"<!-- saved from x -->\n<!DOCTYPE html><title>Sign in</title>", "page", "('Sign in')"),
    (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x"><html>', "page", "a web page, not"),
    (b'<meta charset="utf-8"><title>Quota</title>', "page", "a web page ('Quota')"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied', "text", "an XML document"),
    (bytes(5000), "zeros", "nothing but zeros where it begins"),
    (archive(), "zip", "an empty zip archive"),
]
OTHERS = [
    (image("PNG"), "image", "a PNG image"),
    (image("JPEG"), "image", "a JPEG image"),
    (image("GIF"), "image", "a GIF image"),
    (image("TIFF"), "image", "a TIFF image"),
    (image("BMP"), "image", "a BMP image"),
    (image("WEBP"), "image", "a WebP image"),
    (image("PPM"), "image", "a PNM image"),
    (saved(np.save, np.zeros(3)), "numpy", "a numpy array (.npy)"),
    (saved(np.savez, np.zeros(3)), "numpy", "numpy arrays (.npz)"),
    (archive("a.png"), "zip", "a zip archive"),
    (archive("metadata.json", "config.json"), "keras", "a model that Keras 3 saved whole"),
    (gzip.compress(b"x", mtime=0), "archive", "compressed by gzip"),
    (bz2.compress(b"x"), "archive", "compressed by bzip2"),
    (lzma.compress(b"x"), "archive", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd\x04\x00", "archive", "compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c\x00\x04", "archive", "a 7z archive"),
    (b"Rar!\x1a\x07\x01\x00", "archive", "a RAR archive"),
    (tar(), "archive", "a tar archive"),
    (b"GGUF\x03\x00\x00\x00", "program", "a GGUF file, weights for llama.cpp"),
    (b"\x1c\x00\x00\x00TFL3\x14\x00", "program", "a TensorFlow Lite model"),
    (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "program", "an ONNX model"),
    (b"\x08\x0a:\xb1\x02\n\x1e\n\x01x", "program", "an ONNX model"),
    (b"\x08\x01\x12\x80\x40\x0a\x10", "program", "the graph of a TensorFlow SavedModel"),
    (b"\x0a\x1f\x0a\x05input\x12\x0bPlaceholder", "program", "a frozen TensorFlow graph"),
    (b"\x81\xa6params\x82\xa7encoder", "program", "MessagePack, as Flax writes its weights"),
    (b"%PDF-1.7\n", "document", "a PDF document"),
    (b'{"latent_dim": 16}', "text", "JSON text"),
    (b'\xef\xbb\xbf [{"a": 1}]', "text", "JSON text"),
    (b"hello, this is no checkpoint", "text", "a text"),
    (b"class Model:\n    pass\n", "text", "a text"),
    ("\N{LATIN SMALL LETTER E WITH ACUTE}".encode() * 4097, "text", "a text"),
    (b"x" + "\N{LATIN SMALL LETTER E WITH ACUTE}".encode() * 4097, "text", "a text"),
]
CHECKPOINTS = [
    (saved(lambda stream, value: torch.save(value, stream), {"a": 1}), "torch"),
    (
        saved(
            lambda stream, value: torch.save(value, stream, _use_new_zipfile_serialization=False),
            [1],
        ),
        "torch",
    ),
    (saved(lambda stream, value: h5py.File(stream, "w").close(), 1), "hdf5"),
    (bytes(50) + bytes.fromhex("57fb808b247547db"), "table"),
]


def kind_of(folder, content):
    path = folder / "a name that says nothing"
    path.write_bytes(content)
    return file_kind(path)


@pytest.mark.parametrize(("content", "name", "what"), BROKEN)
def test_what_is_not_the_file_that_was_meant_says_so_and_how_to_get_it(
    tmp_path, content, name, what
):
    kind = kind_of(tmp_path, content)
    assert (kind.name, kind.broken) == (name, True)
    assert what in kind.what
    assert kind.advice


@pytest.mark.parametrize(("content", "name", "what"), OTHERS)
def test_files_of_other_programs_have_their_names(tmp_path, content, name, what):
    kind = kind_of(tmp_path, content)
    assert (kind.name, kind.what, kind.broken) == (name, what, False)


@pytest.mark.parametrize(("content", "name"), CHECKPOINTS)
def test_checkpoints_are_told_apart(tmp_path, content, name):
    kind = kind_of(tmp_path, content)
    assert (kind.name, kind.broken) == (name, False)


def test_safetensors_are_told_by_their_header(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "x")
    assert file_kind(tmp_path / "x").name == "safetensors"
    assert file_kind(str(BUNDLED / "vae.safetensors")).name == "safetensors"


@pytest.mark.parametrize("value", [{"a": 1}, [1], (1, 2), np.zeros(3), {"a": [None, "x"]}])
def test_pickles_of_every_protocol_are_left_to_their_reader(tmp_path, value):
    for protocol in range(6):
        kind = kind_of(tmp_path, pickle.dumps(value, protocol))
        assert (kind.name if kind else None) == ("pickle" if protocol > 1 else None)


def test_bytes_that_say_nothing_are_of_no_kind(tmp_path):
    for content in (b"\x01", b"\xff" * 100, b"\0" * 8, b"ab\xff" * 2000, b"a\x00text"):
        assert kind_of(tmp_path, content) is None


def test_what_cannot_be_read_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_kind(tmp_path / "gone")
    with pytest.raises(IsADirectoryError):
        file_kind(tmp_path)
