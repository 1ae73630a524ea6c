"""Figures as files: formats, sizes, fonts, and equal files of equal figures."""

import re
from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import OutputError
from latentmap.report import Plot, image_grid, save_figure
from latentmap.report.chart_plots import chart_plot
from latentmap.report.colours import BLUE, VERMILION
from latentmap.report.figures import FORMATS
from latentmap.report.parts import HeatCell, HeatMap, Plane
from latentmap.report.plots import DPI, count_across, heading, set_height, styled, wrapped

GRID = image_grid([("row", torch.rand(3, 3, 8, 8, generator=torch.manual_seed(0)))])
KINDS = {"chart": Plot(lambda figure: figure.subplots().plot([1, 2], [1, 3])), "grid": GRID}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_figure_is_written_by_its_suffix_as_wide_as_asked_for(tmp_path, name, kind):
    path = tmp_path / f"figure.{kind}"
    save_figure(KINDS[name], path, width=8, dpi=120)
    assert width_of(path) == pytest.approx(8, rel=0.01)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def width_of(path) -> float:
    """In centimetres, as a file says itself."""
    if path.suffix == ".pdf":
        box = re.search(rb"/MediaBox \[ 0 0 (\S+)", path.read_bytes())
        assert box is not None
        return float(box[1]) / 72 * 2.54
    if path.suffix == ".svg":
        points = ElementTree.parse(path).getroot().attrib["width"].removesuffix("pt")
        return float(points) / 72 * 2.54
    with Image.open(path) as read:
        assert read.format == FORMATS[path.suffix[1:]]
        if read.format == "WEBP":
            pytest.skip("it says nothing of its width")
        return float(read.width / read.info["dpi"][0] * 2.54)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_equal_figures_are_equal_files(tmp_path, name, kind):
    contents = []
    for _ in range(2):
        save_figure(KINDS[name], tmp_path / f"figure.{kind}")
        contents.append((tmp_path / f"figure.{kind}").read_bytes())
    assert contents[0] == contents[1]
    assert b"CreationDate" not in contents[0] and b"<dc:date>" not in contents[0]


def test_a_pdf_has_every_image_with_its_own_pixels_and_the_fonts_of_its_text(tmp_path):
    save_figure(GRID, tmp_path / "grid.pdf", width=8)
    content = (tmp_path / "grid.pdf").read_bytes()
    assert content.count(b"/Subtype /Image") == 3
    assert b"/Interpolate true" not in content
    assert b"/FontFile2" in content and b"/Subtype /Type3" not in content
    assert content.count(b"/Width 8") == 3


def test_an_svg_has_its_text_as_text_and_images_that_are_not_smoothed(tmp_path):
    save_figure(GRID, tmp_path / "grid.svg", width=8)
    text = (tmp_path / "grid.svg").read_text()
    assert ">row</text>" in text
    assert text.count("image-rendering:pixelated") == text.count("<image") == 3


def test_letters_are_as_large_in_a_column_as_on_a_page(tmp_path):
    def draw(figure):
        figure.subplots().set_xlabel("abc")
        heading(figure, "title")

    for width in (5, 8, 17):
        save_figure(Plot(draw), tmp_path / "plot.svg", width=width)
        text = (tmp_path / "plot.svg").read_text()
        sizes = {float(one) for one in re.findall(r"font(?:-size)?: ([\d.]+)px", text)}
        assert sizes == {7.0, 8.0}, width


def test_the_settings_of_matplotlib_neither_change_figures_nor_are_changed(tmp_path):
    import matplotlib

    save_figure(KINDS["chart"], tmp_path / "one.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        save_figure(KINDS["chart"], tmp_path / "two.svg")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("name", ["grid.txt", "grid.psd", "grid", "grid.gif"])
def test_a_figure_of_no_known_format_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"must end in \.pdf, \.svg, \.png, .* or \.webp"):
        save_figure(GRID, tmp_path / name)


def test_charts_and_lines_need_matplotlib_and_as_source_sees_do_not(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    save_figure(GRID, tmp_path / "grid.png")
    for figure, name in ((GRID, "grid.pdf"), (KINDS["chart"], "chart.png")):
        with pytest.raises(OutputError, match="needs matplotlib: pip install"):
            save_figure(figure, tmp_path / name)


@pytest.mark.parametrize(
    "name", ["a$\\frac$", "50$ to 60$", "bad\udcff", "\u202eabc", "日本", "a\nb", '<&">']
)
@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_figures_show_any_name(tmp_path, name, kind):
    def draw(figure):
        axis = figure.subplots()
        axis.plot([1, 2], [1, 2], label=name)
        axis.legend()
        heading(figure, name)

    save_figure(Plot(draw), tmp_path / f"plot.{kind}")
    save_figure(image_grid([(name, torch.ones(1, 1, 8, 8))]), tmp_path / f"grid.{kind}")
    if kind == "svg":
        ElementTree.parse(tmp_path / "plot.svg")
        ElementTree.parse(tmp_path / "grid.svg")


def test_charts_of_the_page_have_the_same_colours():
    css = files("latentmap.report").joinpath("templates/theme.css").read_text()
    assert f"--first: light-dark({BLUE}, " in css
    assert f"--against: light-dark({VERMILION}, " in css


def test_a_heading_has_as_many_lines_as_it_needs():
    text = "a title of words that go on and on, scored on 1,499 images"
    assert wrapped(text, 17) == text
    lines = wrapped(text, 6).split("\n")
    assert len(lines) > 1 and " ".join(lines) == text
    assert wrapped("a\nb", 8) == "a\nb"


def test_numbers_under_an_axis_do_not_touch():
    from matplotlib.figure import Figure

    with styled():
        for width, expected in ((12, [10, 100, 1024]), (1, [10, 1024])):
            axis = Figure().subplots()
            count_across(axis, [10, 100, 1000, 1024], width)
            assert axis.get_xticks().tolist() == expected
        axis = Figure().subplots()
        count_across(axis, [16], 8)
        assert axis.get_xticks().tolist() == [16]


def test_a_chart_sets_its_height():
    def draw(figure):
        set_height(figure, 5.08)
        figure.subplots()

    assert Plot(draw).picture(width=8).height == 2 * DPI


def test_charts_of_the_page_are_drawn_with_its_numbers(tmp_path):
    cells = [[None, HeatCell(0.25, "a to b", mark="*")], [HeatCell(None, "b to a"), None]]
    save_figure(chart_plot(HeatMap("R2", ["a", "b"], cells)), tmp_path / "heat.svg")
    plane = Plane("Models", ["a", "b"], [[0.0, 0.0], [1.0, 0.5]], "two points")
    save_figure(chart_plot(plane), tmp_path / "plane.svg")
    heat, points = ((tmp_path / f"{name}.svg").read_text() for name in ("heat", "plane"))
    assert ">0.25 *</text>" in heat
    assert ">a</text>" in points and ">0.2</text>" in points


def test_every_word_of_a_chart_is_inside_of_it():
    """Nothing is cut off at the edges, also of a narrow figure with long names."""
    names = [f"a-model-of-a-long-name-{i}" for i in range(5)]
    cells = [[HeatCell(0.5, "") for _ in names] for _ in names]
    picture = chart_plot(HeatMap("Efficiency", names, cells)).picture(width=8)
    pixels = np.asarray(picture)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
