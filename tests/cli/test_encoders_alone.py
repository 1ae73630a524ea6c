"""Encoders without a decoder, and generators without an encoder, in the commands about maps."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.encoders import build, references
from latentmap.encoders.native import save_model
from tests.cli.encoder_alone import SCHEMES
from tests.cli.test_every_option import STYLEGAN

DATA = ("--data", "few.npy")
OF_TARGET = ("m_mse", "floor_mse", "baseline_mse", "efficiency")


@pytest.fixture(autouse=True)
def seers(workdir, monkeypatch):
    """References ``seer:1``, ``seer:2``, ..., which name encoders alone of the digits."""
    for scheme, place in SCHEMES.items():
        monkeypatch.setitem(references.SCHEMES, scheme, place)


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    if code:
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


def height_of(path):
    with Image.open(path) as picture:
        return picture.height


def fit(source, target, *words, code=0):
    where = ("--src", source, "--dst", target, "--out", "map.safetensors", "--force")
    return run("fit", *where, *words, code=code)


def test_a_map_from_an_encoder_alone_has_images_of_the_target(workdir):
    words = ("--figure", "moved.png", "--report", "report", "--json")
    scores = json.loads(fit("seer:1", "a.safetensors", *DATA, *words).stdout)
    assert scores["r_mse"] is None
    assert scores["m_mse"] > scores["floor_mse"] > 0
    assert scores["record"]["without_decoder"] == ["seer:1"]
    two_rows = height_of("moved.png")
    fit("a.safetensors", "b.safetensors", *DATA, "--figure", "moved.png")
    assert height_of("moved.png") > two_rows
    again = json.loads(
        run("evaluate", "map.safetensors", *DATA, "--split", "test", "--json").stdout
    )
    assert again["r_mse"] > 0


def test_a_map_to_an_encoder_alone_has_figures_of_codes(workdir):
    result = fit("a.safetensors", "seer:1", *DATA, "--report", "report")
    lines = {line.split()[0] for line in result.stdout.splitlines() if line}
    assert {"R_mse", "L_mse", "R2"} < lines
    assert not {"M_mse", "floor", "baseline", "efficiency"} & lines
    assert "seer:1 has no decoder, and so no errors of images" in result.stdout
    words = ("map.safetensors", *DATA, "--split", "test")
    scores = json.loads(run("evaluate", *words, "--json").stdout)
    assert all(scores[name] is None for name in OF_TARGET)
    assert "efficiency" not in run("evaluate", *words).stdout
    run("apply", *words, "--codes-out", "codes.npz")
    picture = "--figure shows images of seer:1, but there is no decoder that makes them"
    assert picture in run("apply", *words, "--figure", "new.png", code=1).stderr
    assert picture in fit("a.safetensors", "seer:1", *DATA, "--figure", "new.png", code=1).stderr


def test_methods_and_curves_are_of_codes(workdir):
    words = ("--src", "seer:1", "--dst", "seer:2", *DATA, "--report", "report")
    result = run("map", "methods", *words)
    assert "M_mse" not in result.stdout
    assert "seer:1 and seer:2 have no decoder" in result.stdout
    curve = ("map", "curve", *words, "--pairs", "16,all", "--draws", "2")
    assert "M_mse" not in run(*curve, "--figure", "curve.png").stdout
    grown = json.loads(run(*curve, "--json").stdout)
    assert grown["floor_mse"] is None
    assert grown["points"][0]["efficiency"] is None
    assert 0 < grown["points"][0]["r2"] <= 1


def test_factors_show_the_images_that_there_are(workdir):
    few = (*DATA, "--permutations", "19", "--folds", "2", "--factors", "2")
    fit("a.safetensors", "b.safetensors", *DATA)
    run("map", "factors", "map.safetensors", *few, "--figure", "both.png")
    fit("a.safetensors", "seer:1", *DATA)
    run("map", "factors", "map.safetensors", *few, "--figure", "one.png")
    assert height_of("one.png") < height_of("both.png")
    fit("seer:1", "seer:2", *DATA)
    result = run("map", "factors", "map.safetensors", *few, "--json")
    assert json.loads(result.stdout)["shared"]["k"] == 6
    result = run("map", "factors", "map.safetensors", *few, "--figure", "none.png", code=1)
    assert "--figure shows images of seer:1 and seer:2" in result.stderr


def test_the_model_that_decodes_makes_the_samples(workdir):
    for source, target in (("seer:1", "a.safetensors"), ("a.safetensors", "seer:1")):
        assert "made by a " in fit(source, target, "--samples", "60").stderr
    result = fit("seer:1", "seer:2", code=1)
    assert "neither seer:1 nor seer:2 has a decoder that makes images: give images" in result.stderr
    words = ("--samples", "60", "--sample-from", "src")
    result = fit("seer:1", "a.safetensors", *words, code=1)
    assert "seer:1 is an encoder alone, and has no decoder" in result.stderr


def test_a_generator_without_encoder_and_an_encoder_without_decoder(workdir):
    save_model(build("stylegan2", STYLEGAN), workdir / "gan.safetensors", training={})
    scores = fit("seer:1", "gan.safetensors", "--samples", "200", "--json")
    assert json.loads(scores.stdout)["floor_mse"] == pytest.approx(0, abs=1e-5)
    scores = json.loads(fit("gan.safetensors", "seer:1", "--samples", "200", "--json").stdout)
    assert scores["r_mse"] == pytest.approx(0, abs=1e-5)
    assert scores["m_mse"] is None
    assert "gan has no encoder" in fit("seer:1", "gan.safetensors", *DATA, code=1).stderr


def test_encoders_alone_are_compared(workdir):
    few = (*DATA, "-n", "20", "--similarity-images", "20", "--permutations", "19")
    words = ("compare", "a.safetensors", "seer:1", "b.safetensors", *few)
    whole = run("compare", "a.safetensors", "b.safetensors", *few, "--json")
    whole = {(p["source"], p["target"]): p for p in json.loads(whole.stdout)["pairs"]}
    found = json.loads(run(*words, "--json", "--report", "report").stdout)
    pairs = {(pair["source"], pair["target"]): pair for pair in found["pairs"]}
    for source in (0, 2):
        assert pairs[source, 1]["r2"] is not None
        assert pairs[source, 1]["m_mse"] is pairs[source, 1]["efficiency"] is None
        assert pairs[1, source]["m_mse"] > pairs[1, source]["floor_mse"]
        assert pairs[1, source]["r_mse"] is None
    # What the others have does not change.
    for name in ("r2", "m_mse", "m_mse_high", "floor_mse", "baseline_mse_low"):
        assert pairs[0, 2][name] == pytest.approx(whole[0, 1][name])
    assert found["models"][1]["reconstruction_mse"] is None
    assert found["record"]["without_decoder"] == ["seer:1"]
    assert "seer:1 has no decoder, and so no errors of images" in run(*words).stdout


def test_encoders_alone_are_compared_with_each_other(workdir):
    few = (*DATA, "-n", "20", "--similarity-images", "20", "--permutations", "19")
    result = run("compare", "seer:1", "seer:2", *few, "--report", "report")
    assert "floor" not in result.stdout
    assert "seer:1 and seer:2 have no decoder" in result.stdout
    words = ("compare", "seer:1", "seer:2", "--samples", "200")
    assert "none of seer:1, seer:2 has a decoder" in run(*words, code=1).stderr
    words = ("compare", "seer:1", "a.safetensors", "--samples", "200", "--sample-from", "seer:1")
    assert "seer:1 is an encoder alone" in run(*words, code=1).stderr


def test_variables_of_an_encoder_alone_are_sorted_by_variance(workdir):
    found = json.loads(run("support", "order", "seer:1", *DATA, "--json").stdout)
    assert found["by"] == "variance"
    result = run("support", "order", "seer:1", *DATA, "--figures", "figures")
    assert "the model has no decoder, so there is no gain of images" in result.stdout
    assert [path.name for path in (workdir / "figures").iterdir()] == ["gains.png"]
    words = ("support", "build", "seer:1", *DATA, "-k", "2", "--members", "5", "--out", "set.h5")
    assert "its leading variables are those of largest variance" in run(*words).stderr
    assert "leading variables" in run("support", "show", "set.h5").stdout
    few = ("--members", "16", "-k", "1", "--draws", "2", "--images", "2", "--strategies", "sectors")
    both = ("--src", "seer:1", "--dst", "seer:2")
    assert "efficiency -" in run("support", "compare", *both, *DATA, *few).stdout


def test_an_encoder_alone_groups_images_for_the_benchmark(workdir):
    save_model(build("stylegan2", STYLEGAN), workdir / "gan.safetensors", training={})
    few = ("--set", "own:20", "--set", "few.npy:20", "--steps", "1", "--starts", "1")
    result = run("bench", "gan.safetensors", *few, "--encoder", "seer:1")
    assert "seer:1 has no decoder: how bad an image is, is its error alone" in result.stderr
    assert "Coverage" in result.stdout
    both = ("--encoder", "seer:1", "--distances")
    assert "Fréchet" in run("bench", "gan.safetensors", *few[:4], *both).stdout


@pytest.mark.parametrize(
    "words",
    [
        "bench seer:1 --set own:2 --set few.npy:2 --steps 1",
        "bench seer:1 --set own:30 --set few.npy:30 --encoder a.safetensors --distances",
        "invert seer:1 --data few.npy --limit 2",
        "sample seer:1 --figure made.png",
        "frames estimate --src a.safetensors --dst seer:1 -n 64 --no-write",
        "frames estimate --src seer:1 --dst a.safetensors -n 64 --no-write",
    ],
)
def test_what_needs_a_decoder_says_so_in_one_line(workdir, words):
    message = run(*words.split(), code=1).stderr.splitlines()[-1]
    assert "seer:1 is an encoder alone, and has no decoder that makes images of codes" in message
    assert not (workdir / "made.png").exists()
