"""Shards: what is written is read, in any pieces, and any other byte is noticed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from latentmap.cache.shards import (
    DamageError,
    Shard,
    ShardContent,
    ShardRecord,
    ShardRows,
    check_shard,
    open_shard,
    pack_shard,
)
from latentmap.codes import pack_ids, unpack_ids
from latentmap.errors import CacheError

PROVENANCE = {"made by": "a test"}


def content(start: int, rows: int, *, dim: int = 3, seed: int = 0) -> ShardContent:
    random = np.random.default_rng([seed, start])
    return ShardContent(
        random.standard_normal((rows, dim)).astype(np.float32),
        np.array([f"folder/{position}.jpg" for position in range(start, start + rows)]),
        random.integers(0, 256, (rows, 16), dtype=np.uint8),
        np.arange(start, start + rows),
    )


def written(folder: Path, start: int, rows: int, *, dim: int = 3) -> tuple[Path, ShardRecord]:
    record, image = pack_shard(
        content(start, rows, dim=dim), start=start, stop=start + rows, provenance=PROVENANCE
    )
    path = folder / record.name
    path.write_bytes(image)
    return path, record


def opened(path: Path, record: ShardRecord, *, dim: int = 3) -> Shard:
    identity = check_shard(path, record, checksum=True, known=set())
    return open_shard(path, record, dim, identity)[0]


def rows_of(folder: Path, *lengths: int) -> tuple[ShardRows, np.ndarray]:
    shards, vectors, start = [], [], 0
    for length in lengths:
        shards.append(opened(*written(folder, start, length)))
        vectors.append(content(start, length).codes)
        start += length
    return ShardRows(tuple(shards), 3), np.concatenate(vectors)


def test_the_same_content_gives_the_same_bytes():
    first = pack_shard(content(5, 40), start=5, stop=45, provenance=PROVENANCE)
    again = pack_shard(content(5, 40), start=5, stop=45, provenance=PROVENANCE)
    other = pack_shard(content(5, 40, seed=1), start=5, stop=45, provenance=PROVENANCE)
    assert first == again
    assert first[0].sha256 != other[0].sha256
    assert first[0].name == "shard-000000005-000000045.h5"


def test_a_shard_is_a_plain_hdf5_file_that_explains_itself(tmp_path):
    path, _ = written(tmp_path, 7, 4)
    with h5py.File(path, "r") as file:
        codes = file["codes"]
        assert (codes.chunks, codes.compression, codes.dtype) == (None, None, np.dtype("<f4"))
        np.testing.assert_array_equal(codes[...], content(7, 4).codes)
        assert file["ids"].asstr()[0] == "folder/7.jpg"
        assert file["positions"][...].tolist() == [7, 8, 9, 10]
        assert json.loads(file["provenance"][()]) == PROVENANCE
        assert (file.attrs["format"], file.attrs["schema_version"]) == ("latentmap-shard", 1)
        assert file.id.get_create_plist().get_version()[0] == 0


@pytest.mark.parametrize("ids", [["a", "bcd"], ["é/ü.png", "日本.jpg"], [""], [], ["\udcff.jpg"]])
def test_ids_survive_packing(ids):
    packed = pack_ids(np.array(ids, dtype=np.str_))
    assert packed.dtype.kind == "S"
    assert packed.dtype.itemsize > 0
    assert unpack_ids(packed).tolist() == ids


def test_any_slice_over_several_shards_is_right(tmp_path):
    rows, expected = rows_of(tmp_path, 5, 1, 7)
    assert rows.shape == (13, 3)
    for start in range(14):
        for stop in range(start, 14):
            np.testing.assert_array_equal(rows.read(start, stop), expected[start:stop])
    np.testing.assert_array_equal(rows.read(11, 99), expected[11:])


def test_any_choice_of_rows_comes_in_its_order(tmp_path):
    rows, expected = rows_of(tmp_path, 5, 1, 7)
    random = np.random.default_rng(0)
    for size in (0, 1, 13, 50):
        index = random.integers(-13, 13, size)
        np.testing.assert_array_equal(rows.take(index), expected[index])
    mask = random.random(13) < 0.5
    np.testing.assert_array_equal(rows.take(mask), expected[mask])


@pytest.mark.parametrize("index", [[13], [-14], [0, 99]])
def test_a_row_that_is_not_there_is_refused(tmp_path, index):
    rows, _ = rows_of(tmp_path, 13)
    with pytest.raises(IndexError, match="rows must be between 0 and 12"):
        rows.take(np.array(index))
    with pytest.raises(IndexError, match="a mask for 13 rows must have that length, not 2"):
        rows.take(np.array([True, False]))


def test_no_shards_are_no_rows():
    rows = ShardRows((), 3)
    assert rows.read(0, 5).shape == (0, 3)
    assert rows.take(np.array([], dtype=np.int64)).shape == (0, 3)


def test_what_was_read_can_be_kept_and_changed(tmp_path):
    rows, expected = rows_of(tmp_path, 6)
    part = rows.read(1, 4)
    part[:] = 0
    np.testing.assert_array_equal(rows.read(0, 6), expected)


def test_a_missing_shard_and_another_size_and_another_byte_are_damage(tmp_path):
    path, record = written(tmp_path, 0, 20)
    right = path.read_bytes()
    path.write_bytes(right[:-1])
    with pytest.raises(DamageError, match=r"shard-0+-0+20.h5 has \d+ bytes instead of \d+"):
        check_shard(path, record, checksum=False, known=set())
    path.write_bytes(right[:900] + bytes([right[900] ^ 1]) + right[901:])
    check_shard(path, record, checksum=False, known=set())
    with pytest.raises(DamageError, match="is not as it was written"):
        check_shard(path, record, checksum=True, known=set())
    path.unlink()
    with pytest.raises(DamageError, match="is missing"):
        check_shard(path, record, checksum=True, known=set())


def test_every_byte_is_read_once_only(tmp_path):
    path, record = written(tmp_path, 0, 20)
    known: set[Any] = set()
    identity = check_shard(path, record, checksum=True, known=known)
    assert known == {(identity, record.sha256)}
    path.write_bytes(path.read_bytes())
    check_shard(path, record, checksum=True, known=known)
    assert len(known) == 2, "a file that was written again is read again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 3}, "does not hold 3 codes of 3 float32 in one piece"),
        ({"start": 1}, "holds images outside 1 to 20"),
        ({"stop": 19}, "holds images outside 0 to 19"),
    ],
)
def test_a_shard_that_is_not_what_its_record_says_is_refused(tmp_path, change, message):
    path, record = written(tmp_path, 0, 20)
    identity = check_shard(path, record, checksum=True, known=set())
    other = ShardRecord(**{**vars(record), **change})
    with pytest.raises(DamageError, match=message):
        open_shard(path, other, 3, identity)


@pytest.mark.parametrize("missing", ["codes", "ids", "digests", "positions"])
def test_an_hdf5_file_without_a_dataset_is_refused(tmp_path, missing):
    path, record = written(tmp_path, 0, 20)
    with h5py.File(path, "r+") as file:
        del file[missing]
    identity = check_shard(
        path, ShardRecord(0, 20, 20, path.stat().st_size, ""), checksum=False, known=set()
    )
    with pytest.raises(DamageError, match="is not a shard of codes"):
        open_shard(path, record, 3, identity)


def _link(file, name):
    file[name] = h5py.ExternalLink("other.h5", name)


def _raw(file, name):
    file.create_dataset(name, (20, 3), "<f4", external=[("other.h5", 0, 240)])


def _virtual(file, name):
    layout = h5py.VirtualLayout((20, 3), "<f4")
    layout[:] = h5py.VirtualSource(".", name, (20, 3))
    file.create_virtual_dataset(name, layout)


def _huge(file, name):
    file.create_dataset(name, (1 << 40,), "<f4")


@pytest.mark.parametrize("name", ["codes", "ids"])
@pytest.mark.parametrize("put", [_link, _raw, _virtual, _huge, h5py.File.create_group])
def test_what_a_shard_does_not_hold_itself_is_refused(tmp_path, name, put):
    path, record = written(tmp_path, 0, 20)
    (tmp_path / "other.h5").write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[name]
        put(file, name)
    message = f"{name} is (missing or a link|not in one piece|no dataset)"
    with pytest.raises(DamageError, match=message):
        open_shard(path, record, 3, (0, 0, 0))


@pytest.mark.parametrize("name", ["ids", "digests", "positions"])
def test_a_shard_must_name_every_row(tmp_path, name):
    path, record = written(tmp_path, 0, 20)
    with h5py.File(path, "r+") as file:
        part = file[name][:10]
        del file[name]
        file[name] = part
    with pytest.raises(DamageError, match="does not name each"):
        open_shard(path, record, 3, (0, 0, 0))


def test_a_compressed_dataset_is_refused(tmp_path):
    path, record = written(tmp_path, 0, 20)
    with h5py.File(path, "r+") as file:
        vectors = file["codes"][...]
        del file["codes"]
        file.create_dataset("codes", data=vectors, compression="gzip")
    with pytest.raises(DamageError, match="in one piece"):
        open_shard(path, record, 3, (0, 0, 0))


def test_rows_that_were_removed_or_replaced_after_opening_are_not_served(tmp_path):
    path, record = written(tmp_path, 0, 20)
    rows = ShardRows((opened(path, record),), 3)
    path.with_name("other").write_bytes(path.read_bytes())
    path.unlink()
    reads: list[Callable[[], Any]] = [lambda: rows.read(0, 5), lambda: rows.take(np.arange(5))]
    for read in reads:
        with pytest.raises(CacheError, match="was removed while it was in use: encode again"):
            read()
    path.with_name("other").rename(path)
    for read in reads:
        with pytest.raises(CacheError, match="cannot be read: it was changed since it was opened"):
            read()


def test_rows_that_end_early_are_not_served(tmp_path):
    path, record = written(tmp_path, 0, 20)
    shard = replace(opened(path, record), offset=record.size - 8)
    with pytest.raises(CacheError, match="cannot be read: it ended early: open the cache again"):
        ShardRows((shard,), 3).read(0, 20)


def test_memory_does_not_grow_with_the_rows_that_are_read(tmp_path):
    status, references = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not references.exists():
        pytest.skip("needs Linux's /proc to measure memory")
    dim = 64
    shards = tuple(
        opened(*written(tmp_path, start, 32768, dim=dim), dim=dim)
        for start in range(0, 16 * 32768, 32768)
    )
    rows = ShardRows(shards, dim)

    def peak() -> int:
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10

    references.write_text("5")
    before = peak()
    for start in range(0, len(rows), 4096):
        rows.read(start, start + 4096)
    random = np.random.default_rng(0)
    for _ in range(20):
        rows.take(random.integers(0, len(rows), 4096))
    grown = peak() - before
    assert grown < 24 << 20, f"reading 128 MiB took {grown >> 20} MiB more memory"


def test_a_shard_reads_nothing_but_itself(tmp_path):
    path, record = written(tmp_path, 0, 20)
    path.rename(tmp_path / "other.h5")
    with h5py.File(path, "w") as file:
        for name in ("codes", "ids", "digests", "positions"):
            file[name] = h5py.ExternalLink("other.h5", f"/{name}")
    with pytest.raises(DamageError, match="codes is missing or a link"):
        open_shard(path, record, 3, (0, 0, 0))


def test_a_shard_that_claims_more_than_it_holds_is_refused_before_it_is_read(tmp_path):
    path, record = written(tmp_path, 0, 20)
    with h5py.File(path, "r+") as file:
        del file["ids"]
        file.create_dataset("ids", (10**10,), "S100")
    with pytest.raises(DamageError, match="ids is not in one piece"):
        open_shard(path, record, 3, (0, 0, 0))
