import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ImageError, OutputError
from latentmap.frames import Frame
from latentmap.images import View, load_all, open_images, pack_images

CELEBA = View(Frame("celeba"), (64, 64), 3)


def write_images(folder, count=9, size=(178, 218), mode="RGB"):
    folder.mkdir()
    random = np.random.default_rng(len(folder.name))
    for i in range(count):
        pixels = random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i + 1}.png")
    return folder


def pixels_of(source, view):
    return load_all(source, view)[0]


def test_a_pack_stands_for_its_folder(tmp_path):
    source = open_images(write_images(tmp_path / "a", 12))
    seen = []
    result = pack_images(
        source, CELEBA, tmp_path / "a.h5", progress=lambda *done: seen.append(done)
    )
    assert (result.count, result.skipped, seen[-1]) == (12, (), (12, 12))
    pack = open_images(tmp_path / "a.h5")
    assert pack.ids.tolist() == source.ids.tolist()
    assert np.array_equal(pack.digests, source.digests)
    assert pack.fingerprint == source.fingerprint
    assert (pack.channels, pack.read(0).shape) == (3, (64, 64, 3))
    assert pack.splits.tolist() == source.splits.tolist()
    assert torch.equal(pixels_of(pack, CELEBA), pixels_of(source, CELEBA))
    assert pack.view_key(CELEBA) == {}
    assert pack.view() == CELEBA
    batches = list(pack.subset([5, 2, 9]).batches([CELEBA], batch_size=2))
    assert torch.equal(
        torch.cat([b.images[0] for b in batches]), pixels_of(source, CELEBA)[[5, 2, 9]]
    )


def test_parts_of_the_images_have_the_same_fingerprint_from_a_pack(tmp_path):
    folder = write_images(tmp_path / "a", 12)
    pack_images(open_images(folder), CELEBA, tmp_path / "a.h5")
    for options in ({"limit": 5}, {"split": "train"}):
        pack = open_images(tmp_path / "a.h5", **options)
        assert pack.fingerprint == open_images(folder, **options).fingerprint


def test_the_partition_of_the_originals_travels_with_the_pack(tmp_path):
    folder = write_images(tmp_path / "a", 4)
    (folder / "list_eval_partition.txt").write_text("1.png 2\n2.png 0\n3.png 1\n4.png 2\n")
    (tmp_path / "elsewhere").mkdir()
    pack_images(open_images(folder), CELEBA, tmp_path / "elsewhere" / "a.h5")
    pack = open_images(tmp_path / "elsewhere" / "a.h5")
    assert pack.splits.tolist() == ["test", "train", "val", "test"]
    assert pack.split("test").ids.tolist() == ["1.png", "4.png"]


def test_two_packs_of_the_same_images_have_the_same_bytes(tmp_path):
    source = open_images(write_images(tmp_path / "a", 3))
    for name in ("1.h5", "2.h5"):
        pack_images(source, CELEBA, tmp_path / name)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


