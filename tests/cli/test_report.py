import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.report.store import read_report

FIT = ["fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in (*words, "--report", "report")])
    assert result.exit_code == code, result.output
    return result


def sections():
    return {one.id: one for one in read_report(Path("report")).sections}


def test_fit_adds_its_scores_and_three_rows_of_images(workdir):
    result = run(*FIT, "--json")
    scores = json.loads(result.stdout)
    assert "added to report/index.html" in result.stderr
    section = sections()["fit-a-b"]
    table, figure = section.blocks
    titles = [column.title for column in table.columns]
    cells = dict(zip(titles, table.rows[0].cells, strict=True))
    assert cells["R2"].value == pytest.approx(scores["r2"])
    assert cells["M_mse"].low == pytest.approx(scores["m_mse_low"])
    assert [row.label for row in figure.rows] == ["original", "by a", "by b"]
    assert {row.images[0].width for row in figure.rows} == {80}
    assert section.record["seed"] == 0
    assert section.record["scored_data"] == scores["record"]["scored_data"]


def test_fit_adds_all_methods_and_a_curve(workdir):
    run(*FIT, "--method", "all")
    run(*FIT, "--curve", "20,all", "--draws", "2")
    found = sections()
    assert list(found) == ["methods-a-b", "curve-a-b"]
    (methods,) = found["methods-a-b"].blocks
    names = [row.cells[0] for row in methods.rows]
    assert {"ridge", "procrustes"} <= set(names)
    assert "selection" not in found["methods-a-b"].record
    (curve,) = found["curve-a-b"].blocks
    assert curve.rows[0].cells[:2] == [20, 2]


def test_a_second_run_takes_the_place_of_the_first(workdir):
    run(*FIT)
    run(*FIT, "--seed", "7", "--force")
    assert [section.record["seed"] for section in sections().values()] == [7]


def test_a_folder_of_something_else_is_refused_before_any_work(workdir):
    Path("report").mkdir()
    Path("report/mine.txt").write_text("precious")
    message = run(*FIT, code=1).stderr
    assert "report holds other files and no report: choose a new or an empty folder" in message
    assert not list(Path().glob("*-to-*"))


def test_a_comparison_begins_a_report_that_others_add_to(workdir):
    words = ["compare", "a.safetensors", "b.safetensors", "--data", "few.npy"]
    words += ["--permutations", "5", "--scored", "10", "--compared", "24", "--out", "report"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    run(*FIT)
    report = read_report(Path("report"))
    assert report.title == "How 2 latent spaces relate"
    assert [one.id for one in report.sections][-2:] == ["ways", "fit-a-b"]
    page = Path("report/index.html").read_text(encoding="utf-8")
    assert "Map from a to b" in page
    assert "Pair by pair" in page


def test_bench_adds_errors_and_images(workdir):
    words = ["bench", "a.safetensors", "--method", "network", "--encoder", "b.safetensors"]
    run(*words, "--target", "own:6", "--target", "few.npy:24")
    section = sections()["bench"]
    errors, groups, *figures = section.blocks
    assert [row.cells[1] for row in errors.rows] == ["own", "few.npy:24"]
    assert errors.rows[0].cells[6] is None
    assert errors.rows[1].cells[6].value > 0
    assert sum(row.cells[3] for row in groups.rows) == 24
    assert len(figures) == 2
    assert any("was not searched" in text for text in section.text)


def test_a_calibrated_bench_says_whether_it_can_be_believed(workdir):
    words = ["bench", "a.safetensors", "--method", "search", "--steps", "3", "--starts", "1"]
    run(*words, "--target", "own:4", "--target", "few.npy:4")
    section = sections()["bench"]
    assert any("misses" in text and "own images" in text for text in section.text)
    assert len(section.blocks) == 3


@pytest.fixture
def support(workdir):
    words = ["support", "build", "a.safetensors", "--data", "few.npy", "-k", "2"]
    result = CliRunner().invoke(main, [*words, "--size", "12", "--out", "support.h5"])
    assert result.exit_code == 0, result.output


def test_a_support_set_is_shown_with_its_sectors_and_images(support):
    run("support", "show", "support.h5", "--data", "few.npy")
    section = sections()["support-support"]
    titles = [block.title for block in section.blocks]
    assert titles == [
        "Distances between images",
        "How full the sectors are",
        "Sectors",
        "Images by sector",
    ]
    sectors = section.blocks[2]
    assert [row.cells[1] for row in sectors.rows] == ["--", "+-", "-+", "++"]
    assert sum(row.cells[3] for row in sectors.rows) == 12


def test_without_data_a_support_set_has_no_images(support):
    run("support", "show", "support.h5")
    titles = [block.title for block in sections()["support-support"].blocks]
    assert "Images by sector" not in titles
    assert "Sectors" in titles


def test_invert_adds_images_over_what_is_made_of_their_codes(workdir):
    result = run("invert", "a.safetensors", "--data", "few.npy", "--limit", "5", *NETWORK, "--json")
    section = sections()["inversion-a"]
    table, figure = section.blocks
    assert table.rows[0].cells[0].value == pytest.approx(json.loads(result.stdout)["mse"])
    assert [row.label for row in figure.rows] == ["image", "by network"]
    assert {row.images[0].width for row in figure.rows} == {5 * 8}
    assert np.isfinite(table.rows[0].cells[1].value)


NETWORK = ["--method", "network"]
