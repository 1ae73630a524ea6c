import io
import os
import threading
import time
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ImageError
from latentmap.frames import RESIZES, Frame, crop_resize
from latentmap.images import Batch, View, decoding, load_all, loading, open_images

FULL = View(Frame(), (10, 8), 3)


def jpeg(seed, size=(16, 20), mode="RGB"):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_images(folder, count=50, size=(16, 20), mode="RGB"):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"{i}.jpg").write_bytes(jpeg(i, size, mode))
    return folder


def pixels_of(source, view, **options):
    batches = source.batches([view], **{"batch_size": 7, **options})
    return torch.cat([batch.images[0] for batch in batches])


def image_threads():
    return [t for t in threading.enumerate() if t.name.startswith("latentmap-images")]


def test_a_source_has_ids_in_order_and_digests_of_contents(tmp_path):
    source = open_images(write_images(tmp_path / "a", 12))
    assert source.ids.tolist() == [f"{i}.jpg" for i in range(12)]
    assert source.digests.shape == (12, 16)
    assert source.digests.dtype == np.uint8
    (tmp_path / "a" / "3.jpg").write_bytes(jpeg(99))
    changed = open_images(tmp_path / "a")
    different = (changed.digests != source.digests).any(axis=1)
    assert np.flatnonzero(different).tolist() == [3]
    assert changed.fingerprint != source.fingerprint


def test_the_fingerprint_depends_on_ids_and_contents_and_not_on_the_place(tmp_path):
    first = open_images(write_images(tmp_path / "a", 5))
    second = open_images(write_images(tmp_path / "b", 5))
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 64
    (tmp_path / "b" / "4.jpg").rename(tmp_path / "b" / "5.jpg")
    assert open_images(tmp_path / "b").fingerprint != first.fingerprint
    assert first.subset([0, 1]).fingerprint != first.fingerprint


def test_channels_and_size_are_those_of_the_images(tmp_path):
    grey = open_images(write_images(tmp_path / "grey", 3, mode="L"))
    colour = open_images(write_images(tmp_path / "colour", 3))
    assert (grey.channels, colour.channels) == (1, 3)
    assert grey.read(0).shape == (20, 16, 1)
    assert grey.shapes.tolist() == [[20, 16, 1]] * 3


def test_mixed_channels_name_examples(tmp_path):
    write_images(tmp_path, 3)
    (tmp_path / "x.jpg").write_bytes(jpeg(0, mode="L"))
    source = open_images(tmp_path)
    message = r"holds 1 grey images such as 'x.jpg' and 3 in colour such as '0.jpg': choose 1 or 3"
    with pytest.raises(ImageError, match=message):
        _ = source.channels
    # Whoever says which channels are wanted gets them.
    assert pixels_of(source, View(Frame(), (4, 4), 1)).shape == (4, 1, 4, 4)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 64])
def test_batches_are_in_order_and_complete(tmp_path, threads, batch_size):
    source = open_images(write_images(tmp_path / "a"))
    batches = list(source.batches([FULL], batch_size=batch_size, threads=threads))
    assert [batch.start for batch in batches] == list(range(0, 50, batch_size))
    assert np.array_equal(np.concatenate([b.positions for b in batches]), np.arange(50))
    together = torch.cat([batch.images[0] for batch in batches])
    assert together.dtype == torch.uint8
    expected = np.stack([crop_resize(source.read(i), FULL.frame, (10, 8)) for i in range(50)])
    assert np.array_equal(together.permute(0, 2, 3, 1).numpy(), expected)


def test_batches_start_anywhere(tmp_path):
    source = open_images(write_images(tmp_path / "a"))
    batches = list(source.batches([FULL], batch_size=20, start=33))
    assert [(batch.start, batch.stop) for batch in batches] == [(33, 50)]
    assert list(source.batches([FULL], batch_size=20, start=50)) == []