@pytest.mark.parametrize(
    ("view", "frames"),
    [
        # Nothing but cut out: whatever is inside is exact, at any size and with any filter.
        (View(Frame("full"), (218, 178), 3), ["full", "celeba", "center", "0.1,0.2,0.9,0.8"]),
        (View(Frame("celeba"), (128, 128), 3), ["celeba", "0.3,0.3,0.7,0.7"]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["torch-bicubic", "pillow-lanczos"])
def test_a_pack_that_only_cuts_gives_the_originals_pixels(tmp_path, view, frames, channels, resize):
    source = open_images(write_images(tmp_path / "a", 3))
    result = pack_images(source, view, tmp_path / "a.h5")
    assert not result.packed.resized
    pack = open_images(tmp_path / "a.h5")
    for name in frames:
        seen = View(Frame(name, resize), (32, 24), channels)
        assert pack.view_key(seen) == {}
        assert torch.equal(pixels_of(pack, seen), pixels_of(source, seen))


def test_what_differs_from_the_originals_goes_into_the_key(tmp_path):
    source = open_images(write_images(tmp_path / "a", 3))
    result = pack_images(source, CELEBA, tmp_path / "a.h5")
    assert result.packed.resized
    pack = open_images(tmp_path / "a.h5")
    for seen in (
        View(Frame("celeba"), (32, 32), 3),
        View(Frame("0.3,0.3,0.7,0.7"), (16, 16), 3),
        View(Frame("celeba"), (64, 64), 1),
    ):
        assert pack.view_key(seen) == result.packed.to_json()
        assert pixels_of(pack, seen).shape == (3, seen.channels, *seen.size)
        assert json.loads(json.dumps(pack.view_key(seen))) == pack.view_key(seen)


def test_half_of_a_pack_is_near_half_of_the_originals(tmp_path):
    (tmp_path / "a").mkdir()
    ramp = np.add.outer(np.arange(218), np.arange(178)).astype(np.uint8)[..., None]
    Image.fromarray(np.repeat(ramp // 2, 3, axis=2)).save(tmp_path / "a" / "1.png")
    source = open_images(tmp_path / "a")
    pack_images(source, CELEBA, tmp_path / "a.h5")
    seen = View(Frame("0.3,0.3,0.7,0.7"), (16, 16), 3)
    difference = pixels_of(open_images(tmp_path / "a.h5"), seen).int() - pixels_of(source, seen)
    assert difference.abs().max() <= 2


def test_a_frame_that_the_pack_does_not_contain_is_refused(tmp_path):
    source = open_images(write_images(tmp_path / "a", 2))
    pack_images(source, CELEBA, tmp_path / "a.h5")
    pack = open_images(tmp_path / "a.h5")
    seen = View(Frame("full"), (64, 64), 3)
    with pytest.raises(ImageError, match="shows frame 'celeba', which does not contain 'full'"):
        pack.batches([seen], batch_size=4)
    with pytest.raises(ImageError, match="which does not contain 'full'"):
        pack.view_key(seen)


def test_another_filter_than_the_packs_is_refused(tmp_path):
    source = open_images(write_images(tmp_path / "a", 2))
    pack_images(source, CELEBA, tmp_path / "a.h5")
    seen = View(Frame("celeba", "pillow-box"), (64, 64), 3)
    message = "resized with torch-bicubic, not pillow-box: .* pack them with --resize pillow-box"
    with pytest.raises(ImageError, match=message):
        load_all(open_images(tmp_path / "a.h5"), seen)


def test_images_of_several_sizes_are_packed_at_one(tmp_path):
    folder = write_images(tmp_path / "a", 2)
    Image.new("RGB", (90, 80), (9, 8, 7)).save(folder / "3.png")
    source = open_images(folder)
    result = pack_images(source, View(Frame("center"), (40, 40), 3), tmp_path / "a.h5")
    assert result.packed.original_size is None
    pack = open_images(tmp_path / "a.h5")
    assert pack.read(2).reshape(-1, 3).max(axis=0).tolist() == [9, 8, 7]
    # Where the centre was depends on sizes that differ.
    with pytest.raises(ImageError, match=r"does not contain '0.4,0.4,0.6,0.6'"):
        pack.view_key(View(Frame("0.4,0.4,0.6,0.6"), (8, 8), 3))
    pack_images(source, View(Frame("0.1,0.1,0.9,0.9"), (40, 40), 3), tmp_path / "b.h5")
    key = open_images(tmp_path / "b.h5").view_key(View(Frame("0.4,0.4,0.6,0.6"), (8, 8), 3))
    assert key["original_size"] is None


@pytest.mark.parametrize(
    ("mode", "packed_channels", "seen_channels", "exact"),
    [("L", 1, 3, True), ("L", 3, 1, False), ("RGB", 1, 3, False), ("RGB", 3, 1, False)],
)
def test_channels_are_exact_only_where_nothing_is_lost(
    tmp_path, mode, packed_channels, seen_channels, exact
):
    source = open_images(write_images(tmp_path / "a", 3, mode=mode))
    pack_images(source, View(Frame(), (50, 40), packed_channels), tmp_path / "a.h5")
    pack = open_images(tmp_path / "a.h5")
    seen = View(Frame(), (50, 40), seen_channels)
    assert (pack.view_key(seen) == {}) == exact
    if exact:
        assert torch.equal(pixels_of(pack, seen), pixels_of(source, seen))


def test_a_damaged_image_stops_the_packing_or_is_left_out(tmp_path):
    folder = write_images(tmp_path / "a", 300, (20, 20))
    good = pixels_of(open_images(folder), View(Frame(), (20, 20), 3))
    for name in ("7.png", "290.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    source = open_images(folder)
    view = View(Frame(), (20, 20), 3)
    with pytest.raises(ImageError, match=r"image '7.png'"):
        pack_images(source, view, tmp_path / "a.h5")
    assert not list(tmp_path.glob("*a*.h5*"))
    result = pack_images(source, view, tmp_path / "a.h5", on_error="skip")
    assert result.count == 298
    assert ["7.png" in result.skipped[0], "290.png" in result.skipped[1]] == [True, True]
    pack = open_images(tmp_path / "a.h5")
    kept = np.delete(np.arange(300), [6, 289])
    assert pack.ids.tolist() == source.ids[kept].tolist()
    assert np.array_equal(pack.digests, source.digests[kept])
    assert torch.equal(pixels_of(pack, view), good[kept])
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.h5"]


def test_a_packing_that_is_killed_where_it_closes_up_leaves_what_the_next_removes(
    tmp_path, monkeypatch
):
    class KilledError(BaseException):
        pass

    def die(*_):
        # As a kill does: nothing is cleaned up behind it.
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
        raise KilledError

    folder = write_images(tmp_path / "a", 3, (20, 20))
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:100])
    source, view = open_images(folder), View(Frame(), (20, 20), 3)
    with monkeypatch.context() as patched:
        patched.setattr("latentmap.images.packing._close_up", die)
        with pytest.raises(KilledError):
            pack_images(source, view, tmp_path / "a.h5", on_error="skip")
        left = [path for path in tmp_path.iterdir() if path.is_file()]
        assert left
    monkeypatch.undo()
    monkeypatch.setattr("latentmap.files.writing._runs", lambda process: False)
    pack_images(source, view, tmp_path / "a.h5", on_error="skip")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.h5"]


def test_images_none_of_which_can_be_read_are_not_packed(tmp_path):
    (tmp_path / "1.png").write_bytes(b"hello")
    with pytest.raises(ImageError, match="none of the 1 images of"):
        pack_images(open_images(tmp_path), CELEBA, tmp_path / "a.h5", on_error="skip")


def test_a_pack_is_not_packed_again(tmp_path):
    pack_images(open_images(write_images(tmp_path / "a", 1)), CELEBA, tmp_path / "a.h5")
    with pytest.raises(ImageError, match="is a pack already: pack the original images"):
        pack_images(open_images(tmp_path / "a.h5"), CELEBA, tmp_path / "b.h5")


def test_all_of_a_pack_is_loaded_without_reading_it(tmp_path):
    pack_images(open_images(write_images(tmp_path / "a", 6)), CELEBA, tmp_path / "a.h5")
    before = (tmp_path / "a.h5").read_bytes()
    pack = open_images(tmp_path / "a.h5")
    pixels, positions, _ = load_all(pack, CELEBA)
    assert isinstance(pack.mapped(CELEBA), np.memmap)
    part = load_all(pack.subset(range(2, 5)), CELEBA)[0]
    assert torch.equal(part, pixels[2:5])
    assert positions.tolist() == list(range(6))
    # Writing to the tensor is writing to memory.
    pixels[0] = 7
    assert (tmp_path / "a.h5").read_bytes() == before
    assert pack.mapped(View(Frame("celeba"), (32, 32), 3)) is None
    assert pack.subset([1, 3]).mapped(CELEBA) is None


def test_a_pack_that_somebody_compressed_is_refused(tmp_path):
    source = open_images(write_images(tmp_path / "a", 6))
    pack_images(source, CELEBA, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        pixels = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=pixels, chunks=(2, 64, 64, 3), compression="gzip")
    with pytest.raises(ImageError, match="whose images are not in one piece: pack again"):
        open_images(tmp_path / "a.h5")


def test_packs_that_are_damaged_or_of_another_version_are_refused(tmp_path):
    pack_images(open_images(write_images(tmp_path / "a", 2)), CELEBA, tmp_path / "a.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["digests"]
    with pytest.raises(ImageError, match=r"a.h5 is a damaged pack .*: pack again"):
        open_images(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["version"] = 9
    with pytest.raises(ImageError, match="is a pack of version 9, this latentmap reads version 1"):
        open_images(tmp_path / "a.h5")
    (tmp_path / "a.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="is no HDF5 file, or is cut off"):
        open_images(tmp_path / "a.h5")


def _put(name, values):
    def change(file):
        del file[name]
        file[name] = np.array(values) if isinstance(values, list) else values

    return change


def _say(**changed):
    def change(file):
        record = {**json.loads(file["record"][()]), **changed}
        _put("record", json.dumps(record))(file)

    return change


NESTED = "[" * 100_000
SPACE = {"kind": "z", "dim": 2, "model": "a", "fingerprint": "aa"}


def _make_of(codes, space=SPACE):
    def change(file):
        file["codes"], file["space"] = codes, json.dumps(space)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_put("ids", [b"1.png"]), "ids must be 2 different ones, not 1"),
        (_put("ids", [b"1", b"2", b"3"]), "ids must be 2 different ones, not 3"),
        (_put("ids", [b"1", b"1"]), "ids must be 2 different ones, not 1"),
        (_put("ids", [1, 2]), "ids must be texts, not int64 of shape"),
        (_put("ids", h5py.SoftLink("/images")), "ids is a soft link"),
        (_put("ids", h5py.ExternalLink("b.h5", "ids")), "ids is an external link"),
        (_put("digests", np.zeros((2, 8), "u1")), r"digests must be uint8 of shape \(2, 16\)"),
        (_put("digests", np.zeros((1, 16), "u1")), r"not uint8 of shape \(1, 16\)"),
        (_put("splits", [b"test"]), "splits must be 2 of train, val, test"),
        (_put("splits", [b"test", b"\xff"]), "can't decode byte 0xff"),
        (_put("splits", [b"test", b"x"]), "splits must be 2 of train, val, test"),
        (_put("images", np.zeros((2, 64, 64, 3), "f4")), "images must be uint8"),
        (_put("images", np.zeros((2, 64, 64), "u1")), "images must be uint8 of shape"),
        (_put("images", np.zeros((2, 64, 63, 3), "u1")), r"shape \(2, 64, 64, 3\), not"),
        (_put("images", np.zeros((2, 64, 64, 1), "u1")), r"shape \(2, 64, 64, 3\), not"),
        (_put("record", NESTED), "nested too deeply"),
        (_put("record", "3"), ""),
        (_put("record", np.zeros(3)), "record is no text"),
        (_say(channels=2), "its record is not that of a pack"),
        (_say(channels=[3]), "its record is not that of a pack"),
        (_say(original_channels=2), "its record is not that of a pack"),
        (_say(resized="no"), "its record is not that of a pack"),
        (_say(size=[64, -64]), "64 x -64 is no size of pictures"),
        (_say(original_size=[10**40, 1]), "x 1 is no size of pictures"),
        (_say(frame={"name": 3, "resize": "pillow-box"}), ""),
        (_say(frame={"name": "x", "resize": ["pillow-box"]}), ""),
        (_make_of(np.zeros((2, 3), "f4")), r"codes must be float32 of shape \(2, 2\)"),
        (_make_of(np.zeros((2, 2), "f8")), "codes must be float32"),
        (_make_of(np.full((2, 2), np.nan, "f4")), "its codes are not finite"),
        (_make_of(np.zeros((2, 2), "f4"), {**SPACE, "dim": "2"}), "a space must have a kind"),
        (_make_of(np.zeros((2, 2), "f4"), []), ""),
    ],
)
def test_packs_that_lie_are_refused(tmp_path, lying, change, message):
    path = tmp_path / "a.h5"
    path.write_bytes(lying)
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(ImageError, match=f"a.h5 is a damaged pack .*{message}") as raised:
        open_images(path)
    assert str(raised.value).endswith("): pack again")


@pytest.fixture(scope="module")
def lying(tmp_path_factory):
    """A sound pack of two images with a partition, to be changed."""
    folder = tmp_path_factory.mktemp("packs")
    write_images(folder / "a", 2)
    (folder / "a" / "list_eval_partition.txt").write_text("1.png 2\n2.png 0\n")
    pack_images(open_images(folder / "a"), CELEBA, folder / "a.h5")
    return (folder / "a.h5").read_bytes()


FULL_DISK = """
import resource, sys
from pathlib import Path
from latentmap.errors import OutputError
from latentmap.frames import Frame
from latentmap.images import View, open_images
from latentmap.images.packing import pack_images
source = open_images("digits")
for limit in (470000, 100000, 5000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        pack_images(source, View(Frame(), (16, 16), 1), Path(sys.argv[1]))
    except OutputError as error:
        print(error)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "digits.h5"
    path.write_bytes(b"earlier")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "digits.h5 could not be written: File too large; nothing was changed" in done.stdout
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr == ""
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["digits.h5"]


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"a.h5 could not be written: .*nothing was changed"):
        pack_images(open_images("digits"), View(Frame(), (8, 8), 1), tmp_path / "missing" / "a.h5")


def test_mnist_is_packed_and_read_as_it_is(tmp_path, shared_data):
    source = open_images(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")
    pack_images(source, source.view(), tmp_path / "mnist.h5")
    pack = open_images(tmp_path / "mnist.h5")
    assert pack.fingerprint == source.fingerprint
    assert torch.equal(pixels_of(pack, pack.view()), pixels_of(source, source.view()))
