"""Parts of a source are what its whole has at the same places."""

import os
import random

import h5py
import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images, open_parts, tar_sets
from latentmap.images.indexing import write_index
from latentmap.images.naming import natural_key
from latentmap.images.parts import FileParts, FirstParts, counts_in
from tests.core.images import test_parquet_images as tables
from tests.core.images.test_index import write_folder
from tests.core.images.test_tar_sets import VIEW, write_set
from tests.core.images.test_tars import png, write_tar

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 4, 6), dtype=np.uint8)
PIXELS[:, 0, 0] = 255


def tars(folder):
    for k, each in enumerate([0, 11, 0, 0, 1, 9, 0]):
        write_set(folder, 1, each, f"a-{k}.tar")
        if not each:
            write_tar(folder / f"a-{k}.tar", {"x.txt": b"x"})
    return folder / "a-*.tar"


def parquet(folder):
    for k, each in enumerate([13, 0, 5]):
        ids = [f"x{i}" for i in range(each)]
        pictures = tables.pictures(range(200, 200 + each), tables.pa.binary())
        tables.write(folder / f"a-{k}.parquet", {"image": pictures, "id": ids}, 3)
    return folder / "a-{0..2}.parquet"


def one_table(folder):
    return tables.write(folder / "a.parquet", {"image": tables.pictures(range(200, 230))}, 7)


def index(folder):
    write_index(write_folder(folder / "faces"), folder / "faces.index")
    return folder / "faces.index"


def npy(folder):
    np.save(folder / "a.npy", PIXELS)
    return folder / "a.npy"


def npz(folder):
    np.savez_compressed(folder / "a.npz", images=PIXELS, labels=np.arange(40) % 3)
    return folder / "a.npz"


def hdf5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x", data=PIXELS, chunks=(3, 4, 6), compression="gzip")
    return f"{folder}/a.h5:/x"


def idx(folder):
    head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in PIXELS.shape)
    (folder / "a-images.idx").write_bytes(head + PIXELS.tobytes())
    return folder / "a-images.idx"


def plain(folder):
    return write_folder(folder / "faces")


def digits(folder):
    return "digits"


SOURCES = [tars, parquet, one_table, index, npy, npz, hdf5, idx, plain, digits]


@pytest.mark.parametrize("make", SOURCES)
def test_a_part_is_what_the_whole_has_there(tmp_path, make):
    path = make(tmp_path)
    whole, parts = open_images(path), open_parts(path)
    assert len(parts) == len(whole) and parts.choice == whole.choice
    chance = random.Random(0)
    ranges = [(0, 1), (0, len(whole)), (len(whole) - 1, len(whole))]
    ranges += [sorted(chance.sample(range(len(whole) + 1), 2)) for _ in range(20)]
    labels = whole.labels
    for start, stop in ranges:
        part, same = parts.part(start, stop), whole.subset(np.arange(start, stop))
        assert part.ids.tolist() == same.ids.tolist()
        assert part.ids.dtype == same.ids.dtype or make is not npy
        assert part.fingerprint == same.fingerprint
        assert part.choice == same.choice and part.path == whole.path
        assert part.read(stop - start - 1).tolist() == same.read(stop - start - 1).tolist()
        if make is npz:
            assert part.labels.tolist() == labels[start:stop].tolist()
    for one, other in zip(
        parts.part(2, 12).batches([VIEW], batch_size=3),
        whole.subset(np.arange(2, 12)).batches([VIEW], batch_size=3),
        strict=True,
    ):
        assert one.images[0].equal(other.images[0])


@pytest.mark.parametrize("make", [tars, index, npy, plain])
def test_the_first_images_are_a_choice(tmp_path, make):
    path = make(tmp_path)
    whole, parts = open_images(path, limit=13), open_parts(path, limit=13)
    assert len(parts) == 13 and parts.choice == whole.choice
    assert parts.part(3, 13).choice == whole.choice
    assert parts.part(3, 13).ids.tolist() == whole.ids[3:].tolist()
    assert not isinstance(open_parts(path, limit=10**9), FirstParts)
    with pytest.raises(ImageError, match="limit must be at least 1, not 0"):
        open_parts(path, limit=0)


