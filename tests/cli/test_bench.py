import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cache import Coder
from latentmap.cli.bench import bench
from latentmap.cli.by_options import KNOWN
from latentmap.cli.search_options import METHODS
from latentmap.encoders import build, load
from latentmap.encoders.native import save_model
from latentmap.errors import LatentmapError, ModelError
from latentmap.expressiveness.distances import frechet_distance
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.sample_distances import compare_samples
from latentmap.expressiveness.sample_tables import distances_section, sample_figures
from latentmap.images import asked_groups, open_images
from latentmap.inversion.inverting import INVERSION_METHODS
from latentmap.model import Mixture, SeenImages
from latentmap.support import ChoiceOptions, choose_support_set

SEARCH = ["--steps", "4", "--starts", "1"]
PLACE = ["--cache", "cache", "--device", "cpu"]


def run(*arguments, code=0):
    search = [] if "network" in arguments else SEARCH
    result = CliRunner().invoke(bench, [*map(str, arguments), *search, *PLACE])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        assert code == 1, result.exception
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def make_support(*, with_images=False, variables=(0, 1)):
    images = open_images("few.npy")
    (codes,) = Coder.of("cache").codes([load("a.safetensors")], images)
    support = choose_support_set(codes, variables, ChoiceOptions(threshold=0.0, size=12), seed=0)
    if with_images:
        support = support.with_images(images)
    support.save(Path("support.h5"))


def test_the_choices_are_those_of_the_library():
    assert METHODS == INVERSION_METHODS
    assert KNOWN == asked_groups.KNOWN


def test_a_table_has_every_model_target_and_method(workdir):
    output = run("a.safetensors", "b.safetensors", "--set", "own:12", "--set", "few.npy:10")
    lines = output.splitlines()
    start = lines.index("Errors") + 2
    rows = [line.split()[:4] for line in lines[start : start + 8]]
    assert rows == [
        [model, target, method, n]
        for model in ("a", "b")
        for target, n in (("own", "12"), ("few.npy:10", "10"))
        for method in ("network", "search")
    ]
    assert "the search misses" in output
    assert "generator limit" in output
    assert "encoder gap" in output


def test_own_images_may_be_truncated(workdir):
    words = ("a.safetensors", "--set", "own:12", "--set", "few.npy:10", "--methods", "network")
    full = run(*words)
    output = run(*words, "--truncation", "0.5")
    assert "own: images of random codes at truncation 0.5" in output
    assert "at truncation" not in full
    errors = [re.search(r"^a +own +network .*$", text, re.M)[0] for text in (output, full)]
    assert errors[0] != errors[1]
    printed = json.loads(run(*words, "--truncation", "0.5", "--json"))
    assert printed["generators"][0]["record"]["truncation"] == 0.5


def test_distances_may_be_of_truncated_samples(workdir):
    words = ("a.safetensors", "--set", "own:20")
    truncated = distances(*words, "--truncation", "0.5")
    assert "20 images of random codes of each model at truncation 0.5, in the" in truncated
    full = distances(*words)
    assert "20 images of random codes of each model, in the codes of b" in full
    assert [line for line in truncated.splitlines() if line not in full.splitlines()][1:]


def test_an_encoder_groups_images_and_measures_coverage(workdir):
    output = run(
        "a.safetensors",
        *("--set", "own:12", "--set", "few.npy:16", "--encoder", "b.safetensors"),
        *("--methods", "network"),
    )
    assert "of 4 groups in codes of b nothing is told: all have less than 10 images" in output
    assert "Coverage in codes of b" in output and "clipped density" in output
    assert "figures of neighbours take 100 images of each kind, not 12" in output
    assert "in brackets 95 % intervals, which of so few cover 89 to 94 %" in output
    assert "not calibrated, for lack of a search" in output


