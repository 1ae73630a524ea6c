"""The inert reader on well-formed files: it reads what Python and torch read, and calls nothing."""

import argparse
import collections
import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.values import (
    LongText,
    Record,
    TensorView,
    as_mapping,
    text_digest,
)
from latentmap.errors import CheckpointError

PROTOCOLS = range(6)


class Recorded:
    """Stands for a class whose source the reader does not have."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class RecordedDict(dict[str, int]):
    pass


class RecordedList(list[int]):
    pass


def opened(tmp_path: Path, data: bytes):
    path = tmp_path / "file"
    path.write_bytes(data)
    return open_foreign(path)


def saved(value, **options) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


PLAIN: dict[str, object] = {
    "none": None,
    "truth": [True, False],
    "integers": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, -(2**62), 2**80, -(2**90)],
    "floats": [0.0, -1.5, 1e300, float("inf")],
    "texts": ["", "a", "\u00e9\U0001f600", 'it\'s \\ \n "quoted"', "x" * 300],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "sets": {1, 2, 3},
    "frozen": frozenset({"a", "b"}),
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "nested": {"list": [[], {}], 3: None, ("b", "a"): "tuple key", 2.5: 1, None: 0},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_are_what_pickle_reads(tmp_path, protocol):
    data = pickle.dumps(PLAIN, protocol=protocol)
    file = opened(tmp_path, data)
    assert file.value == pickle.loads(data)
    assert list(file.value["ordered"]) == ["b", "a"]
    assert file.container == "pickle"
    assert file.protocol == (protocol if protocol >= 2 else 0)
    assert file.unknown == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_come_back(tmp_path, protocol):
    value = opened(tmp_path, pickle.dumps([b"", b"ab\xff", bytes(range(256)) * 3], protocol)).value
    assert [bytes(part) for part in value] == [b"", b"ab\xff", bytes(range(256)) * 3]


def test_an_object_shared_in_the_file_is_shared_in_memory(tmp_path):
    shared = [1]
    first, second = opened(tmp_path, pickle.dumps([shared, shared])).value
    assert first is second


def test_a_list_that_holds_itself_is_read(tmp_path):
    endless: list[object] = []
    endless.append(endless)
    value = opened(tmp_path, pickle.dumps(endless)).value
    assert value[0] is value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_become_records(tmp_path, protocol):
    made = Recorded(a=1, b=[2])
    mapping, listing = RecordedDict(x=1), RecordedList([1, 2])
    file = opened(tmp_path, pickle.dumps([made, mapping, listing], protocol))
    inert, inert_mapping, inert_listing = file.value
    assert type(inert) is Record
    assert as_mapping(inert) == {"a": 1, "b": [2]}
    if protocol >= 2:
        assert inert.name.endswith("Recorded")
        assert as_mapping(inert_mapping) == {"x": 1}
        assert inert_listing.members == [1, 2]
    assert any(name.endswith("Recorded") for name in file.unknown)


ARRAYS = {
    "float64": np.array(2.5),
    "big endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "big endian integers": np.arange(6, dtype=">i8"),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "half": np.arange(3, dtype=np.float16),
    "truth": np.array([True, False]),
    "bytes": np.arange(5, dtype=np.uint8),
    "empty": np.empty((0, 3), np.float32),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_are_what_numpy_reads(tmp_path, protocol, array):
    view = opened(tmp_path, pickle.dumps(array, protocol)).value
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
    expected = torch.from_numpy(native).reshape(array.shape)
    assert type(view) is TensorView
    assert (view.shape, view.dtype) == (array.shape, expected.dtype)
    assert torch.equal(view.load(), expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_are_numbers(tmp_path, protocol):
    scalars = [np.float64(0.1), np.float32(0.5), np.int64(-3), np.bool_(True), np.float16(2)]
    value = opened(tmp_path, pickle.dumps(scalars, protocol)).value
    assert value == [0.1, 0.5, -3, True, 2.0]
    assert [type(number) for number in value] == [float, float, int, bool, float]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_names_of_numpy_1_and_2_mean_the_same(tmp_path, protocol):
    data = pickle.dumps([np.float64(0.1), np.arange(3.0)], protocol)
    other = (b"numpy._core.", b"numpy.core.")
    old = (
        data.replace(*other)
        if protocol < 4
        else data.replace(
            b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray"
        ).replace(b"\x8c\x13numpy._core.numeric", b"\x8c\x12numpy.core.numeric")
    )
    old = _without_frames(old)
    assert b"numpy._core" not in old
    value = opened(tmp_path, old).value
    assert value[0] == 0.1
    assert torch.equal(value[1].load(), torch.arange(3.0, dtype=torch.float64))


def _without_frames(data: bytes) -> bytes:
    """The stream with the length of its frame, which is no longer right, left out."""
    return data[:2] + data[11:] if data[2:3] == b"\x95" else data


def test_arrays_of_objects_are_kept_without_numbers(tmp_path):
    objects = np.array([{"a": 1}, None], dtype=object)
    (view,) = opened(tmp_path, pickle.dumps([objects])).value
    with pytest.raises(CheckpointError, match="holds no numbers"):
        view.load()


TENSORS = {
    "float32": torch.arange(6.0).reshape(2, 3),
    "half": torch.arange(3).half(),
    "bfloat16": torch.arange(12).bfloat16().reshape(3, 4),
    "double": torch.arange(3.0, dtype=torch.float64),
    "long": torch.arange(3),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(1.5),
    "empty": torch.empty(0, 2),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "channels last": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    "part of a storage": torch.arange(10.0)[3:7],
    "expanded": torch.arange(12.0).reshape(3, 4)[:, 1:2],
}


@pytest.mark.parametrize(
    "container", ["zip", "legacy", "pickle 2", "pickle 3", "pickle 4", "pickle 5"]
)
@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_tensors_are_what_torch_reads(tmp_path, container, tensor):
    content = {"tensor": tensor, "parameter": tensor}
    if tensor.is_floating_point():
        content["parameter"] = torch.nn.Parameter(tensor)
    if container.startswith("pickle"):
        data = pickle.dumps(content, protocol=int(container[-1]))
    else:
        data = saved(content, _use_new_zipfile_serialization=container == "zip")
    file = opened(tmp_path, data)
    assert file.container == {"zip": "torch-zip", "legacy": "torch-legacy"}.get(container, "pickle")
    for name in content:
        view = file.value[name]
        assert (view.shape, view.dtype) == (tuple(tensor.shape), tensor.dtype)
        assert torch.equal(view.load(), tensor)
    assert file.unknown == ()


@pytest.mark.parametrize("zipped", [True, False])
def test_where_a_tensor_was_does_not_matter(tmp_path, zipped):
    data = saved({"weight": torch.arange(3.0)}, _use_new_zipfile_serialization=zipped)
    at = data.index(b"X\x03\x00\x00\x00cpu")
    moved = data[:at] + b"X\x06\x00\x00\x00cuda:0" + data[at + 8 :]
    if zipped:  # The archive has places and checksums: the pickle is put into a new one.
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, part in parts.items():
                part = part.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                archive.writestr(name, part)
        moved = stream.getvalue()
    assert torch.equal(opened(tmp_path, moved).value["weight"].load(), torch.arange(3.0))


def test_a_whole_module_is_a_tree_of_records(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3))
    file = opened(tmp_path, saved(module))
    layer = as_mapping(file.value)["_modules"]["0"]
    assert torch.equal(as_mapping(layer)["_parameters"]["weight"].load(), module[0].weight)
    assert "torch.nn.modules.linear.Linear" in file.unknown


def test_a_namespace_is_a_mapping(tmp_path):
    file = opened(tmp_path, saved({"args": argparse.Namespace(size=256, mixing=0.9)}))
    assert as_mapping(file.value["args"]) == {"size": 256, "mixing": 0.9}
    assert file.unknown == ("argparse.Namespace",)


def test_two_tensors_of_one_storage_are_read_as_two(tmp_path):
    base = torch.arange(8.0)
    value = opened(tmp_path, saved([base[:4], base[2:]])).value
    first, second = (view.load() for view in value)
    first.zero_()
    assert torch.equal(second, base[2:])


def test_a_long_text_is_not_decoded_and_has_the_digest_of_its_bytes(tmp_path):
    source = "# \u00e9\n" * 40_000
    value = opened(tmp_path, pickle.dumps(source)).value
    assert type(value) is LongText
    assert text_digest(value) == hashlib.sha256(source.encode()).hexdigest()
    assert text_digest("short") == hashlib.sha256(b"short").hexdigest()
    assert text_digest(3) is None


def test_a_long_text_that_stands_for_bytes_is_decoded_in_pieces(tmp_path):
    numbers = torch.randint(0, 256, (1_500_000,), dtype=torch.uint8)
    array = opened(tmp_path, pickle.dumps(numbers.numpy(), protocol=2)).value
    assert torch.equal(array.load(), numbers)


def test_python_2_strings_are_texts_when_short_and_bytes_when_long(tmp_path):
    long = bytes(range(256)) * 2
    data = (
        b"\x80\x02]q\x00(U\x03ab\xe9T" + struct.pack("<i", len(long)) + long + b"S'it\\'s\\n'\ne."
    )
    short, raw, line = opened(tmp_path, data).value
    assert (short, bytes(raw), line) == ("ab\u00e9", long, "it's\n")


def test_python_2_arrays_are_read(tmp_path):
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85"
        b"U\x01b\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08" + struct.pack("<ff", 1, 2) + b"tb."
    )
    assert torch.equal(opened(tmp_path, data).value.load(), torch.tensor([1.0, 2.0]))


def test_reading_takes_only_what_is_asked_for(tmp_path):
    data = bytearray(saved({"a": torch.zeros(1000), "b": torch.ones(1000)}))
    file = opened(tmp_path, bytes(data))
    assert torch.equal(file.value["b"].load(), torch.ones(1000))


def test_an_expanded_tensor_stops_nothing_until_it_is_needed(tmp_path):
    value = opened(tmp_path, saved([torch.ones(1).expand(1000), torch.ones(2)])).value
    assert torch.equal(value[1].load(), torch.ones(2))
    with pytest.raises(CheckpointError, match=r"shape \(1000,\) repeats the 1 numbers"):
        value[0].load()
