"""What in a folder is ours, while other processes work in it."""

from latentmap.files import size_of


def test_a_file_that_went_meanwhile_has_no_size(tmp_path):
    there = tmp_path / "there"
    there.write_bytes(b"12345")
    assert size_of([there, tmp_path / "gone", there]) == 10