def test_groups_by_attribute_are_told_of_in_words(workdir):
    rows = [f"{number},{number % 2},{number % 3}" for number in range(0, 300, 2)]
    Path("faces.csv").write_text("\n".join(["file,Hat,Age", *rows, "301,1,1"]))
    words = ("a.safetensors", "--set", "own:12", "--set", "few.npy:60", "--methods", "network")
    table = ("--attributes", "faces.csv")
    message = run(*words, *table, "--by", "Hat", code=1)
    assert "Hat is known of are of one group" in message
    output = run(*words, *table, "--by", "Age", "--by", "background", "--figures", "out")
    assert re.search(r"^a +few.npy:60 +Age 0 +\d+ ", output, re.M)
    assert re.search(r"few.npy:60: Age is not known of \d+ of 60 images", output)
    assert "blind to the group background low (to" in output and "(by its network)" in output
    assert (workdir / "out" / "a-few-npy-60-by-Age.png").exists()
    assert "did you mean 'Hat'?" in run(*words, *table, "--by", "Hut", code=1)
    assert "give that with --attributes" in run(*words, "--by", "Hat", code=2)
    assert "leave it out" in run(*words, *table, "--by", "brightness", code=2)
    assert "--by" in distances("a.safetensors", "--set", "own:20", "--by", "labels", code=2)


def test_json_is_printed_and_pictures_are_written(workdir):
    printed = run(
        "a.safetensors",
        *("--set", "few.npy:10", "--set", "own:8", "--methods", "network"),
        *("--encoder", "b.safetensors", "--figures", "out", "--json"),
    )
    (result,) = json.loads(printed)["generators"]
    assert (result["own"]["n"], result["targets"][0]["n"]) == (8, 10)
    assert result["record"]["command"]
    assert {path.name for path in (workdir / "out").iterdir()} >= {
        "a-own.png",
        "a-few-npy-10.png",
        "a-few-npy-10-sectors.png",
    }
    message = run("a.safetensors", "--set", "few.npy:10", "--figures", "out", code=1)
    assert "out is not empty: choose another folder, or add --force" in message


def test_no_picture_takes_the_place_of_another(workdir):
    for folder, model in (("m1", "a.safetensors"), ("m2", "b.safetensors")):
        Path(folder).mkdir()
        shutil.copy(model, f"{folder}/model.safetensors")
    names = ("x.y.npy", "x-y.npy", "X.y.npy", "m1/x.y.npy")
    for name in names:
        np.save(name, np.load("few.npy")[:12])
    printed = run(
        *("m1/model.safetensors", "m2/model.safetensors", "--set", "own:8"),
        *(word for name in names for word in ("--set", f"{name}:10")),
        *("--methods", "network", "--figures", "out"),
    )
    lines = printed.splitlines()
    start = lines.index("Errors") + 2
    rows = [line.split()[:3] for line in lines[start : start + 10]]
    models = list(dict.fromkeys(" ".join(row[:2]) for row in rows))
    assert len(models) == 2
    targets = ["own", "x.y.npy:10", "x-y.npy:10", "X.y.npy:10", "m1/x.y.npy:10"]
    assert [row[2] for row in rows] == 2 * targets
    assert all(f"{model}: not calibrated" in printed for model in models)
    pictures = [path.name.casefold() for path in (workdir / "out").glob("*.png")]
    assert len(set(pictures)) == 2 * 5


def test_data_sets_of_one_name_are_both_reproduced(workdir):
    for folder in ("one", "other"):
        (workdir / folder).mkdir()
        np.save(f"{folder}/x.npy", np.load("few.npy")[:12])
    targets = ("--set", "one/x.npy:10", "--set", "other/x.npy:10")
    printed = run("a.safetensors", *targets, "--methods", "network", "--json")
    (result,) = json.loads(printed)["generators"]
    assert [one["target"] for one in result["targets"]] == ["one/x.npy:10", "other/x.npy:10"]
    again = (*targets, "--set", "one/x.npy:10")
    assert "one/x.npy:10 is given twice" in run("a.safetensors", *again, code=1)


def test_groups_have_a_seed_of_any_size(workdir):
    arguments = ("--set", "few.npy:12", "--set", "own:8", "--methods", "network")
    run("a.safetensors", *arguments, "--encoder", "b.safetensors", "--seed", 2**32 + 1)


def test_a_method_without_its_network_is_left_out_and_said(workdir):
    sizes = {"image_shape": [1, 8, 8], "latent_dim": 3, "base": 6, "widths": [4, 4]}
    save_model(build("gan", {**sizes, "norm": "batch"}), Path("bare.safetensors"), training={})
    methods = ("--methods", "network,search")
    words = ("bare.safetensors", "a.safetensors", "--set", "own:4", *methods)
    result = CliRunner().invoke(bench, [*words, *SEARCH, *PLACE])
    assert result.exit_code == 0, result.output
    assert "bare has no encoder: left out network\n" in result.stderr