def test_a_range_of_values_holds_for_parts(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24, dtype=np.int64).reshape(6, 2, 2))
    part = open_parts(tmp_path / "a.npy", value_range=(0, 23)).part(5, 6)
    whole = open_images(tmp_path / "a.npy", value_range=(0, 23))
    assert part.read(0).tolist() == whole.read(5).tolist()
    write_index(write_folder(tmp_path / "faces"), tmp_path / "faces.index")
    part = open_parts(tmp_path / "faces.index", value_range=(0, 250)).part(1, 2)
    whole = open_images(tmp_path / "faces", value_range=(0, 250))
    assert part.read(0).tolist() == whole.read(1).tolist()


def test_files_are_counted_once_and_opened_where_they_are_needed(tmp_path, monkeypatch):
    opened, real = [], tar_sets._members_of

    def counted(file):
        opened.append(file.prefix)
        return real(file)

    monkeypatch.setattr(tar_sets, "_members_of", counted)
    path, told = tars(tmp_path), []
    first = open_parts(path, progress=lambda *one: told.append(one))
    assert opened == [f"a-{k}" for k in range(7)] and told[-1] == (7, 7)
    opened.clear()
    again = open_parts(path, known=[{"x": 1}, counts_in(first)], limit=20)
    assert counts_in(again) == counts_in(first) and not opened
    assert again.part(11, 12).ids.tolist() == ["a-4/0.png"]
    assert opened == ["a-4"]
    opened.clear()
    # Those that follow each other do not list their common file twice.
    for start in range(20):
        again.part(start, start + 1)
    assert opened == ["a-1", "a-5"]


def test_what_was_counted_of_other_files_is_not_believed(tmp_path):
    path = tars(tmp_path)
    known = counts_in(open_parts(path))
    write_tar(tmp_path / "a-8.tar", {"1.png": png(200)})
    assert len(open_parts(path, known=[known])) == 22
    assert counts_in(open_parts("digits")) is None


@pytest.mark.parametrize("make", [tars, parquet])
def test_a_file_with_another_number_of_images_than_was_counted_is_told(tmp_path, make):
    path = make(tmp_path)
    parts = open_parts(path)
    victim = tmp_path / f"a-{2 if make is parquet else 5}{path.suffix}"
    if make is tars:
        write_tar(victim, {"1.png": png(200)})
    else:
        tables.write(victim, {"image": tables.pictures([200]), "id": ["a"]})
    parts.part(0, 5)
    with pytest.raises(
        ImageError, match=r"a-\d\.\w+ holds 1 images, and held \d when they were cou"
    ):
        parts.part(len(parts) - 1, len(parts))


def test_a_set_without_images_has_no_parts(tmp_path):
    write_tar(tmp_path / "a-0.tar", {"x.txt": b"x"})
    with pytest.raises(ImageError, match=r"a-\*.tar holds no images: give the names of files that"):
        open_parts(tmp_path / "a-*.tar")


def test_parts_of_files_hold_no_names_of_images(tmp_path):
    path = tars(tmp_path)
    parts = open_parts(path, known=[counts_in(open_parts(path))])
    assert isinstance(parts, FileParts)
    assert not parts._files._listings


def test_images_of_a_set_are_in_natural_order(tmp_path):
    ids = open_images(tars(tmp_path)).ids.tolist()
    assert ids == sorted(ids, key=natural_key)


def test_a_sparse_array_of_many_rows_is_opened_by_parts_alone(tmp_path):
    path = tmp_path / "many.npy"
    shape = (100_000_000, 8, 8)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 64 * shape[0])
    assert os.stat(path).st_blocks < 1000  # noqa: PTH116
    parts = open_parts(path)
    assert len(parts) == shape[0]
    assert parts.part(99_999_998, 99_999_999).ids.tolist() == ["99999998"]
    with pytest.raises(ImageError, match="asks for more memory than a file of its size may"):
        open_images(path)
