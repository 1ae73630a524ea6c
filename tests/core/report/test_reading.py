import json
from dataclasses import replace

import pytest

from latentmap.errors import OutputError
from latentmap.report import Column, ImageRow, ImageRows, Measure, Picture, Row, Section, Table
from latentmap.report.parts import Bars, Curve, HeatCell, HeatMap, Plane, Report
from latentmap.report.pictures import EmbeddedImage
from latentmap.report.reading import report_from_json

PICTURE = EmbeddedImage("data:image/png;base64,AAAA", 16, 8, "two", 2)


def test_a_report_is_read_as_it_was_written(report):
    assert report_from_json(json.loads(json.dumps(report.to_json()))).to_json() == report.to_json()


def test_a_report_of_an_earlier_version_is_read_too(report):
    content = json.loads(json.dumps(report.to_json()))
    for block in content["sections"][0]["blocks"]:
        block.pop("upright", None)
        for column in block.get("columns", ()):
            del column["decimals"]
    assert report_from_json(content).to_json() == report.to_json()


def test_what_is_not_finite_is_none():
    section = Section("a", "A", record={"penalty": float("inf"), "many": (1.0, float("nan"))})
    assert Report("x", [section]).to_json()["sections"][0]["record"] == {
        "penalty": None,
        "many": [1.0, None],
    }
    assert Measure.of((float("nan"), 1, float("inf"))) == Measure(None, 1.0, None)


def test_a_section_takes_the_place_of_that_with_its_id():
    one, two, other = Section("a", "A"), Section("b", "B"), Section("a", "new")
    assert Report("x", [one, two]).with_section(other).sections == [other, two]
    assert Report("x", [one]).with_section(two).sections == [one, two]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("title"), r"report must be an object with title, sections"),
        (lambda r: r.update(extra=1), r"report must be an object with title, sections"),
        (lambda r: r.update(title=3), r"report.title must be str, not 3"),
        (lambda r: r.update(sections={}), r"report.sections must be a list, not \{\}"),
        (
            lambda r: r["sections"][0]["blocks"][0].update(kind="other"),
            r"report.sections\[0\].blocks\[0\] must be Table or ImageRows or .*, not ",
        ),
        (
            lambda r: r["sections"][0]["blocks"][0]["columns"][0].update(better="more"),
            r"columns\[0\].better must be one of '', 'high', 'low', not 'more'",
        ),
        (
            lambda r: r["sections"][0]["blocks"][0]["rows"][0]["cells"].append(True),
            r"cells\[3\] must be str or int or float or NoneType or Measure, not True",
        ),
        (lambda r: r["sections"][0].update(record=[]), r"record must be an object, not \[\]"),
    ],
)
def test_what_is_no_report_is_refused_with_its_place(report, change, message):
    content = json.loads(json.dumps(report.to_json()))
    change(content)
    with pytest.raises(OutputError, match=message):
        report_from_json(content)


@pytest.mark.parametrize(
    "block",
    [
        Table("T", [Column("a")], [Row(["x", "y"])]),
        Table("T", [Column("a")], [], upright=True),
        Table("T", [Column("a", decimals=-1)], [Row([1.0])]),
        HeatMap("H", ["a", "b"], [[None, HeatCell(0.5, "x")]]),
        HeatMap("H", ["a"], [[None, None]]),
        Plane("P", ["a"], [], "alt"),
        Plane("P", ["a"], [[1.0]], "alt"),
        Plane("P", ["a"] * 2000, [[1.0, 2.0]] * 2000, "alt"),
        Bars("B", "axis", [], 1.0, "alt"),
        Curve("C", "axis", [1, 2], [Measure(1.0)], "alt"),
        Curve("C", "axis", [0], [Measure(1.0)], "alt"),
        Curve("C", "axis", [1], [Measure(None)], "alt"),
        Picture("P", replace(PICTURE, uri="https://example.org/x.png")),
        Picture("P", replace(PICTURE, uri="data:image/svg+xml;base64,AAAA")),
        Picture("P", replace(PICTURE, width=0)),
        Picture("P", replace(PICTURE, height=100_000)),
        Picture("P", replace(PICTURE, count=3)),
        Picture("P", replace(PICTURE, count=0)),
        ImageRows("i", "I", [ImageRow("r", [PICTURE], ["one"])]),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(block):
    content = json.loads(json.dumps(Report("x", [Section("a", "A", [], [block])]).to_json()))
    with pytest.raises(OutputError, match=f"the {block.kind} .* has parts that do not fit"):
        report_from_json(content)


def test_more_images_than_a_page_can_show_are_refused():
    wide = replace(PICTURE, width=60_000, count=60_000)
    section = Section("a", "A", [], [Picture("P", wide), Picture("P", wide)])
    with pytest.raises(OutputError, match="it has 120,000 images, more than 100,000"):
        report_from_json(json.loads(json.dumps(Report("x", [section]).to_json())))


@pytest.mark.parametrize("number", ["1" + "0" * 400, "NaN", "1e999", "-Infinity"])
def test_numbers_that_are_none_are_refused(number):
    table = Table("T", [Column("a")], [Row([Measure(0.25)])])
    text = json.dumps(Report("x", [Section("a", "A", [], [table])]).to_json())
    with pytest.raises(OutputError, match=r"value must be a number up to 1e\+200, not"):
        report_from_json(json.loads(text.replace("0.25", number)))
