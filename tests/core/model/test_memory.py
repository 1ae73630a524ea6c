"""What models have seen of some images: counted by image and by group, and left out."""

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.model import SeenImages, count_seen, hold_out_seen, unseen
from latentmap.model.testing import LinearModel


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8))
    return open_images(path)


def grouped(tmp_path, size=4):
    """The images with a table of groups of so many, one after the other."""
    lines = "".join(f"{i},{i // size}\n" for i in range(40))
    (tmp_path / "groups.csv").write_text("file,group\n" + lines)
    return open_images(tmp_path / "images.npy", group_by=tmp_path / "groups.csv")


def knowing(images, positions, name="one"):
    model = LinearModel(name=name)
    model.seen = SeenImages.of(images.digests[positions])
    return model


def test_images_are_counted_for_each_model_that_knows(images):
    models = [knowing(images, [0, 1, 2]), LinearModel(name="other", seed=1)]
    assert count_seen(models, images.digests) == {"one": 3, "other": None}
    among = np.array([2, 3, 4])
    assert count_seen(models, images.digests, among=among) == {"one": 1, "other": None}


def test_models_of_one_name_are_told_apart(images):
    models = [knowing(images, [0]), LinearModel(name="one", seed=1)]
    first, second = count_seen(models, images.digests)
    assert first == f"one {models[0].fingerprint[:6]}" != second


def test_with_groups_an_image_counts_when_any_of_its_group_was_seen(images, tmp_path):
    model, people = knowing(images, [0, 9]), grouped(tmp_path)
    assert count_seen([model], people.digests, people.groups) == {"one": 8}
    # Of the fourth and the twelfth alone: others of their groups were seen.
    among = np.array([3, 11, 20])
    assert count_seen([model], people.digests, people.groups, among=among) == {"one": 2}


def test_unseen_images_are_those_that_no_model_knows(images):
    models = [knowing(images, [0, 1]), knowing(images, [1, 2], "other"), LinearModel(name="new")]
    left, left_out = unseen(images, models)
    assert left.ids.tolist() == images.ids[3:].tolist()
    assert left_out == {"trained": 3}
    assert count_seen(models, left.digests) == {"one": 0, "other": 0, "new": None}


def test_unseen_images_are_of_groups_that_no_model_knows(images, tmp_path):
    left, left_out = unseen(grouped(tmp_path), [knowing(images, [0])])
    assert left.ids.tolist() == images.ids[4:].tolist()
    assert left_out == {"trained": 1, "trained_unit": 3}


def test_of_a_split_alone_images_are_left_out(images):
    model = knowing(images, range(0, 40, 2))
    left, left_out = unseen(images, [model], split="test")
    test = np.flatnonzero(images.splits == "test")
    assert left_out == {"trained": int((test % 2 == 0).sum())}
    assert sorted(set(images.ids) - set(left.ids)) == sorted(images.ids[test[test % 2 == 0]])


def test_when_nothing_is_left_it_says_so(images, tmp_path):
    said = r"each of these 40 images is one that a model was trained on"
    with pytest.raises(ImageError, match=said + r" \(one\): give other images, or leave out --un"):
        unseen(images, [knowing(images, range(40))])
    with pytest.raises(ImageError, match=said + r", or on others of its group \(one\): give"):
        unseen(grouped(tmp_path), [knowing(images, range(40))])


def test_a_split_without_images_is_called_so(images):
    few = images.subset(np.flatnonzero(images.splits == "train"))
    with pytest.raises(ImageError, match=r"the split 'test' of the \d+ images of .* is empty"):
        unseen(few, [knowing(images, [0])], split="test")


def test_a_copy_of_a_seen_image_was_seen(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "twice.npy", np.concatenate([pixels, pixels]))
    images = open_images(tmp_path / "twice.npy")
    held = hold_out_seen([knowing(images, [0])], images.digests)
    assert held.positions.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
