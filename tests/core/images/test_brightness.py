import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.frames import Frame
from latentmap.images import View, open_images, pack_images


def save_array(path, values, dtype=np.uint8):
    np.save(path, np.asarray(values).astype(dtype))
    return path


def noise(high, n=30, seed=0):
    values = np.random.default_rng(seed).integers(0, high + 1, (n, 6, 5))
    values[:, 0, 0] = high
    return values


def write_pngs(folder, values, dtype):
    folder.mkdir()
    for i, value in enumerate(values.astype(dtype)):
        Image.fromarray(value).save(folder / f"{i}.png")
    return folder


def told(path, **options):
    lines = []
    open_images(path, notify=lines.append, **options)
    return lines


@pytest.mark.parametrize(
    ("dtype", "high", "words"),
    [
        (np.uint8, 1, "1 of 255; to see black and white: --range 0,1"),
        (np.uint8, 16, "16 of 255; to see 16 as white: --range 0,16"),
        (np.uint16, 1, r"1 of 65535 \(0 of 255\); to see black and white: --range 0,1"),
        (np.uint16, 255, r"255 of 65535 \(1 of 255\); to see 255 as white: --range 0,255"),
        (np.uint16, 1023, r"1023 of 65535 \(4 of 255\); to see 1023 as white"),
        (np.uint16, 4095, r"4095 of 65535 \(16 of 255\); to see 4095 as white"),
        (np.uint16, 16383, r"16383 of 65535 \(64 of 255\); to see 16383 as white"),
    ],
)
@pytest.mark.parametrize("kind", ["array", "png"])
def test_a_set_that_does_not_use_its_range_is_told(tmp_path, kind, dtype, high, words):
    if kind == "array":
        path = save_array(tmp_path / "a.npy", noise(high), dtype)
    else:
        path = write_pngs(tmp_path / "a", noise(high), dtype)
    with pytest.warns(UserWarning, match=rf"is all but black: .* its 30 images is {words}"):
        open_images(path)
    assert len(told(path)) == 1
    # Who says what white is needs no advice, and gets white.
    source = open_images(path, value_range=(0, high))
    assert max(source.read(i).max() for i in range(30)) == 255


def test_bright_sets_are_not_told_of_and_one_bright_image_is_enough(tmp_path):
    values = noise(1)
    values[7, 2, 2] = 90
    assert told(save_array(tmp_path / "a.npy", values)) == []
    assert told("digits") == []
    assert told(save_array(tmp_path / "b.npy", noise(4095) / 4095, np.float32)) == []


def test_a_set_of_nothing_but_black_says_so(tmp_path):
    (line,) = told(save_array(tmp_path / "a.npy", np.zeros((5, 4, 4))))
    assert line.endswith("a.npy is black: no value of its 5 images is above 0")
    (line,) = told(write_pngs(tmp_path / "a", np.zeros((5, 4, 4)), np.uint8))
    assert "a is black" in line


def test_a_few_pictures_of_one_colour_may_be_meant(tmp_path):
    flat = np.broadcast_to(np.array([3, 1, 2])[None, None], (9, 4, 5, 3))
    assert told(save_array(tmp_path / "a.npy", flat)) == []
    assert told(save_array(tmp_path / "b.npy", flat.transpose(0, 3, 1, 2))) == []
    assert told(write_pngs(tmp_path / "c", flat, np.uint8)) == []
    many = np.broadcast_to(flat[:1], (10, 4, 5, 3))
    assert len(told(save_array(tmp_path / "d.npy", many))) == 1


def test_masks_that_say_that_they_are_black_and_white_are_seen_so(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "palette").mkdir()
    for i, value in enumerate(noise(1)):
        mask = Image.fromarray(value.astype(bool))
        mask.save(tmp_path / "one" / f"{i}.png")
        indexes = Image.fromarray(value.astype(np.uint8)).convert("P")
        indexes.putpalette([0, 0, 0, 255, 255, 255])
        indexes.save(tmp_path / "palette" / f"{i}.png")
    for name in ("one", "palette"):
        assert told(tmp_path / name) == []
        assert open_images(tmp_path / name).read(0).max() == 255


