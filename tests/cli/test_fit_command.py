import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.images import open_images
from latentmap.mapping import LinearMap, typicality
from latentmap.model import Model

DATA = ["--data", "few.npy"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def fit(*words, code=0):
    models = ["--src", "a.safetensors", "--dst", "b.safetensors", "--device", "cpu"]
    return run("fit", *models, *DATA, "--out", "a-to-b.safetensors", *words, code=code)


def test_without_a_place_no_map_is_kept_and_that_is_said(workdir):
    models = ["--src", "a.safetensors", "--dst", "b.safetensors", "--device", "cpu"]
    result = run("fit", *models, *DATA)
    assert result.stdout.startswith("z of a (5-d")
    assert "latentmap-cache" in {path.name for path in workdir.iterdir()}  # The test's own home.
    assert not list(workdir.glob("*-to-*"))
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("no map is kept")]
    assert said.startswith("no map is kept; this keeps it: latentmap fit --out a-to-b.safetensors")
    run(*shlex.split(said.partition(": latentmap ")[2]))
    assert LinearMap.load(workdir / "a-to-b.safetensors").source.dim == 5


def error_of(result):
    told = result.stderr.splitlines()
    lines = [line for line in told if line.strip() and not line.startswith("next: ")]
    assert len(lines) == 1, lines
    return lines[0]


def splits():
    return open_images("few.npy").splits


def test_fit_writes_a_map_and_prints_its_scores(workdir):
    result = fit()
    linear_map = LinearMap.load(workdir / "a-to-b.safetensors")
    assert linear_map.n_pairs == (splits() == "train").sum()
    assert (linear_map.source.dim, linear_map.target.dim) == (5, 3)
    assert (linear_map.source_reference, linear_map.target_reference) == (
        "a.safetensors",
        "b.safetensors",
    )
    assert linear_map.record["split"] == "train"
    assert set(linear_map.record["versions"]) == {"latentmap", "numpy", "torch"}
    assert result.stdout.startswith("a-to-b.safetensors: z of a (5-d")
    assert re.search(r"M_mse +0\.\d+ \[0\.\d+, 0\.\d+\] +relocated image", result.stdout)
    assert f"scored on {(splits() == 'test').sum()} images" in result.stdout


def test_fit_gives_one_json_object(workdir):
    scores = json.loads(fit("--json", "--out", "m.safetensors", "--seed", "3").stdout)
    figures = ["r_mse", "l_mse", "r2", "r2_cells"]
    figures += ["m_mse", "floor_mse", "baseline_mse", "efficiency"]
    for name in figures:
        assert {name, f"{name}_low", f"{name}_high"} <= set(scores)
    assert scores["n_pairs"] == (splits() == "train").sum()
    assert scores["n_test"] == (splits() == "test").sum()
    assert scores["record"]["seed"] == 3
    assert scores["record"]["n_left_out"] == 0
    assert scores["record"]["images"] == open_images("few.npy").fingerprint
    assert len(scores["r2_per_variable"]) == 3


def test_random_pairs_of_the_split_follow_the_seed(workdir):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        fit("--pairs", "20", "--seed", seed, "--out", f"{name}.safetensors")
    one, same, other = (
        LinearMap.load(Path(f"{name}.safetensors")) for name in ("one", "same", "other")
    )
    assert one.n_pairs == 20
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    train = open_images("few.npy").split("train")
    known = {digest.tobytes() for digest in train.digests}
    assert all(digest.tobytes() in known for digest in one.train_digests)


def test_a_split_and_a_penalty_can_be_chosen(workdir):
    fit("--split", "val", "--penalty", "2.5")
    linear_map = LinearMap.load(workdir / "a-to-b.safetensors")
    assert linear_map.n_pairs == (splits() == "val").sum()
    assert linear_map.penalty == 2.5


def test_the_split_test_is_kept_for_the_scores(workdir):
    message = error_of(fit("--split", "test", code=1))
    assert "cannot be fitted on the split test: it is kept for the scores" in message
    assert not (workdir / "a-to-b.safetensors").exists()


def test_images_that_are_cached_are_not_encoded_again(workdir, monkeypatch):
    run("encode", "a.safetensors", "b.safetensors", *DATA, "--device", "cpu")
    seen, encode = [], Model.encode_pixels

    def counted(model, pixels, **options):
        seen.append(model.family)
        return encode(model, pixels, **options)

    monkeypatch.setattr(Model, "encode_pixels", counted)
    fit()
    # The baselines beside the map; untrained is what the VAE was.
    assert seen.count("vae") * 2 == len(seen) - seen.count("pca")
    seen.clear()
    fit("--force")
    assert not seen


