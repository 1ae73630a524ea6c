import json

from latentmap.cli.output import print_json, warn_skipped


def test_numbers_that_are_not_finite_are_null_however_deep_they_lie(capsys):
    print_json({"a": float("nan"), "b": [1.5, (float("inf"), {"c": -float("inf")})], "d": "nan"})
    expected = {"a": None, "b": [1.5, [None, {"c": None}]], "d": "nan"}
    assert json.loads(capsys.readouterr().out) == expected


def test_skipped_images_are_one_line_and_none_is_no_line(capsys):
    warn_skipped([])
    assert capsys.readouterr().err == ""
    warn_skipped(list("abcdefg"))
    expected = "skipped 7 images that could not be read: a, b, c, d, e, ...\n"
    assert capsys.readouterr().err == expected
