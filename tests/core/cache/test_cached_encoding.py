"""Coder.codes: what is there is read, what is missing is encoded, once."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from latentmap.cache import Coder, EntryKey, LatentCache, encode, encoding
from latentmap.codes.codes import ArrayRows
from latentmap.errors import CacheError, ImageError
from latentmap.frames import Frame
from latentmap.images import ImageSource, open_images
from latentmap.images.arrays import ArrayImages
from latentmap.model.testing import LinearModel

SHAPE = (1, 8, 8)


def encoded_by(cache, model, images, **options):
    (codes,) = Coder(cache, **options).codes([model], images)
    return codes


def digits(n: int = 40) -> ImageSource:
    return open_images("digits", limit=n)


def linear(seed: int = 0, **options) -> LinearModel:
    return LinearModel(4, SHAPE, seed=seed, **options)


def small(path) -> LatentCache:
    """A cache that closes a shard after four codes."""
    return LatentCache(path, shard_bytes=4 * 4 * 4)


@pytest.fixture
def encoded(monkeypatch):
    """How many images each model has encoded, by the model's name."""
    counts: dict[str, int] = {}
    real = LinearModel.encode_pixels

    def counting(self, pixels, **options):
        counts[self.name] = counts.get(self.name, 0) + len(pixels)
        return real(self, pixels, **options)

    monkeypatch.setattr(LinearModel, "encode_pixels", counting)
    return counts


def same(codes, expected) -> None:
    np.testing.assert_array_equal(codes.ids, expected.ids)
    np.testing.assert_array_equal(codes.vectors.numpy(), expected.vectors.numpy())
    np.testing.assert_array_equal(codes.digests, expected.digests)
    assert (codes.space, codes.frame, codes.data) == (expected.space, expected.frame, expected.data)
    assert codes.skipped == expected.skipped


def test_cached_codes_are_those_of_encode(tmp_path, encoded):
    cache, model, images = LatentCache(tmp_path), linear(), digits()
    expected = encode(model, images)
    encoded.clear()
    same(encoded_by(cache, model, images), expected)
    assert encoded == {"linear": 40}
    same(encoded_by(cache, model, images), expected)
    same(encoded_by(LatentCache(tmp_path), linear(), digits()), expected)
    assert encoded == {"linear": 40}


def test_several_models_come_in_their_order_and_images_are_read_once(tmp_path, monkeypatch):
    cache, images = LatentCache(tmp_path), digits()
    models = [linear(seed, name=f"m{seed}") for seed in (3, 1, 2)]
    passes = []
    real = ImageSource.batches

    def counting(self, views, **options):
        passes.append(len(views))
        return real(self, views, **options)

    monkeypatch.setattr(ImageSource, "batches", counting)
    results = Coder(cache).codes([*models, models[0]], images)
    assert passes == [1]
    for model, codes in zip([*models, models[0]], results, strict=True):
        same(codes, encode(model, images))


def test_only_models_that_miss_are_run(tmp_path, encoded):
    cache, images = LatentCache(tmp_path), digits()
    models = [linear(seed, name=f"m{seed}") for seed in (0, 1)]
    encoded_by(cache, models[0], images)
    Coder(cache).codes(models, images)
    assert encoded == {"m0": 40, "m1": 40}


def test_a_model_with_another_name_is_the_same_and_gets_its_name(tmp_path, encoded):
    cache, images = LatentCache(tmp_path), digits()
    encoded_by(cache, linear(name="old"), images)
    codes = encoded_by(cache, linear(name="new"), images)
    assert codes.space.model == "new"
    assert encoded == {"old": 40}


def test_another_frame_or_precision_is_encoded_anew_and_of_other_data_what_is_new(
    tmp_path, encoded
):
    cache, images = LatentCache(tmp_path), digits()
    encoded_by(cache, linear(), images)
    encoded_by(cache, linear(name="frame", frame=Frame("0,0,0.5,0.5")), images)
    encoded_by(cache, linear(name="half"), images, precision="bfloat16")
    encoded_by(cache, linear(name="more"), digits(41))
    assert encoded == {"linear": 40, "frame": 40, "half": 40, "more": 1}
    assert len(cache.entries.all()) == 4


