import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from latentmap.errors import ImageError
from latentmap.frames import CELEBA_BOX, RESIZES, Frame, crop_resize, crop_resize_stack


def picture(height, width, channels=3, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_the_celeba_frame_is_the_central_128_pixels_of_an_aligned_image():
    assert Frame("celeba").pixels(218, 178) == (45, 25, 173, 153)
    # The same part of the picture at half the size.
    assert Frame("celeba").pixels(109, 89) == (23, 13, 87, 77)


def test_the_center_frame_is_the_largest_centred_square():
    assert Frame("center").pixels(100, 60) == (20, 0, 80, 60)
    assert Frame("center").pixels(60, 100) == (0, 20, 60, 80)
    assert Frame("center").pixels(7, 7) == (0, 0, 7, 7)


def test_a_frame_of_four_numbers_is_a_relative_box():
    assert Frame("0.25,0,0.75,1").pixels(8, 10) == (2, 0, 6, 10)
    assert Frame(",".join(map(repr, CELEBA_BOX))).pixels(218, 178) == (45, 25, 173, 153)


@pytest.mark.parametrize("name", ["face", "1,2,3", "0,0,x,1", ""])
def test_an_unknown_frame_lists_the_known_ones(name):
    with pytest.raises(ImageError, match="choose full, center, celeba or four numbers"):
        Frame(name)


@pytest.mark.parametrize("name", ["0,0,1.1,1", "0.5,0,0.5,1", "-0.1,0,1,1", "0,1,1,0", "0,nan,1,1"])
def test_a_box_outside_the_picture_is_refused(name):
    with pytest.raises(ImageError, match="is not inside the picture"):
        Frame(name)


def test_an_unknown_resize_filter_lists_the_known_ones():
    with pytest.raises(ImageError, match="choose one of torch-bicubic, torch-bilinear"):
        Frame("full", "nearest")


def test_a_frame_survives_json_and_refuses_what_is_none():
    frame = Frame("0.1,0.2,0.9,0.8", "pillow-box")
    assert Frame.from_json(frame.to_json()) == frame
    with pytest.raises(ImageError, match="a frame has a name and a resize filter"):
        Frame.from_json({"name": "full"})


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["full", "center", "celeba"]))
def test_a_box_is_never_empty_and_never_outside(height, width, name):
    top, left, bottom, right = Frame(name).pixels(height, width)
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width


@pytest.mark.parametrize("filter_name", ["lanczos", "bicubic", "bilinear", "box"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pillow_filters_give_what_pillow_gives(filter_name, channels):
    pixels = picture(40, 30, channels)
    result = crop_resize(pixels, Frame("center", f"pillow-{filter_name}"), (16, 16))
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).crop((0, 5, 30, 35))
    expected = np.asarray(image.resize((16, 16), Image.Resampling[filter_name.upper()]))
    assert np.array_equal(result.squeeze(), expected)
    assert result.shape == (16, 16, channels)


@pytest.mark.parametrize("filter_name", ["bicubic", "bilinear"])
def test_torch_filters_are_antialiased_like_pillow(filter_name):
    # Smooth pictures, as photographs are: on noise the two differ by a little more.
    rows, columns = np.mgrid[0:128, 0:128] / 128
    pixels = np.stack([rows, columns, rows * columns], axis=2)
    pixels = (127 + 120 * np.sin(9 * pixels)).astype(np.uint8)
    ours = crop_resize(pixels, Frame("full", f"torch-{filter_name}"), (48, 48))
    pillow = crop_resize(pixels, Frame("full", f"pillow-{filter_name}"), (48, 48))
    assert np.abs(ours.astype(int) - pillow).max() <= 3


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_stack_gives_the_same_pixels_as_one_by_one(resize, channels):
    stack = np.stack([picture(30, 26, channels, seed) for seed in range(5)])
    frame = Frame("center", resize)
    together = np.empty((5, 12, 12, channels), np.uint8)
    crop_resize_stack(stack, frame, together)
    singly = [crop_resize(pixels, frame, (12, 12)) for pixels in stack]
    assert np.array_equal(together, np.stack(singly))


@pytest.mark.parametrize("resize", RESIZES)
def test_a_box_of_the_wanted_size_is_copied_without_a_filter(resize):
    pixels = picture(20, 12)
    result = crop_resize(pixels, Frame("center", resize), (12, 12))
    assert np.array_equal(result, pixels[4:16])
    result[...] = 0
    assert pixels[4:16].any()


@pytest.mark.parametrize("resize", RESIZES)
def test_pixels_that_may_not_be_written_to_are_read_without_a_warning(resize):
    pixels = picture(20, 12)
    expected = crop_resize(pixels, Frame("full", resize), (5, 6))
    pixels.flags.writeable = False
    assert np.array_equal(crop_resize(pixels, Frame("full", resize), (5, 6)), expected)


def test_a_frame_inside_another_shows_the_same_pixels_of_its_crop():
    pixels = picture(218, 178)
    outer, inner = Frame("0.1,0.1,0.9,0.9"), Frame("celeba")
    cut = crop_resize(pixels, outer, (174, 142))
    relative = inner.within(outer, 218, 178)
    assert np.array_equal(
        crop_resize(cut, relative, (64, 64)), crop_resize(pixels, inner, (64, 64))
    )


def test_a_frame_within_itself_is_full_and_one_that_sticks_out_is_none():
    assert Frame("celeba").within(Frame("celeba"), 218, 178) == Frame("full")
    assert Frame("full").within(Frame("celeba"), 218, 178) is None
    assert Frame("center").within(Frame("full"), 50, 50) == Frame("full")
