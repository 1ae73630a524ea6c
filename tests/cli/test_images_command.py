import json

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli import data_options, options, view_options
from latentmap.cli.main import main
from latentmap.frames import RESIZES
from latentmap.images import SPLITS, open_images
from latentmap.model import PRECISIONS


def run(*arguments):
    return CliRunner().invoke(main, ["images", *map(str, arguments)])


def write_images(folder, count=5, size=(20, 30), mode="RGB"):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new(mode, size, i).save(folder / f"{i}.png")
    return folder


def test_images_are_packed_and_shown(tmp_path):
    folder, out = write_images(tmp_path / "a"), tmp_path / "a.h5"
    result = run("pack", "--data", folder, "--size", "8x6", "--frame", "center", "--out", out)
    assert result.exit_code == 0, result.output
    assert "5 images, 8x6 RGB, frame center, resized with torch-bicubic" in result.stdout
    shown = run("show", "--data", out)
    assert "5 images, such as 0.png, 1.png, 2.png" in shown.stdout
    assert "5 of 8x6, RGB" in shown.stdout
    assert "packed: frame center, torch-bicubic" in shown.stdout
    assert open_images(folder).fingerprint in shown.stdout


def test_a_pack_takes_the_images_as_they_are_by_default(tmp_path):
    folder, out = write_images(tmp_path / "a", mode="L"), tmp_path / "a.h5"
    result = run("pack", "--data", folder, "--out", out, "--json")
    record = json.loads(result.stdout)
    assert record["size"] == [30, 20]
    assert record["channels"] == 1
    assert record["resized"] is False
    assert record["count"] == 5
    colour = run("pack", "--data", folder, "--out", out, "--channels", "3", "--force", "--json")
    assert json.loads(colour.stdout)["channels"] == 3


def test_an_output_that_exists_asks_for_force(tmp_path):
    folder, out = write_images(tmp_path / "a"), tmp_path / "a.h5"
    assert run("pack", "--data", folder, "--out", out).exit_code == 0
    again = run("pack", "--data", folder, "--out", out)
    assert again.exit_code == 1
    assert "a.h5 exists: choose another path, or add --force" in again.stderr
    assert run("pack", "--data", folder, "--out", out, "--force").exit_code == 0


def test_a_pack_must_be_called_h5(tmp_path):
    result = run("pack", "--data", "digits", "--out", tmp_path / "a.npz")
    assert result.exit_code == 1
    assert "a pack is an HDF5 file: call it" in result.stderr


def test_what_is_skipped_is_listed(tmp_path):
    folder = write_images(tmp_path / "a")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    stopped = run("pack", "--data", folder, "--out", tmp_path / "a.h5")
    assert stopped.exit_code == 1
    assert "image '3.png' of" in stopped.stderr
    assert "--on-error skip" in stopped.stderr
    skipped = run("pack", "--data", folder, "--out", tmp_path / "a.h5", "--on-error", "skip")
    assert skipped.exit_code == 0
    assert "4 images" in skipped.stdout
    assert "1 skipped:\n  image '3.png'" in skipped.stderr


def test_show_as_json_has_all_of_it(tmp_path):
    folder = write_images(tmp_path / "a", 6)
    write_images(tmp_path / "a" / "more", 1, (7, 8), "L")
    (folder / "x.png").write_bytes(b"hello")
    record = json.loads(run("show", "--data", folder, "--json").stdout)
    assert record["count"] == 8
    assert record["shapes"] == [
        {"height": 30, "width": 20, "channels": 3, "count": 6},
        {"height": 8, "width": 7, "channels": 1, "count": 1},
    ]
    assert record["unreadable"] == 1
    assert sum(record["splits"].values()) == 8
    assert record["fingerprint"] == open_images(folder).fingerprint
    text = run("show", "--data", folder).stdout
    assert "1 whose head cannot be read" in text
    assert "1 of 8x7, grey" in text


def test_show_tells_values_rule_and_what_was_passed_over(tmp_path):
    folder = tmp_path / "img"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(np.array([[0, 255]], np.uint8)).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("hello")
    (folder / "raw.psd").write_bytes(b"8BPS")
    assert "  values 0 to 255, white is 255\n" in run("show", "--data", folder).stdout
    assert ": 80/10/10 by a hash of the id\n" in run("show", "--data", folder).stdout
    rows = "".join(f"{i}.png,{i % 3}\n" for i in range(4))
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n" + rows)
    text = run("show", "--data", folder).stdout
    assert f"  train 2, val 1, test 1: {tmp_path / 'list_eval_partition.csv'}\n" in text
    assert "  2 other files passed over: 1 .psd, 1 .txt\n" in text
    record = json.loads(run("show", "--data", folder, "--json").stdout)
    assert record["split_rule"] == str(tmp_path / "list_eval_partition.csv")
    assert record["values"] == [{"low": 0, "high": 255, "white": 255}]
    assert (record["looked_at"], record["passed_over"]) == (4, 2)


