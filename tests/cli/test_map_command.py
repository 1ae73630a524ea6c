import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.fit import fit as fit_command
from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.mapping import METHODS, LinearMap
from latentmap.mapping.options import CRITERIA

DATA = ["--data", "few.npy"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words], prog_name="latentmap")
    assert result.exit_code == code, result.output
    return result


def fit(*words, command=("fit",), src="a", dst="b", code=0):
    models = ["--src", f"{src}.safetensors", "--dst", f"{dst}.safetensors", "--device", "cpu"]
    out = ["--out", "a-to-b.safetensors"] if command == ("fit",) else []
    return run(*command, *models, *DATA, *out, *words, code=code)


MAP_METHODS = ("map", "methods")
MAP_CURVE = ("map", "curve")


def error_of(result):
    return result.stderr.strip().splitlines()[-1]


def test_the_choices_are_those_of_the_library():
    options = {option.name: option for option in fit_command.params}
    assert tuple(options["method"].type.choices) == tuple(METHODS)
    assert tuple(options["select"].type.choices) == ("codes", *CRITERIA)


@pytest.mark.parametrize(
    "name", ["rank", "components", "whitening", "l1_ratio", "activity", "signed"]
)
def test_an_option_names_the_methods_that_take_it(name):
    (option,) = (option for option in fit_command.params if option.name == name)
    takes = [method for method in METHODS if name in METHODS[method].settings]
    listed = " and ".join([", ".join(takes[:-1]), takes[-1]] if len(takes) > 1 else takes)
    assert re.match(rf"Of {listed}\b[^-]", option.help), option.help


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fits_a_map_that_can_be_shown(workdir, method):
    fit("--method", method, "--out", "m.safetensors")
    linear_map = LinearMap.load(workdir / "m.safetensors")
    assert linear_map.method == method
    shown = run("map", "show", "m.safetensors").stdout
    assert shown.startswith(f"m.safetensors: {method}\n")
    assert re.search(r"R2 +-?\d", shown)
    described = json.loads(run("map", "show", "m.safetensors", "--json").stdout)
    assert len(described["relevance"]) == 5
    assert len(described["explained_per_variable"]) == 3
    by_folds = any(one["criterion"] == "kfold" for one in linear_map.record["selection"])
    fit("--method", method, "--folds", "2", "--out", "n.safetensors", code=0 if by_folds else 2)


def test_settings_reach_the_method(workdir):
    fit("--method", "reduced-rank", "--rank", "2", "--penalty", "1.5", "--no-intercept")
    linear_map = LinearMap.load(workdir / "a-to-b.safetensors")
    assert dict(linear_map.settings) == {"rank": 2, "penalty": 1.5}
    assert linear_map.bias.abs().max() == 0
    assert torch.linalg.matrix_rank(linear_map.weight) == 2
    fit("--select", "kfold", "--folds", "3", "--refine", "--force")
    linear_map = LinearMap.load(workdir / "a-to-b.safetensors")
    assert linear_map.record["selection"][0]["criterion"] == "kfold"
    assert linear_map.record["refined"] is True


@pytest.mark.parametrize(
    "words",
    [
        ["--select", "kfold"],
        ["--method", "reduced-rank", "--penalty", "1"],
        ["--method", "reduced-rank", "--select", "gcv"],
    ],
)
def test_folds_are_for_whatever_is_chosen_by_them(workdir, words):
    fit(*words, "--folds", "2")
    chosen = LinearMap.load(workdir / "a-to-b.safetensors").record["selection"]
    assert chosen[-1]["criterion"] == "kfold"


def test_all_methods_stand_in_one_table(workdir):
    result = fit("--folds", "2", command=MAP_METHODS)
    for method in METHODS:
        assert re.search(rf"^{method} ", result.stdout, re.MULTILINE)
    assert "scored on" in result.stdout
    assert not list(workdir.glob("*-to-*"))
    results = json.loads(fit("--json", command=MAP_METHODS).stdout)["results"]
    assert [one["method"] for one in results] == list(METHODS)
    assert all(one["l_mse"] > 0 and one["seconds"] >= 0 for one in results)


def test_baselines_stand_beside_the_best_method(workdir):
    result = fit(command=MAP_METHODS)
    assert "Beside the best of them" in result.stdout and "pixels:2x2" in result.stdout
    printed = json.loads(fit("--baselines", "pixels", "--json", command=MAP_METHODS).stdout)
    ridge = next(one for one in printed["results"] if one["method"] == "ridge")
    alone = json.loads(fit("--baselines", "pixels", "--json", "--out", "m.safetensors").stdout)
    assert ridge["baselines"] == alone["baselines"]
    none = fit("--baselines", "none", command=MAP_METHODS).stdout
    assert "Beside the best of them" not in none


