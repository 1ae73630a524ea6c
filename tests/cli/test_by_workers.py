"""`latentmap fit`, `evaluate` and `compare` by workers: what one process gives, from sums alone."""

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.mapping import LinearMap
from tests.cli.test_encode_shards import children, run, started, wait_for
from tests.core.images.test_tars import write_tar

pytestmark = pytest.mark.usefixtures("forked_workers")

PAIR = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]
MODELS = ["a.safetensors", "b.safetensors", "--data", "few.npy"]


def fitted(*words, out="by-workers.safetensors"):
    done = run("fit", *PAIR, "--cache", "codes", "--out", out, "--json", "--force", *words)
    return LinearMap.load(out), json.loads(done.stdout)


@pytest.mark.parametrize("options", [[], ["--penalty", 2.5], ["--group-by", "groups.csv"]])
def test_the_map_and_its_errors_are_those_of_one_process(workdir, options):
    rows = "\n".join(f"{i},{i // 3}" for i in range(300))
    Path("groups.csv").write_text(f"file,group\n{rows}\n", encoding="utf-8")
    if options and options[0] == "--group-by":
        # One process leaves groups out together, which sums do not know: one penalty for both.
        options = [*options, "--penalty", 2.5]
    chosen = [] if "--penalty" in options else ["--select", "gcv"]
    by_workers, found = fitted("--workers", 2, *options)
    alone, scores = fitted(*options, *chosen, "--baselines", "none", out="alone.safetensors")
    scale = float(alone.weight.abs().max())
    torch.testing.assert_close(by_workers.weight, alone.weight, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(by_workers.bias, alone.bias, rtol=0, atol=1e-11)
    assert found["n_test"] == scores["n_test"]
    assert found["n_pairs"] == scores["n_pairs"]
    assert found["l_mse"] == pytest.approx(scores["l_mse"], rel=1e-4)
    # Nothing is left but what was encoded.
    assert not [*Path("codes").glob("sums/*")]


def test_a_partition_far_from_tars_is_all_or_none_as_in_one_process(workdir):
    (workdir / "tars").mkdir()
    pixels = np.load("few.npy")
    for k in range(3):
        files = {}
        for i in range(100 * k, 100 * k + 100):
            data = io.BytesIO()
            Image.fromarray(pixels[i, ..., 0] if pixels.ndim == 4 else pixels[i]).save(data, "PNG")
            files[f"{i:03}.png"] = data.getvalue()
        write_tar(workdir / "tars" / f"a-{k}.tar", files)
    words = ["fit", *PAIR[:4], "--data", "tars/a-*.tar", "--cache", "codes", "--json", "--force"]
    words += ["--penalty", 2.5]
    partition = workdir / "Eval" / "list_eval_partition.txt"
    partition.parent.mkdir()
    # The first image is not in it.
    partition.write_text("".join(f"{i:03}.png {i % 3}\n" for i in range(1, 150)))
    for more in (["--workers", 2], []):
        refused = run(*words, *more, code=1)
        assert f"images are not in {partition}, such as 'a-0/000.png'" in refused.stderr
    assert not Path("codes/entries").exists()
    partition.write_text("".join(f"{i:03}.png {i % 3}\n" for i in range(300)))
    found = json.loads(run(*words, "--workers", 2, "--out", "far.safetensors").stdout)
    assert (found["n_pairs"], found["n_test"]) == (100, 100)
    assert LinearMap.load("far.safetensors").record["split_rule"] == str(partition)


def test_a_map_is_evaluated_by_workers_on_what_it_has_not_seen(workdir):
    fitted("--workers", 1)
    words = ["evaluate", "by-workers.safetensors", "--data", "few.npy", "--cache", "codes"]
    found = json.loads(run(*words, "--workers", 1, "--json").stdout)
    wanted = json.loads(run(*words, "--split", "test", "--json").stdout)
    assert found["n_test"] == wanted["n_test"]
    assert found["l_mse"] == pytest.approx(wanted["l_mse"], rel=1e-4)
    assert found["record"]["scored_split"] == "test"
    said = run(*words, "--workers", 1).stdout
    assert f"Errors of codes on {found['n_test']} images of the split test" in said
    # Whatever the split is called, and whatever the ids are: what was seen is left out.
    nothing = run(*words, "--workers", 1, "--split", "train", code=1)
    assert "no image of the split train has a code" in nothing.stderr
    np.save("turned.npy", np.load("few.npy")[::-1])
    turned = ["evaluate", "by-workers.safetensors", "--data", "turned.npy", "--cache", "codes"]
    one, other = (run(*turned, *more, "--json") for more in (["--workers", 1], ["--split", "test"]))
    assert json.loads(one.stdout)["n_test"] == json.loads(other.stdout)["n_test"]
    assert "that the map was fitted on" in one.stderr
    other = run(*words, "--workers", 1, "--dst", "a.safetensors", code=1)
    assert "this map goes to" in other.stderr


def test_spaces_are_compared_by_workers(workdir):
    words = ["compare", *MODELS, "--cache", "codes", "--json"]
    found = json.loads(run(*words, "--workers", 2).stdout)
    alone = json.loads(run(*words, "--baselines", "none").stdout)
    wanted = {(one["source"], one["target"]): one for one in alone["pairs"]}
    for one in found["pairs"]:
        other = wanted[one["source"], one["target"]]
        assert one["l_mse"] == pytest.approx(other["l_mse"], rel=1e-4)
    said = run("compare", *MODELS, "--cache", "codes", "--workers", 1).stdout
    assert "linear CKA" in said and "R2, rotation" in said


def test_a_killed_worker_and_a_killed_driver_change_nothing(workdir):
    random = np.random.default_rng(0)
    np.save("few.npy", random.integers(0, 256, (6_000, 8, 8), dtype=np.uint8))
    words = ["fit", *PAIR, "--workers", 2]
    run(*words, "--cache", "alone", "--out", "alone.safetensors")
    words += ["--cache", "codes", "--out", "found.safetensors"]
    with started(*words) as driver:
        wait_for(lambda: [*workdir.glob("codes/plans/*/shard-??????")])
        os.kill(wait_for(lambda: children(driver.pid))[0], signal.SIGKILL)
        wait_for(lambda: [*workdir.glob("codes/sums/*/part-*.safetensors")])
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait(60)
    run(*words)
    one, other = map(LinearMap.load, ("alone.safetensors", "found.safetensors"))
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_images_that_were_changed_are_no_more_the_same(workdir):
    words = ["fit", *PAIR, "--cache", "codes", "--workers", 1]
    run(*words)
    pixels = np.load("few.npy")
    pixels[1:250] = 255 - pixels[1:250]
    np.save("few.npy", pixels)
    refused = run(*words, code=1)
    assert "holds the code of another image than" in refused.stderr
    encode = ["encode", "a.safetensors", "--data", "few.npy", "--cache", "codes", "--workers", 1]
    assert "holds the code of another image than" in run(*encode, code=1).stderr
    for name in sorted(path.name for path in Path("codes/entries").iterdir()):
        run("cache", "rm", name, "--cache", "codes", "--yes")
    run(*words)


def test_a_damaged_shard_is_named_with_what_to_do(workdir):
    words = ["fit", *PAIR, "--cache", "codes", "--workers", 1]
    run(*words)
    path = sorted(Path("codes/entries").rglob("shard-*.h5"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    refused = run(*words, code=1)
    assert f"`latentmap cache rm {path.parent.name} --cache codes` removes it" in refused.stderr
    run("cache", "rm", path.parent.name, "--cache", "codes", "--yes")
    run(*words)


def test_images_that_cannot_be_read_are_skipped_only_where_that_is_asked_for(workdir):
    folder = workdir / "pictures"
    folder.mkdir()
    for number, picture in enumerate(np.load("few.npy")[:60, ..., 0]):
        Image.fromarray(picture).save(folder / f"{number:03d}.png")
    (folder / "007.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    words = ["fit", *PAIR[:4], "--data", "pictures", "--cache", "codes", "--workers", 1]
    skipped = run(*words, "--on-error", "skip")
    assert "007.png" in skipped.stderr
    assert "could not be read when these images were encoded" in run(*words, code=1).stderr
    for path in folder.iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    none = run(*words, "--on-error", "skip", code=1)
    assert "none of the 60 images could be read" in none.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", *PAIR[:4], "--workers", 2], "give --data"),
        (["fit", *PAIR, "--workers", 2, "--limit", 9], "--limit has no effect with --workers"),
        (["fit", *PAIR, "--workers", 2, "--split", "test"], "kept for the scores"),
        (["fit", *PAIR, "--engine", "ray"], "say how many"),
        (["fit", *PAIR, "--workers", 2, "--address", "auto"], "is for --engine ray"),
        (["compare", *MODELS, "--workers", 2, "--ceiling"], "has no effect with --workers"),
        (["compare", *MODELS, "--workers", 2, "--report", "r"], "has no effect with --workers"),
        (["compare", *MODELS, "--workers", 2, "--split", "test"], "kept for the scores"),
    ],
)
def test_what_workers_do_not_do_is_refused_before_any_work(workdir, words, said):
    assert said in run(*words, "--cache", "codes", code=2).stderr
    assert not Path("codes").exists()


def test_what_reads_the_pairs_is_refused_before_any_work(workdir):
    refused = run("fit", *PAIR, "--workers", 2, "--cache", "codes", "--method", "robust", code=1)
    assert "the method robust reads the pairs" in refused.stderr
    assert not Path("codes/entries").exists()