@pytest.mark.parametrize("option", ["--out", "--figure"])
def test_a_report_is_not_put_where_another_output_goes(option, workdir):
    message = error_of(fit(option, "x.png", "--report", "x.png", code=1))
    assert f"{option} and --report are both x.png: give each a path of its own" in message
    assert not (workdir / "x.png").exists()


def test_a_map_that_exists_is_kept_unless_forced(workdir):
    (workdir / "a-to-b.safetensors").write_bytes(b"precious")
    assert "a-to-b.safetensors exists: choose another path, or add --force" in error_of(fit(code=1))
    assert (workdir / "a-to-b.safetensors").read_bytes() == b"precious"
    fit("--force")
    LinearMap.load(workdir / "a-to-b.safetensors")


def test_more_pairs_than_there_are_is_one_clear_line(workdir):
    message = error_of(fit("--pairs", "1000", code=1))
    assert re.search(r"1000 random pairs were asked for, but there are \d+", message)


def test_groups_keep_their_side_and_are_recorded(workdir):
    rows = "".join(f"{i},{i // 30}\n" for i in range(1797))
    Path("person.csv").write_text("file,person\n" + rows)
    scores = json.loads(fit("--group-by", "person.csv", "--json").stdout)
    assert scores["record"]["group_by"] == "person.csv"
    grouped = open_images("few.npy", group_by="person.csv")
    assert scores["n_test"] == (grouped.splits == "test").sum()


def save_faces(n):
    """Digits as files, with a partition as CelebA's: the test images come last."""
    Path("faces").mkdir()
    digits = open_images("digits", limit=n)
    parts = [0] * (n - 20) + [1] * 10 + [2] * 10
    for i in range(n):
        Image.fromarray(digits.read(i)[..., 0]).save(f"faces/{i:03}.png")
    table = "".join(f"{i:03}.png {part}\n" for i, part in enumerate(parts))
    Path("faces/list_eval_partition.txt").write_text(table)
    return ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "faces"]


def test_a_limit_holds_for_each_split_and_no_other_image_is_encoded(workdir):
    models = save_faces(60)
    scores = json.loads(run("fit", *models, "--limit", "8", "--json").stdout)
    assert (scores["n_pairs"], scores["n_test"]) == (8, 8)
    chosen = open_images("faces").subset([*range(8), *range(50, 58)])
    assert scores["record"]["images"] == chosen.fingerprint
    assert scores["record"]["scored_data"] == chosen.split("test").fingerprint


def test_skipped_images_are_named_once_and_stand_in_the_record(workdir):
    models = save_faces(60)
    for name in ("001.png", "055.png"):
        Path("faces", name).write_bytes(b"no image")
    result = run("fit", *models, "--on-error", "skip", "--out", "m.safetensors", "--json")
    record = json.loads(result.stdout)["record"]
    assert (record["fit_skipped"], record["skipped"]) == (["001.png"], ["055.png"])
    assert result.stderr.count("skipped 2 images that could not be read: 001.png, 055.png") == 1
    words = ["evaluate", "m.safetensors", "--data", "faces", "--split", "test"]
    result = run(*words, "--on-error", "skip", "--json")
    assert json.loads(result.stdout)["record"]["skipped"] == ["055.png"]
    assert "skipped 1 images that could not be read: 055.png" in result.stderr


def test_evaluate_takes_the_precision_of_the_map_unless_another_is_asked_for(workdir):
    fit("--precision", "bfloat16")
    words = ["evaluate", "a-to-b.safetensors", *DATA, "--split", "test", "--device", "cpu"]
    recorded = json.loads(run(*words, "--json").stdout)
    assert recorded["record"]["score_precision"] == "bfloat16"
    asked = json.loads(run(*words, "--precision", "float32", "--json").stdout)
    assert asked["record"]["score_precision"] == "float32"
    assert asked["l_mse"] != recorded["l_mse"]


def test_evaluate_asks_for_the_groups_of_the_fit(workdir):
    Path("person.csv").write_text("file,person\n" + "".join(f"{i},{i // 30}\n" for i in range(300)))
    fit("--group-by", "person.csv")
    words = ["evaluate", "a-to-b.safetensors", *DATA, "--device", "cpu"]
    message = error_of(run(*words, "--split", "test", code=1))
    assert "was fitted on a split by the groups of person.csv" in message
    assert message.endswith("add --group-by person.csv")
    assert "other images of its groups are scored as well" in run(*words).stderr
    grouped = run(*words, "--split", "test", "--group-by", "person.csv")
    assert "groups" not in grouped.stderr


