"""Sets of tars are the tars one after the other, and their images are called after them."""

from pathlib import Path

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.files import open_files
from latentmap.frames import Frame
from latentmap.images import View, contents, open_images
from latentmap.images.contents import KnownContents
from tests.core.images.test_tars import png, write_tar

VIEW = View(Frame(), (4, 6), 1)


def write_set(folder, count=12, each=11, name="faces-{}.tar"):
    """Tars of samples as WebDataset has them; image i of tar k is of the value 250 - 20 k - i."""
    folder.mkdir(exist_ok=True)
    for k in range(count):
        files = {}
        for i in range(each):
            files |= {f"{i}.json": b"{}", f"{i}.png": png(250 - 20 * k - i), f"{i}.cls": b"1"}
        write_tar(folder / name.format(k), files)
    return folder


def open_now():
    return len([*Path("/proc/self/fd").iterdir()])


def values_of(source):
    batches = list(source.batches([VIEW], batch_size=7, threads=2))
    return np.concatenate([batch.images[0][:, 0, 0, 0].numpy() for batch in batches]).tolist()


@pytest.mark.parametrize("name", ["faces-{0..11}.tar", "faces-*.tar", "faces-[0-9]*.tar", "*.TAR"])
def test_a_set_is_its_tars_in_natural_order(tmp_path, name):
    given = "faces-{}.TAR" if name == "*.TAR" else "faces-{}.tar"
    source = open_images(write_set(tmp_path / "a", name=given) / name)
    order = [(k, i) for k in range(12) for i in range(11)]
    assert source.ids.tolist() == [f"faces-{k}/{i}.png" for k, i in order]
    assert values_of(source) == [250 - 20 * k - i for k, i in order]
    assert source.choice.file == name
    assert len(source.passed_over) == 2 * 132
    for k in (0, 7):
        alone = open_images(tmp_path / "a" / given.format(k))
        assert np.array_equal(alone.digests, source.digests[11 * k : 11 * k + 11])


def test_ids_begin_where_names_of_files_part(tmp_path):
    for folder in ("one", "two"):
        write_set(tmp_path / folder, 2, 1)
    source = open_images(tmp_path / "*" / "faces-{0..1}.tar")
    assert source.ids.tolist() == [
        f"{folder}/faces-{k}/0.png" for folder in ("one", "two") for k in (0, 1)
    ]
    # However many files there are.
    assert open_images(tmp_path / "tw*" / "faces-1.tar").ids.tolist() == ["two/faces-1/0.png"]
    assert open_images(tmp_path / "two" / "faces-?.tar").ids[0] == "faces-0/0.png"


def test_relative_names_are_as_absolute_ones(tmp_path, monkeypatch):
    source = open_images(write_set(tmp_path / "a", 2) / "faces-{0..1}.tar")
    monkeypatch.chdir(tmp_path / "a")
    assert open_images("faces-*.tar").fingerprint == source.fingerprint


def test_a_file_that_is_called_so_is_that_file(tmp_path):
    path = write_tar(tmp_path / "a[1].tar", {"1.png": png(201)})
    assert open_images(path).ids.tolist() == ["1.png"]


def test_folders_in_tars_are_labels_and_tars_are_none(tmp_path):
    for k in range(2):
        write_tar(
            tmp_path / f"{k}.tar", {f"{c}/{i}.png": png(200 + i) for c in "ab" for i in range(2)}
        )
    assert open_images(tmp_path / "?.tar").labels.tolist() == ["a", "a", "b", "b"] * 2
    assert open_images(write_set(tmp_path / "c") / "*.tar").labels is None


def test_a_partition_beside_the_tars_is_taken(tmp_path):
    write_tar(tmp_path / "a0.tar", {"1.png": png(201)})
    write_tar(tmp_path / "a1.tar", {"2.png": png(202)})
    (tmp_path / "list_eval_partition.txt").write_text("1.png 2\n2.png 1\n")
    assert open_images(tmp_path / "a{0..1}.tar").splits.tolist() == ["test", "val"]


def test_more_tars_than_are_open_at_a_time_are_read_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(open_files, "_MOST", 3)
    source = open_images(write_set(tmp_path / "a") / "faces-*.tar")
    before = open_now()
    order = np.random.default_rng(0).permutation(len(source))
    expected = np.array(values_of(source))[order]
    assert values_of(source.subset(order)) == expected.tolist()
    assert open_now() <= before + 3


