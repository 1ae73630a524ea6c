"""Checkpoints of TensorFlow, by a writer of our own; attacks on their tables and descriptions."""

import random

import numpy as np
import pytest

from latentmap.encoders.checkpoints import crc32c as crc
from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
from latentmap.encoders.checkpoints.object_graph import object_names
from latentmap.encoders.checkpoints.tensorflow_bundle import find_bundle, read_bundle
from latentmap.errors import CheckpointError
from tests.encoders import bundle_writer
from tests.encoders.bundle_writer import entry, field, table, varint, write_bundle

ARRAYS = {
    "a/.ATTRIBUTES/VARIABLE_VALUE": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.float64(0.5),
    "count": np.int64(-7),
    **{f"more/{place}": np.full(place, place, np.int32) for place in range(20)},
}


def test_checksums_are_those_of_another_way():
    choice = random.Random(0)
    for size in (0, 1, 2, 3, 31, 32, 255, 1000, 4097):
        data = choice.randbytes(size)
        assert crc.masked_crc32c(data) == int.from_bytes(bundle_writer.masked(data), "little")


def test_variables_have_the_numbers_that_were_written(tmp_path):
    write_bundle(tmp_path / "ckpt", ARRAYS)
    bundle = read_bundle(tmp_path / "ckpt.index")
    assert [file.name for file in bundle.files] == ["ckpt.index", "ckpt.data-00000-of-00001"]
    expected = {key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): ARRAYS[key] for key in ARRAYS}
    assert bundle.variables.keys() == expected.keys()
    for name, variable in bundle.variables.items():
        np.testing.assert_array_equal(variable.view.load().numpy(), expected[name])


def test_a_prefix_an_index_and_a_file_of_numbers_mean_the_checkpoint(tmp_path):
    write_bundle(tmp_path / "ckpt-40", ARRAYS)
    index = tmp_path / "ckpt-40.index"
    for name in ("ckpt-40", "ckpt-40.index", "ckpt-40.data-00000-of-00001"):
        assert find_bundle(tmp_path / name) == index
    (tmp_path / "ckpt-40").write_bytes(b"a file of its own")
    assert find_bundle(tmp_path / "ckpt-40") is None
    assert find_bundle(tmp_path / "gone") is None
    assert find_bundle(tmp_path) is None


def refused(path, message):
    with pytest.raises(CheckpointError, match=message):
        for variable in read_bundle(path).variables.values():
            variable.view.load()


def test_a_missing_file_of_numbers_is_asked_for(tmp_path):
    write_bundle(tmp_path / "ckpt", ARRAYS)
    (tmp_path / "ckpt.data-00000-of-00001").unlink()
    refused(
        tmp_path / "ckpt.index",
        r"ckpt\.index is the index of .*, whose numbers lie in ckpt\.data-00000-of-00001: put that",
    )


def test_damage_is_found_by_checksums(tmp_path):
    write_bundle(tmp_path / "ckpt", ARRAYS)
    numbers = tmp_path / "ckpt.data-00000-of-00001"
    whole = numbers.read_bytes()
    numbers.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    refused(tmp_path / "ckpt.index", "the checksum of a/.ATTRIBUTES/VARIABLE_VALUE is wrong")
    numbers.write_bytes(whole[:-1])
    refused(tmp_path / "ckpt.index", "its file of numbers is cut off before more/19")
    index = tmp_path / "ckpt.index"
    data = index.read_bytes()
    index.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    refused(index, r"is damaged \(a checksum is wrong\)")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([(b"a", entry(1, (2,), 0, bytes(4)))], {}, r"a has the shape \(2,\) and 4 bytes"),
        ([(b"a", entry(1, [1] * 20, 0, bytes(4)))], {}, "more axes than any has"),
        ([(b"a", entry(1, (2**60, 0), 0, b""))], {}, "no valid shape"),
        ([(b"a", b"\x08")], {}, "a number in it has no end"),
        ([(b"a", b"\x0f\x00")], {}, "of no kind that is known"),
        ([(b"a", b"\x12\x7f")], {}, "a part of it ends too early"),
        ([(b"a", field(1, b"x"))], {}, "a number was expected"),
        ([(b"a", field(2, 7))], {}, "a text or a message was expected"),
        ([(b"", field(2, 1))], {}, "big-endian"),
        ([(b"", field(1, 2**40))], {}, "it names no files of numbers"),
        ([(b"a" * 3000, b"")], {}, "longer than it can be"),
        ([(b"a", b"")], {"magic": b"otherwise"[:8]}, "does not end as the index of"),
        ([(b"a", b"")], {"compression": 1}, "compressed, which TensorFlow's"),
    ],
)
def test_an_index_that_is_not_as_it_should_be_is_refused(tmp_path, rows, options, message):
    path = tmp_path / "ckpt.index"
    path.write_bytes(table(rows, **options))
    (tmp_path / "ckpt.data-00000-of-00001").write_bytes(bytes(8))
    refused(path, message)