def test_evaluate_repeats_the_scores_of_fit(workdir):
    fitted = json.loads(fit("--json").stdout)
    words = ["evaluate", "a-to-b.safetensors", "--device", "cpu", "--json", *DATA]
    scores = json.loads(run(*words).stdout)
    assert scores["record"]["n_left_out"] == fitted["n_pairs"]
    assert scores["n_test"] == 300 - fitted["n_pairs"]
    held_out = json.loads(run(*words, "--split", "test").stdout)
    assert held_out["m_mse"] == pytest.approx(fitted["m_mse"], rel=1e-6)
    assert held_out["m_mse_low"] == pytest.approx(fitted["m_mse_low"], rel=1e-6)


def test_evaluate_says_how_many_images_it_left_out(workdir):
    fit("--pairs", "50")
    result = run("evaluate", "a-to-b.safetensors", *DATA, "--device", "cpu")
    assert "left out 50 images that the map was fitted on" in result.stderr
    assert "scored on 250 images" in result.stdout


def test_a_map_fitted_on_every_image_has_nothing_to_be_scored_on(workdir):
    fit()
    first = np.flatnonzero(splits() == "train")
    pixels = np.stack([open_images("digits").read(i) for i in first[:10]])
    np.save("seen.npy", pixels)
    words = ["evaluate", "a-to-b.safetensors", "--data", "seen.npy", "--device", "cpu"]
    message = error_of(run(*words, code=1))
    assert "the map was fitted on every one of these 10 images" in message


def test_a_map_whose_source_is_another_model_is_one_clear_line(workdir):
    fit()
    words = ["evaluate", "a-to-b.safetensors", *DATA, "--device", "cpu"]
    message = error_of(run(*words, "--src", "b.safetensors", code=1))
    assert "this map goes from z of a" in message
    assert "give that model with --src, not b (z of b" in message
    message = error_of(
        run("apply", *words[1:], "--src", "b.safetensors", "--figure", "g.png", code=1)
    )
    assert "this map goes from z of a" in message


def test_the_models_of_a_map_are_found_beside_it_or_asked_for(workdir, monkeypatch):
    fit()
    elsewhere = workdir / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    words = ["evaluate", "../a-to-b.safetensors", "--data", "../few.npy", "--device", "cpu"]
    run(*words)
    (workdir / "a.safetensors").rename(elsewhere / "renamed.safetensors")
    message = error_of(run(*words, code=1))
    assert "the source model that ../a-to-b.safetensors names cannot be loaded" in message
    assert "or give another with --src" in message
    run(*words, "--src", "renamed.safetensors")


def test_a_map_without_references_asks_for_the_models(workdir):
    fit()
    path = workdir / "a-to-b.safetensors"
    linear_map = LinearMap.load(path)
    object.__setattr__(linear_map, "target_reference", "")
    linear_map.save(path)
    message = error_of(run("evaluate", path, *DATA, "--device", "cpu", code=1))
    assert "does not say where its target model is: give it with --dst" in message


def test_apply_draws_three_rows(workdir):
    fit()
    run("apply", "a-to-b.safetensors", *DATA, "--device", "cpu", "--figure", "grid.png", "-n", "4")
    with Image.open("grid.png") as grid:
        assert grid.height == 3 * 96 + 2 * 4 + 48
        assert grid.width > 4 * 100


def test_evaluate_says_how_many_codes_are_far_from_those_of_the_fit(workdir):
    fit()
    words = ["evaluate", "a-to-b.safetensors", *DATA, "--device", "cpu"]
    travel = json.loads(run(*words, "--json").stdout)["travel"]
    assert travel["rule"] == "fitted codes"
    assert travel["outside_low"] <= travel["outside"] <= travel["outside_high"]
    percent = f"{100 * travel['outside']:.1f} % ["
    assert f"{percent}" in run(*words).stdout
    assert "evaluate it on your own" not in fit("--out", "other.safetensors").stdout