def test_images_of_one_name_in_two_tars_are_two(tmp_path):
    for k in range(2):
        write_tar(tmp_path / f"a{k}.tar", {"1.png": png(200 + k)})
    source = open_images(tmp_path / "a?.tar")
    assert source.ids.tolist() == ["a0/1.png", "a1/1.png"] and values_of(source) == [200, 201]


def test_tars_without_images_are_passed_over_but_not_alone(tmp_path):
    write_tar(tmp_path / "a0.tar", {"1.txt": b"x"})
    with pytest.raises(ImageError, match=r"a\*.tar holds no images .* such as 'a0/1.txt'"):
        open_images(tmp_path / "a*.tar")
    write_tar(tmp_path / "a1.tar", {"1.png": png(201)})
    assert open_images(tmp_path / "a*.tar").ids.tolist() == ["a1/1.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faces-{0..3}.tar", r"faces-2.tar cannot be read: No such file"),
        ("faces-{1..0}.tar", r"must name 1 to 100,000 files"),
        ("faces-{0..999999999}.tar", r"must name 1 to 100,000 files"),
        ("none-*.tar", r"no file is called like .*none-\*.tar: give the names of files"),
        ("faces-*", r"names files of several kinds, such as faces-0.tar and faces-1.tar.gz"),
        ("faces-*.gz", r"names files such as faces-1.tar.gz: sets are of .tar"),
        ("more-*.tar", r"more-0.tar is compressed, so that no image can be read by itself"),
        ("cut-*.tar", r"cut-1.tar is no tar archive, or is cut off"),
        ("{0..1}.tar", r"0.tar cannot be read: Is a directory"),
        ("two.*", r"names .*two.T\w+ and .*two.t\w+, whose images would have the same names"),
        ("twice-?.tar", r"twice-0.tar holds '1.png' twice"),
        ("out-?.tar", r"out-0.tar holds '../1.png', which leads out of it"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path, name, message):
    write_set(tmp_path, 2)
    write_tar(tmp_path / "faces-1.tar.gz", {"1.png": png(201)})
    write_tar(tmp_path / "more-0.tar", {"1.png": png(201)}, mode="w:gz")
    write_set(tmp_path, 2, name="cut-{}.tar")
    cut = tmp_path / "cut-1.tar"
    cut.write_bytes(cut.read_bytes()[:9000])
    (tmp_path / "0.tar").mkdir()
    for suffix in ("tar", "TAR"):
        write_tar(tmp_path / f"two.{suffix}", {"1.png": png(201)})
    write_tar(tmp_path / "twice-0.tar", {"1.png": png(201), "./1.png": png(202)})
    write_tar(tmp_path / "out-0.tar", {"../1.png": png(201)})
    with pytest.raises(ImageError, match=message):
        open_images(tmp_path / name)


def test_a_tar_that_is_written_to_meanwhile_is_told(tmp_path):
    source = open_images(write_set(tmp_path, 2) / "faces-*.tar")
    write_tar(tmp_path / "faces-1.tar", {"1.png": png(201)})
    assert source.read(0).max() == 250
    with pytest.raises(ImageError, match=r"'faces-1/0.png' of .* was written to since it was list"):
        source.read(11)


class Store:
    """A store of contents, in memory."""

    known = KnownContents.nothing()

    def load(self, place, most):
        return self.known

    def save(self, place, known):
        self.known = known


def test_tars_that_were_not_touched_are_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_RACY", -(10**12))  # Whatever was written just now counts.
    write_set(tmp_path, 3)
    store = Store()
    whole = open_images(tmp_path / "faces-*.tar")
    whole.examine(store=store)
    assert len(store.known.records) == 33
    write_tar(tmp_path / "faces-1.tar", {f"{i}.png": png(199) for i in range(11)})
    again = open_images(tmp_path / "faces-*.tar")
    read = []
    reader = type(again._container).read_bytes
    monkeypatch.setattr(
        type(again._container), "read_bytes", lambda self, k: read.append(k) or reader(self, k)
    )
    found = again.examine(store=store)
    assert sorted(read) == list(range(11, 22))
    same = (found.digests == whole.digests).all(1)
    assert same.tolist() == [True] * 11 + [False] * 11 + [True] * 11