def test_a_palette_of_near_black_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    for i, value in enumerate(noise(1)):
        indexes = Image.fromarray(value.astype(np.uint8)).convert("P")
        indexes.putpalette([0, 0, 0, 1, 1, 1])
        indexes.save(tmp_path / "a" / f"{i}.png")
    assert "1 of 255" in told(tmp_path / "a")[0]
    assert open_images(tmp_path / "a", value_range=(0, 1)).read(0).max() == 255


def test_images_that_cannot_be_read_are_left_to_those_who_need_them(tmp_path):
    path = write_pngs(tmp_path / "a", noise(1), np.uint8)
    (path / "0.png").write_bytes(b"hello")
    assert "of 29 of its 30 images" in told(path)[0]


def test_many_images_are_looked_at_in_part(tmp_path):
    path = save_array(tmp_path / "a.npy", noise(1, n=1000))
    assert "of 256 of its 1000 images" in told(path)[0]
    shown = open_images("digits").brightness()
    assert (shown.looked, str(shown)) == (256, "0 to 255, white is 255 (in 256 of them)")


def test_a_range_makes_other_images_of_the_same_files(tmp_path):
    path = write_pngs(tmp_path / "a", noise(4095), np.uint16)
    dark = open_images(path, notify=lambda line: None)
    seen = {value: open_images(path, value_range=(0, value)) for value in (4095, 8191)}
    assert len({dark.fingerprint, *(s.fingerprint for s in seen.values())}) == 3
    view = View(Frame(), (6, 5), 1)
    pixels = next(iter(seen[4095].batches([view], batch_size=30))).images[0]
    assert np.array_equal(pixels[3, 0], seen[4095].read(3)[..., 0])
    pack_images(seen[4095], view, tmp_path / "a.h5")
    assert open_images(tmp_path / "a.h5").fingerprint == seen[4095].fingerprint
    with pytest.raises(ImageError, match="is a pack, which holds black and white as they were"):
        open_images(tmp_path / "a.h5", value_range=(0, 1))


@pytest.mark.parametrize(
    ("name", "values", "high"),
    [
        ("a.jpg", np.full((6, 5, 3), 90, np.uint8), 255),
        ("a.png", np.full((6, 5), 90, np.uint8), 255),
        ("a.png", np.full((6, 5), 9000, np.uint16), 65535),
        ("a.tiff", np.full((6, 5), 0.25, np.float32), 1),
        ("a.pgm", np.full((6, 5), 9000, np.uint16), 65535),
    ],
    ids=["jpeg", "8 bits", "16 bits", "float", "pgm"],
)
def test_the_range_that_a_file_says_itself_makes_no_other_images(tmp_path, name, values, high):
    (tmp_path / "a").mkdir()
    Image.fromarray(values).save(tmp_path / "a" / name)
    itself = open_images(tmp_path / "a", notify=lambda line: None)
    said, other = (open_images(tmp_path / "a", value_range=(0, top)) for top in (high, 2 * high))
    assert np.array_equal(said.read(0), itself.read(0))
    assert said.fingerprint == itself.fingerprint != other.fingerprint


def test_a_dark_pack_asks_for_its_originals(tmp_path):
    path = write_pngs(tmp_path / "a", noise(16), np.uint8)
    dark = open_images(path, notify=lambda line: None)
    pack_images(dark, View(Frame(), (6, 5), 1), tmp_path / "a.h5")
    assert "pack the original images with --range 0,16" in told(tmp_path / "a.h5")[0]


def test_the_cases_of_users_are_told(shared_data):
    cases = shared_data.parent / "cases"
    assert "1 of 255; to see black and white" in told(f"{cases / 'zero_one.npz'}:/imgs")[0]
    assert "(16 of 255); to see 4095 as white" in told(cases / "twelve_bits")[0]