def test_each_image_is_decoded_once_for_all_views(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "simplejpeg", None)
    calls = []

    def counted(data, value_range, decode=decoding.decode_with_pillow):
        calls.append(1)
        return decode(data, value_range)

    monkeypatch.setattr("latentmap.images.containers.decode_with_pillow", counted)
    source = open_images(write_images(tmp_path / "a"))
    views = [FULL, View(Frame("center", "pillow-lanczos"), (8, 8), 1), View(Frame(), (20, 16), 3)]
    batches = list(source.batches(views, batch_size=8))
    assert len(calls) == 50
    for k, view in enumerate(views):
        together = torch.cat([batch.images[k] for batch in batches])
        assert torch.equal(together, pixels_of(source, view))


@pytest.mark.parametrize("decoder", ["pillow", "simplejpeg"])
def test_pictures_of_changing_sizes_are_rendered_one_after_the_other(
    tmp_path, monkeypatch, decoder
):
    if decoder == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    else:
        pytest.importorskip("simplejpeg")
    sizes = [(16, 20), (16, 20), (20, 16), (900, 700), (16, 20)] * 4
    for i, size in enumerate(sizes):
        mode = "L" if i % 7 == 0 else "RGB"
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(i, size, mode))
    source = open_images(tmp_path)
    expected = [
        crop_resize(np.broadcast_to(p, (*p.shape[:2], 3)), Frame("center"), (9, 9))
        for p in (source.read(i) for i in range(20))
    ]
    result = pixels_of(source, View(Frame("center"), (9, 9), 3)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(result, np.stack(expected))


@pytest.mark.parametrize("resize", RESIZES)
def test_grey_and_colour_become_each_other_by_pillows_rule(tmp_path, resize):
    source = open_images(write_images(tmp_path / "a", 4))
    view = View(Frame("full", resize), (20, 16), 1)
    grey = pixels_of(source, view)
    expected = [np.asarray(Image.fromarray(source.read(i)).convert("L")) for i in range(4)]
    assert np.array_equal(grey[:, 0].numpy(), np.stack(expected))
    grey_source = open_images(write_images(tmp_path / "b", 4, mode="L"))
    colour = pixels_of(grey_source, View(Frame("full", resize), (9, 9), 3))
    assert torch.equal(colour[:, 0], colour[:, 1])
    assert torch.equal(
        colour[:, :1], pixels_of(grey_source, View(Frame("full", resize), (9, 9), 1))
    )


@pytest.mark.parametrize("index", [range(3, 40), [5, 1, 30, 2], [7], range(0, 50, 3)])
def test_subsets_keep_what_is_known_and_give_the_same_pixels(tmp_path, index):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((50, 10, 8, 3)))
    for path in (write_images(tmp_path / "a"), tmp_path / "a.npy"):
        source = open_images(path)
        digests = source.digests
        part = source.subset(list(index))
        assert np.array_equal(part.ids, source.ids[list(index)])
        assert np.array_equal(part.digests, digests[list(index)])
        assert np.array_equal(part.digests, open_images(path).subset(list(index)).digests)
        assert torch.equal(pixels_of(part, FULL), pixels_of(source, FULL)[list(index)])


@pytest.mark.parametrize("decoder", ["pillow", "simplejpeg"])
@pytest.mark.parametrize("damage", ["cut off", "no image", "empty", "gone"])
def test_a_damaged_image_stops_with_its_name_or_is_skipped(tmp_path, monkeypatch, decoder, damage):
    if decoder == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    else:
        pytest.importorskip("simplejpeg")
    source = open_images(write_images(tmp_path / "a"))
    good = pixels_of(source, FULL)
    for name in ("20.jpg", "49.jpg"):
        file = tmp_path / "a" / name
        if damage == "gone":
            file.unlink()
        else:
            new = {"cut off": file.read_bytes()[:-50], "no image": b"hello" * 9, "empty": b""}
            file.write_bytes(new[damage])
    source = source if damage == "gone" else open_images(tmp_path / "a")
    with pytest.raises(ImageError, match=r"image '20.jpg' of .* cannot be read: .*--on-error skip"):
        pixels_of(source, FULL)
    with pytest.raises(ImageError, match=r"image '49.jpg' of .* cannot be read"):
        source.read(49)
    batches = list(source.batches([FULL], batch_size=15, on_error="skip"))
    failed = [failure for batch in batches for failure in batch.failed]
    assert [position for position, _ in failed] == [20, 49]
    assert "image '20.jpg'" in failed[0][1]
    positions = np.concatenate([batch.positions for batch in batches])
    assert np.array_equal(positions, np.delete(np.arange(50), [20, 49]))
    together = torch.cat([batch.images[0] for batch in batches])
    assert torch.equal(together, good[positions])