def test_a_support_set_is_found_in_its_data_or_in_its_file(workdir):
    make_support()
    arguments = ("a.safetensors", "--set", "own:8", "--set", "support.h5")
    printed = run(*arguments, "--data", "few.npy", "--methods", "network", "--json")
    one, random = json.loads(printed)["generators"][0]["targets"]
    assert (one["target"], one["n"], len(one["sectors"])) == ("support.h5", 12, 4)
    # As many random images of the same data stand beside it, and none of its own.
    assert (random["target"], random["n"]) == ("random few.npy:12", 12)
    assert one["against"]["network"]["target"] == "random few.npy:12"
    ids = [{image["id"] for image in found["images"]} for found in (one, random)]
    assert not ids[0] & ids[1]
    assert one["variables"] == [0, 1]
    assert "holds no images" in run(*arguments, code=1)
    make_support(with_images=True)
    printed = run(*arguments, "--methods", "network", "--json")
    (other,) = json.loads(printed)["generators"][0]["targets"]
    assert other["methods"]["network"]["mse"] == pytest.approx(one["methods"]["network"]["mse"])


def test_the_sectors_of_a_support_set_are_drawn_as_a_map(workdir):
    make_support(with_images=True, variables=(0, 1, 2))
    arguments = ("--set", "own:8", "--set", "support.h5:9", "--methods", "network")
    output = run("a.safetensors", *arguments, "--figures", "out")
    assert (workdir / "out" / "a-support-h5-9-sectors.png").stat().st_size > 5000
    assert "+" in output


def test_random_images_beside_a_support_set_decide(workdir):
    make_support()
    words = ("a.safetensors", "--set", "own:8", "--set", "support.h5", "--set", "few.npy:30")
    words += ("--data", "few.npy", "--encoder", "b.safetensors")
    printed = run(*words, "--methods", "network", "--report", "report")
    assert "a finds support.h5 " in printed
    assert " times as hard as few.npy:30 (by its network): " in printed
    assert "over reference" in printed
    assert "random few.npy" not in printed
    page = (workdir / "report" / "index.html").read_text()
    assert "Beside random real images" in page
    searched = run(*words)
    assert "(by search inside its range)" in searched
    assert "search anywhere" in searched


def test_no_random_images_stand_beside_a_support_set_whose_distances_are_asked(workdir):
    make_support()
    words = ["a.safetensors", "--set", "own:12", "--set", "support.h5", "--data", "few.npy"]
    words += ["--distances", "--encoder", "b.safetensors", "--json"]
    result = CliRunner().invoke(bench, [*words, *PLACE])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["generators"]
    assert [one["n_real"] for one in found["targets"]] == [12]


def test_random_images_are_unseen_ones_where_that_is_asked(workdir):
    make_support()
    words = ("a.safetensors", "--set", "own:8", "--set", "support.h5", "--data", "few.npy")
    printed = run(*words, "--methods", "network", "--unseen", "--json")
    assert len(json.loads(printed)["generators"][0]["targets"]) == 2


def test_a_support_set_of_other_data_is_refused(workdir):
    make_support()
    np.save("other.npy", np.load("few.npy")[:, ::-1])
    arguments = ("--set", "support.h5", "--data", "other.npy")
    assert "a support set of other data" in run("a.safetensors", *arguments, code=1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.zip:5", "nowhere.zip"),
        ("own:0", "'own:0' must have 2 to 2147483647 images"),
        ("own", "say how many own images"),
        ("digits:--5", "digits:--5 does not exist"),
        ("few.npy:301", "asks for 301 images, but there are 300"),
    ],
)
def test_a_target_that_cannot_be_is_refused(workdir, target, message):
    assert message in run("a.safetensors", "--set", target, code=1)


def test_wrong_usage_is_said(workdir):
    twice = run("a.safetensors", "--set", "own:5", "--set", "own:6", code=2)
    assert "own images are one set" in twice
    alone = run("a.safetensors", "--set", "own:5", "--src", "b.safetensors", code=2)
    assert "--map and --src belong together" in alone
    network = ("missing.safetensors", "--set", "own:5", "--methods", "network", *SEARCH)
    assert "--steps and --starts have no effect with no --methods but" in run(*network, code=2)
    assert "missing" in run(*network, "--methods", "network,hybrid", code=1)


