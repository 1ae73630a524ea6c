"""What a map keeps of attributes and labels, as `fit` and `evaluate` say it."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.probe_options import LABELS
from latentmap.images import attribute_values, open_images

TINY = ["--architecture", "dense", "--widths", "16", "--latent-dim", "6", "--batch-size", "50"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """600 digits, two networks that show them, a map, and what is known of most of the digits."""
    path = tmp_path_factory.mktemp("probes")
    digits = open_images("digits", limit=600)
    pixels = np.stack([digits.read(i) for i in range(600)])
    classes = digits.labels
    np.savez(path / "some.npz", images=pixels, labels=classes)
    np.save(path / "bare.npy", pixels)
    with (path / "known.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "Odd", "Ink", "Name"])
        for i in range(600):
            if i % 10:
                odd = int(classes[i]) % 2
                table.writerow([i, odd, pixels[i].mean(), "" if i % 7 == 0 else f"n{odd}"])
    (path / "groups.csv").write_text(
        "file,group\n" + "".join(f"{i},{i // 3}\n" for i in range(600))
    )
    for seed, name in ((0, "a"), (1, "b")):
        words = ["train", "vae", "--data", f"{path}/some.npz", *TINY, "--epochs", "8"]
        out = ["--seed", seed, "--device", "cpu", "--out", f"{path}/{name}.safetensors"]
        invoke(*words, *out)
    fit = ["fit", *PAIR, "--out", "map.safetensors", "--cache", "cache"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        invoke(*fit)
    return path


@pytest.fixture(autouse=True)
def workdir(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LATENTMAP_CACHE", str(folder / "cache"))


def invoke(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


PAIR = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "some.npz"]
FIT = ["fit", *PAIR, "--out", "new.safetensors", "--force"]
EVALUATE = ["evaluate", "map.safetensors", "--data", "some.npz", "--split", "test"]
KNOWN = ["--attributes", "known.csv"]


def probes_of(*words):
    said = json.loads(invoke(*words, "--json").stdout)["probes"]
    return said and {one["name"]: one for one in said["attributes"]}


def test_fit_and_evaluate_say_the_same():
    asked = [*KNOWN, "--probe", "Odd,Ink,labels"]
    fitted, evaluated = probes_of(*FIT, *asked), probes_of(*EVALUATE, *asked)
    assert [*fitted] == ["Odd", "Ink", "labels"]
    assert fitted == evaluated
    odd, ink, labels = fitted.values()
    assert odd["classes"] == ["0", "1"] and ink["classes"] == []
    assert labels["classes"] == [str(digit) for digit in range(10)]
    assert odd["n_test_unknown"] == sum(int(i) % 10 == 0 for i in ids_of_test())
    assert odd["n_test"] + odd["n_test_unknown"] == labels["n_test"] == len(ids_of_test())
    assert labels["accuracy_floor"] < labels["accuracy"] <= 1
    assert labels["auc_floor"] == 0.5 < labels["auc_low"] < labels["auc"] < labels["auc_high"]
    assert ink["r2_low"] < ink["r2"] < ink["r2_ceiling"] <= 1


def ids_of_test():
    images = open_images("some.npz").split("test")
    return images.ids.tolist()


def test_without_probes_there_are_none():
    assert probes_of(*FIT) is None
    assert probes_of(*EVALUATE) is None


def test_tables_say_it_and_so_does_the_report(tmp_path):
    shown = invoke(*FIT, *KNOWN, "--probe", "Odd", "--report", tmp_path / "report").stdout
    assert "Probes through the map" in (tmp_path / "report" / "report.json").read_text()
    assert "balanced accuracy" in shown and "AUC" in shown
    assert "linear probes, fitted on the target's own codes of other images" in shown
    assert "balanced accuracy" in invoke(*EVALUATE, *KNOWN, "--probe", "Odd").stdout


def test_all_are_the_columns_and_the_labels():
    assert [*probes_of(*EVALUATE, *KNOWN, "--probe", "all")] == ["Odd", "Ink", "Name", "labels"]
    assert [*probes_of(*EVALUATE, "--probe", "all")] == ["labels"]
    bare = [
        "evaluate",
        "map.safetensors",
        "--data",
        "bare.npy",
        "--split",
        "test",
        "--probe",
        "all",
    ]
    assert [*probes_of(*bare, *KNOWN)] == ["Odd", "Ink", "Name"]


def test_labels_of_a_table_need_not_be_of_all_images():
    (one,) = probes_of(*EVALUATE, "--probe", "labels", "--labels", "known.csv:Name").values()
    assert one["classes"] == ["n0", "n1"] and one["n_test_unknown"] > 0
    (same,) = probes_of(*EVALUATE, *KNOWN, "--probe", "Name").values()
    assert {**one, "name": "Name"} == same


def test_probes_are_fitted_on_none_of_the_scored_images_nor_of_their_groups():
    groups = ["--group-by", "groups.csv", *KNOWN, "--probe", "Odd"]
    fit = ["fit", *PAIR, "--out", "grouped.safetensors", "--force"]
    (one,) = probes_of(*fit, *groups).values()
    assert one["n_units"] < one["n_test"] and one["n_fitted_units"] < one["n_fitted"]
    again = ["evaluate", "grouped.safetensors", "--data", "some.npz", "--split", "test", *groups]
    assert [*probes_of(*again).values()] == [one]
    words = ["evaluate", "map.safetensors", "--data", "some.npz", *KNOWN, "--probe", "Odd"]
    (rest,) = probes_of(*words).values()  # All but those that the map was fitted on.
    trained = open_images("some.npz").split("train")
    assert rest["n_fitted"] + rest["n_fitted_unknown"] == len(trained)
    assert rest["n_test"] + rest["n_test_unknown"] == 600 - len(trained)


def test_conditions_and_limits_hold_for_both():
    words = [*EVALUATE, *KNOWN, "--limit", 40, "--probe", "labels"]
    refused = invoke(*words, "--where", "Odd == 1", code=1)
    assert "images are not in known.csv" in refused.output
    (one,) = probes_of(*EVALUATE, "--limit", 40, "--probe", "Odd", *KNOWN).values()
    assert one["n_test"] + one["n_test_unknown"] == 40
    assert one["n_fitted"] + one["n_fitted_unknown"] == 40


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--labels", "known.csv:Odd"], 2, "--labels is for --probe: leave it out, or ask for"),
        (["--probe", "Odd"], 2, "--probe Odd is a column of a table: give that with --attributes"),
        (["--probe", "Odd", *KNOWN, "--labels", "known.csv:Odd"], 2, "is for --probe labels: name"),
        (["--probe", "labels", *KNOWN], 2, "--attributes is for --where, or to be named with"),
        (
            ["--probe", "Odd,,Ink", *KNOWN],
            2,
            "'Odd,,Ink' is no list of attributes: give some, such",
        ),
        (["--probe", "Odd,Odd", *KNOWN], 2, "Odd is given twice: give every one of the attributes"),
        (["--probe", "odd", *KNOWN], 1, "known.csv has no column 'odd': did you mean 'Odd'?"),
        (KNOWN, 1, "attributes and where belong together"),
    ],
)
@pytest.mark.parametrize("command", [FIT, EVALUATE])
def test_what_cannot_be_is_refused_before_any_work(command, words, code, message):
    said = invoke(*command, *words, code=code).stderr
    assert message in said.splitlines()[-1]


def test_what_is_known_of_no_image_is_refused():
    bare = ["evaluate", "map.safetensors", "--data", "bare.npy", "--split", "test"]
    said = invoke(*bare, "--probe", "labels", code=1).stderr
    assert "the labels of bare.npy are not known: give them with --labels FILE" in said
    train = ["evaluate", "map.safetensors", "--data", "some.npz", "--split", "train"]
    fitted = ["fit", *PAIR, "--split", "val", "--out", "val.safetensors", "--force"]
    invoke(*fitted)
    train[1] = "val.safetensors"
    said = invoke(*train, "--probe", "labels", code=1).stderr
    assert "every image that probes could be fitted on is scored itself" in said


def test_nothing_is_known_of_images_that_a_model_makes():
    made = ["evaluate", "map.safetensors", "--samples", 50, "--probe", "labels"]
    said = invoke(*made, code=2).stderr
    assert "--probe asks for what is known of images, and nothing is of those that a model" in said
    alone = ["fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--probe", "labels"]
    assert "--probe asks for what is known of images" in invoke(*alone, code=2).stderr


def test_files_of_codes_have_attributes_by_their_ids(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(600, 4)).astype(np.float32)
    ids = np.arange(600).astype(str)
    np.savez(tmp_path / "x.npz", codes=x, ids=ids)
    y = x @ np.linalg.qr(generator.normal(size=(4, 4)))[0]
    np.savez(tmp_path / "y.npz", codes=y.astype(np.float32), ids=ids)
    table = tmp_path / "signs.csv"
    table.write_text("id,sign\n" + "".join(f"{i},{int(x[i, 0] > 0)}\n" for i in range(600)))
    out = tmp_path / "map.safetensors"
    words = ["--src", tmp_path / "x.npz", "--dst", tmp_path / "y.npz"]
    asked = ["--attributes", table, "--probe", "sign"]
    (one,) = probes_of("fit", *words, *asked, "--out", out).values()
    assert one["auc"] > 0.99 and one["auc_kept"] == pytest.approx(1, abs=0.01)
    (same,) = probes_of("evaluate", out, *words, "--split", "test", *asked).values()
    assert same == one


def test_the_word_for_labels_is_that_of_the_library():
    assert LABELS == attribute_values.LABELS
