"""LatentCache: codes are found by content, resumed where they stopped, and never served damaged."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from latentmap.cache import EntryKey, LatentCache, latent_cache, upkeep
from latentmap.cache.entry_writer import EntryWriter
from latentmap.cache.manifest import Manifest
from latentmap.cache.sealed import seal
from latentmap.codes import Codes, Space
from latentmap.errors import CacheError, OutputError
from latentmap.files import look_into
from latentmap.frames import Frame

DIM = 3
SPACE = Space("z", DIM, "tiny", "f" * 64)
VIEW = {"frame": Frame().to_json(), "size": [4, 4], "channels": 1}
KEY = EntryKey(SPACE.fingerprint, "z", "d" * 64, VIEW, {})
OTHER = replace(KEY, data="e" * 64)


class Images:
    """``n`` images of which only the names and digests matter here, and their codes."""

    def __init__(self, n: int, *, first: int = 0) -> None:
        numbers = range(first, first + n)
        self.ids = np.array([f"{number}.jpg" for number in numbers], dtype=np.str_)
        digests = [hashlib.sha256(str(number).encode()).digest()[:16] for number in numbers]
        self.digests = np.frombuffer(b"".join(digests), np.uint8).reshape(n, 16)
        self.codes = np.stack([np.arange(first, first + n)] * DIM, axis=1).astype(np.float32)

    def writer(self, cache: LatentCache, key: EntryKey = KEY, **options: Any) -> EntryWriter:
        return cache.writer(
            key, space=SPACE, frame=Frame(), ids=self.ids, digests=self.digests, **options
        )

    def encode(self, writer: EntryWriter, *, stop: int | None = None, batch: int = 4) -> None:
        for start in range(writer.done, len(self.ids) if stop is None else stop, batch):
            positions = np.arange(start, min(start + batch, len(self.ids)))
            writer.append(positions, self.codes[positions], stop=int(positions[-1]) + 1)

    def fill(self, cache: LatentCache, key: EntryKey = KEY) -> None:
        with self.writer(cache, key) as writer:
            self.encode(writer)
            writer.finish()

    def check(self, codes: Codes | None) -> None:
        assert codes is not None
        np.testing.assert_array_equal(codes.ids, self.ids)
        np.testing.assert_array_equal(codes.vectors.numpy(), self.codes)
        np.testing.assert_array_equal(codes.digests, self.digests)


def small_shards(path: Path, rows: int = 8, **options) -> LatentCache:
    """A cache that closes a shard after so many rows."""
    return LatentCache(path, shard_bytes=rows * DIM * 4, **options)


def shards_of(cache: LatentCache) -> list[Path]:
    return sorted(cache.path.glob("entries/*/*.h5"))


def test_what_was_written_is_found_with_all_that_belongs_to_it(tmp_path):
    images = Images(21)
    images.fill(small_shards(tmp_path / "codes"))
    codes = LatentCache(tmp_path / "codes").find(KEY)
    assert codes is not None
    images.check(codes)
    assert (codes.space, codes.frame, codes.data) == (SPACE, Frame(), "d" * 64)
    assert len(shards_of(LatentCache(tmp_path / "codes"))) == 3


def test_a_missing_cache_holds_nothing_and_is_not_made_by_looking(tmp_path):
    cache = LatentCache(tmp_path / "codes")
    assert cache.find(KEY) is None
    assert cache.find_covering(KEY, *(Images(3).ids, Images(3).digests)) is None
    assert not cache.path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "0" * 64},
        {"space": "w"},
        {"data": "0" * 64},
        {"view": {**VIEW, "size": [8, 8]}},
        {"view": {**VIEW, "frame": Frame("center").to_json()}},
        {"view": {**VIEW, "frame": Frame(resize="pillow-box").to_json()}},
        {"before": {"size": [64, 64]}},
        {"precision": "float16"},
    ],
)
def test_every_part_of_the_key_matters(tmp_path, change):
    cache = LatentCache(tmp_path)
    Images(5).fill(cache)
    assert cache.find(KEY) is not None
    assert cache.find(replace(KEY, **change)) is None


def test_an_unfinished_entry_is_not_served_and_goes_on_where_it_was_committed(tmp_path):
    images, cache = Images(30), small_shards(tmp_path)
    with images.writer(cache) as writer:
        images.encode(writer, stop=20)
        assert writer.done == 16
        assert not writer.complete
    # Leaving the block commits what was appended.
    assert cache.find(KEY) is None
    with images.writer(cache) as writer:
        assert writer.done == 20
        images.encode(writer)
        images.check(writer.finish())
    images.check(cache.find(KEY))
    with images.writer(cache) as writer:
        assert writer.complete
        images.check(writer.finish())


def test_an_error_on_the_way_keeps_what_was_appended(tmp_path):
    images, cache = Images(30), LatentCache(tmp_path)
    with pytest.raises(KeyboardInterrupt), images.writer(cache) as writer:
        images.encode(writer, stop=12)
        raise KeyboardInterrupt
    with images.writer(cache) as writer:
        assert writer.done == 12


def test_a_shard_is_closed_when_it_is_old(tmp_path):
    images, cache = Images(30), LatentCache(tmp_path, shard_seconds=0)
    with images.writer(cache) as writer:
        images.encode(writer, stop=8)
        assert writer.done == 8
        assert len(shards_of(cache)) == 2


def test_an_error_before_the_first_image_leaves_no_manifest(tmp_path):
    cache = LatentCache(tmp_path)
    with pytest.raises(ZeroDivisionError), Images(3).writer(cache):
        1 / 0  # noqa: B018
    assert [entry.manifest for entry in cache.entries.all()] == [None]
    assert cache.find(KEY) is None
    assert cache.entries.verify() == []


def test_no_images_are_no_codes(tmp_path):
    cache = LatentCache(tmp_path)
    Images(0).fill(cache)
    codes = cache.find(KEY)
    assert codes is not None
    assert codes.rows.shape == (0, DIM)
    assert codes.vectors.shape == (0, DIM)


def test_images_that_cannot_be_read_have_no_row(tmp_path):
    images, cache = Images(10), small_shards(tmp_path, rows=2)
    with images.writer(cache) as writer:
        writer.append(np.arange(0), np.empty((0, DIM)), stop=2, failed=[(0, "cut"), (1, "cut")])
        writer.append(np.arange(2, 5), images.codes[2:5], stop=5)
    with images.writer(cache) as writer:
        assert writer.done == 5
        assert [skip.position for skip in writer.skipped] == [0, 1]
        keep = np.array([5, 6, 8, 9])
        writer.append(keep, images.codes[keep], stop=10, failed=[(7, "broken")])
        codes = writer.finish()
    assert codes.skipped == ("0.jpg", "1.jpg", "7.jpg")
    keep = np.array([2, 3, 4, 5, 6, 8, 9])
    np.testing.assert_array_equal(codes.ids, images.ids[keep])
    np.testing.assert_array_equal(codes.vectors.numpy(), images.codes[keep])
    (entry,) = cache.entries.all()
    assert entry.manifest is not None
    assert entry.manifest.skipped[2] == (7, "7.jpg", "broken")


def test_an_entry_that_is_written_is_listed_though_files_go_meanwhile(tmp_path, monkeypatch):
    images, cache = Images(20), small_shards(tmp_path)
    with images.writer(cache) as writer:
        images.encode(writer, stop=12)

    def look(folder: Path, names: Any) -> Any:
        found = look_into(folder, names)
        return replace(found, ours=(*found.ours, folder / "just-published"))

    (before,) = cache.entries.all()
    monkeypatch.setattr(upkeep, "look_into", look)
    (entry,) = cache.entries.all()
    assert entry == before
    assert entry.manifest is not None and entry.manifest.done == 12


def test_positions_that_are_there_already_are_passed_over(tmp_path):
    images, cache = Images(20), small_shards(tmp_path)
    with images.writer(cache) as writer:
        images.encode(writer, stop=12)
    with images.writer(cache) as writer:
        for start in range(0, 20, 5):
            positions = np.arange(start, start + 5)
            writer.append(positions, images.codes[positions], stop=start + 5)
        images.check(writer.finish())


def test_batches_out_of_order_or_of_another_shape_are_refused(tmp_path):
    images, cache = Images(20), LatentCache(tmp_path)
    with images.writer(cache) as writer:
        with pytest.raises(CacheError, match=r"images 0 to 8 need 8 codes or failures.*in order"):
            writer.append(np.arange(4, 8), images.codes[4:8], stop=8)
        with pytest.raises(CacheError, match=r"codes of shape \(4, 3\).*and shape \(4, 2\)"):
            writer.append(np.arange(4), images.codes[:4, :2], stop=4)
        images.encode(writer, stop=8)
        with pytest.raises(CacheError, match="8 of 20 images were appended: append the rest"):
            writer.finish()


def test_codes_go_by_the_content_and_not_by_the_name_of_an_image(tmp_path):
    cache = LatentCache(tmp_path)
    Images(9).fill(cache)
    images = Images(9)
    codes = cache.find_covering(OTHER, images.ids, images.digests[::-1])
    assert codes is not None
    np.testing.assert_array_equal(codes.ids, images.ids)
    np.testing.assert_array_equal(codes.vectors.numpy(), images.codes[::-1])
    strange = Images(9, first=9)
    assert cache.find_covering(OTHER, images.ids, strange.digests) is None


def test_entries_cover_together_also_images_that_stand_twice(tmp_path):
    cache = small_shards(tmp_path)
    for first, letter in ((0, "a"), (20, "b"), (8, "c")):
        Images(14, first=first).fill(cache, replace(KEY, data=letter * 64))
    images = Images(34)
    order = np.random.default_rng(0).permutation(np.append(np.arange(34), [3, 30, 30]))
    codes = cache.find_covering(OTHER, images.ids[order], images.digests[order])
    assert codes is not None
    np.testing.assert_array_equal(codes.vectors.numpy(), images.codes[order])
    np.testing.assert_array_equal(codes.rows.take(np.array([5, -1])), images.codes[order[[5, -1]]])
    cover = cache.cover(OTHER, Images(40).digests)
    assert np.flatnonzero(cover.missing).tolist() == list(range(34, 40))
    assert not cover.complete


def test_an_image_whose_content_is_not_known_is_never_found(tmp_path):
    cache, images = LatentCache(tmp_path), Images(5)
    images.digests = images.digests.copy()
    images.digests[2] = 0
    images.fill(cache)
    assert cache.cover(OTHER, images.digests).missing.tolist() == [0, 0, 1, 0, 0]


def test_of_entries_that_hold_nothing_wanted_no_code_is_read(tmp_path, monkeypatch):
    cache = LatentCache(tmp_path)
    Images(9).fill(cache, replace(KEY, data="a" * 64))
    Images(5, first=20).fill(cache, replace(KEY, data="b" * 64))
    opened = []
    real = latent_cache.open_codes

    def counting(folder, *args, **options):
        opened.append(folder.name)
        return real(folder, *args, **options)

    monkeypatch.setattr(latent_cache, "open_codes", counting)
    assert cache.cover(OTHER, Images(3, first=21).digests).complete
    assert opened == [replace(KEY, data="b" * 64).id]


def test_an_entry_serves_a_part_of_its_images_in_any_order(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    images.fill(cache)
    part = replace(KEY, data="e" * 64)
    for index in (np.arange(7), np.arange(30), np.array([29, 3, 17])):
        codes = cache.find_covering(part, images.ids[index], images.digests[index])
        assert codes is not None
        np.testing.assert_array_equal(codes.ids, images.ids[index])
        np.testing.assert_array_equal(codes.vectors.numpy(), images.codes[index])
        np.testing.assert_array_equal(codes.digests, images.digests[index])
        assert codes.data == "e" * 64
        np.testing.assert_array_equal(
            codes.take(np.array([-1])).vectors.numpy(), images.codes[index[-1:]]
        )
    more = Images(31)
    assert cache.find_covering(part, more.ids, more.digests) is None
    strange = Images(3, first=29)
    assert cache.find_covering(part, strange.ids, strange.digests) is None
    half = replace(part, precision="bfloat16")
    assert cache.find_covering(half, images.ids, images.digests) is None


def test_what_an_unfinished_entry_holds_is_served(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    with images.writer(cache) as writer:
        images.encode(writer, stop=16)
    part = Images(16)
    codes = cache.find_covering(replace(KEY, data="e" * 64), part.ids, part.digests)
    part.check(codes)


def test_a_second_writer_waits_and_finds_the_work_done(tmp_path):
    images = Images(20)
    told: list[str] = []
    first = images.writer(small_shards(tmp_path))
    first.__enter__()

    def second():
        with images.writer(small_shards(tmp_path, notify=told.append)) as writer:
            done.append(writer.complete)

    done: list[bool] = []
    thread = threading.Thread(target=second)
    thread.start()
    images.encode(first)
    first.finish()
    for _ in range(500):
        if told:
            break
        threading.Event().wait(0.01)
    assert not done
    first.__exit__(None, None, None)
    thread.join()
    assert done == [True]
    (line,) = told
    assert line.startswith(f"another process is writing entry {KEY.id} of {tmp_path}: waiting")


def test_a_writer_that_waits_too_long_says_so(tmp_path):
    images = Images(20)
    with images.writer(LatentCache(tmp_path)):
        other = images.writer(LatentCache(tmp_path), timeout=0.1)
        with pytest.raises(CacheError, match=r"still being written by another process after 0.1 s"):
            other.__enter__()
        (entry,) = LatentCache(tmp_path).entries.all()
        with pytest.raises(CacheError, match="still being written by another process after 0 s"):
            LatentCache(tmp_path).entries.remove(entry, timeout=0)


def test_leftovers_are_removed_by_the_next_writer(tmp_path):
    images, cache = Images(20), small_shards(tmp_path)
    with images.writer(cache) as writer:
        images.encode(writer, stop=8)
    folder = shards_of(cache)[0].parent
    (folder / "manifest.json.tmp").write_bytes(b"{")
    # Of a writer with other batches, so that no later shard has its name.
    (folder / "shard-000000008-000000013.h5").write_bytes(b"not committed")
    with images.writer(cache) as writer:
        images.encode(writer)
        images.check(writer.finish())
    assert not list(folder.glob("*.tmp"))
    assert "shard-000000008-000000013.h5" not in [path.name for path in folder.iterdir()]


def test_what_is_not_ours_is_neither_removed_nor_in_the_way(tmp_path):
    images, cache = Images(20), small_shards(tmp_path / "cache")
    images.fill(cache)
    shard = shards_of(cache)[1]
    folder = shard.parent
    thesis = tmp_path / "outside" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("precious")
    (folder / "notes.txt").write_text("precious")
    (folder / "shard-000000008-000000013.h5").symlink_to(thesis)
    (folder / "manifest.json.tmp").mkdir()
    (folder.parent / "link").symlink_to(thesis.parent)
    (folder.parent / ("0" * 16)).symlink_to(thesis.parent)
    shard.unlink()
    shard.mkdir()
    (shard / "diary.md").write_text("precious")
    told = []
    again = LatentCache(cache.path, shard_bytes=8 * DIM * 4, notify=told.append)
    with images.writer(again) as writer:
        images.encode(writer)
        images.check(writer.finish())
    assert any(f"{shard.name}.moved-1" in line for line in told)
    (entry,) = again.entries.all()
    left = again.entries.remove(entry)
    assert {path.name for path in left} == {
        "notes.txt",
        "manifest.json.tmp.moved-1",
        "shard-000000008-000000013.h5.moved-1",
        f"{shard.name}.moved-1",
    }
    assert thesis.read_text() == (folder / "notes.txt").read_text() == "precious"
    assert (folder / f"{shard.name}.moved-1" / "diary.md").read_text() == "precious"


@pytest.mark.parametrize("name", ["manifest.json", "shard-000000000-000000008.h5"])
def test_a_pipe_in_the_place_of_a_file_is_damage_that_heals(tmp_path, name):
    images, cache = Images(20), small_shards(tmp_path)
    images.fill(cache)
    place = shards_of(cache)[0].with_name(name)
    place.unlink()
    os.mkfifo(place)
    (problem,) = cache.entries.verify()
    assert f"{name} is no file (it is a pipe" in problem
    with images.writer(cache) as writer:
        images.encode(writer)
        images.check(writer.finish())
    assert cache.entries.verify() == []
    assert place.with_name(f"{name}.moved-1").is_fifo()


@pytest.mark.parametrize("name", ["entries", "entries/*", "locks"])
def test_nothing_is_written_through_a_link(tmp_path, name):
    images, cache = Images(20), small_shards(tmp_path / "cache")
    images.fill(cache)
    (entry,) = cache.entries.all()
    (folder,) = cache.path.glob(name)
    outside = folder.rename(tmp_path / "outside")
    shutil.rmtree(outside)
    outside.mkdir()
    folder.symlink_to(outside)
    with pytest.raises(CacheError, match="is a link, which is not followed"):
        images.fill(LatentCache(cache.path))
    if name == "locks":
        with pytest.raises(CacheError, match="is a link, which is not followed"):
            cache.entries.remove(entry)
    assert not list(outside.iterdir())


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_a_damaged_shard_is_named_and_made_again_with_all_after_it(tmp_path):
    images, cache = Images(30), small_shards(tmp_path)
    images.fill(cache)
    flip(shards_of(cache)[1], 20000)
    with pytest.raises(CacheError, match=f"entry {KEY.id} of .* damaged: shard-000000008-.*rm"):
        LatentCache(tmp_path).find(KEY)
    (problem,) = cache.entries.verify()
    assert "shard-000000008-000000016.h5 is not as it was written" in problem
    told: list[str] = []
    with images.writer(LatentCache(tmp_path, notify=told.append)) as writer:
        assert writer.done == 8
        assert not writer.complete
        images.encode(writer)
        images.check(writer.finish())
    (line,) = told
    assert f"entry {KEY.id} was damaged: shard-000000008" in line
    assert "22 images from position 8 on are encoded again" in line
    assert cache.entries.verify() == []
    (entry,) = cache.entries.all()
    assert entry.manifest is not None
    assert entry.manifest.repairs == (line.partition("was damaged: ")[2],)


def test_without_checksums_only_sizes_are_compared(tmp_path):
    images, cache = Images(30), small_shards(tmp_path)
    images.fill(cache)
    flip(shards_of(cache)[0], 8 * 2048 + 5)
    assert LatentCache(tmp_path, checksums=False).find(KEY) is not None
    shards_of(cache)[0].write_bytes(b"short")
    with pytest.raises(CacheError, match="has 5 bytes instead of"):
        LatentCache(tmp_path, checksums=False).find(KEY)


def test_a_damaged_manifest_is_named_and_the_entry_begun_again(tmp_path):
    images, cache = Images(30), small_shards(tmp_path)
    images.fill(cache)
    (manifest,) = tmp_path.glob("entries/*/manifest.json")
    flip(manifest, 8 * (manifest.stat().st_size // 2))
    with pytest.raises(CacheError, match=r"is damaged: manifest.json"):
        cache.find(KEY)
    (entry,) = cache.entries.all()
    assert "is damaged" in entry.problem
    assert cache.entries.verify() == [entry.problem]
    assert str(entry) == f"{KEY.id} (damaged)"
    with images.writer(cache) as writer:
        assert writer.done == 0
        images.encode(writer)
        images.check(writer.finish())
    assert cache.entries.verify() == []


def test_the_manifest_of_another_entry_is_damage(tmp_path):
    cache = LatentCache(tmp_path)
    Images(5).fill(cache)
    shutil.move(tmp_path / "entries" / KEY.id, tmp_path / "entries" / ("0" * 16))
    (problem,) = cache.entries.verify()
    assert f"manifest.json is the one of entry {KEY.id}" in problem


def test_a_damaged_entry_is_passed_over_when_another_covers(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    keys = [replace(KEY, data=letter * 64) for letter in "ab"]
    for key in keys:
        images.fill(cache, key)
    for key in sorted(keys, key=lambda key: key.id)[:1]:
        flip(sorted((tmp_path / "entries" / key.id).glob("*.h5"))[0], 8 * 2048)
    codes = LatentCache(tmp_path).find_covering(KEY, images.ids[:9], images.digests[:9])
    assert codes is not None
    np.testing.assert_array_equal(codes.vectors.numpy(), images.codes[:9])


def resealed(cache: LatentCache, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the manifest as a program would that writes manifests of its own."""
    (path,) = cache.path.glob("entries/*/manifest.json")
    body = json.loads(path.read_text())
    del body["sha256"]
    change(body)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    body["sha256"] = hashlib.sha256(canonical).hexdigest()
    path.write_text(json.dumps(body, sort_keys=True, indent=1) + "\n")


