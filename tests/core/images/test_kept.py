"""Views that are kept: an image is read and decoded once for all who ask for its pixels."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from latentmap.cache import Coder, LatentCache
from latentmap.frames import Frame
from latentmap.images import View, open_images
from latentmap.images.folders import FolderImages
from latentmap.images.kept import KeptViews
from latentmap.images.scratch import Scratch
from latentmap.model.testing import LinearModel

N = 40
WHOLE, PART = View(Frame(), (8, 8), 1), View(Frame("0,0,0.5,0.5"), (4, 4), 1)


@pytest.fixture
def reads(monkeypatch):
    """How often each file is read."""
    counts: Counter[str] = Counter()
    real = FolderImages.read_bytes

    def counting(self, position):
        counts[str(self.ids[position])] += 1
        return real(self, position)

    monkeypatch.setattr(FolderImages, "read_bytes", counting)
    return counts


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    chance = np.random.default_rng(0)
    for number in range(N):
        pixels = chance.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


def opened(folder, reads):
    images = open_images(folder)
    reads.clear()  # Without the look at how bright they are.
    return images


def pixels_of(images, view, **options):
    return np.concatenate(
        [batch.images[0].numpy() for batch in images.batches([view], batch_size=7, **options)]
    )


def test_remembered_images_are_decoded_once_and_then_forgotten(folder, reads):
    images = opened(folder, reads)
    some = images.subset([30, 2, 3, 17])
    expected = pixels_of(images, WHOLE)
    reads.clear()
    with some.remembered():
        for _ in range(3):
            np.testing.assert_array_equal(pixels_of(images, WHOLE), expected)
        once = {str(name) for name in some.ids}
        assert all(count == (1 if name in once else 3) for name, count in reads.items())
        # A view that was not kept is decoded, and kept from then on.
        np.testing.assert_array_equal(pixels_of(some, PART), pixels_of(some, PART))
        assert {reads[name] for name in once} == {2}
    pixels_of(some, WHOLE)
    assert {reads[name] for name in once} == {3}


def test_who_remembers_longest_decides(folder, reads):
    images = opened(folder, reads)
    with images.remembered():
        with images.subset(range(5)).remembered():
            pixels_of(images, WHOLE)
        pixels_of(images, WHOLE)
    assert set(reads.values()) == {1}


def test_what_cannot_be_read_is_told_each_time(folder, reads):
    (folder / "3.png").write_bytes(b"no picture")
    images = opened(folder, reads)
    with images.remembered():
        for _ in range(2):
            batches = list(images.batches([WHOLE], batch_size=7, on_error="skip"))
            assert [place for batch in batches for place, _ in batch.failed] == [3]
            assert sum(len(batch.positions) for batch in batches) == N - 1


def test_more_than_there_is_room_for_is_decoded_again(folder, reads):
    container = opened(folder, reads)._container
    kept = KeptViews(container, most=3 * 64)
    index = np.arange(N)
    kept.remember(index)
    expected = np.empty((N, 8, 8, 1), np.uint8)
    container.render(index, [WHOLE], [expected], Scratch())
    reads.clear()
    for _ in range(2):
        out = np.empty_like(expected)
        assert kept.render(index, [WHOLE], [out], Scratch()) == []
        np.testing.assert_array_equal(out, expected)
    assert Counter(reads.values()) == {2: N - 3, 1: 3}


def test_a_file_is_read_once_to_be_recognised_and_encoded(folder, reads, tmp_path):
    models = [LinearModel(4, (1, 8, 8), seed=seed, name=f"m{seed}") for seed in (0, 1)]
    coder = Coder(LatentCache(tmp_path / "cache"), batch_size=7)
    expected = [
        codes.vectors
        for codes in Coder(LatentCache(tmp_path / "other")).codes(models, open_images(folder))
    ]
    images = opened(folder, reads)
    coder.codes(models[:1], images.subset(range(10)))
    results = coder.codes(models, images)
    # The first ten are decoded for the second model, when their contents are long known.
    assert Counter(reads.values()) == {1: N - 10, 2: 10}
    for codes, vectors in zip(results, expected, strict=True):
        np.testing.assert_allclose(codes.vectors, vectors, atol=1e-6)


def test_what_has_codes_is_read_and_not_decoded(folder, reads, tmp_path, monkeypatch):
    model = LinearModel(4, (1, 8, 8))
    Coder(LatentCache(tmp_path / "cache")).codes([model], open_images(folder))
    shown = []
    real = FolderImages._show
    monkeypatch.setattr(
        FolderImages, "_show", lambda self, *args: shown.append(args) or real(self, *args)
    )
    (folder / "3.png").rename(folder / "99.png")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "100.png")
    images = opened(folder, reads)
    Coder(LatentCache(tmp_path / "cache")).codes([model], images)
    assert len(shown) == 1
    assert set(reads.values()) == {1}
