"""Results as frames: one row a figure, by what it is of; and one line where pandas is missing."""

import builtins

import numpy as np
import pytest

from latentmap.errors import LatentmapError
from latentmap.report import Column, Measure, Row, Shown, Table
from latentmap.report.data_frames import tidy_frame


def test_a_figure_is_a_row_by_what_it_is_of():
    table = Table(
        "Methods",
        [Column("method"), Column("R2"), Column("rank"), Column("seconds")],
        [
            Row(["ridge", Measure(0.5, 0.4, 0.6), 4, 0.25]),
            Row(["pls", Measure(None, note="it did not converge"), None, 1.0]),
        ],
    )
    frame = tidy_frame([table])
    assert list(frame.columns) == ["table", "method", "figure", "value", "low", "high", "note"]
    found = frame.set_index(["method", "figure"])
    assert found.loc[("ridge", "R2"), ["value", "low", "high"]].tolist() == [0.5, 0.4, 0.6]
    assert found.loc[("ridge", "rank"), "value"] == 4
    assert np.isnan(found.loc[("ridge", "seconds"), "low"])
    assert np.isnan(found.loc[("pls", "R2"), "value"])
    assert found.loc[("pls", "R2"), "note"] == "it did not converge"
    assert ("pls", "rank") not in found.index
    assert frame.pivot(index="method", columns="figure", values="value").loc["ridge", "R2"] == 0.5


def test_a_first_column_of_whole_numbers_says_what_a_row_is_of():
    rows = [Row([number, number / 10]) for number in range(3)]
    frame = tidy_frame([Table("Variables", [Column("variable"), Column("gain")], rows)])
    assert frame["variable"].tolist() == [0, 1, 2]
    assert frame["figure"].unique().tolist() == ["gain"]
    # Nothing but figures.
    frame = tidy_frame([Table("Errors", [Column("mse")], [Row([Measure(0.5)])])])
    assert frame[["figure", "value"]].values.tolist() == [["mse", 0.5]]


def test_what_is_of_one_thing_is_all_figures_and_texts_are_notes():
    frame = tidy_frame([Table.of_one("Plane", {"images": 3, "prior": "normal"})])
    assert frame[["figure", "value", "note"]].replace({np.nan: None}).values.tolist() == [
        ["images", 3.0, None],
        ["prior", None, "normal"],
    ]


def test_without_pandas_there_is_one_line_that_says_what_to_install(monkeypatch):
    class Result(Shown):
        def tables(self) -> list[Table]:
            return []

    real = builtins.__import__

    def missing(name, *rest, **others):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'")
        return real(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(LatentmapError, match=r'pandas, .*: pip install "latentmap\[pandas\]"'):
        Result().to_frame()