def test_a_newer_format_is_left_alone(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    images.fill(cache)
    resealed(cache, lambda body: body.update(schema_version=3, novelty=[1]))
    before = sorted(path.read_bytes() for path in tmp_path.rglob("*.*"))
    message = "format is version 3 and this latentmap reads versions 1 and 2: update latentmap"
    with pytest.raises(CacheError, match=message):
        cache.find(KEY)
    with pytest.raises(CacheError, match=message):
        images.writer(cache).__enter__()
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*.*")) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(done=31),
        lambda body: body.update(images=2),
        lambda body: body.update(complete=False),
        lambda body: body.update(surprise=1),
        lambda body: body.pop("space"),
        lambda body: body["shards"].reverse(),
        lambda body: body["shards"].pop(0),
        lambda body: body["shards"][0].update(rows=0),
        lambda body: body["shards"][0].update(rows="8"),
        lambda body: body["shards"][0].update(name="../../../etc/passwd"),
        lambda body: body["key"].update(more=1),
        lambda body: body["frame"].update(name="nowhere"),
        lambda body: body.update(shards=7),
    ],
)
def test_a_manifest_that_contradicts_itself_is_damage(tmp_path, change):
    cache = small_shards(tmp_path)
    Images(30).fill(cache)
    resealed(cache, change)
    with pytest.raises(CacheError, match=r"damaged: manifest.json (contradicts|is not a manifest)"):
        cache.find(KEY)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff\xfe"])
