"""The splits of images that are opened part by part are those that the whole source has."""

import random

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images, open_parts, pack_images, splits
from latentmap.images.part_splits import known_splits, part_splits
from latentmap.images.splits import HASH_RULE
from tests.core.images.test_parts import SOURCES, digits, npy
from tests.core.images.test_tar_sets import VIEW, write_set
from tests.core.images.test_tars import png, write_tar

PARTITION = "list_eval_partition.txt"
NAMED = [make for make in SOURCES if make not in (digits, npy)]


def six_tars(folder):
    """Images ``a-0/00.png`` to ``a-5/17.png``, of which a partition may lie far."""
    (folder / "tars").mkdir()
    for k in range(6):
        files = {f"{i:02}.png": png(100 + i) for i in range(3 * k, 3 * k + 3)}
        write_tar(folder / "tars" / f"a-{k}.tar", files)
    return folder / "tars" / "a-*.tar"


def rows(ids, values=(0, 2, 1)):
    return "".join(f"{name} {values[i % len(values)]}\n" for i, name in enumerate(ids))


def far(folder, text):
    (folder / "Eval").mkdir(exist_ok=True)
    (folder / "Eval" / PARTITION).write_text(text)
    return folder / "Eval" / PARTITION


def require_same(parts, whole):
    found, chance = part_splits(parts), random.Random(0)
    assert found.rule == whole.split_rule
    ranges = [sorted(chance.sample(range(len(whole) + 1), 2)) for _ in range(8)]
    for start, stop in [(0, len(whole)), *ranges]:
        assert found.of(start, stop).tolist() == whole.splits[start:stop].tolist()
    return found


@pytest.mark.parametrize("make", SOURCES)
def test_without_a_partition_the_hash_decides(tmp_path, make):
    path = make(tmp_path)
    assert require_same(open_parts(path), open_images(path)).key == HASH_RULE
    assert require_same(open_parts(path, limit=9), open_images(path, limit=9)).key == HASH_RULE


@pytest.mark.parametrize("make", NAMED)
def test_a_partition_beside_the_images_decides(tmp_path, make):
    path = make(tmp_path)
    (tmp_path / PARTITION).write_text(rows(open_images(path).ids))
    rule = open_images(path).split_rule
    found = require_same(open_parts(path), open_images(path))
    assert found.key == (f"{rule} {found.digest}" if found.digest else HASH_RULE)
    require_same(open_parts(path, limit=9), open_images(path, limit=9))


def test_a_far_partition_counts_where_it_names_any_image_of_the_set(tmp_path):
    path = six_tars(tmp_path)
    ids = open_images(path).ids.tolist()
    file = far(tmp_path, rows(["x.png", *ids]))
    found = require_same(open_parts(path), open_images(path))
    assert found.rule == str(file)
    # By the names that files have in their archives, too.
    far(tmp_path, rows(f"{i:02}.png" for i in range(18)))
    require_same(open_parts(path), open_images(path))
    far(tmp_path, rows(["x.png"]))
    assert require_same(open_parts(path), open_images(path)).key == HASH_RULE


@pytest.mark.parametrize("named", [slice(0, 9), slice(9, 18), slice(1, 18), slice(17, 18)])
@pytest.mark.parametrize("run", [1, 4, 1 << 16])
def test_a_partition_of_some_images_is_refused_as_in_one_process(tmp_path, monkeypatch, named, run):
    monkeypatch.setattr("latentmap.images.part_splits._IDS", run)
    path = six_tars(tmp_path)
    file = far(tmp_path, rows(open_images(path).ids[named]))
    wanted = f"images are not in {file}, such as "
    with pytest.raises(ImageError, match=wanted):
        _ = open_images(path).splits
    with pytest.raises(ImageError, match=wanted):
        part_splits(open_parts(path))


def test_a_name_that_images_of_two_parts_have_is_refused_as_in_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr("latentmap.images.part_splits._IDS", 3)
    path = write_set(tmp_path / "tars", 6, 3, "a-{}.tar") / "a-*.tar"
    far(tmp_path, rows(["0.png", "1.png", "2.png"]))
    for read in (lambda: open_images(path).splits, lambda: part_splits(open_parts(path))):
        with pytest.raises(ImageError, match=r"several images are called '0.png'"):
            read()


def test_a_value_that_is_no_split_is_told_before_any_work(tmp_path):
    path = six_tars(tmp_path)
    far(tmp_path, rows(open_images(path).ids).replace("a-5/17.png 1", "a-5/17.png 7"))
    with pytest.raises(ImageError, match="must give each image 0"):
        part_splits(open_parts(path))


def test_a_partition_is_read_once(tmp_path, monkeypatch):
    path = six_tars(tmp_path)
    far(tmp_path, rows(open_images(path).ids))
    read, real = [], splits.parse_table
    monkeypatch.setattr(splits, "parse_table", lambda *one: read.append(one) or real(*one))
    found = part_splits(open_parts(path))
    for start in range(18):
        found.of(start, start + 1)
    assert len(read) == 1
    known = known_splits(open_parts(path), found.key)
    assert [known.of(i, i + 1).item() for i in range(18)] == found.of(0, 18).tolist()
    assert len(read) == 2


def test_a_partition_that_is_changed_meanwhile_is_told(tmp_path):
    path = six_tars(tmp_path)
    ids = open_images(path).ids
    far(tmp_path, rows(ids))
    key = part_splits(open_parts(path)).key
    file = far(tmp_path, rows(ids, (0, 1, 2)))
    for change in (lambda: None, file.unlink):
        change()
        with pytest.raises(ImageError, match=r"splits of .* was changed meanwhile: run the comm"):
            known_splits(open_parts(path), key)


def test_splits_by_other_groups_have_another_key(tmp_path):
    images = open_images("digits", limit=60)
    of_three, of_four = (images.grouped((np.arange(60) // k).astype(str)) for k in (3, 4))
    one, other = require_same(of_three, of_three), require_same(of_four, of_four)
    assert one.rule == other.rule == "80/10/10 by a hash of the group"
    assert one.key != other.key
    assert known_splits(of_three, one.key).of(5, 9).tolist() == one.of(5, 9).tolist()
    with pytest.raises(ImageError, match="was changed meanwhile"):
        known_splits(of_three, other.key)


def test_a_pack_keeps_the_partition_of_its_images(tmp_path):
    path = six_tars(tmp_path)
    far(tmp_path, rows(open_images(path).ids))
    whole = open_images(path)
    pack_images(whole, VIEW, tmp_path / "a.h5")
    found = part_splits(open_parts(tmp_path / "a.h5"))
    assert found.rule == "the pack" and len(found.digest) == 64
    assert found.of(3, 17).tolist() == whole.splits[3:17].tolist()
