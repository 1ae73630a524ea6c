"""Images that are sent: decoded under the limits of data, encoded by every model, and kept."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ExplorerError, ImageError
from latentmap.explorer import explore_spaces, read_place
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.showing import show_place
from latentmap.explorer.uploads import Upload, Uploads, encode_upload, see_upload
from latentmap.images import open_images
from latentmap.mapping import typicality


def file_of(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def noise(*shape, dtype=np.uint8):
    most = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, most, shape, dtype=dtype, endpoint=True)


def seen(explored, data):
    return see_upload(data, [model.view for model in explored.models])


def send(explored, data):
    return ACTIONS["upload"](explored, {"seen": seen(explored, data)}).told


def test_an_image_that_is_sent_is_what_the_data_has(explored, models, images):
    source, target, _ = models
    pixels = images.read(7)
    told = send(explored, file_of(pixels[..., 0]))
    answer = ACTIONS["own"](explored, told)
    np.testing.assert_array_equal(answer.pictures[0], pixels)
    np.testing.assert_array_equal(ACTIONS["uploaded"](explored, told).pictures[0], pixels)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    place = read_place(f"start=upload&upload={told['upload']}")
    code, shown = show_place(explored, place)
    torch.testing.assert_close(code[None].float(), source.encode(image))
    own = read_place(f"start=image&image={images.ids[7]}")
    torch.testing.assert_close(code, explored.code_at(own), atol=1e-6, rtol=0)
    assert [one["role"] for one in answer.told["pictures"]] == ["source", "mapped", "own"]
    torch.testing.assert_close(shown[2].image, target.decode(target.encode(image))[0])
    for one, known in zip(answer.told["pictures"], shown, strict=True):
        expected = float((known.image.double() - image[0].double()).square().mean())
        assert one["error"] == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert answer.told["pictures"][1]["mse"] == shown[1].mse
    assert answer.told["usable"] and answer.told["without"] == []


@pytest.mark.parametrize("inside", [True, False])
def test_how_far_outside_it_is_is_what_the_map_says(explored, models, images, inside):
    pixels = images.read(3)[..., 0] if inside else noise(*models[0].image_shape[1:])
    told = send(explored, file_of(pixels))
    (found,) = ACTIONS["own"](explored, told).told["typicality"]
    image = torch.from_numpy(pixels)[None, None] / 255
    known = typicality(explored.targets[0].linear_map, models[0].encode(image))
    assert found == {
        "model": "target",
        "distance": pytest.approx(float(known.distances[0])),
        "nearer": pytest.approx(float(known.nearer[0])),
        "limit": pytest.approx(known.limit),
        "outside": not inside,
    }


def test_a_code_is_moved_from_it(explored, images):
    told = send(explored, file_of(images.read(9)[..., 0]))
    state = f"start=upload&upload={told['upload']}"
    start = explored.code_at(read_place(state))
    moved = ACTIONS["move"](explored, {"state": f"{state}&moves=variables_2_0.5"})
    assert moved.told["values"][2] == 0.5
    still = explored.controls["variables"].moving.read(start).tolist()
    assert moved.told["values"][0] == pytest.approx(still[0], abs=1e-4)
    assert [one["role"] for one in moved.told["pictures"]] == ["source", "mapped"]


def test_a_source_without_encoder_has_the_own_codes_of_targets_alone(models, images, tmp_path):
    source, target, maker = models
    explored = explore_spaces(source, [target], images, tmp_path)
    told = send(explored, file_of(images.read(2)[..., 0]))
    found = explored.uploads.require(told["upload"])
    without = Upload("0", found.pixels, [None, found.codes[1]])
    explored.uploads.keep(without)
    answer = ACTIONS["own"](explored, {"upload": "0"}).told
    assert [(one["role"], one["model"]) for one in answer["pictures"]] == [("own", "target")]
    assert (answer["usable"], answer["typicality"]) == (False, [])
    assert answer["without"] == ["source"]
    with pytest.raises(ExplorerError, match="source has no encoder, and so no code"):
        ACTIONS["move"](explored, {"state": "start=upload&upload=0"})
    sent = see_upload(file_of(images.read(2)[..., 0]), [maker.view])
    assert encode_upload(sent, [maker]).codes == [None]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, rows):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


WHOLE = file_of(noise(40, 40, 3))
HOSTILE = {
    "nothing": (b"", "an empty file"),
    "text": (b"<svg onload=alert(1)>", "no image that can be read"),
    "a pdf": (b"%PDF-1.7\n" + b"0" * 99, "no image that can be read"),
    "a zip": (b"PK\3\4" + b"0" * 99, "no image that can be read"),
    "cut off": (WHOLE[: len(WHOLE) // 2], "damaged or cut off"),
    "its head alone": (WHOLE[:20], "no image|damaged"),
    "a damaged jpeg": (file_of(noise(40, 40, 3), "JPEG")[:200], "damaged or cut off"),
    "a bomb": (png_of(30000, 30000, b"\0" * 1000), "more pixels than Pillow's limit"),
    "a small bomb": (png_of(12000, 12000, b"\0" * 12001 * 12000), "too much for"),
    "a line of any length": (png_of(2**31 - 1, 1, b""), "pixels|damaged|memory"),
    "no size": (png_of(0, 0, b""), "damaged|no image"),
}


@pytest.mark.parametrize(("data", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_image_is_refused_in_one_line(explored, data, said):
    with pytest.raises(ImageError, match=said) as refused:
        seen(explored, data)
    text = str(refused.value)
    assert "\n" not in text and "--limit" not in text and len(text) < 400


def frames(n):
    return [Image.fromarray(np.full((16, 16), 60 * i, np.uint8)) for i in range(n)]


def moving():
    file = io.BytesIO()
    first, *others = frames(3)
    first.save(file, "GIF", save_all=True, append_images=others)
    return file.getvalue()


def cmyk():
    file = io.BytesIO()
    Image.fromarray(noise(16, 16, 4), "CMYK").save(file, "JPEG")
    return file.getvalue()


UNUSUAL = {
    "animated": moving(),
    "cmyk": cmyk(),
    "16 bits": file_of(noise(16, 16, dtype=np.uint16)),
    "see-through": file_of(noise(16, 16, 4)),
    "one pixel": file_of(noise(1, 1)),
    "very long": file_of(noise(2, 3000)),
    "webp": file_of(noise(16, 16, 3), "WEBP", lossless=True),
}


@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_images_are_seen_as_those_of_a_data_set(explored, models, tmp_path, data):
    (tmp_path / "some").write_bytes(data)
    folder = tmp_path / "folder"
    folder.mkdir()
    kind = Image.open(io.BytesIO(data)).format.lower()
    (folder / f"a.{kind}").write_bytes(data)
    (batch,) = open_images(folder).batches([models[0].view], batch_size=1)
    told = send(explored, data)
    (picture,) = ACTIONS["uploaded"](explored, told).pictures
    np.testing.assert_array_equal(picture, batch.images[0][0].permute(1, 2, 0).numpy())


def test_values_mean_what_they_mean_in_the_files_of_the_data(models, tmp_path):
    pixels = noise(20, 20, dtype=np.uint16) // 2
    data = file_of(pixels)
    (tmp_path / "a.png").write_bytes(data)
    view = models[0].view
    shown = []
    for said in (None, (0, 32767)):
        images = open_images(tmp_path, value_range=said)
        (batch,) = images.batches([view], batch_size=1)
        (found,) = see_upload(data, [view], images.range_of_files).pixels
        np.testing.assert_array_equal(found, batch.images[0][0].permute(1, 2, 0).numpy())
        shown.append(found.mean())
    assert shown[1] > 1.9 * shown[0]
    # Numbers of an array say nothing of files.
    np.save(tmp_path / "masks.npy", np.eye(8, dtype=np.uint8)[None])
    assert open_images(tmp_path / "masks.npy", value_range=(0, 1)).range_of_files is None


def test_the_same_image_has_the_same_id(explored):
    assert send(explored, WHOLE) == send(explored, WHOLE)
    assert send(explored, WHOLE) != send(explored, file_of(noise(40, 41, 3)))


def test_a_few_are_kept_those_that_were_asked_for_last():
    uploads = Uploads()
    for number in range(16):
        uploads.keep(Upload(str(number), [], []))
    assert uploads.require("0").id == "0"
    uploads.keep(Upload("16", [], []))
    assert len(uploads) == 16 and uploads.require("0").id == "0"
    with pytest.raises(ExplorerError, match="'1' of your own is not here any more"):
        uploads.require("1")


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("upload", {"seen": "text"}, "is sent as a file"),
        ("upload", {}, "is sent as a file"),
        ("own", {"upload": "no"}, "'no' of your own is not here any more"),
        ("own", {"upload": 3}, "upload must be a text"),
        ("uploaded", {"upload": "no"}, "not here any more"),
        ("move", {"state": "start=upload"}, "'' of your own is not here any more"),
    ],
)
def test_uploads_that_are_not_there_are_refused(explored, action, asked, said):
    with pytest.raises(ExplorerError, match=said):
        ACTIONS[action](explored, asked)