def test_options_that_no_target_has_a_use_for_are_refused(workdir):
    make_support(with_images=True)
    words = ("a.safetensors", "--set", "own:4", "--methods", "network")
    message = run(*words, "--set", "few.npy:8", "--data", "few.npy", code=2)
    assert "--data is where the images of a support set are: leave it out, or give" in message
    for more in (("--split", "test"), ("--limit", "9"), ("--where", "a == 1")):
        message = run(*words, "--set", "support.h5", *more, code=2)
        assert f"{more[0]} has no effect where no --set is a data set" in message
    assert "--limit has no effect" in run(*words, "--limit", "9", code=2)
    assert "--unseen has no effect where no --set" in run(
        *words, "--set", "support.h5", "--unseen", code=2
    )
    both = ("--set", "support.h5", "--set", "few.npy:8", "--limit", "9")
    printed = run(*words, *both, "--data", "few.npy", "--json")
    assert [one["n"] for one in json.loads(printed)["generators"][0]["targets"]] == [12, 8]


def test_pictures_and_a_report_are_not_put_into_one_folder(workdir):
    words = ("a.safetensors", "--set", "own:4", "--figures", "x", "--report", "x")
    assert "--figures and --report are both x: give each a path of its own" in run(*words, code=1)
    assert not (workdir / "x").exists()


def distances(*arguments, code=0):
    words = ("--distances", "--encoder", "b.safetensors", "--set", "few.npy:100", *arguments)
    result = CliRunner().invoke(bench, [*map(str, words), *PLACE])
    if isinstance(result.exception, LatentmapError):
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def with_prior(name, mean):
    model = load("a.safetensors")
    model.prior = Mixture.normal(torch.full((5,), mean), torch.eye(5))
    save_model(model, Path(name), training={})


def test_priors_of_one_model_are_told_apart_by_their_samples(workdir):
    with_prior("near.safetensors", 0.5)
    with_prior("far.safetensors", 30.0)
    models = ("a.safetensors", "near.safetensors", "far.safetensors")
    printed = distances(*models, "--set", "own:80", "--json", "--figures", "out")
    result = json.loads(printed)
    assert (result["encoder"], result["n_generated"]) == ("b", 80)
    first, near, far = (one["targets"][0] for one in result["generators"])
    assert first["frechet_gain_over_first"] is None and first["n_real"] == 100
    assert first["frechet_gain_over_first_low"] is None
    assert first["kernel_low"] < first["kernel"] < first["kernel_high"]
    for figure in ("frechet", "kernel"):
        assert far[figure] > first[figure]
        expected = first[figure] - near[figure]
        assert near[f"{figure}_gain_over_first"] == pytest.approx(expected)
    assert far["frechet_gain_over_first_high"] < 0
    assert 0 <= near["coverage"]["precision"] <= 1
    assert result["generators"][1]["prior"] == "a normal distribution"
    drawn = sorted(path.name for path in (workdir / "out").iterdir())
    assert drawn == ["realism.png", "samples.png"]
    # What is measured, and where, is said in every figure and in the head of every table.
    assert (result["space"], near["space"]) == ("codes of b", "codes of b")
    assert "not 80: intervals" in near["too_few_images"][0]
    assert near["vendi_kernel"] == "cosine" and near["vendi_low"] < near["vendi"]
    assert near["vendi_ratio"] == pytest.approx(near["vendi"] / near["vendi_real"])
    assert len(near["images"]) == 80 and near["memorisation"] is None
    assert near["not_memorised"] == "near does not know its training images"
    median = np.median([one["realism"] for one in near["images"]])
    assert near["coverage"]["realism"] == pytest.approx(median)
    table = distances(*models, "--report", "report")
    assert "100 images of random codes of each model, in the codes of b" in table
    assert "far: its prior is a normal distribution" in table
    heads = ("Distances in", "Coverage in", "Vendi score by the cosine of")
    assert all(f"{head} codes of b" in table for head in heads)
    page = (workdir / "report" / "index.html").read_text()
    assert "no FID" in page and "does not know its training images" in page


def test_a_model_without_a_decoder_is_refused_before_any_work(workdir, monkeypatch):
    monkeypatch.setattr("latentmap.expressiveness.sample_distances._real", None)
    model, images = load("a.safetensors"), open_images("few.npy")
    model.can_decode = False
    sets = [ImageSet.of_images(images, None, name="few")]
    with pytest.raises(ModelError, match="a is an encoder alone, and has no decoder"):
        compare_samples([model], sets, Coder.of("cache"), load("b.safetensors"), n=40)


