import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import build, load
from latentmap.encoders.native import save_model
from latentmap.report.store import read_report

ON = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]
FIT = ["fit", *ON]
METHODS = ["map", "methods", *ON]
CURVE = ["map", "curve", *ON, "--pairs", "20,all", "--draws", "2"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in (*words, "--report", "report")])
    assert result.exit_code == code, result.output
    return result


def sections():
    """The sections of the report by their ids, without the digests in these."""
    return {one.id.rpartition("-")[0]: one for one in read_report(Path("report")).sections}


def ids():
    return [one.id for one in read_report(Path("report")).sections]


def test_fit_adds_its_scores_and_three_rows_of_images(workdir):
    result = run(*FIT, "--json")
    scores = json.loads(result.stdout)
    assert "added to report/index.html" in result.stderr
    section = sections()["fit-a-b"]
    table, _, figure = section.blocks
    titles = [column.title for column in table.columns]
    cells = dict(zip(titles, table.rows[0].cells, strict=True))
    assert cells["R2"].value == pytest.approx(scores["r2"])
    assert cells["M_mse"].low == pytest.approx(scores["m_mse_low"])
    assert [row.label for row in figure.rows] == ["original", "by a", "by b"]
    assert {row.images[0].width for row in figure.rows} == {80}
    assert section.record["seed"] == 0
    assert section.record["scored_data"] == scores["record"]["scored_data"]


def test_map_adds_all_methods_and_a_curve(workdir):
    run(*METHODS)
    run(*CURVE)
    found = sections()
    assert list(found) == ["methods-a-b", "curve-a-b"]
    methods, *_ = found["methods-a-b"].blocks
    names = [row.cells[0] for row in methods.rows]
    assert {"ridge", "procrustes"} <= set(names)
    assert "selection" not in found["methods-a-b"].record
    r2, table, baselines = found[
        "curve-a-b"
    ].blocks  # An efficiency is not defined between these two.
    assert table.rows[0].cells[:2] == [20, 2]
    assert r2.at == [row.cells[0] for row in table.rows]
    assert r2.measures == [row.cells[2] for row in table.rows]
    assert r2.level == max(row.cells[2].value for row in baselines.rows)


INVERT = ["invert", "a.safetensors", "--method", "network", "--data", "few.npy", "--limit", "5"]
BENCH = ["bench", "a.safetensors", "--methods", "network", "--set", "own:4"]
BENCH_FEW = [*BENCH, "--set", "few.npy:4"]
COMPARE = ["compare", "a.safetensors", "b.safetensors", "--data", "few.npy"]
COMPARE += ["--similarity-images", "24", "--permutations", "19", "--report", "report"]


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (FIT, ["--seed", "7"]),
        (FIT, ["--penalty", "3"]),
        (FIT, ["--method", "procrustes"]),
        (FIT, ["--limit", "20"]),
        (FIT, ["--pairs", "50"]),
        (CURVE, ["--method", "procrustes"]),
        (CURVE, ["--dst", "c.safetensors"]),
        (METHODS, ["--rank", "1"]),
        (METHODS, ["--dst", "c.safetensors"]),
        (INVERT, ["--limit", "6"]),
        (INVERT, ["--method", "search", "--steps", "2", "--starts", "1"]),
        (BENCH_FEW, ["--set", "few.npy:5"]),
        (BENCH_FEW, ["--methods", "search", "--steps", "2", "--starts", "1"]),
        (BENCH_FEW, ["--seed", "1"]),
    ],
)
def test_only_the_same_result_made_again_takes_its_own_place(workdir, words, change):
    # Of the same name as another, in a folder of its own.
    Path("other").mkdir()
    torch.manual_seed(3)
    other = build("vae", load("b.safetensors").config)
    save_model(other, Path("other/b.safetensors"), training={})
    change = ["other/b.safetensors" if word == "c.safetensors" else word for word in change]
    assert "added to report" in run(*words).stderr
    force = ["--force"] if words == FIT else []
    assert "added to report" in run(*words, *change, *force).stderr
    both = ids()
    assert len(both) == len(set(both)) == 2
    assert "replaced in report" in run(*words, *force).stderr
    assert ids() == both


def test_a_bench_of_another_map_stands_beside_it(workdir):
    for method in ("ridge", "procrustes"):
        words = ["fit", "--src", "b.safetensors", "--dst", "a.safetensors", "--data", "few.npy"]
        words += ["--method", method, "--out", f"{method}.safetensors"]
        assert CliRunner().invoke(main, words).exit_code == 0
        mapped = ["--map", f"{method}.safetensors", "--src", "b.safetensors"]
        for verb in ("added to", "replaced in"):
            assert f"{verb} report" in run(*BENCH_FEW, *mapped).stderr
    assert len(ids()) == 2