def test_only_images_without_a_code_are_decoded_and_encoded(tmp_path, encoded, monkeypatch):
    cache, models = small(tmp_path), [linear(seed, name=f"m{seed}") for seed in (0, 1)]
    some, others = [30, 2, 4, 5, 6, 33, 20], [9, 4, 38]
    encoded_by(cache, models[0], digits().subset(some))
    encoded_by(cache, models[0], digits().subset(others))
    encoded_by(cache, models[1], digits().subset(others))
    encoded.clear()
    decoded = []
    real = ArrayImages.render
    monkeypatch.setattr(
        ArrayImages,
        "render",
        lambda self, index, *args: decoded.extend(index) or real(self, index, *args),
    )
    results = Coder(cache, batch_size=4).encoded(models, digits())
    assert encoded == {"m0": 40 - 9, "m1": 40 - 3}
    assert sorted(decoded) == sorted({*range(40)} - {4, 9, 38})
    assert [(one.there, one.computed) for one in results] == [(9, 31), (3, 37)]
    for model, one in zip(models, results, strict=True):
        whole = encode(model, digits())
        np.testing.assert_array_equal(one.codes.ids, whole.ids)
        np.testing.assert_allclose(one.codes.vectors, whole.vectors, atol=1e-6)
        again = LatentCache(tmp_path).find(EntryKey.of(model, digits()))
        assert again is not None
        np.testing.assert_array_equal(again.vectors, one.codes.vectors)
    # What was there is copied bit for bit.
    known = cache.find(EntryKey.of(models[0], digits().subset(some)))
    np.testing.assert_array_equal(known.vectors, results[0].codes.vectors[some])
    assert cache.entries.verify() == []


def test_an_entry_of_several_needs_no_other_and_outlives_them(tmp_path, encoded):
    cache, model = small(tmp_path), linear()
    encoded_by(cache, model, digits(30))
    (old,) = cache.entries.all()
    encoded_by(cache, model, digits())
    cache.entries.remove(old)
    encoded.clear()
    encoded_by(LatentCache(tmp_path), model, digits())
    assert encoded == {}


def test_two_entries_that_cover_together_are_enough_and_nothing_is_written(tmp_path, encoded):
    cache, model = LatentCache(tmp_path), linear()
    for index in (range(25), range(20, 40)):
        encoded_by(cache, model, digits().subset(index))
    encoded.clear()
    before = sorted(tmp_path.rglob("*"))
    codes = encoded_by(LatentCache(tmp_path), model, digits())
    assert (encoded, sorted(tmp_path.rglob("*"))) == ({}, before)
    np.testing.assert_allclose(codes.vectors, encode(model, digits()).vectors, atol=1e-6)


def test_codes_that_are_copied_are_committed_on_the_way(tmp_path, encoded, monkeypatch):
    cache, model, images = small(tmp_path), linear(), digits()
    encoded_by(cache, model, images.subset(range(0, 40, 2)))
    real = encoding._collect

    def stopping(models, images, batch, codes):
        if batch.start >= 10:
            raise KeyboardInterrupt
        return real(models, images, batch, codes)

    monkeypatch.setattr(encoding, "_collect", stopping)
    with pytest.raises(KeyboardInterrupt):
        encoded_by(cache, model, images, batch_size=5)
    monkeypatch.setattr(encoding, "_collect", real)
    encoded.clear()
    (one,) = Coder(LatentCache(tmp_path), batch_size=5).encoded([model], images)
    assert encoded == {"linear": 10}
    assert (one.there, one.computed) == (30, 10)
    np.testing.assert_allclose(one.codes.vectors, encode(model, images).vectors, atol=1e-6)


def test_a_renamed_file_keeps_its_code_and_a_broken_one_is_tried_again(tmp_path, encoded):
    (tmp_path / "images").mkdir()
    images, cache, model = broken_folder(tmp_path / "images"), LatentCache(tmp_path / "c"), linear()
    first = encoded_by(cache, model, images, on_error="skip")
    (tmp_path / "images" / "0.png").rename(tmp_path / "images" / "9.png")
    encoded.clear()
    moved = open_images(tmp_path / "images")
    codes = encoded_by(cache, model, moved, on_error="skip")
    assert encoded == {}
    assert (codes.ids[-1], codes.skipped) == ("9.png", ("4.png",))
    np.testing.assert_array_equal(codes.vectors[-1], first.vectors[0])
    (tmp_path / "images" / "1.png").rename(tmp_path / "images" / "4.png")
    codes = encoded_by(cache, model, open_images(tmp_path / "images"))
    assert (encoded, codes.skipped, len(codes)) == ({}, (), 5)


def test_a_part_of_the_images_is_served_from_the_whole(tmp_path, encoded):
    cache, model = LatentCache(tmp_path), linear()
    encoded_by(cache, model, digits())
    part = digits().subset([7, 3, 30])
    codes = encoded_by(cache, model, part)
    assert encoded == {"linear": 40}
    same(codes, encode(model, part))


def test_work_that_was_stopped_goes_on_where_it_was_committed(tmp_path, encoded, monkeypatch):
    models, images = [linear(seed, name=f"m{seed}") for seed in (0, 1)], digits()
    real = encoding._collect

    def stopping(models, images, batch, codes):
        if batch.start >= 24:
            raise KeyboardInterrupt
        return real(models, images, batch, codes)

    monkeypatch.setattr(encoding, "_collect", stopping)
    with pytest.raises(KeyboardInterrupt):
        Coder(LatentCache(tmp_path), batch_size=8).codes(models, images)
    monkeypatch.setattr(encoding, "_collect", real)
    encoded.clear()
    calls = []
    progress = {"encoding": lambda done, total: calls.append((done, total))}
    coder = Coder(
        LatentCache(tmp_path),
        batch_size=8,
        stage=lambda label, unit="images": nullcontext(progress.get(label)),
    )
    results = coder.codes(models, images)
    assert encoded == {"m0": 16, "m1": 16}
    assert calls == [(24, 40), (32, 40), (40, 40)]
    for model, codes in zip(models, results, strict=True):
        same(codes, encode(model, images))


