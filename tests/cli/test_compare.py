import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.comparison.result import Composition
from latentmap.comparison.tables import ways_table
from latentmap.encoders import build, load
from latentmap.encoders.native import save_model
from latentmap.errors import MapError
from latentmap.intervals import Estimate
from latentmap.relocation import fit_training

MODELS = ["a.safetensors", "b.safetensors"]
QUICK = ["--permutations", "19", "--device", "cpu"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def compare(*words, models=MODELS, data=("--data", "few.npy"), code=0):
    return run("compare", *models, *data, *QUICK, *words, code=code)


def error_of(result):
    told = result.stderr.splitlines()
    lines = [line for line in told if line.strip() and not line.startswith(("next: ", "beside "))]
    assert len(lines) == 1, lines
    return lines[0]


def save_gan(path):
    torch.manual_seed(5)
    config = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [8], "norm": "batch"}
    save_model(build("gan", config), path, training={})


def test_a_comparison_is_of_models_of_maps_and_of_indexes(workdir):
    result = compare()
    title, _, *lines = result.stdout.splitlines()
    assert title == "How 2 latent spaces relate: few.npy"
    lines = lines[lines.index("All ordered pairs") + 1 :]
    assert lines[0].split()[:4] == ["from", "to", "type", "R2"]
    assert [line.split()[:3] for line in lines[1:3]] == [["a", "b", "2"], ["b", "a", "2"]]
    assert "fitted on" in result.stdout
    assert "PWCCA" in result.stdout
    assert "images, with 19 random pairings" in result.stdout
    assert "Calibrated indexes" in result.stdout
    assert "third model" not in result.stdout


def test_three_models_have_ways_by_a_third(workdir):
    torch.manual_seed(3)
    config = load("a.safetensors").config
    save_model(build("vae", config), workdir / "c.safetensors", training={})
    result = compare(models=[*MODELS, "c.safetensors"])
    assert "a way by a third model loses" in result.stdout
    lines = result.stdout.splitlines()
    first = lines.index("All ordered pairs") + 2
    rows = [line.split()[:3] for line in lines[first : first + 6]]
    assert ["a", "c", "1"] in rows


def test_json_is_one_object_with_what_made_it(workdir):
    printed = json.loads(compare("--json", "--report", "report", "--seed", "3").stdout)
    assert (workdir / "report" / "index.html").exists()
    assert printed["record"]["seed"] == 3
    assert printed["record"]["command"]
    assert [model["label"] for model in printed["models"]] == ["a", "b"]
    assert printed["permutations"] == 19


def test_a_level_is_what_indexes_are_calibrated_by(workdir):
    printed = json.loads(compare("--json", "--alpha", "0.1").stdout)
    assert printed["alpha"] == 0.1
    assert "0: no more alike than 90 % of 19 random pairings" in compare("--alpha", "0.1").stdout


def test_a_level_that_the_pairings_cannot_reach_is_refused(workdir):
    message = "--alpha 0.01 needs at least 99 permutations, not 19: give more (--permutations)"
    assert message in compare("--alpha", "0.01", code=2).stderr


def test_a_report_is_a_page(workdir):
    assert "written to report/index.html" in compare("--report", "report").stdout
    assert "How 2 latent spaces relate" in (workdir / "report" / "index.html").read_text()


def test_a_report_that_exists_is_kept_unless_forced(workdir):
    compare("--report", "report", "--seed", "1")
    before = (workdir / "report" / "report.json").read_text()
    message = error_of(compare("--report", "report", code=1))
    assert "the report in report has a comparison: choose another folder, or add --f" in message
    assert (workdir / "report" / "report.json").read_text() == before
    compare("--report", "report", "--force")
    assert (workdir / "report" / "report.json").read_text() != before


def test_a_folder_of_other_files_is_never_a_report(workdir):
    (workdir / "mine").mkdir()
    (workdir / "mine" / "thesis.txt").write_text("precious")
    message = error_of(compare("--report", "mine", "--force", code=1))
    assert "mine holds other files and no report: choose a new or an empty folder" in message


def test_a_file_is_no_report_folder(workdir):
    (workdir / "report").write_text("precious")
    assert "'report' is a file" in compare("--report", "report", "--force", code=2).stderr


def test_a_limit_holds_for_each_split(workdir):
    printed = json.loads(compare("--limit", "24", "--json").stdout)
    assert (printed["n_fit"], printed["n_test"]) == (24, 24)


def test_what_baselines_cost_is_said_before_with_what_leaves_them_out(workdir):
    said = (
        "beside 2 maps between the models stand up to 6 of baselines (pixels, pca, untrained), "
        "which are fitted and decoded as well; --baselines none leaves them out"
    )
    assert said in compare().stderr
    assert "baselines" not in compare("--baselines", "none").stderr


def test_the_methods_of_fit_can_be_compared(workdir):
    result = compare("--methods", "ridge,procrustes")
    assert "R2 by method" in result.stdout
    heads = [line.split() for line in result.stdout.splitlines()]
    assert ["from", "to", "ridge", "procrustes"] in heads