def test_a_manifest_that_is_no_manifest_is_damage(tmp_path, text):
    cache = LatentCache(tmp_path)
    Images(3).fill(cache)
    (path,) = tmp_path.glob("entries/*/manifest.json")
    path.write_bytes(text)
    with pytest.raises(CacheError, match=r"is damaged: manifest.json cannot be read"):
        cache.find(KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"images": 3.0, "done": 3.0},
        {"images": "3"},
        {"done": True},
        {"space": {"kind": ["z"], "dim": DIM, "model": "tiny", "fingerprint": "f"}},
        {"space": []},
        {"frame": {"name": 7, "resize": "pillow-box"}},
        {"shards": [{"start": 0, "stop": 3, "rows": 3, "size": "9", "sha256": "", "name": "x"}]},
        {"shards": 7},
        {"shards": [[]]},
        {"skipped": [{"position": 0, "id": 7, "message": ""}]},
        {"repairs": [7]},
        {"latentmap": None},
    ],
)
def test_a_manifest_that_is_sealed_but_of_other_types_is_damage(tmp_path, change):
    cache = LatentCache(tmp_path)
    Images(3).fill(cache)
    (path,) = tmp_path.glob("entries/*/manifest.json")
    body = {**json.loads(path.read_bytes()), **change}
    del body["sha256"]
    path.write_bytes(seal(body))
    (entry,) = cache.entries.all()
    assert entry.state == "damaged" and "manifest.json" in entry.problem