def test_a_batch_of_which_nothing_can_be_read_is_empty(tmp_path):
    write_images(tmp_path, 6)
    for i in range(2, 4):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    batches = list(open_images(tmp_path).batches([FULL], batch_size=2, on_error="skip"))
    assert [len(batch.positions) for batch in batches] == [2, 0, 2]
    assert batches[1].images[0].shape == (0, 3, 10, 8)


def test_threads_end_with_the_iterator(tmp_path):
    source = open_images(write_images(tmp_path / "a"))
    batches = source.batches([FULL], batch_size=4, threads=2)
    assert isinstance(next(batches), Batch)
    assert image_threads()
    batches.close()
    assert not image_threads()
    batches = source.batches([FULL], batch_size=4, threads=2)
    next(batches)
    del batches
    assert not image_threads()


def test_an_error_comes_at_once_and_leaves_no_thread(tmp_path):
    write_images(tmp_path)
    (tmp_path / "1.jpg").write_bytes(b"")
    batches = open_images(tmp_path).batches([FULL], batch_size=4, threads=2)
    with pytest.raises(ImageError, match=r"'1.jpg'"):
        next(batches)
    assert not image_threads()


def test_only_a_few_batches_are_decoded_ahead(tmp_path, monkeypatch):
    source = open_images(write_images(tmp_path / "a", 400))
    read = []
    reader = type(source._container).read_bytes

    def noted(self, position):
        read.append(position)
        return reader(self, position)

    monkeypatch.setattr(type(source._container), "read_bytes", noted)
    batches = source.batches([FULL], batch_size=16, threads=2)
    next(batches)
    time.sleep(0.3)
    assert len(read) <= 16 * 5
    batches.close()


