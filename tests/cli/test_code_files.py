"""Files of codes as models of commands: by id, by position, and what is refused."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.codes import Space, open_code_file, read_codes
from latentmap.encoders import load
from latentmap.images import open_images
from latentmap.mapping import LinearMap

N, P, Q = 600, 8, 5
CHANCE = np.random.default_rng(0)
X = CHANCE.standard_normal((N, P)).astype(np.float32)
W = CHANCE.standard_normal((P, Q)).astype(np.float32)
Y = (X @ W + CHANCE.standard_normal((N, Q))).astype(np.float32)
IDS = np.array([f"{number:04}.png" for number in range(N)])
OUT = ("--out", "a-to-b.safetensors")
FIT = ("fit", "--src", "a.npz", "--dst", "b.npz", *OUT)


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def refusal(*words, code=1):
    return run(*words, code=code).stderr.splitlines()[-1]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    order = CHANCE.permutation(N)
    np.savez("a.npz", codes=X, ids=IDS)
    np.savez("b.npz", codes=Y[order], ids=IDS[order])
    np.save("a.npy", X)
    np.save("b.npy", Y)
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    return tmp_path


def test_fit_and_evaluate_need_no_image(files):
    scores = json.loads(run(*FIT, "--select", "kfold", "--json").stdout)
    assert scores["r2_low"] < scores["r2"] < scores["r2_high"]
    assert scores["m_mse"] is None and scores["r_mse"] is None
    linear_map = LinearMap.load("a-to-b.safetensors")
    assert linear_map.weight.shape == (P, Q)
    assert linear_map.source_reference == "a.npz"
    again = json.loads(run("evaluate", "a-to-b.safetensors", "--split", "test", "--json").stdout)
    assert (again["r2"], again["n_test"]) == (scores["r2"], scores["n_test"])
    every = json.loads(run("evaluate", "a-to-b.safetensors", "--json").stdout)
    assert every["record"]["left_out"] == {"fitted": scores["n_pairs"]}


def test_images_are_found_again_by_the_ids_that_a_map_was_fitted_on(workdir):
    """Fitted without images, and then scored on these: they are the same ones."""
    images = open_images("few.npy")
    model = load("a.safetensors")
    pixels = next(iter(images.batches([model.view], batch_size=len(images)))).floats(0)
    np.savez("x.npz", codes=model.encode(pixels).numpy(), ids=images.ids)
    np.savez("y.npz", codes=load("b.safetensors").encode(pixels).numpy(), ids=images.ids)
    run("fit", "--src", "x.npz", "--dst", "y.npz", "--out", "m.safetensors")
    fitted = len(LinearMap.load("m.safetensors").train_digests)
    again = run("evaluate", "m.safetensors", "--data", "few.npy", "--json")
    assert json.loads(again.stdout)["record"]["left_out"] == {"fitted": fitted}
    assert "are not left out" not in again.stderr
    LinearMap.load("m.safetensors").inverse().save("back.safetensors")
    back = ("evaluate", "back.safetensors", "--split", "test")
    assert "are not left out" not in run(*back).stderr
    assert "are not left out" not in run(*back, "--data", "few.npy").stderr


def test_it_is_said_where_nobody_knows_what_a_map_was_fitted_on(workdir):
    images = open_images("few.npy")
    codes = CHANCE.standard_normal((2, len(images), 4)).astype(np.float32)
    for name, one in zip("xy", codes, strict=True):
        np.savez(f"{name}.npz", codes=one, ids=images.ids)
        np.save(f"{name}.npy", one)
    by_content = ("fit", "--src", "x.npz", "--dst", "y.npz", "--data", "few.npy")
    run(*by_content, "--out", "m.safetensors")
    said = run("evaluate", "m.safetensors").stderr
    assert "fitted on are known by their contents, and these by their ids alone" in said
    by_position = ("fit", "--src", "x.npy", "--dst", "y.npy", "--by-position")
    run(*by_position, "--out", "m.safetensors", "--force")
    said = run("evaluate", "m.safetensors", "--data", "few.npy", "--by-position").stderr
    assert "known by their positions, and these by their contents alone" in said
    assert "are not left out" not in run("evaluate", "m.safetensors", "--by-position").stderr


def test_new_codes_of_the_same_models_are_scored_by_the_same_map(files):
    run(*FIT)
    new = CHANCE.standard_normal((200, P)).astype(np.float32)
    names = [f"new{number}" for number in range(200)]
    np.savez("c.npz", codes=new, ids=names)
    np.savez("d.npz", codes=new @ W, ids=names)
    words = ("evaluate", "a-to-b.safetensors", "--src", "c.npz", "--dst", "d.npz", "--json")
    scores = json.loads(run(*words).stdout)
    assert scores["n_test"] == 200 and scores["r2"] > 0.99
    np.savez("d.npz", codes=(new @ W)[:, 1:], ids=names)
    assert "the codes in d.npz must be in codes of b (5-d" in refusal(*words)


def test_groups_split_ids_as_they_split_images(files):
    rows = [f"{name},{number // 4}" for number, name in enumerate(IDS)]
    (files / "groups.csv").write_text("\n".join(["file,group", *rows]))
    scores = json.loads(run(*FIT, "--group-by", "groups.csv", "--json").stdout)
    assert scores["n_units"] == scores["n_test"] / 4


def test_rows_without_ids_are_paired_as_is_said_and_never_else(files):
    plain = ("fit", "--src", "a.npy", "--dst", "b.npy", *OUT, "--json")
    line = refusal(*plain)
    assert "a.npy does not say which image each row is of: give --row-ids FILE" in line
    assert not (files / "a-to-b.safetensors").exists()
    by_position = json.loads(run(*plain, "--by-position").stdout)
    by_id = json.loads(run(*plain, "--row-ids", "ids.txt", "--force").stdout)
    assert by_position["r2"] == pytest.approx(by_id["r2"], abs=0.1)
    named = ("--row-ids", "ids.txt")
    mixed = run("fit", "--src", "a.npy", "--dst", "b.npz", *OUT, *named, "--force", "--json")
    assert json.loads(mixed.stdout)["r2"] == pytest.approx(by_id["r2"], rel=1e-6)
    again = run("evaluate", "a-to-b.safetensors", *named, "--split", "test", "--json")
    assert json.loads(again.stdout)["r2"] == pytest.approx(by_id["r2"], rel=1e-6)


def test_what_does_not_go_together_is_refused_in_one_line(files):
    plain = ("fit", "--src", "a.npy", "--dst", "b.npy")
    both = refusal(*plain, "--row-ids", "ids.txt", "--by-position", code=2)
    assert "--row-ids and --by-position both say which image a row is of: leave one out" in both
    assert "says by its ids which image" in refusal(*FIT, "--by-position")
    assert "ids of its own: leave --row-ids out" in refusal(*FIT, "--row-ids", "ids.txt")
    np.save("b.npy", Y[1:])
    assert "a.npy has 600 and b.npy 599" in refusal(*plain, "--by-position")
    assert "b.npy has 599 codes, but ids.txt gives 600 ids" in refusal(
        *plain, "--row-ids", "ids.txt"
    )
    assert "give these with --data" in refusal("fit", "--src", "a.npz", "--dst", "svae", code=2)
    assert "--samples makes new images" in refusal(*FIT, "--samples", "100", code=2)
    assert "--support needs the images" in refusal(*FIT, "--support", "s.h5", code=2)
    assert "--range is of images" in refusal(*FIT, "--range", "0,1", code=2)
    none = ("fit", "--src", "svae", "--dst", "vae-64", "--by-position")
    assert "is for files of codes, and none of the models is one" in refusal(*none, code=2)
    assert "is a file of codes, which can encode no image" in refusal(
        "encode", "a.npz", "--data", "digits", "--limit", "5"
    )


def test_files_are_refused_before_anything_is_written(files):
    bad = X.copy()
    bad[7, 0] = np.nan
    cases = {
        "finite codes, but that in row 7, of 0007.png is not": {"codes": bad, "ids": IDS},
        "some ids twice (0004.png)": {
            "codes": X,
            "ids": np.where(IDS == "0003.png", "0004.png", IDS),
        },
        "codes are floats, and these are whole numbers (int64)": {
            "codes": X.astype(np.int64),
            "ids": IDS,
        },
        "have none in common": {"codes": X, "ids": np.char.add("x", IDS)},
    }
    for message, arrays in cases.items():
        np.savez("a.npz", **arrays)
        assert message in refusal(*FIT)
    assert not (files / "a-to-b.safetensors").exists()


def test_methods_and_curves_are_of_codes_alone(files):
    compared = json.loads(run("map", "methods", *FIT[1:5], "--json").stdout)
    assert len(compared["results"]) > 4
    # What needs the posterior of the source says so.
    assert all("file of codes" in reason for reason in compared["failed"].values())
    curve = json.loads(
        run("map", "curve", *FIT[1:5], "--pairs", "16,all", "--draws", "2", "--json").stdout
    )
    assert curve["points"][0]["r2"] < curve["points"][1]["r2"]


def test_shared_factors_need_no_image(files):
    run(*FIT)
    words = ("map", "factors", "a-to-b.safetensors", "--permutations", "19", "--json")
    found = json.loads(run(*words).stdout)
    assert len(found["factors"]["share"]) == Q
    assert "--figure shows images of a and b, but there is no decoder" in refusal(
        *words, "--figure", "x.png"
    )
    run("fit", "--src", "a.npy", "--dst", "b.npy", *OUT, "--by-position", "--force")
    assert "give --row-ids FILE" in refusal(*words)
    assert json.loads(run(*words, "--by-position").stdout)["factors"]["share"]


def test_short_names_stand_for_files_of_codes(files):
    (files / "latentmap.toml").write_text('[models]\nclip = "a.npz"\n')
    run("fit", "--src", "clip", "--dst", "b.npz", "--out", "m.safetensors")
    shown = run("models", "show", "clip").stdout
    assert "stores the codes of 600 images, by id" in shown and "codes, 8 variables" in shown


def test_codes_are_carried_by_a_map(files):
    run(*FIT)
    linear_map = LinearMap.load("a-to-b.safetensors")
    np.save("c.npy", X[:20])
    for given, names in (("a.npz", IDS), ("c.npy", np.arange(20).astype(str))):
        words = ("--codes", given, "--codes-out", "new.npz", "--force")
        run("apply", "a-to-b.safetensors", *words)
        mapped = open_code_file("new.npz")
        assert mapped.space.same_as(linear_map.target)
        assert mapped.ids.tolist() == names.tolist()
        assert np.allclose(
            mapped.rows.read(0, 5), linear_map.apply(torch.from_numpy(X[:5])), atol=1e-5
        )


def test_codes_of_images_are_paired_with_a_model_that_encodes_them(files, workdir):
    """The export of one model, against another: as if that one had encoded the images itself."""
    data = ("--data", "few.npy")
    whole = json.loads(
        run("fit", "--src", "a.safetensors", "--dst", "b.safetensors", *data, "--json").stdout
    )
    model = load("a.safetensors")
    images = open_images("few.npy")
    batch = next(iter(images.batches([model.view], batch_size=len(images))))
    np.savez("mine.npz", z=model.encode(batch.floats(0)).numpy(), ids=images.ids)
    fit = ("fit", "--src", "mine.npz", "--dst", "b.safetensors", *data, "--json")
    mine = json.loads(run(*fit).stdout)
    assert mine["r2"] == pytest.approx(whole["r2"], rel=1e-4)
    np.save("mine.npy", model.encode(batch.floats(0)).numpy())
    fit = ("fit", "--src", "mine.npy", "--dst", "b.safetensors", *data, "--json", "--force")
    assert "give --row-ids FILE" in refusal(*fit)
    assert json.loads(run(*fit, "--by-position").stdout)["r2"] == mine["r2"]
    few = ("--data", "digits", "--limit", "40")
    assert "by position there must be one row for each image, but mine.npy has 300" in refusal(
        "fit", "--src", "mine.npy", "--dst", "b.safetensors", *few, "--by-position", "--force"
    )


def test_read_codes_takes_every_kind_of_file(files):
    codes = read_codes("a.npy", space=Space("z", P, "a", "aa"))
    assert codes.ids[3] == "3" and np.array_equal(codes.vectors.numpy(), X)


def test_files_of_codes_are_compared_without_images(files):
    words = ("compare", "a.npz", "b.npz", "--permutations", "19", "--report", "report", "--json")
    found = json.loads(run(*words).stdout)
    there, back = found["pairs"]
    assert there["r2_low"] < there["r2"] < there["r2_high"]
    assert back["r2"] < there["r2"]  # The source has more numbers.
    assert there["m_mse"] is None and there["efficiency"] is None
    assert all(model["reconstruction_mse"] is None for model in found["models"])
    test = open_code_file("a.npz").ids
    linear_map = fitted(files)
    assert there["r2"] == pytest.approx(linear_map["r2"], rel=1e-6)
    assert (files / "report" / "index.html").exists() and len(test) == N
    assert "seen in training" in run(*words[:-3]).stderr


def fitted(files):
    return json.loads(run(*FIT, "--report", "report", "--out", "m.safetensors", "--json").stdout)


def test_files_of_codes_are_compared_beside_models_that_see_the_images(files, workdir):
    model, images = load("a.safetensors"), open_images("few.npy")
    batch = next(iter(images.batches([model.view], batch_size=len(images))))
    np.savez("mine.npz", z=model.encode(batch.floats(0)).numpy(), ids=images.ids)
    np.savez("other.npz", z=batch.floats(0).flatten(1).numpy(), ids=images.ids)
    data = ("--data", "few.npy", "-n", "20", "--permutations", "19", "--report", "report", "--json")
    found = json.loads(run("compare", "mine.npz", "other.npz", "b.safetensors", *data).stdout)
    assert [one["reconstruction_mse"] is None for one in found["models"]] == [True, True, False]
    images_too = {(one["source"], one["target"]): one["m_mse"] for one in found["pairs"]}
    assert images_too[0, 2] > 0 and images_too[2, 0] is None
    one_model = json.loads(
        run("compare", "a.safetensors", "b.safetensors", *data, "--force").stdout
    )
    whole = {(one["source"], one["target"]): one["r2"] for one in one_model["pairs"]}
    mine = {(one["source"], one["target"]): one["r2"] for one in found["pairs"]}
    assert mine[0, 2] == pytest.approx(whole[0, 1], rel=1e-5)