def test_a_manifest_comes_back_from_its_bytes(tmp_path):
    cache = small_shards(tmp_path)
    Images(30).fill(cache)
    (path,) = tmp_path.glob("entries/*/manifest.json")
    manifest = Manifest.from_bytes(path.read_bytes())
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.rows == manifest.done == manifest.images == 30


def test_the_same_codes_give_the_same_files(tmp_path):
    for name in ("a", "b"):
        Images(30).fill(small_shards(tmp_path / name))
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in "ab"
    ]
    assert contents[0] == contents[1]


def test_removing_an_entry_removes_its_files_and_no_other(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    images.fill(cache)
    images.fill(cache, replace(KEY, data="e" * 64))
    doomed = cache.entries.named(KEY.id)
    assert doomed.size == sum(
        path.stat().st_size for path in (tmp_path / "entries" / KEY.id).iterdir()
    )
    cache.entries.remove(doomed)
    assert cache.find(KEY) is None
    assert not (tmp_path / "entries" / KEY.id).exists()
    images.check(cache.find(replace(KEY, data="e" * 64)))


def test_an_entry_is_named_by_the_beginning_of_its_id(tmp_path):
    cache = LatentCache(tmp_path)
    with pytest.raises(CacheError, match=r"is not a cache .it has neither a"):
        cache.entries.named("")
    Images(3).fill(cache)
    assert cache.entries.named(KEY.id[:3]).id == cache.entries.named("").id == KEY.id
    message = rf"no entry begins with 'x' .*{KEY.id} \(tiny, 3 images\)"
    with pytest.raises(CacheError, match=message):
        cache.entries.named("x")
    Images(3).fill(cache, replace(KEY, data="e" * 64))
    message = r"several entries begin with '' .*: name one of \w+ .*, \w+"
    with pytest.raises(CacheError, match=message):
        cache.entries.named("")


def test_verify_tells_how_far_it_is(tmp_path):
    cache, calls = small_shards(tmp_path), []
    Images(30).fill(cache)
    cache.entries.verify(lambda done, total: calls.append((done, total)))
    sizes = [path.stat().st_size for path in shards_of(cache)]
    assert calls == [(sum(sizes[: count + 1]), sum(sizes)) for count in range(4)]


def test_an_entry_that_disappears_while_it_is_listed_is_empty(tmp_path, monkeypatch):
    cache = LatentCache(tmp_path)
    (tmp_path / ".latentmap-cache").touch()
    monkeypatch.setattr(cache.entries, "names", lambda: [KEY.id])
    (entry,) = cache.entries.all()
    assert (entry.size, entry.manifest, str(entry)) == (0, None, f"{KEY.id} (empty)")


def test_a_shard_that_the_disk_does_not_give_is_an_error_but_no_damage(tmp_path):
    cache, images = small_shards(tmp_path), Images(30)
    images.fill(cache)
    path = shards_of(cache)[0]
    path.unlink()
    path.symlink_to(path.name)  # A name that leads round in a circle.
    with pytest.raises(CacheError, match=f"entry {KEY.id} of .* cannot be read: Too many levels"):
        cache.find(KEY)
    (problem,) = cache.entries.verify()
    assert "is damaged: shard-000000000-000000008.h5 cannot be read (Too many levels" in problem
    with pytest.raises(CacheError, match=r"cannot be written \(Too many levels"):
        images.writer(cache).__enter__()
    assert len(shards_of(cache)) == 4


def test_a_file_where_the_cache_should_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"cannot be written .*0 of 3 images are safe"):
        Images(3).writer(LatentCache(tmp_path / "file")).__enter__()


