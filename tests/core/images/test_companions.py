"""Where CelebA's partition lies: as published, as Kaggle has it, and as people unpack them."""

import io
import zipfile

import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images

SPLITS = ["test", "train", "val", "test"]
TEXT = "0.jpg 2\n1.jpg 0\n2.jpg 1\n3.jpg 2\n4.jpg 0\n"
CSV = "image_id,partition\n" + TEXT.replace(" ", ",")


def jpeg(value):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (200, value, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def lay_out(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def images_in(folder):
    return {f"{folder}{i}.jpg": jpeg(i) for i in range(4)}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


LAYOUTS = {
    "Kaggle's csv beside img": ({"list_eval_partition.csv": CSV, **images_in("img/")}, ""),
    "the same, from img": ({"list_eval_partition.csv": CSV, **images_in("img/")}, "img"),
    "Kaggle's doubled folder": (
        {"list_eval_partition.csv": CSV, **images_in("img_align_celeba/img_align_celeba/")},
        "",
    ),
    "its outer folder": (
        {"list_eval_partition.csv": CSV, **images_in("img_align_celeba/img_align_celeba/")},
        "img_align_celeba",
    ),
    "its inner folder": (
        {"list_eval_partition.csv": CSV, **images_in("img_align_celeba/img_align_celeba/")},
        "img_align_celeba/img_align_celeba",
    ),
    "the original": (
        {"Eval/list_eval_partition.txt": TEXT, **images_in("Img/img_align_celeba/")},
        "",
    ),
    "the original, from Img": (
        {"Eval/list_eval_partition.txt": TEXT, **images_in("Img/img_align_celeba/")},
        "Img",
    ),
    "the original, from its images": (
        {"Eval/list_eval_partition.txt": TEXT, **images_in("Img/img_align_celeba/")},
        "Img/img_align_celeba",
    ),
    "the original, doubled, from its images": (
        {
            "Eval/list_eval_partition.txt": TEXT,
            **images_in("Img/img_align_celeba/img_align_celeba/"),
        },
        "Img/img_align_celeba/img_align_celeba",
    ),
    "the original, zipped": (
        {
            "Eval/list_eval_partition.txt": TEXT,
            "Img/img_align_celeba.zip": zipped(images_in("img_align_celeba/")),
        },
        "Img/img_align_celeba.zip",
    ),
    "Kaggle's archive": (
        {
            "archive.zip": zipped(
                {"list_eval_partition.csv": CSV, **images_in("img_align_celeba/img_align_celeba/")}
            )
        },
        "archive.zip",
    ),
}


@pytest.mark.parametrize(("files", "path"), LAYOUTS.values(), ids=LAYOUTS)
def test_celebas_partition_is_found_in_every_layout(tmp_path, files, path):
    lay_out(tmp_path, files)
    source = open_images(tmp_path / path)
    assert source.splits.tolist() == SPLITS
    assert "list_eval_partition" in source.split_rule
    assert source.passed_over == []


def test_text_goes_before_csv_and_near_before_far(tmp_path):
    other = CSV.replace(",2", ",0").replace(",1", ",0")
    lay_out(tmp_path, {"img/list_eval_partition.csv": other, "list_eval_partition.txt": TEXT})
    lay_out(tmp_path, images_in("img/"))
    assert set(open_images(tmp_path / "img").splits) == {"train"}
    lay_out(tmp_path, {"img/list_eval_partition.txt": TEXT})
    assert open_images(tmp_path / "img").splits.tolist() == SPLITS


def test_a_partition_further_up_is_taken_in_celebas_folders_and_for_its_images_alone(tmp_path):
    lay_out(tmp_path, {"list_eval_partition.txt": TEXT, **images_in("faces/img/")})
    source = open_images(tmp_path / "faces" / "img")
    assert source.split_rule == "80/10/10 by a hash of the id"
    lay_out(tmp_path, {"Eval/list_eval_partition.txt": TEXT, "Img/img/a.jpg": jpeg(0)})
    source = open_images(tmp_path / "Img" / "img")
    assert source.split_rule == "80/10/10 by a hash of the id"
    # Beside the images it is meant for them, and says what it lacks.
    with pytest.raises(ImageError, match=r"1 images are not in .*list_eval_partition.txt, such as"):
        _ = open_images(tmp_path / "Img").splits


def test_several_partitions_at_one_depth_are_listed(tmp_path):
    lay_out(tmp_path, {f"{name}/list_eval_partition.txt": TEXT for name in ("a", "b")})
    lay_out(tmp_path, images_in("img/"))
    with pytest.raises(ImageError, match=r"holds a/list_eval_partition.txt, b/list_eval_part"):
        _ = open_images(tmp_path).splits


@pytest.mark.parametrize("place", ["folder", "zip"])
def test_a_partition_that_is_no_text_is_refused(tmp_path, place):
    files = {"list_eval_partition.txt": b"\xff\xfe0.jpg", **images_in("img/")}
    lay_out(tmp_path, files if place == "folder" else {"a.zip": zipped(files)})
    with pytest.raises(ImageError, match=r"list_eval_partition.txt.* must be text in UTF-8"):
        _ = open_images(tmp_path if place == "folder" else tmp_path / "a.zip").splits


def test_the_rule_of_the_split_is_known(tmp_path):
    lay_out(tmp_path, images_in("img/"))
    assert open_images(tmp_path).split_rule == "80/10/10 by a hash of the id"
    lay_out(tmp_path, {"groups.csv": "file,person\n" + "".join(f"{i}.jpg,7\n" for i in range(4))})
    grouped = open_images(tmp_path, group_by=tmp_path / "groups.csv")
    assert grouped.split_rule == "80/10/10 by a hash of the group"


def test_kaggles_case_is_split_as_it_says(shared_data):
    source = open_images(shared_data.parent / "cases" / "kaggle")
    counts = [(source.splits == name).sum() for name in ("train", "val", "test")]
    assert counts == [30, 15, 15]
    assert source.split_rule.endswith("kaggle/list_eval_partition.csv")