def test_reading_leaves_torchs_threads_as_they_are(tmp_path):
    before = torch.get_num_threads()
    pixels_of(open_images(write_images(tmp_path / "a")), FULL)
    assert torch.get_num_threads() == before
    other = []
    thread = threading.Thread(target=lambda: other.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert other == [before]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": 1, "threads": 0}])
def test_batches_of_nothing_are_refused(options):
    with pytest.raises(ImageError, match="batch_size and threads must be at least 1"):
        open_images("digits").batches([FULL], **options)


def test_a_view_has_a_size_and_one_or_three_channels():
    for size, channels in [((0, 4), 1), ((4, 4), 2)]:
        with pytest.raises(ImageError, match="at least 1x1 and 1 or 3 channels, not"):
            View(Frame(), size, channels)


def test_limit_split_and_conditions_choose_in_that_order(tmp_path):
    write_images(tmp_path / "a", 40)
    table = tmp_path / "attributes.csv"
    rows = [f"{i}.jpg,{1 if i % 2 else -1},{i}" for i in range(40)]
    table.write_text("\n".join(["file,Odd,number", *rows]))
    odd = open_images(tmp_path / "a", attributes=table, where="Odd == 1 and number < 30")
    assert odd.ids.tolist() == [f"{i}.jpg" for i in range(1, 30, 2)]
    train = open_images(tmp_path / "a", attributes=table, where="Odd == 1", split="train", limit=4)
    everything = open_images(tmp_path / "a")
    expected = [
        name
        for name, split in zip(everything.ids, everything.splits, strict=True)
        if split == "train" and int(name.split(".")[0]) % 2
    ]
    assert train.ids.tolist() == expected[:4]
    assert len(open_images(tmp_path / "a", limit=1000)) == 40


def test_the_splits_are_disjoint_and_complete_and_stay_when_files_are_added(tmp_path):
    write_images(tmp_path / "a", 60)
    parts = {name: open_images(tmp_path / "a", split=name) for name in ("train", "val", "test")}
    ids = [set(part.ids.tolist()) for part in parts.values()]
    assert sum(map(len, ids)) == 60 == len(set.union(*ids))
    write_images(tmp_path / "a", 90)
    for name, part in parts.items():
        assert set(part.ids) <= set(open_images(tmp_path / "a", split=name).ids)
        assert set(part.splits) == {name}


@pytest.mark.parametrize("place", ["in the folder", "beside the folder", "in the zip", "beside it"])
def test_celebas_partition_is_found(tmp_path, place):
    data = tmp_path / "data"
    data.mkdir()
    text = "0.jpg 2\n1.jpg 0\n2.jpg 1\n3.jpg 2\n4.jpg 0\n"
    path = write_images(data / "img", 4)
    if place == "in the folder":
        (path / "list_eval_partition.txt").write_text(text)
    elif place == "in the zip":
        path = data / "img.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for i in range(4):
                archive.writestr(f"img/{i}.jpg", jpeg(i))
            archive.writestr("list_eval_partition.txt", text)
    else:
        (data / "list_eval_partition.txt").write_text(text)
        if place == "beside it":
            path = data / "img.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for i in range(4):
                    archive.writestr(f"img/{i}.jpg", jpeg(i))
    source = open_images(path)
    assert source.splits.tolist() == ["test", "train", "val", "test"]
    assert source.split("val").ids[0].endswith("2.jpg")
    # A group is stronger, because it is asked for.
    table = tmp_path / "groups.csv"
    table.write_text("file,person\n" + "".join(f"{i}.jpg,7\n" for i in range(4)))
    assert len(set(open_images(path, group_by=table).splits)) == 1


def test_a_partition_that_lacks_an_image_says_so(tmp_path):
    write_images(tmp_path, 3)
    (tmp_path / "list_eval_partition.txt").write_text("0.jpg 0\n1.jpg 0\n")
    with pytest.raises(ImageError, match=r"1 images are not in .*list_eval_partition.txt"):
        open_images(tmp_path, split="train")


def test_all_images_of_a_group_are_in_one_split(tmp_path):
    write_images(tmp_path / "a", 60)
    table = tmp_path / "identity.csv"
    rows = [f"{i}.jpg,{i % 13}" for i in range(60)]
    table.write_text("\n".join(["file,identity", *rows]))
    source = open_images(tmp_path / "a", group_by=table)
    groups = {
        split: set(source.groups[source.splits == split]) for split in ("train", "val", "test")
    }
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["val"]
    assert set(source.split("train").groups) == groups["train"]
    rows.pop()
    table.write_text("\n".join(["file,identity", *rows]))
    with pytest.raises(
        ImageError, match=r"1 of the 60 images of .* not in .*identity.csv, such as '59.jpg': add"
    ):
        open_images(tmp_path / "a", group_by=table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"split": "validation"}, "unknown split 'validation': choose one of train, val, test"),
        ({"where": "Young == 1"}, "attributes and where belong together"),
        ({"attributes": "a.csv"}, "attributes and where belong together"),
    ],
)
def test_choices_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ImageError, match=message):
        open_images("digits", **options)


def test_choices_that_leave_nothing_are_refused(tmp_path):
    write_images(tmp_path / "a", 2)
    table = tmp_path / "a.csv"
    table.write_text("file,Young\n0.jpg,1\n1.jpg,1\n")
    with pytest.raises(ImageError, match=r"no image of .* fulfils 'Young == -1'"):
        open_images(tmp_path / "a", attributes=table, where="Young == -1")
    with pytest.raises(ImageError, match=r"the split 'test' of the 2 images of .* is empty"):
        open_images(tmp_path / "a", split="test")
    with pytest.raises(ImageError, match="nothing is left of the 2 images"):
        open_images(tmp_path / "a").subset([])