def test_apply_says_of_every_image_how_far_its_code_is_from_those_of_the_fit(workdir):
    fit()
    images, source = open_images("few.npy"), load("a.safetensors")
    (batch,) = images.batches([source.view], batch_size=300)
    codes = source.encode_pixels(batch.images[0])
    np.savez("codes.npz", ids=images.ids, codes=100 * codes.numpy())
    words = ["apply", "a-to-b.safetensors"]
    shown = run(*words, "--codes", "codes.npz", "--codes-out", "far.npz", "--json").stdout
    found = json.loads(shown)["distances"]
    expected = typicality(LinearMap.load(Path("a-to-b.safetensors")), 100 * codes)
    assert [one["id"] for one in found["images"]] == images.ids.tolist()
    assert [one["distance"] for one in found["images"]] == pytest.approx(expected.distances)
    assert [one["nearer"] for one in found["images"]] == pytest.approx(expected.nearer)
    assert [one["outside"] for one in found["images"]] == expected.outside.tolist()
    assert (found["rule"], found["reason"]) == ("fitted codes", None)
    beyond = int(expected.outside.sum())
    text = run(*words, "--codes", "codes.npz", "--codes-out", "again.npz").stdout
    assert f"{beyond} of {len(codes)} source codes are farther out than 99 % of codes like" in text
    device = ["--device", "cpu", "--json"]
    drawn = json.loads(run(*words, *DATA, "-n", "3", "--figure", "g.png", *device).stdout)
    assert len(drawn["distances"]["images"]) == 3
    both = ["--figure", "h.png", "--codes-out", "h.npz"]
    of_all = json.loads(run(*words, *DATA, *both, *device).stdout)["distances"]
    assert len(of_all["images"]) == len(images)


def test_apply_says_why_nobody_knows_how_far_codes_of_a_map_of_maps_are(workdir):
    fit()
    run("map", "inverse", "a-to-b.safetensors", "--out", "back.safetensors")
    words = ["apply", "back.safetensors", *DATA, "--device", "cpu"]
    found = json.loads(run(*words, "--codes-out", "c.npz", "--json").stdout)["distances"]
    assert (found["limit"], found["images"], found["rule"]) == (None, None, None)
    assert "which a map made of other maps (inverse) does not have" in found["reason"]
    assert "is not known: how far codes" in run(*words, "--codes-out", "d.npz").stdout
    run(*words, "--figure", "g.png", "-n", "2")
    with Image.open("g.png") as grid:
        assert grid.height == 3 * 96 + 2 * 4


def test_apply_maps_codes_of_images_and_of_files_alike(workdir):
    fit()
    words = ["apply", "a-to-b.safetensors"]
    run(*words, *DATA, "--device", "cpu", "--codes-out", "from-images.npz")
    images = open_images("few.npy")
    source = load("a.safetensors")
    (batch,) = images.batches([source.view], batch_size=300)
    codes = source.encode_pixels(batch.images[0])
    expected = LinearMap.load(Path("a-to-b.safetensors")).apply(codes)
    np.savez("codes.npz", ids=images.ids, codes=codes.numpy())
    run(*words, "--codes", "codes.npz", "--codes-out", "from-codes.npz")
    for name in ("from-images.npz", "from-codes.npz"):
        with np.load(name) as file:
            assert file["ids"].tolist() == images.ids.tolist()
            np.testing.assert_allclose(file["codes"], expected, atol=1e-5)
            record = json.loads(str(file["provenance"]))
        assert record["space"]["fingerprint"] == load("b.safetensors").fingerprint
        assert record["record"]["split"] == "train"


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_codes_that_are_mapped_already_are_not_mapped_again(workdir, suffix):
    fit()
    words = ["apply", "a-to-b.safetensors"]
    run(*words, *DATA, "--device", "cpu", "--codes-out", f"mapped{suffix}")
    again = ["--codes", f"mapped{suffix}", "--codes-out", "again.npz"]
    message = error_of(run(*words, *again, code=1))
    assert f"the codes in mapped{suffix} must be in z of a (5-d" in message
    assert "not in z of b (3-d" in message
    assert not Path("again.npz").exists()


def test_codes_of_images_are_encoded_as_the_map_was_fitted(workdir, monkeypatch):
    fit("--precision", "bfloat16")
    monkeypatch.setattr(Model, "encode_pixels", None)
    run("apply", "a-to-b.safetensors", *DATA, "--device", "cpu", "--codes-out", "mapped.npz")


FULL_DISK = """
import resource, sys
from latentmap.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
main(sys.argv[1:])
"""


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_a_full_disk_is_one_clear_line(workdir, suffix):
    fit()
    ids = [f"{number}.png" for number in range(1000)]
    np.savez("codes.npz", ids=ids, codes=np.ones((1000, 5), np.float32))
    words = ["--codes", "codes.npz", "--codes-out", f"mapped{suffix}"]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, "apply", "a-to-b.safetensors", *words],
        capture_output=True,
        text=True,
    )
    message = f"mapped{suffix} could not be written: File too large; nothing was changed"
    assert (done.returncode, done.stderr) == (1, f"Error: {message}\n")
    assert not Path(f"mapped{suffix}").exists()