def test_a_dark_set_is_told_and_its_range_taken(tmp_path):
    masks = np.random.default_rng(0).integers(0, 2, (20, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "sprites.npz", imgs=masks)
    data = f"{tmp_path / 'sprites.npz'}:/imgs"
    told = run("show", "--data", data)
    assert told.exit_code == 0
    assert told.stderr.count("to see black and white: --range 0,1") == 1
    shown = run("show", "--data", data, "--range", "0,1")
    assert "is all but black" not in shown.stderr
    assert "values 0 to 1, white is 1" in shown.stdout
    out = tmp_path / "sprites.h5"
    assert run("pack", "--data", data, "--range", "0,1", "--out", out).exit_code == 0
    assert np.array_equal(open_images(out).read(3)[..., 0], masks[3] * 255)


def test_a_size_of_other_proportions_is_told(tmp_path):
    folder, out = write_images(tmp_path / "a", size=(178, 218)), tmp_path / "a.h5"
    arguments = ["pack", "--data", folder, "--out", out, "--force", "--size"]
    squashed = run(*arguments, "64")
    assert squashed.exit_code == 0
    assert "images of 218x178 are squashed to 64x64 (height x width)" in squashed.stderr
    assert "--frame" in squashed.stderr
    for asked in (["64", "--frame", "center"], ["64", "--frame", "full"], ["109x89"], ["64x52"]):
        assert "squashed" not in run(*arguments, *asked).stderr
    # A pack is as its frame shows the images.
    assert (
        run("pack", "--data", folder, "--frame", "celeba", "--out", out, "--force").exit_code == 0
    )
    view = view_options.ViewOptions(None, None, (64, 64), None)

    @click.command()
    def see():
        view.of(open_images(out))

    assert "squashed" not in CliRunner().invoke(see).stderr
    assert run("pack", "--data", folder, "--out", out, "--force").exit_code == 0
    assert "squashed" in CliRunner().invoke(see).stderr


def test_what_is_too_large_is_named_with_its_size_and_the_limit(tmp_path, monkeypatch):
    folder = write_images(tmp_path / "a", 3, (10, 10))
    Image.new("RGB", (40, 30)).save(folder / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    text = run("show", "--data", folder).stdout
    assert "image 'large.png' of" in text
    assert "Image size (1200 pixels) exceeds limit of 1000 pixels; make it smaller" in text
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    shown = run("show", "--data", folder)
    assert "1 of 30x40, RGB" in shown.stdout
    assert shown.stderr.startswith("next: ")


def test_many_sizes_are_not_all_listed(tmp_path):
    for i in range(7):
        Image.new("RGB", (5 + i, 5)).save(tmp_path / f"{i}.png")
    assert "and 2 other sizes" in run("show", "--data", tmp_path).stdout


def test_the_data_options_reach_the_source(tmp_path):
    folder = write_images(tmp_path / "a", 20)
    attributes, groups = tmp_path / "attributes.csv", tmp_path / "groups.csv"
    attributes.write_text("file,n\n" + "".join(f"{i}.png,{i}\n" for i in range(20)))
    groups.write_text("file,g\n" + "".join(f"{i}.png,{i // 5}\n" for i in range(20)))
    chosen = ["--attributes", attributes, "--where", "n >= 10", "--group-by", groups]
    record = json.loads(run("show", "--data", folder, *chosen, "--limit", 3, "--json").stdout)
    assert record["first_ids"] == ["10.png", "11.png", "12.png"]
    for split in record["splits"]:
        assert record["splits"][split] in (0, 3)
    train = run("show", "--data", folder, "--split", "train", "--json")
    assert json.loads(train.stdout)["splits"]["test"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "0 is not in the range"),
        (["--split", "all"], "'all' is not one of 'train', 'val', 'test'"),
        (["--range", "255"], "'255' is no range: give the value of black and the value of white"),
        (["--range", "1,0"], "'1,0' is no range"),
        (["--range", "0,inf"], "'0,inf' is no range"),
        (["--size", "big"], "'big' is no size: give one number, or height x width: 96x64"),
        (["--size", "3x4x5"], "'3x4x5' is no size"),
        (["--size", "0"], "'0' is no size"),
        (["--group-by", "missing.csv"], "missing.csv' does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path, arguments, message):
    result = run("pack", "--data", "digits", "--out", tmp_path / "a.h5", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "missing"], "Error: missing does not exist: give a folder"),
        (["--data", "digits", "--frame", "face"], "Error: unknown frame 'face'"),
        (["--data", "digits", "--where", "a == 1"], "Error: attributes and where belong together"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(tmp_path, arguments, message):
    result = run("pack", "--out", tmp_path / "a.h5", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_mistake_in_a_condition_ends_before_images_are_looked_for(tmp_path):
    (tmp_path / "t.csv").write_text("file,hat\n0,1\n")
    words = ["--data", "nowhere", "--attributes", tmp_path / "t.csv", "--where"]
    for where, message in {"hut == 1": "did you mean hat?", "hat = 1": "cannot be read"}.items():
        result = run("show", *words, where)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert message in result.stderr


def test_lists_and_partial_tables_reach_the_source_and_the_record(tmp_path):
    folder = write_images(tmp_path / "a", 20)
    (tmp_path / "some.txt").write_text("\n".join(f"{i}.png" for i in range(10)))
    (tmp_path / "others.csv").write_text("file\n3.png\n")
    (tmp_path / "t.csv").write_text("file,n\n" + "".join(f"{i}.png,{i}\n" for i in range(5)))
    chosen = ["--ids", tmp_path / "some.txt", "--exclude", tmp_path / "others.csv"]
    chosen += ["--attributes", tmp_path / "t.csv", "--where", "n > 1", "--limit", 2]
    refused = run("show", "--data", folder, *chosen)
    assert refused.exit_code == 1
    assert "5 of the 9 images" in refused.stderr
    assert "--missing skip" in refused.stderr
    shown = run("show", "--data", folder, *chosen, "--missing", "skip", "--json")
    record = json.loads(shown.stdout)
    assert record["first_ids"] == ["2.png", "4.png"]
    assert shown.stderr == "left out 5 of 9 images, which are not in t.csv\n"
    words = "a, only those in some.txt, without those in others.csv, n > 1"
    assert record["choice"]["in_words"] == words
    assert record["choice"]["unlisted"] == [{"table": "t.csv", "n": 5, "of": 9}]


def test_the_options_list_what_the_library_knows():
    assert view_options.RESIZES == RESIZES
    assert options.PRECISIONS == PRECISIONS
    assert data_options.SPLITS == SPLITS


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is no device: give auto, cpu, cuda or cuda:1"),
        ("meta", "'meta' is no device: give auto, cpu, cuda or cuda:1"),
        ("mps", "'mps' is no device"),
        ("cuda:", "'cuda:' is no device"),
        ("cuda:-1", "'cuda:-1' is no device"),
        ("cuda:7", "torch sees no GPU"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device, message, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    @click.command()
    @options.device_option
    def show(device):
        click.echo(device)

    result = CliRunner().invoke(show, ["--device", device])
    assert result.exit_code == 2
    assert message in result.stderr
    assert CliRunner().invoke(show, []).stdout == "cpu\n"
    assert CliRunner().invoke(show, ["--device", "cpu"]).stdout == "cpu\n"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert CliRunner().invoke(show, []).stdout == "cuda\n"
    assert CliRunner().invoke(show, ["--device", "cuda:1"]).stdout == "cuda:1\n"
    beyond = CliRunner().invoke(show, ["--device", "cuda:2"])
    assert beyond.exit_code == 2
    assert "the last GPU that torch sees is cuda:1" in beyond.stderr


def test_packed_pixels_are_those_of_the_images(tmp_path):
    folder, out = write_images(tmp_path / "a"), tmp_path / "a.h5"
    run("pack", "--data", folder, "--out", out)
    pack, source = open_images(out), open_images(folder)
    assert all(np.array_equal(pack.read(i), source.read(i)) for i in range(5))


def test_a_folder_is_listed_once_and_its_index_taken_for_it(tmp_path):
    folder, out = write_images(tmp_path / "a"), tmp_path / "a.index"
    (folder / "notes.txt").write_text("x")
    result = run("index", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: 5 images of {folder}, 1 other files passed over\n"
    shown = json.loads(run("show", "--data", out, "--json").stdout)
    assert shown["fingerprint"] == open_images(folder).fingerprint
    again = run("index", folder, "--out", out)
    assert again.exit_code == 1 and "a.index exists: choose another path" in again.stderr
    said = json.loads(run("index", folder, "--out", out, "--force", "--json").stdout)
    assert said == {"path": str(out), "count": 5, "others": 1}
    named = run("index", folder, "--out", tmp_path / "a.txt")
    assert "an index ends so: call it" in named.stderr and named.exit_code == 1
    for odd, reason in ((tmp_path / "none", "No such file"), (folder / "0.png", "Not a directory")):
        refused = run("index", odd, "--out", tmp_path / "b.index")
        assert refused.exit_code == 1 and reason in refused.stderr