def test_variables_in_slices_and_texts_are_passed_over(tmp_path):
    path = tmp_path / "ckpt.index"
    rows = [(b"sliced", field(7, b"")), (b"text", entry(7, (), 0, bytes(4)))]
    path.write_bytes(table(rows))
    (tmp_path / "ckpt.data-00000-of-00001").write_bytes(bytes(8))
    assert read_bundle(path).variables == {}


def test_a_block_that_is_named_many_times_is_read_no_more_often_than_it_fits(tmp_path):
    block = bundle_writer.block([(b"a", bytes(200))])
    whole = block + b"\0"
    data = whole + bundle_writer.masked(whole)
    place = varint(0) + varint(len(block))
    blocks = bundle_writer.block([(bytes([65 + i]), place) for i in range(50)], share=False)
    handle = varint(len(data)) + varint(len(blocks))
    data += blocks + b"\0" + bundle_writer.masked(blocks + b"\0")
    path = tmp_path / "ckpt.index"
    path.write_bytes(data + (handle + handle).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db"))
    refused(path, "more entries than its size allows")


def test_objects_in_circles_end():
    child = field(1, field(1, 0) + field(2, b"layer_with_weights-0"))
    leaf = field(2, field(1, b"VARIABLE_VALUE") + field(2, b"n") + field(3, b"key"))
    inner = field(1, field(1, 2) + field(2, b"kernel"))
    circle = field(1, field(1, 1) + field(2, b"layer_with_weights-0"))
    beyond = field(1, field(1, 99) + field(2, b"layer_with_weights-1"))
    graph = field(1, circle + beyond) + field(1, child + inner + circle) + field(1, leaf)
    names = object_names(memoryview(graph))
    assert names == {"key": ("layer_with_weights-0/kernel", "n")}
    assert object_names(memoryview(b"")) == {}


def test_a_checkpoint_of_other_objects_is_told_as_that(tmp_path):
    write_bundle(tmp_path / "ckpt", ARRAYS)
    checkpoint = inspect_checkpoint(tmp_path / "ckpt")
    assert len(checkpoint.describe()["networks"][0]["tensors"]) == 23
    assert not checkpoint.prospect()["possible"]
    with pytest.raises(CheckpointError, match="of 23 variables, but none of a Keras model"):
        import_checkpoint(tmp_path / "ckpt")


def test_anything_in_any_place_is_read_or_refused(tmp_path):
    arrays = {f"layer_with_weights-0/layer_with_weights-{i}/kernel": np.ones((2, 2)) for i in "012"}
    write_bundle(tmp_path / "ckpt", arrays, graph=field(1, field(1, field(1, 0) + field(2, b"x"))))
    index, numbers = tmp_path / "ckpt.index", tmp_path / "ckpt.data-00000-of-00001"
    choice = random.Random(0)
    for path in (index, numbers):
        whole = path.read_bytes()
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(choice.randint(1, 3)):
                data[choice.randrange(len(data))] = choice.randrange(256)
            path.write_bytes(data[: choice.choice([len(data), choice.randrange(len(data))])])
            try:
                for variable in read_bundle(index).variables.values():
                    variable.view.load()
            except CheckpointError:
                continue
        path.write_bytes(whole)