def test_a_curve_is_a_table_json_and_a_picture(workdir):
    words = ("--pairs", "8,16,all", "--draws", "2", "--figure", "curve.png")
    result = fit(*words, command=MAP_CURVE)
    assert re.search(r"^ *8 +2 ", result.stdout, re.MULTILINE)
    with Image.open("curve.png") as picture:
        assert picture.width > 300
    said = json.loads(fit("-n", "8,all", "--json", command=MAP_CURVE).stdout)
    for end, path in (("source", "a"), ("target", "b")):
        assert said[end]["fingerprint"] == load(f"{path}.safetensors").fingerprint
    points = said["points"]
    assert (points[0]["n_pairs"], points[0]["draws"]) == (8, 5)
    assert points[0]["l_mse_low"] <= points[0]["l_mse"] <= points[0]["l_mse_high"]
    assert points[0]["r2_draws_low"] < points[0]["r2"] < points[0]["r2_draws_high"]
    assert points[1]["draws"] == 1
    assert points[1]["r2_draws_low"] is None
    assert "pairs give 99 % of the R2 that" in said["verdicts"][0].replace(" or fewer", "")
    assert points[0]["r2"] < points[1]["r2"]
    assert "the R2 of the best baseline, " in result.stdout


def test_the_level_of_baselines_beside_a_curve_is_that_beside_a_map(workdir):
    words = ("--baselines", "pixels", "--json")
    (level,) = json.loads(fit(*words, "--pairs", "8,all", command=MAP_CURVE).stdout)["baselines"]
    (beside,) = json.loads(fit(*words, "--out", "m.safetensors").stdout)["baselines"]
    assert level["model"] == beside["model"] and level["r2"] == pytest.approx(beside["r2"])
    none = fit("--baselines", "none", "--pairs", "8,all", command=MAP_CURVE).stdout
    assert "best baseline" not in none


def test_maps_compose_and_invert(workdir):
    fit("--out", "ab.safetensors")
    fit("--out", "ba.safetensors", src="b", dst="a")
    result = run("map", "compose", "ab.safetensors", "ba.safetensors", "--out", "aa.safetensors")
    assert re.search(r"cycle error 0\.\d+ of the source's variance", result.stdout)
    first, then, both = (LinearMap.load(workdir / f"{n}.safetensors") for n in ("ab", "ba", "aa"))
    codes = torch.randn(4, 5, generator=torch.manual_seed(0))
    assert torch.allclose(both.apply(codes), then.apply(first.apply(codes)), atol=1e-5)
    result = run("map", "inverse", "ab.safetensors", "--out", "back.safetensors")
    assert re.search(r"there and back keeps 0\.\d+ of the variance", result.stdout)
    back = LinearMap.load(workdir / "back.safetensors")
    mapped = first.apply(codes)
    assert torch.allclose(first.apply(back.apply(mapped)), mapped, atol=1e-4)
    described = json.loads(
        run(
            "map", "inverse", "ab.safetensors", "--out", "back.safetensors", "--json", "--force"
        ).stdout
    )
    assert (described["file"], described["source"]["dim"]) == ("back.safetensors", 3)
    words = ("ab.safetensors", "ba.safetensors", "--out", "aa.safetensors", "--force")
    assert 0 < json.loads(run("map", "compose", *words, "--json").stdout)["cycle_error"] < 1
    assert "made of" in run("map", "show", "aa.safetensors").stdout
    run("evaluate", "aa.safetensors", "--dst", "a.safetensors", *DATA, "--split", "test")