def test_images_near_to_those_of_the_training_are_shown(workdir):
    model, images = load("a.safetensors"), open_images("few.npy")
    model.seen = SeenImages.of(images.digests[:60])
    words = ("--distances", "--encoder", "b.safetensors", "--set", "own:40", "--set", "few.npy:200")
    found = compare_samples(
        [model],
        [ImageSet.of_images(images, None, name="few")],
        Coder.of("cache"),
        load("b.safetensors"),
        n=40,
    )
    one = found.models[0].sets[0]
    assert one.memorised is not None and one.memorised.n == 60
    suspects = one.memorised.suspicious(8)
    assert len(one.pictures["most suspicious"]) == len(suspects) > 0
    first = one.memorised.trained[suspects[0]]
    (batch,) = images.subset(np.arange(60)).batches([model.view], batch_size=60)
    shown = one.pictures["nearest training images"][0]
    assert any(torch.equal(shown, image) for image in batch.floats(0)) and first < 60
    place = images.ids.tolist().index(one.picture_ids["nearest training images"][0])
    assert torch.equal(shown, batch.floats(0)[place])
    assert not {*one.picture_ids["least realistic"]} & {*one.picture_ids["most realistic"]}
    (rows,) = (
        block
        for block in distances_section(found).blocks
        if block.title.startswith("Images that are nearest to training images")
    )
    assert [row.captions for row in rows.rows] == [
        one.picture_ids[kind]
        for kind in ("most suspicious", "nearest training images", "nearest held-out images")
    ]
    assert set(sample_figures(found)) == {"samples", "realism", "memorisation"}
    model.seen = SeenImages.of(images.digests[:10])
    save_model(model, Path("knows.safetensors"), training={})
    result = CliRunner().invoke(bench, ["knows.safetensors", *words, *PLACE])
    assert "images that knows was trained on and" in result.stderr + result.stdout


def test_the_sectors_of_a_support_set_are_covered_each(workdir):
    make_support(with_images=True)
    words = ["a.safetensors", "--distances", "--encoder", "b.safetensors", "--set", "own:40"]
    words += ["--set", "support.h5", "--json"]
    result = CliRunner().invoke(bench, [*words, *PLACE])
    assert result.exit_code == 0, result.output
    target = json.loads(result.stdout)["generators"][0]["targets"][0]
    groups = target["coverage"]["by_group"]
    assert sum(one["n"] for one in groups) == target["n_real"]
    table = CliRunner().invoke(bench, [*words[:-1], *PLACE]).stdout
    assert "Sectors that are covered least in codes of b" in table


def test_distances_of_what_cannot_be_compared_are_refused(workdir):
    with_prior("near.safetensors", 0.5)
    again = distances("near.safetensors", "near.safetensors", code=1)
    assert "near and near are one model: give each once" in again
    assert "at least 6 images of each kind, not 4" in distances("a.safetensors", "--set", "own:4")
    bare = CliRunner().invoke(bench, ["a.safetensors", "--distances", "--set", "few.npy:9"])
    assert "say of which model (--encoder)" in bare.output
    words = ["a.safetensors", "--distances", "--set", "own:9", "--encoder", "b.safetensors"]
    assert "give one with --set" in CliRunner().invoke(bench, words).output
    searched = distances("a.safetensors", "--steps", "4", code=2)
    assert "--steps has no effect with --distances, which reproduce nothing" in searched


def test_a_models_own_encoder_sees_its_images_and_not_the_codes_that_it_drew(workdir):
    words = ("--distances", "--encoder", "a.safetensors", "--set", "few.npy:50", "--json")
    words += ("a.safetensors", "--set", "own:50")
    printed = CliRunner().invoke(bench, [*words, *PLACE])
    assert printed.exit_code == 0, printed.output
    found = json.loads(printed.stdout)["generators"][0]["targets"][0]["frechet"]
    model, images = load("a.safetensors"), open_images("few.npy")
    chosen = np.sort(np.random.default_rng(0).choice(300, 50, replace=False))
    (batch,) = images.subset(chosen).batches([model.view], batch_size=50)
    made = (model.decode(model.sample(50)) * 255).round() / 255
    expected = frechet_distance(model.encode(batch.floats(0)), model.encode(made))
    assert found == pytest.approx(expected.value, rel=1e-3)