def test_models_that_are_unequally_far_get_the_same_codes(tmp_path, monkeypatch):
    models, images = [linear(seed, name=f"m{seed}") for seed in (0, 1)], digits()
    real = encoding._collect
    for model, last in zip(models, (8, 24), strict=True):

        def stopping(models, images, batch, codes, last=last):
            if batch.start >= last:
                raise KeyboardInterrupt
            return real(models, images, batch, codes)

        monkeypatch.setattr(encoding, "_collect", stopping)
        with pytest.raises(KeyboardInterrupt):
            encoded_by(LatentCache(tmp_path), model, images, batch_size=8)
    monkeypatch.setattr(encoding, "_collect", real)
    results = Coder(LatentCache(tmp_path), batch_size=7).codes(models, images)
    for model, codes in zip(models, results, strict=True):
        np.testing.assert_allclose(codes.vectors, encode(model, images).vectors, atol=1e-6)


def test_a_damaged_entry_is_repaired_from_the_damage_on_and_said(tmp_path, encoded):
    model, images = linear(), digits()
    small = LatentCache(tmp_path, shard_bytes=8 * 4 * 4)
    written = encoded_by(small, model, images, batch_size=8)
    expected = replace(written, rows=ArrayRows(written.rows.read(0, 40)))
    shard = sorted(tmp_path.glob("entries/*/*.h5"))[2]
    data = shard.read_bytes()
    shard.write_bytes(data[:2100] + bytes([data[2100] ^ 4]) + data[2101:])
    encoded.clear()
    told: list[str] = []
    repaired = encoded_by(LatentCache(tmp_path, notify=told.append), model, images)
    same(repaired, expected)
    assert encoded == {"linear": 24}
    assert "shard-000000016-000000024.h5 is not as it was written" in told[0]
    assert LatentCache(tmp_path).entries.verify() == []


def broken_folder(folder) -> ImageSource:
    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, SHAPE[1:], dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    data = (folder / "4.png").read_bytes()
    (folder / "4.png").write_bytes(data[: len(data) // 2])
    return open_images(folder)


def test_a_broken_image_stops_the_run_and_keeps_the_others(tmp_path, encoded):
    (tmp_path / "images").mkdir()
    images, cache, model = broken_folder(tmp_path / "images"), LatentCache(tmp_path / "c"), linear()
    with pytest.raises(ImageError, match=r"4\.png"):
        encoded_by(cache, model, images, batch_size=2)
    codes = encoded_by(cache, model, images, batch_size=2, on_error="skip")
    assert codes.skipped == ("4.png",)
    assert codes.ids.tolist() == ["0.png", "1.png", "2.png", "3.png", "5.png"]


def test_images_that_were_skipped_before_stop_a_run_that_must_not_skip(tmp_path, encoded):
    (tmp_path / "images").mkdir()
    images, cache, model = broken_folder(tmp_path / "images"), LatentCache(tmp_path / "c"), linear()
    encoded_by(cache, model, images, on_error="skip")
    message = r"4\.png could not be read when .*: repair .* go on without it \(--on-error skip\)"
    with pytest.raises(ImageError, match=message):
        encoded_by(cache, model, images)


def test_an_unfinished_entry_with_skipped_images_is_not_gone_on_with_when_it_must_not_skip(
    tmp_path, encoded, monkeypatch
):
    (tmp_path / "images").mkdir()
    images, cache, model = broken_folder(tmp_path / "images"), LatentCache(tmp_path / "c"), linear()
    real = encoding._collect

    def stopping(models, images, batch, codes):
        if batch.start == 5:
            raise KeyboardInterrupt
        return real(models, images, batch, codes)

    monkeypatch.setattr(encoding, "_collect", stopping)
    with pytest.raises(KeyboardInterrupt):
        encoded_by(cache, model, images, batch_size=1, on_error="skip")
    encoded.clear()
    with pytest.raises(ImageError, match=r"4\.png could not be read when"):
        encoded_by(cache, model, images)
    assert encoded == {}


def test_a_cache_that_is_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"entry \w+ of .*file cannot be read: Not a directory"):
        encoded_by(LatentCache(tmp_path / "file"), linear(), digits())


def test_nothing_is_written_where_everything_is_there(tmp_path):
    cache, model = LatentCache(tmp_path), linear()
    encoded_by(cache, model, digits())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    encoded_by(LatentCache(tmp_path), model, digits())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
