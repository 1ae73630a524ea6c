"""Lists of images: by which names they are found, and what a file of them may be."""

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images.listed import read_listed
from latentmap.limits import raised_limits

IDS = np.array(["a/1.png", "a/2.png", "b/3.png", "b/x, y.png"])


def listed(path, text):
    path.write_text(text)
    return read_listed(IDS, path)


def test_names_are_full_paths_or_base_names_one_a_line(tmp_path):
    found = listed(tmp_path / "ids.txt", "a/1.png\n\n 3.png \nx, y.png\n3.png\n")
    assert found.chosen.tolist() == [True, False, True, True]
    assert (found.title, found.n_names, found.unknown, found.told) == ("ids.txt", 3, (), "")


def test_names_of_no_image_are_told(tmp_path):
    found = listed(tmp_path / "ids.txt", "1.png\nc/2.png\nnobody\n")
    assert found.chosen.tolist() == [True, False, False, False]
    assert found.told == (
        "2 of the 3 names in ids.txt are of none of the 4 images (c/2.png is one)"
    )


def test_a_long_name_that_is_of_no_image_is_shortened(tmp_path):
    told = listed(tmp_path / "ids.txt", f"begin-{300 * 'x'}-end.png\n").told
    assert told.startswith("1 of the 1 names in ids.txt are of none of the 4 images (begin-xxx")
    assert told.endswith("x-end.png is one)") and "x...x" in told
    assert len(told) < 140


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("file,hat\n1.png,0\n2.png,1\n", 2),
        ("1.png,0\n2.png,1\n", 2),
        ("file\n1.png\n2.png\n", 2),
        ('"name"\n"1.png"\n2.png\n"x, y.png"\n', 3),
    ],
)
def test_a_csv_has_names_in_its_first_column_and_perhaps_a_head(tmp_path, text, n):
    found = listed(tmp_path / "ids.csv", text)
    assert (found.chosen.sum(), found.n_names, found.told) == (n, n, "")


def test_only_the_first_line_of_a_csv_is_a_head(tmp_path):
    found = listed(tmp_path / "ids.csv", "file\n1.png\nnobody\n")
    assert (found.n_names, found.unknown) == (2, ("nobody",))


def test_a_list_that_is_no_text_or_too_long_is_refused(tmp_path):
    path = tmp_path / "ids"
    path.write_bytes(b"1\n\xff\n")
    with pytest.raises(ImageError, match=r"list of images: it must be text in UTF-8, which line 2"):
        read_listed(IDS, path)
    path.write_bytes(b"".join(b"%d\n" % i for i in range(3000)))
    with raised_limits({"memory": 300_000}), pytest.raises(ImageError, match=r"\(\d+ names\)"):
        read_listed(IDS, path)
    with pytest.raises(ImageError, match=r"cannot be read as a list of images \(No such file"):
        read_listed(IDS, tmp_path / "none")
    with pytest.raises(ImageError, match="ids names no image: it needs one name a line"):
        listed(path, "\n \n")
    with pytest.raises(ImageError, match=r"cannot be read as a list of images \(field larger"):
        listed(tmp_path / "ids.csv", "x" * 200_000)
