"""A report with every kind of block."""

import pytest
import torch

from latentmap.report import Column, ImageRow, ImageRows, Measure, Picture, Row, Section, Table
from latentmap.report.embedding import image_strip
from latentmap.report.parts import Bars, Curve, HeatCell, HeatMap, Plane, Report


@pytest.fixture
def report():
    """One of everything, with text that would be taken for markup if it were not escaped."""
    strip = image_strip(torch.rand(2, 3, 8, 8, generator=torch.manual_seed(1)), "two <images>")
    heat = [
        [None, HeatCell(0.25, "a to <b>: 0.25", "shown")],
        [HeatCell(None, "undefined"), None],
    ]
    blocks = [
        Table(
            "Numbers",
            [Column("name"), Column("value", '<meaning> & "more"', "high"), Column("count")],
            [
                Row(["b & c", Measure(0.0125, 0.011, 0.014, "p < 0.05"), 3], "shown"),
                Row(["a", Measure(None), 10]),
                Row(["<script>alert(1)</script>", -0.3, None]),
            ],
            "A note.",
        ),
        HeatMap("Heat", ["a", "<b>"], heat),
        Plane("Plane", ["a", "<b>"], [[0.0, 0.0], [1.0, 0.5]], "two points"),
        Bars("Bars", "<sector>", [3, 0, 5], 2.5, "three bars", "Dashed: 2.5."),
        Curve("Curve", "pairs", [10, 100], [Measure(-0.5, -0.6, -0.4), Measure(0.5)], "a curve"),
        Curve("With a level", "pairs", [10, 100], [Measure(0.4), Measure(0.5)], "a curve", "", 0.9),
        ImageRows(
            "shown",
            "Rows",
            [
                ImageRow("left", [strip, strip]),
                ImageRow("named", [strip], ["<i>1</i>.png", "b"]),
            ],
            heads=("x", "y"),
        ),
        Picture("Alone", strip),
    ]
    record = {"command": "latentmap <x>", "seed": 0, "versions": {"torch": "2"}, "none": None}
    sections = [
        Section("first", "The <first>", ["Text & more."], blocks, record),
        Section("second", "The second", record=record),
    ]
    return Report("A <report>", sections)
