"""Contents that are kept: a file that looks as it did is not read again, and any other one is."""

import os
import shutil
import tarfile
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from latentmap.cache import LatentCache
from latentmap.images import ImageSource, contents, open_images, pack_images
from latentmap.images.archives import ArchiveImages
from latentmap.images.arrays import ArrayImages
from latentmap.images.contents import Contents, FileState, KnownContents, Marks, size_of_contents
from latentmap.images.folders import FolderImages

N = 5


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """As if all files had been there for long: those of a test are new."""
    monkeypatch.setattr(contents, "_RACY", -(10**18))


@pytest.fixture
def read(monkeypatch):
    """The ids of the images that are read to be described, one a reading."""
    ids: list[str] = []
    for kind in (FolderImages, ArchiveImages, ArrayImages):
        real = kind.describe

        def counting(self, index, real=real):
            ids.extend(self.ids[index].tolist())
            return real(self, index)

        monkeypatch.setattr(kind, "describe", counting)
    return ids


def pictures(folder, seed=0):
    folder.mkdir()
    for number, pixels in enumerate(arrays(seed)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def arrays(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (N, 4, 6), dtype=np.uint8)


def as_folder(path):
    return pictures(path / "folder")


def as_zip(path):
    with zipfile.ZipFile(path / "images.zip", "w") as file:
        for one in sorted(pictures(path / "there").iterdir()):
            file.write(one, one.name)
    return path / "images.zip"


def as_tar(path):
    with tarfile.open(path / "images.tar.gz", "w:gz") as file:
        file.add(pictures(path / "there"), "there")
    return path / "images.tar.gz"


def as_numpy(path):
    np.save(path / "images.npy", arrays())
    return path / "images.npy"


def as_several(path):
    np.savez(path / "images.npz", images=arrays(), labels=np.arange(N))
    return path / "images.npz"


KINDS = (as_folder, as_zip, as_tar, as_numpy, as_several)


def examined(path, store, **options) -> ImageSource:
    images = open_images(path, **options)
    images.examine(store=store)
    return images


@pytest.mark.parametrize("make", KINDS)
def test_what_looks_as_it_did_is_not_read_again(tmp_path, read, make):
    path, store = make(tmp_path), LatentCache(tmp_path / "cache").contents
    first = examined(path, store)
    assert len(read) == N
    read.clear()
    again = examined(path, LatentCache(tmp_path / "cache").contents)
    assert read == []
    np.testing.assert_array_equal(again.digests, first.digests)
    np.testing.assert_array_equal(again.shapes, first.shapes)
    assert again.fingerprint == open_images(path).fingerprint


@pytest.mark.parametrize("make", KINDS)
def test_what_was_written_again_is_read_again(tmp_path, read, make):
    path, store = make(tmp_path), LatentCache(tmp_path / "cache").contents
    examined(path, store)
    read.clear()
    files = [path] if path.is_file() else sorted(path.iterdir())[2:3]
    data = files[0].read_bytes()
    files[0].write_bytes(data)
    examined(path, store)
    assert len(read) == (N if path.is_file() else 1)


def test_a_file_of_the_same_size_and_time_with_another_inode_is_read(tmp_path, read):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    before = examined(folder, store)
    read.clear()
    status = (folder / "3.png").stat()
    data = bytearray((folder / "3.png").read_bytes())
    data[-1] ^= 1
    (folder / "new").write_bytes(data)
    (folder / "new").replace(folder / "3.png")
    os.utime(folder / "3.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    after = examined(folder, store)
    assert read == ["3.png"]
    assert (after.digests != before.digests).any(1).tolist() == [0, 0, 0, 1, 0]


def test_a_file_that_just_changed_is_not_trusted(tmp_path, read, monkeypatch):
    monkeypatch.setattr(contents, "_RACY", 2_000_000_000)
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    for _ in range(2):
        read.clear()
        examined(folder, store)
        assert len(read) == N


def test_a_file_is_settled_two_seconds_after_it_was_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_RACY", 2_000_000_000)
    (tmp_path / "file").touch()
    status = (tmp_path / "file").stat()
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    assert not FileState.of(status, now=changed + 2_000_000_000).settled
    assert FileState.of(status, now=changed + 2_000_000_001).settled


def test_an_image_that_cannot_be_read_is_tried_again(tmp_path, read):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    (folder / "1.png").write_bytes(b"no picture")
    examined(folder, store)
    read.clear()
    examined(folder, store)
    assert read == ["1.png"]


def test_the_range_of_values_belongs_to_what_is_known(tmp_path, read):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    plain = examined(folder, store)
    other = examined(folder, store, value_range=(0, 100))
    assert len(read) == 2 * N
    assert plain.fingerprint != other.fingerprint


def test_an_image_is_read_once_whichever_subset_asks(tmp_path, read):
    images = open_images(as_folder(tmp_path))
    images.subset([3, 1]).examine()
    images.subset([1, 2]).examine()
    images.examine()
    assert sorted(read) == [f"{number}.png" for number in range(N)]


def test_what_a_subset_read_is_kept_for_the_whole(tmp_path, read):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    examined(folder, store, limit=2)
    read.clear()
    examined(folder, store)
    assert read == ["2.png", "3.png", "4.png"]


def test_packs_and_pixels_in_memory_leave_nothing_behind(tmp_path):
    images = open_images(as_folder(tmp_path))
    pack_images(images, images.view(), tmp_path / "pack.h5")
    store = LatentCache(tmp_path / "cache").contents
    for path in (tmp_path / "pack.h5", "digits"):
        examined(path, store)
    assert not (tmp_path / "cache").exists()


def test_a_check_finds_what_changed_without_its_looks(tmp_path, monkeypatch):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    assert open_images(folder).recheck(store) == (0, [])
    examined(folder, store)
    assert open_images(folder).recheck(store) == (N, [])
    # As on a disk that gives rotten bytes.
    real = FolderImages.read_bytes

    def rotten(self, position):
        data = real(self, position)
        return data[:-1] + b"!" if position == 2 else data

    monkeypatch.setattr(FolderImages, "read_bytes", rotten)
    assert open_images(folder).recheck(store) == (N, ["2.png"])
    # What is there now is known from then on.
    assert open_images(folder).recheck(store) == (N, [])


def test_of_images_that_are_no_more_only_so_much_is_kept(tmp_path):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    for seed in range(1, 5):
        examined(folder, store)
        shutil.rmtree(folder)
        pictures(folder, seed)
    examined(folder, store)
    (file,) = (tmp_path / "cache" / "contents").iterdir()
    assert file.stat().st_size == size_of_contents(2 * N)


def known(n: int = 4) -> tuple[KnownContents, Marks, Contents]:
    random = np.random.default_rng(0)
    marks = Marks(random.integers(0, 256, (n, 16), dtype=np.uint8), np.ones(n, np.bool_))
    found = Contents(
        random.integers(0, 256, (n, 16), dtype=np.uint8), random.choice([1, 3], (n, 3))
    )
    return KnownContents.nothing().adding(marks, found, most=2 * n), marks, found


def test_contents_come_back_from_their_bytes():
    whole, marks, found = known()
    back = KnownContents.from_bytes(whole.to_bytes())
    order = np.array([2, 0, 3])
    strange = np.zeros((1, 16), np.uint8)
    places, contents = back.find(
        Marks(np.concatenate([strange, marks.values[order]]), np.ones(4, np.bool_))
    )
    assert places.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(contents.digests, found.digests[order])
    np.testing.assert_array_equal(contents.shapes, found.shapes[order])


def test_every_flipped_byte_and_every_cut_is_found():
    data = known()[0].to_bytes()
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]
        with pytest.raises(ValueError, match=r"contents of images|as it was written"):
            KnownContents.from_bytes(changed)
        with pytest.raises(ValueError, match=r"contents of images|as it was written"):
            KnownContents.from_bytes(data[:place])


def test_shapes_that_no_image_has_are_refused():
    whole, _, _ = known()
    for shape in ((0, 1, 1), (1, 1 << 31, 1), (4, 4, 2)):
        records = whole.records.copy()
        records["shape"][1] = shape
        with pytest.raises(ValueError, match="shapes that no image has"):
            KnownContents.from_bytes(KnownContents(records).to_bytes())


@pytest.mark.parametrize("what", ["garbage", "folder", "link"])
def test_whatever_stands_in_its_place_costs_only_the_reading(tmp_path, read, what):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    first = examined(folder, store)
    (file,) = (tmp_path / "cache" / "contents").iterdir()
    if what == "garbage":
        file.write_bytes(b"latentmap contents 1\n" + bytes(100))
    elif what == "folder":
        file.unlink()
        file.mkdir()
    else:
        shutil.rmtree(file.parent)
        file.parent.symlink_to(tmp_path)
    read.clear()
    assert examined(folder, store).fingerprint == first.fingerprint
    assert len(read) == N
    if what == "link":
        assert not (tmp_path / file.name).exists()


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_nothing_is_written_into_what_stands_where_it_is_written_first(tmp_path, what):
    folder, store = as_folder(tmp_path), LatentCache(tmp_path / "cache").contents
    examined(folder, store)
    (file,) = (tmp_path / "cache" / "contents").iterdir()
    file.unlink()
    before, victim = file.with_name(f"{file.name}.tmp"), tmp_path / "victim"
    victim.write_text("mine")
    if what == "link":
        before.symlink_to(victim)
    elif what == "pipe":
        os.mkfifo(before)
    else:
        before.mkdir()
    examined(folder, store)
    assert victim.read_text() == "mine" and os.path.lexists(before) and not file.exists()


def test_of_two_that_write_at_once_one_waits(tmp_path):
    store = LatentCache(tmp_path / "cache").contents
    publish, inside, most = store._storage.publish, [], []

    def slow(path, data):
        inside.append(path)
        most.append(len(inside))
        time.sleep(0.05)
        publish(path, data)
        inside.pop()

    store._storage.publish = slow
    threads = [
        threading.Thread(target=store.save, args=("place", KnownContents.nothing()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert store.load("place", 1).records.size == 0