def test_factors_are_a_table_json_and_a_picture(workdir):
    fit("--out", "m.safetensors")
    words = ("map", "factors", "m.safetensors", *DATA, "--permutations", "19", "--device", "cpu")
    result = run(*words, "--figure", "factors.png", "-n", "2")
    assert re.search(
        r"\d of 5 variables are shared, p = 0\.05 \(19 permutations of \d+ pairs\)", result.stdout
    )
    assert "factors.png: 2 factors" in result.stdout
    with Image.open("factors.png") as picture:
        assert picture.height > 4 * 96
    found = json.loads(run(*words, "--json").stdout)
    assert len(found["shared"]["r2"]) == 4
    # A limit is one of the split: a fifth of so few images is too few for a fold of each.
    assert (
        "cut into 2 to 20 folds, not 21"
        in run(*words, "--split", "val", "--limit", "20", "--folds", "21", code=1).stderr
    )
    assert len(found["factors"]["share"]) == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--method", "lasso"], 2, "'lasso' is not one of 'least-squares', 'ridge'"),
        (
            ["--method", "pls", "--penalty", "1"],
            1,
            "the method pls takes no penalty: it takes comp",
        ),
        (["--method", "pls", "--select", "loo"], 1, "loo chooses the penalty of ridge"),
        (["--method", "procrustes", "--refine"], 1, "can be refined, procrustes cannot"),
        (["--method", "pls", "--components", "9"], 1, "the number of components must be from 1 to"),
        (["--penalty", "-1"], 2, "-1"),
        (["--penalty", "nan"], 2, "nan is no finite number: give one such as 0.7"),
        (["--penalty", "inf"], 2, "inf is no finite number"),
        (["--whitening", "nan"], 2, "nan is no finite number"),
        (["--l1-ratio", "nan"], 2, "nan is no finite number"),
        (["--activity", "inf"], 2, "inf is no finite number"),
        (["--folds", "5"], 2, "--folds has no effect where no setting is chosen by kfold"),
        (["--select", "gcv", "--folds", "9"], 2, "--folds has no effect where no setting is"),
        (["--method", "robust", "--folds", "9"], 2, "--folds has no effect where no setting is"),
        (["--penalty", "1", "--select", "kfold"], 2, "--select has no effect where no setting is"),
        (
            ["--method", "procrustes", "--select", "kfold", "--folds", "9"],
            2,
            "--select and --folds have no effect where no setting is left to choose: leave them",
        ),
        (
            ["--method", "errors-in-variables", "--folds", "9"],
            2,
            "--folds has no effect where no setting is left to choose",
        ),
        (["--figure", "c.txt"], 1, "must end in .pdf, .svg"),
    ],
)
def test_wrong_usage_is_one_clear_line(workdir, words, code, message):
    assert message in error_of(fit(*words, code=code))


@pytest.mark.parametrize(
    ("command", "words", "code", "message"),
    [
        (MAP_METHODS, ["--out", "m.safetensors"], 2, "No such option '--out'"),
        (MAP_METHODS, ["--figure", "c.png"], 2, "No such option '--figure'"),
        (MAP_METHODS, ["--refine"], 2, "No such option '--refine'"),
        (MAP_CURVE, ["--method", "all"], 2, "'all' is not one of 'least-squares', 'ridge'"),
        (MAP_CURVE, ["--folds", "5"], 2, "--folds has no effect where no setting is chosen by"),
        (MAP_CURVE, ["--pairs", "many"], 2, "'many' is no list of numbers of pairs"),
        (MAP_CURVE, ["--pairs", "1"], 1, "a learning curve takes sizes from 2 to the"),
        (MAP_CURVE, ["--pairs", "8", "--figure", "c.txt"], 1, "must end in .pdf, .svg"),
        (MAP_CURVE, ["--figure", "few.npy"], 1, "--data and --figure are both few.npy"),
    ],
)
def test_wrong_usage_of_several_maps_is_one_clear_line(workdir, command, words, code, message):
    assert message in error_of(fit(*words, command=command, code=code))


def test_maps_that_do_not_meet_are_refused(workdir):
    fit("--out", "ab.safetensors")
    words = ("map", "compose", "ab.safetensors", "ab.safetensors", "--out", "x.safetensors")
    assert "maps can be composed where one ends" in error_of(run(*words, code=1))
    run("map", "inverse", "ab.safetensors", "--out", "back.safetensors")
    words = ("map", "factors", "back.safetensors", *DATA)
    assert "needs the moments of the pairs" in error_of(run(*words, code=1))
    words = ("map", "inverse", "ab.safetensors", "--out", "back.safetensors")
    assert "back.safetensors exists" in error_of(run(*words, code=1))
    words = ("map", "factors", "ab.safetensors", *DATA, "--dst", "a.safetensors")
    assert "this map goes to" in error_of(run(*words, code=1))


def test_comparisons_skip_what_cannot_be_read_and_say_what_made_them(workdir):
    folder = workdir / "faces"
    folder.mkdir()
    pixels = np.load("few.npy")
    for i, image in enumerate(pixels[:80]):
        Image.fromarray(image.squeeze()).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    words = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "faces"]
    words += ["--device", "cpu", "--on-error", "skip", "--json"]
    result = run(*MAP_METHODS, *words)
    assert "skipped 1 images" in result.stderr
    results = json.loads(result.stdout)["results"]
    assert all(one["record"]["command"] for one in results)
    result = run(*MAP_CURVE, *words, "--pairs", "8,16", "--draws", "2")
    assert "skipped 1 images" in result.stderr
    record = json.loads(result.stdout)["record"]
    assert record["fit_skipped"] + record["skipped"] == ["broken.png"]