def test_support_sets_of_one_name_stand_beside_each_other(workdir):
    for seed, verb in ((0, "added to"), (1, "added to"), (0, "replaced in")):
        words = ["support", "build", "a.safetensors", "--data", "few.npy", "-k", "2", "--force"]
        # So low that there are members to choose among, by the seed.
        words += ["--threshold", "0.05", "--members", "12", "--out", "support.h5", "--seed", seed]
        assert CliRunner().invoke(main, list(map(str, words))).exit_code == 0
        assert f"{verb} report" in run("support", "show", "support.h5").stderr
    assert len(ids()) == 2


def test_the_path_of_a_support_set_is_no_part_of_a_result(support):
    for path, verb in (("support.h5", "added to"), (Path("support.h5").absolute(), "replaced in")):
        assert f"{verb} report" in run(*FIT, "--support", path, "--force").stderr


def test_a_bench_by_other_sectors_stands_beside_it(workdir):
    for variables in ("0,1", "2,3"):
        words = ["support", "build", "a.safetensors", "--data", "few.npy", "--force"]
        # All images, so that nothing but the sectors differs.
        words += ["--leading", variables, "--members", "40", "--out", "support.h5"]
        words += ["--with-images", "--limit", "40"]
        assert CliRunner().invoke(main, words).exit_code == 0
        assert "added to report" in run(*BENCH, "--set", "support.h5").stderr
    assert len(ids()) == 2