def test_views_are_filled_in_from_the_images(tmp_path):
    source = open_images(write_images(tmp_path / "a", 3))
    assert source.view() == View(Frame(), (20, 16), 3)
    assert source.view(frame="center", channels=1) == View(Frame("center"), (16, 16), 1)
    wanted = View(Frame("celeba", "pillow-box"), (8, 8), 3)
    assert source.view(frame="celeba", resize="pillow-box", size=(8, 8)) == wanted
    (tmp_path / "a" / "x.jpg").write_bytes(jpeg(0, (30, 20)))
    source = open_images(tmp_path / "a")
    with pytest.raises(ImageError, match=r"have several sizes, such as .*x.jpg.*say which size"):
        source.view()
    assert source.view(frame="0,0,0.1,0.01").size == (2, 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="cannot be read: say which size"):
        open_images(tmp_path / "b").view()


def test_examining_tells_how_far_it_is():
    source = open_images("digits")
    seen = []
    source.examine(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1797, 1797)
    assert seen == sorted(seen)
    source.examine(lambda done, total: pytest.fail("it was read again"))


def test_all_pixels_are_loaded(tmp_path):
    source = open_images(write_images(tmp_path / "a", 30))
    seen = []
    pixels, positions, failed = load_all(source, FULL, progress=lambda *done: seen.append(done))
    assert torch.equal(pixels, pixels_of(source, FULL))
    assert positions.tolist() == list(range(30))
    assert failed == ()
    assert seen[-1] == (30, 30)
    (tmp_path / "a" / "4.jpg").write_bytes(b"")
    source = open_images(tmp_path / "a")
    with pytest.raises(ImageError, match=r"image '4.jpg'"):
        load_all(source, FULL)
    rest, positions, failed = load_all(source, FULL, on_error="skip")
    assert torch.equal(rest, pixels[positions])
    assert [position for position, _ in failed] == [4]


def test_loading_more_than_half_of_the_memory_recommends_a_pack(monkeypatch):
    monkeypatch.setattr(loading, "available_memory", lambda: 1797 * 64 * 2 - 1)
    message = r"1797 images of 8x8x1 take 0.0 GiB.*`latentmap images pack`"
    with pytest.raises(ImageError, match=message):
        load_all(open_images("digits"), View(Frame(), (8, 8), 1))


def test_loading_nothing_but_damaged_images_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="none of the 1 images of"):
        load_all(open_images(tmp_path), FULL, on_error="skip")


def test_the_free_memory_is_some_but_not_more_than_there_is():
    import os

    assert (
        0 < loading.available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    )


def test_arrays_and_files_of_the_same_images_give_the_same_batches(shared_data):
    source = open_images(shared_data / "celeba64.zip", limit=300)
    view = View(Frame(), (64, 64), 3)
    singly = np.stack([source.read(i) for i in range(300)])
    assert np.array_equal(pixels_of(source, view).permute(0, 2, 3, 1).numpy(), singly)
    table = shared_data / "celeba64_identity.csv"
    everything = open_images(shared_data / "celeba64.zip", group_by=table)
    train, test = everything.split("train"), everything.split("test")
    assert not set(train.groups) & set(test.groups)
    assert 0.7 < len(train) / len(everything) < 0.9


def test_a_pipe_among_images_is_one_that_cannot_be_read(tmp_path):
    write_images(tmp_path, 2)
    os.mkfifo(tmp_path / "pipe.png")
    images = open_images(tmp_path)
    assert [bool(shape.any()) for shape in images.shapes] == [True, True, False]
    with pytest.raises(ImageError, match="it is a pipe, not a regular file"):
        images.read(2)


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.npy", "x.npz", "x.h5", "x-ubyte.gz"])
def test_a_pipe_in_the_place_of_a_data_set_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="it is a pipe, not a regular file"):
        open_images(tmp_path / name)