def test_an_export_holds_ids_and_codes(tmp_path):
    cache, images = small_shards(tmp_path / "codes"), Images(30)
    images.fill(cache)
    cache.entries.export(tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as arrays:
        assert sorted(arrays) == ["codes", "ids", "provenance"]
        assert json.loads(str(arrays["provenance"]))["key"]["data"] == "d" * 64
        np.testing.assert_array_equal(arrays["codes"], images.codes)
        np.testing.assert_array_equal(arrays["ids"], images.ids)
    cache.entries.export(tmp_path / "codes.h5", prefix=KEY.id[:4])
    with h5py.File(tmp_path / "codes.h5") as file:
        np.testing.assert_array_equal(file["codes"][...], images.codes)
        assert file["codes"].chunks is None
        assert file["ids"].asstr()[...].tolist() == images.ids.tolist()
        assert json.loads(file.attrs["provenance"])["key"]["data"] == "d" * 64
    with pytest.raises(OutputError, match="add --force to replace"):
        cache.entries.export(tmp_path / "codes.h5")
    cache.entries.export(tmp_path / "codes.h5", force=True)
    with pytest.raises(OutputError, match=r"must end in \.npz, \.npy, \.h5, \.hdf5 or \.parquet"):
        cache.entries.export(tmp_path / "codes.csv")


def test_only_whole_entries_are_exported(tmp_path):
    cache, images = small_shards(tmp_path / "codes"), Images(30)
    with images.writer(cache) as writer:
        images.encode(writer, stop=8)
    with pytest.raises(CacheError, match="is not complete: encode its images again"):
        cache.entries.export(tmp_path / "codes.npz")
    (manifest,) = cache.path.glob("entries/*/manifest.json")
    flip(manifest, 100)
    with pytest.raises(CacheError, match="is damaged"):
        cache.entries.export(tmp_path / "codes.npz")
    assert not (tmp_path / "codes.npz").exists()
