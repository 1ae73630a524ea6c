"""latentmap support show, run as a user runs it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.support import SupportSet

DATA = ("--data", "few.npy")


def run(*words, code=0):
    result = CliRunner().invoke(main, ["support", *map(str, words)], prog_name="latentmap")
    assert result.exit_code == code, result.output
    return result


def refusal(*words, code=1) -> str:
    lines = run("show", *words, code=code).stderr.splitlines()
    assert code == 2 or len(lines) == 1
    return lines[-1]


@pytest.fixture
def built(workdir):
    build = ("build", "a.safetensors", *DATA, "--leading", "0,1,2", "--threshold", 0.05)
    run(*build, "--members", 10, "--device", "cpu", "--out", "s.h5")
    run(*build, "--members", 10, "--device", "cpu", "--out", "whole.h5", "--with-images")
    rival = ("build", "a.safetensors", *DATA, "--strategy", "random", "--members", 10)
    run(*rival, "--device", "cpu", "--out", "random.h5")
    return workdir


def test_the_table_and_the_figures_are_those_of_the_file(built):
    title, _, *lines = run("show", "s.h5").stdout.splitlines()
    assert title == "Support set s: few.npy"
    support = SupportSet.load(built / "s.h5")
    assert lines[1].split() == ["sector", "signs", "members", "in", "the", "set"]
    number, signs, members, chosen = lines[2].split()
    assert int(members) == support.occupancy.max() == support.occupancy[int(number)]
    assert signs == "".join("+" if int(number) >> bit & 1 else "-" for bit in range(3))
    assert int(chosen) == (support.sector == int(number)).sum()
    spread = support.settings["spread"]
    (line,) = [line for line in lines if line.startswith("images of the set")]
    assert f"{spread['support_mse']:.4f}" in line
    (head,) = [number for number, line in enumerate(lines) if "chi-square" in line]
    assert lines[head + 1].startswith("0.05 ")


def test_json_has_the_figures(built):
    found = json.loads(run("show", "s.h5", "--json").stdout)
    support = SupportSet.load(built / "s.h5")
    assert found["occupancy"] == support.occupancy.tolist()
    assert found["support_mse_low"] < found["support_mse"] < found["support_mse_high"]
    assert found["random_mse_low"] < found["random_mse"] < found["random_mse_high"]
    assert found["at_threshold"]["threshold"] == 0.05
    assert sum(found["by_side"]["counts"]) == 300
    assert len(found["members"]) == 10


def test_distances_are_measured_again_on_data_that_are_given(built):
    stored = json.loads(run("show", "s.h5", "--json").stdout)
    measured = json.loads(run("show", "s.h5", *DATA, "--json").stdout)
    assert measured["support_mse"] == pytest.approx(stored["support_mse"])
    assert measured["random_mse"] == pytest.approx(stored["random_mse"])


def test_only_the_images_of_a_sector_are_listed(built):
    support = SupportSet.load(built / "s.h5")
    number = int(support.sector[support.filled][0])
    _title, _, *lines = run("show", "s.h5", "--sector", number).stdout.splitlines()
    assert lines[1].split()[:4] == ["image", "of", "sector", str(number)]
    mine = support.ids[support.sector == number].tolist()
    assert [line.split()[0] for line in lines[2 : len(mine) + 2]] == mine
    assert lines[3].split()[-1] == "filled"
    found = json.loads(run("show", "s.h5", "--sector", number, "--json").stdout)
    assert [one["id"] for one in found["members"]] == mine
    assert "the sectors of s.h5 are 0 to 7" in refusal("s.h5", "--sector", 8, code=2)


def test_all_members_of_a_sector_are_listed_and_shown(built):
    support = SupportSet.load(built / "s.h5")
    number = int(support.occupancy.argmax())
    listed = json.loads(run("show", "s.h5", "--sector", number, "--json").stdout)["sector_members"]
    assert len(listed) == support.occupancy[number]
    others = [one for one in listed if one not in support.ids]
    text = run("show", "s.h5", "--sector", number).stdout
    assert f"{len(others)} other members: {', '.join(others[:8])}" in text
    run("show", "s.h5", *DATA, "--sector", number, "--figures", "all")
    run("show", "whole.h5", "--sector", number, "--figures", "chosen")
    paths = [built / name / "images.png" for name in ("all", "chosen")]
    with Image.open(paths[0]) as more, Image.open(paths[1]) as fewer:
        assert more.width * more.height > fewer.width * fewer.height


def test_the_grid_shows_the_images_from_the_file_or_from_the_data(built):
    assert "wrote whole/images.png" in run("show", "whole.h5", "--figures", "whole").stdout
    run("show", "s.h5", *DATA, "--figures", "found")
    one, other = (
        np.asarray(Image.open(built / name / "images.png")) for name in ("whole", "found")
    )
    assert np.array_equal(one, other)
    image = SupportSet.load(built / "whole.h5").images[0, :, :, 0].repeat(8, 0).repeat(8, 1)
    corners = ((y, x) for y in range(120) for x in range(120))
    assert any(np.array_equal(one[y : y + 64, x : x + 64, 0], image) for y, x in corners)
    assert "s.h5 holds no images: give the data" in refusal("s.h5", "--figures", "x", code=2)
    assert not (built / "x").exists()


def test_a_sector_without_images_has_no_grid(built):
    build = ("build", "a.safetensors", *DATA, "--leading", "0,1,2", "--threshold", 0.1)
    run(*build, "--strict", "--device", "cpu", "--out", "strict.h5")
    support = SupportSet.load(built / "strict.h5")
    (empty, *_) = sorted(set(range(8)) - set(support.sector.tolist()))
    message = refusal("strict.h5", *DATA, "--sector", empty, "--figures", "x")
    assert f"strict.h5 has no image of sector {empty}" in message


@pytest.mark.parametrize(
    "option",
    [
        ("--limit", 3),
        ("--split", "test"),
        ("--where", "a == 1"),
        ("--attributes", "s.h5"),
        ("--group-by", "s.h5"),
        ("--on-error", "stop"),
        ("--seed", 0),
    ],
)
def test_nothing_is_chosen_of_no_data(built, option):
    message = refusal("s.h5", *option, code=2)
    assert f"{option[0]} has no effect without --data: leave it out" in message


def test_the_occupancy_is_drawn(built):
    words = ("whole.h5", "--figures", "pictures")
    assert "wrote pictures/sectors.png" in run("show", *words).stdout
    with Image.open(built / "pictures" / "sectors.png") as picture:
        assert picture.width > 800
    (built / "pictures" / "images.png").unlink()
    assert "pictures/sectors.png exists" in refusal(*words)
    run("show", *words, "--force")


def test_a_rival_is_shown_without_sectors(built):
    text = run("show", "random.h5").stdout
    assert "10 images of 300, by random" in text
    assert "signs" not in text
    assert "relaxed" not in text
    assert json.loads(run("show", "random.h5", "--json").stdout)["members"][0]["reach"] is None
    run("show", "random.h5", *DATA, "--figures", "pictures")
    assert [path.name for path in (built / "pictures").iterdir()] == ["images.png"]


def test_pictures_and_a_report_are_not_put_into_one_folder(built):
    message = refusal("whole.h5", "--figures", "r", "--report", "r")
    assert "--figures and --report are both r" in message
    assert not (built / "r").exists()


def test_images_that_cannot_be_read_are_skipped_if_so_wished(workdir):
    (workdir / "folder").mkdir()
    for number, pixels in enumerate(np.load("few.npy")[:20, :, :, 0]):
        Image.fromarray(pixels).save(workdir / "folder" / f"{number}.png")
    (workdir / "folder" / "broken.png").write_bytes(b"nothing")
    data = ("--data", "folder", "--on-error", "skip")
    sparse = ("--strategy", "random", "--members", 6, "--device", "cpu", "--out", "s.h5")
    run("build", "a.safetensors", *data, *sparse)
    assert "broken.png" in refusal("s.h5", "--data", "folder")
    shown = run("show", "s.h5", *data, "--figures", "g", "--json")
    assert "skipped 1 images that could not be read: broken.png" in shown.stderr
    found = json.loads(shown.stdout)
    assert (found["n_random"], found["skipped"]) == (20, ["broken.png"])
    assert (workdir / "g" / "images.png").exists()


def test_other_data_and_other_files_are_refused(built):
    assert "it is a support set of other data" in refusal("s.h5", "--data", "digits", "--limit", 20)
    held = refusal("whole.h5", "--data", "digits", "--limit", 20)
    assert "it is a support set of other data" in held
    assert "there is no file none.h5" in refusal("none.h5")
    assert "cannot be read as a support set" in refusal("a.safetensors")


def test_relaxed_images_stand_with_how_far_and_on_which_side_they_are(built):
    build = ("build", "a.safetensors", *DATA, "--leading", "0,1,2", "--center", "zero")
    made = run(*build, "--threshold", 0.1, "--device", "cpu", "--out", "far.h5")
    found = json.loads(run("show", "far.h5", "--json").stdout)
    relaxed = [one for one in found["members"] if one["relaxed"]]
    assert found["relaxed"] == len(relaxed) > 0
    assert found["wrong_side"] == sum(one["wrong_signs"] > 0 for one in relaxed) > 0
    for one in found["members"]:
        assert one["short"] == pytest.approx(max(0.1 - one["reach"], 0))
    worst = max(relaxed, key=lambda one: one["short"])
    assert found["most_short"] == worst["short"]
    for text in (made.stdout, run("show", "far.h5").stdout):
        assert f"{len(relaxed)}, short of the threshold by {worst['short']:.2f} at most" in text
        assert f"{found['wrong_side']} on the wrong side of the center" in text
        lines = text.splitlines()
        (head,) = [i for i, line in enumerate(lines) if line.startswith("relaxed image ")]
        assert lines[head + 1].split()[0] == worst["id"]
        assert lines[head + 1].split()[-1] == str(worst["wrong_signs"])