def test_a_method_that_has_no_map_is_said_once_with_the_reason(workdir, monkeypatch):
    def refuse(training, *, options, **more):
        if options.method == "pls" or training.source.name == "b":
            raise MapError(f"{options.method} cannot be")
        return fit_training(training, options=options, **more)

    monkeypatch.setattr("latentmap.comparison.methods.fit_training", refuse)
    result = compare("--methods", "pls,procrustes")
    said = [line for line in result.stderr.splitlines() if "no map" in line]
    assert said == [
        "pls has no map: pls cannot be",
        "procrustes has no map for 1 of 2 pairs: procrustes cannot be",
    ]


def test_the_median_way_is_between_the_two_in_the_middle():
    lost = [Estimate(value, value, value) for value in (0.1, 0.2, 0.4, 0.8)]
    ways = [Composition(0, 1, 2, one, one) for one in lost]
    models = [SimpleNamespace(label=name) for name in "abc"]
    direct = SimpleNamespace(figures=SimpleNamespace(r2=lost[0]))
    found = SimpleNamespace(compositions=ways, models=models, pairs={(0, 2): direct})
    shown = ways_table(found).note
    assert "loses 0.300 of R2 in the median, 0.800 [0.800, 0.800] at most" in shown


def test_images_can_be_made_by_a_generator(workdir):
    save_gan(workdir / "g.safetensors")
    models = [*MODELS, "g.safetensors"]
    result = compare("--json", models=models, data=("--samples", "300"))
    assert "300 images are made by g (z, truncation 1), seed 0" in result.stderr
    printed = json.loads(result.stdout)
    assert printed["models"][2]["reconstruction_mse"] < 1e-5
    assert printed["pairs"][1]["kind"] == 3
    chosen = compare("--sample-from", "a.safetensors", data=("--samples", "300"))
    assert "300 images are made by a (z, truncation 1)" in chosen.stderr


def test_samples_may_be_truncated(workdir):
    save_gan(workdir / "g.safetensors")
    models, data = ["a.safetensors", "g.safetensors"], ("--samples", "300")
    result = compare("--truncation", "0.5", "--json", models=models, data=data)
    assert "300 images are made by g (z, truncation 0.5), seed 0" in result.stderr
    printed = json.loads(result.stdout)
    assert printed["record"]["truncation"] == 0.5
    full = json.loads(compare("--json", models=models, data=data).stdout)
    assert full["record"]["truncation"] == 1
    assert printed["pairs"][0]["r2"] != full["pairs"][0]["r2"]
    refused = compare("--truncation", "0.5", code=2)
    assert "--truncation is for --samples: leave it out" in refused.stderr


def test_samples_may_be_of_one_class(conditional):
    models, data = ["a.safetensors", conditional], ("--samples", "300")
    assert "choose one of its classes" in compare(models=models, data=data, code=1).stderr
    result = compare("--class", "2", models=models, data=data)
    assert "300 images are made by classes (w, class 2, truncation 1), seed 0" in result.stderr
    assert compare("--class", "1", models=models, data=data).stdout != result.stdout


def test_a_generator_without_an_encoder_needs_samples(workdir):
    save_gan(workdir / "g.safetensors")
    message = error_of(compare(models=["a.safetensors", "g.safetensors"], code=1))
    assert "g has no encoder: give it one with `latentmap train inversion`" in message


def test_one_model_twice_is_refused(workdir):
    message = error_of(compare(models=[*MODELS, "a.safetensors"], code=1))
    assert "a and a are one model" in message
    assert "given twice: leave one out" in message


@pytest.mark.parametrize(
    ("words", "models", "data", "message"),
    [
        ([], MODELS[:1], ("--data", "few.npy"), "give at least two models to compare"),
        ([], MODELS, (), "give either images (--data) or a number of samples (--samples)"),
        (["--samples", "300"], MODELS, ("--data", "few.npy"), "give either images (--data) or"),
        (["--sample-from", "a"], MODELS, ("--data", "few.npy"), "--sample-from is for --samples"),
        (["--class", "1"], MODELS, ("--data", "few.npy"), "--class is for --samples: leave it out"),
        (
            ["--sample-from", "c"],
            MODELS,
            ("--samples", "300"),
            "must be one of the models, not 'c'",
        ),
        (["--where", "x == 1"], MODELS, ("--samples", "300"), "leave them out with --samples"),
        (["--methods", "magic"], MODELS, ("--data", "few.npy"), "unknown method 'magic': choose"),
    ],
)
def test_wrong_usage_is_said(workdir, words, models, data, message):
    result = compare(*words, models=models, data=data, code=2)
    assert message in " ".join(result.stderr.split())


def test_too_few_images_are_refused(workdir):
    np.save("tiny.npy", np.load("few.npy")[:40])
    message = error_of(compare(data=("--data", "tiny.npy"), code=1))
    assert "a comparison needs at least 20 images to judge by" in message