def test_the_picture_says_how_many_images_it_shows_and_which_it_could_not_read(workdir):
    fit()
    folder = workdir / "images"
    folder.mkdir()
    for number in range(5):
        Image.new("L", (8, 8), 40 * number).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes(b"no picture")
    words = ["apply", "a-to-b.safetensors", "--data", "images", "--device", "cpu", "-n", "3"]
    result = run(*words, "--on-error", "skip", "--figure", "grid.png", "--codes-out", "mapped.npz")
    assert "mapped.npz: 4 codes in z of b" in result.stdout
    assert "grid.png: 2 images, relocated from a to b" in result.stdout
    assert error_of(result) == "skipped 1 images that could not be read: 1.png"
    result = run(*words, "--on-error", "skip", "--figure", "grid2.png")
    assert "grid2.png: 2 images" in result.stdout
    assert error_of(result) == "skipped 1 images that could not be read: 1.png"
    assert "1.png" in error_of(run(*words, "--figure", "grid3.png", code=1))
    outputs = ["--figure", "grid4.png", "--codes-out", "mapped.h5"]
    found = json.loads(run(*words, "--on-error", "skip", *outputs, "--json").stdout)
    assert (found["images"], found["n"], found["skipped"]) == (2, 4, ["1.png"])
    assert (found["picture"], found["codes"], found["space"]["dim"]) == (*outputs[1::2], 3)


def test_apply_asks_for_what_it_needs(workdir):
    fit()
    words = ["apply", "a-to-b.safetensors"]
    assert "say what to write" in run(*words, *DATA, code=2).stderr
    assert "give either images" in run(*words, "--figure", "g.png", code=2).stderr
    both = [*DATA, "--codes", "c.npz", "--codes-out", "o.npz"]
    assert "give either images" in run(*words, *both, code=2).stderr
    picture = ["--codes", "c.npz", "--figure", "g.png"]
    assert "a picture (--figure) is made of images" in run(*words, *picture, code=2).stderr


def test_apply_refuses_choices_that_mean_nothing_among_codes(workdir):
    fit()
    Path("table.csv").write_text("file,n\n")
    chosen = ["--split", "test", "--limit", "3", "--group-by", "table.csv", "--where", "n == 1"]
    chosen += ["--attributes", "table.csv", "--on-error", "skip", "--sample-from", "src"]
    chosen += ["--class", "1", "--src", "a.safetensors", "--dst", "b.safetensors"]
    chosen += ["--batch-size", "3", "--precision", "float16", "--seed", "1"]
    words = ["apply", "a-to-b.safetensors", "--codes", "c.npz", "--codes-out", "o.npz"]
    message = run(*words, *chosen, code=2).stderr
    assert all(f"{option} " in message for option in chosen if option.startswith("--"))
    assert "have no effect with --codes, all mapped by no model: leave them out" in message
    assert "Error: --limit has no effect" in run(*words, "--limit", "3", code=2).stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--codes-out", "a.npz", "-n", "3"], "-n/--images has no effect without --figure"),
        (
            ["--codes-out", "a.npz", "--dst", "b.safetensors"],
            "--dst has no effect without --figure",
        ),
        (["--figure", "g.png", "--seed", "3"], "--seed has no effect without --samples"),
    ],
)
def test_apply_refuses_what_has_no_effect_before_any_work(workdir, words, message):
    assert message in run("apply", "missing.safetensors", *DATA, *words, code=2).stderr


def test_apply_refuses_a_wrong_suffix_before_any_work(workdir):
    words = ["apply", "missing.safetensors", *DATA]
    message = error_of(run(*words, "--figure", "grid.foo", code=1))
    assert "grid.foo must end in .pdf, .svg, .png, .jpg, .tif or .webp" in message
    message = error_of(run(*words, "--codes-out", "mapped.foo", code=1))
    assert "mapped.foo must end in .npz, .npy, .h5, .hdf5 or .parquet" in message


def test_apply_keeps_an_output_that_exists(workdir):
    fit()
    Path("grid.png").write_bytes(b"precious")
    message = error_of(run("apply", "a-to-b.safetensors", *DATA, "--figure", "grid.png", code=1))
    assert "grid.png exists: choose another path, or add --force" in message
    assert Path("grid.png").read_bytes() == b"precious"


@pytest.mark.parametrize("command", ["evaluate", "apply"])
def test_a_map_that_is_no_map_is_one_clear_line(workdir, command):
    words = [
        command,
        "a.safetensors",
        *DATA,
        *(["--figure", "g.png"] if command == "apply" else []),
    ]
    assert "a.safetensors holds a model, not a map" in error_of(run(*words, code=1))
    words[1] = "missing.safetensors"
    assert "there is no map file missing.safetensors" in error_of(run(*words, code=1))
