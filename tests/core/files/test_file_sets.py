import pytest

from latentmap.errors import ImageError
from latentmap.files.file_sets import has_range, numbered_names


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{8..11}.tar", ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]),
        ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
        ("{1..2}/{0..1}", ["1/0", "1/1", "2/0", "2/1"]),
        ("{5..5}", ["5"]),
        ("{a..b}{1}{1..}", ["{a..b}{1}{1..}"]),
    ],
)
def test_ranges_are_spelt_out(name, names):
    assert numbered_names(name, ImageError) == names
    assert has_range(name) == (names != [name])


@pytest.mark.parametrize("name", ["a{0..999999999}", "{2..1}", "{1..1000}/{1..101}"])
def test_too_many_files_and_none_are_refused(name):
    with pytest.raises(
        ImageError, match=r"must name 1 to 100,000 files, from a number to one that"
    ):
        numbered_names(name, ImageError)