ONE = ["a.safetensors", "--data", "few.npy", "--limit", "20"]
CHOSEN = {
    "fit": ([*FIT, "--force"], "Map from a to b by ridge: few.npy"),
    "methods": (METHODS, "Methods from a to b: few.npy"),
    "curve": (CURVE, "Learning curve from a to b by ridge: few.npy"),
    "diagnose": (["diagnose", *ONE, "--gain-images", "5"], "Diagnosis of a: few.npy"),
    "invert": (["invert", *ONE, "--method", "network"], "Inversion in a: few.npy"),
    "bench": (
        ["bench", "a.safetensors", "--methods", "network", "--set", "own:6", "--set", "few.npy:24"],
        "What the generators can make: few.npy:24",
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_result_is_called_by_its_images_and_another_choice_of_the_same_is_another(workdir, name):
    command, title = CHOSEN[name]
    Path("n.csv").write_text("file,n\n" + "".join(f"{i},{i}\n" for i in range(1000)))
    limit = ", the first 20" * ("--limit" in command)
    for number, where in enumerate(("n >= 0", "n > -1", "n >= 0"), start=1):
        result = run(*command, "--attributes", "n.csv", "--where", where)
        assert f"{title}, {where}{limit}\n" in result.stdout
        report = read_report(Path("report"))
        assert report.sections[-1 if number < 3 else 0].title == f"{title}, {where}{limit}"
        chosen = report.sections[-1].record["choice"]
        assert chosen.get("where", chosen.get("sets")) is not None
        assert len(ids()) == min(number, 2)
    assert "replaced in" in result.stderr


def test_scores_are_called_by_the_images_that_are_scored(workdir):
    run(*FIT, "--out", "a-to-b.safetensors")
    words = ["evaluate", "a-to-b.safetensors", "--data", "few.npy", "--split", "test"]
    shown = CliRunner().invoke(main, words)
    assert shown.stdout.startswith("Scores from a to b: few.npy, test\n")
    record = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)["record"]
    assert record["choice"]["in_words"] == "few.npy"
    assert record["scored_choice"]["split"] == "test"
    run(*words)
    titles = [one.title for one in read_report(Path("report")).sections]
    assert titles == ["Map from a to b by ridge: few.npy", "Scores from a to b: few.npy, test"]
    # By groups it is another result, which takes the place of none.
    run(*words, "--by", "brightness")
    assert len(read_report(Path("report")).sections) == 3


def test_a_new_comparison_keeps_what_others_added(workdir):
    # An empty folder will do.
    Path("report").mkdir()
    result = CliRunner().invoke(main, [*COMPARE, "--methods", "procrustes"])
    assert result.exit_code == 0, result.output
    run(*FIT)
    assert ids()[-2] == "methods"
    result = CliRunner().invoke(main, [*COMPARE, "--force"])
    assert result.exit_code == 0, result.output
    assert ids()[-2] == "ways"
    assert ids()[-1].startswith("fit-a-b-")


def test_a_comparison_goes_before_what_others_began(workdir):
    run(*FIT)
    result = CliRunner().invoke(main, COMPARE)
    assert result.exit_code == 0, result.output
    assert [ids()[0], len(ids())] == ["models", 7]
    assert ids()[-1].startswith("fit-a-b-")


def test_a_folder_of_something_else_is_refused_before_any_work(workdir):
    Path("report").mkdir()
    Path("report/mine.txt").write_text("precious")
    message = run(*FIT, code=1).stderr
    assert "report holds other files and no report: choose a new or an empty folder" in message
    assert not list(Path().glob("*-to-*"))


def test_a_comparison_begins_a_report_that_others_add_to(workdir):
    result = CliRunner().invoke(main, COMPARE)
    assert result.exit_code == 0, result.output
    run(*FIT)
    report = read_report(Path("report"))
    assert report.title == "How 2 latent spaces relate: few.npy"
    assert report.sections[0].title == "The models: few.npy"
    assert report.sections[-2].id == "ways"
    assert report.sections[-1].id.startswith("fit-a-b-")
    page = Path("report/index.html").read_text(encoding="utf-8")
    assert "Map from a to b" in page
    assert "Pair by pair" in page


def test_bench_adds_errors_and_images(workdir):
    words = ["bench", "a.safetensors", "--methods", "network", "--encoder", "b.safetensors"]
    run(*words, "--set", "own:6", "--set", "few.npy:24")
    section = sections()["bench"]
    errors, shares, distances, covered, groups, extremes, *figures = section.blocks
    assert (shares.title, distances.title) == (
        "Errors beside what there is to reproduce",
        "Where the codes lie",
    )
    assert covered.title == "Coverage in codes of b"
    assert groups.note == (
        "a, few.npy:24: of 5 groups in codes of b nothing is told: all have less than 10 images, "
        "or the rest has"
    )
    assert [row.cells[1] for row in errors.rows] == ["own", "few.npy:24"]
    # Of six own images the interval is too wide, so that nothing would stand there.
    assert "x own" not in [column.title for column in errors.columns]
    assert sum(row.cells[3] for row in groups.rows) == 24
    assert extremes.title == "Images"
    assert len(figures) == 2
    assert "was not searched" in errors.note


def test_a_calibrated_bench_says_whether_it_can_be_believed(workdir):
    words = ["bench", "a.safetensors", "--methods", "search", "--steps", "3", "--starts", "1"]
    run(*words, "--set", "own:4", "--set", "few.npy:4", "--truncation", "0.5")
    section = sections()["bench"]
    note = section.blocks[0].note
    assert "misses" in note and "own images" in note
    assert "own: images of random codes at truncation 0.5" in note
    assert "What the errors are made of" in [block.title for block in section.blocks]
    assert len(section.blocks) == 7


@pytest.fixture
def support(workdir):
    words = ["support", "build", "a.safetensors", "--data", "few.npy", "-k", "2"]
    result = CliRunner().invoke(main, [*words, "--members", "12", "--out", "support.h5"])
    assert result.exit_code == 0, result.output


def test_a_support_set_is_shown_with_its_sectors_and_images(support):
    run("support", "show", "support.h5", "--data", "few.npy")
    section = sections()["support-support"]
    titles = [block.title for block in section.blocks]
    assert titles == [
        "Sectors",
        "Support set",
        "Relaxed images",
        "How full the sectors are",
        "Distances between images",
        f"Images by sector at threshold {section.record['threshold']:g}",
        "Images by sector at threshold 0",
        "Images by sector",
    ]
    sectors, bars = section.blocks[0], section.blocks[5]
    assert bars.values == [row.cells[2] for row in sectors.rows]
    assert [row.cells[1] for row in sectors.rows] == ["--", "+-", "-+", "++"]
    assert sum(row.cells[3] for row in sectors.rows) == 12


def test_without_data_a_support_set_has_no_images(support):
    run("support", "show", "support.h5")
    titles = [block.title for block in sections()["support-support"].blocks]
    assert "Images by sector" not in titles
    assert "Sectors" in titles


def test_invert_adds_images_over_what_is_made_of_their_codes(workdir):
    result = run(*INVERT, "--json")
    section = sections()["inversion-a"]
    table, figure = section.blocks
    assert table.rows[0].cells[0].value == pytest.approx(json.loads(result.stdout)["mse"])
    assert [row.label for row in figure.rows] == ["image", "by network"]
    assert {row.images[0].width for row in figure.rows} == {5 * 8}
    assert np.isfinite(table.rows[0].cells[1].value)
