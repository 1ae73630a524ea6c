"""The demo, with few images and little search: what it leaves, and what it leaves alone."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from latentmap.cli import demo
from latentmap.cli.main import main
from latentmap.errors import ImageError

# What takes its time, and what is asked for in its place.
LESS = {
    "vae svae gan stylegan": "svae gan stylegan -n 20",
    "-k 4 --members 16": "--leading 3 --members 4",
    "own:16": "own:4",
    "--steps 80": "--steps 8",
}


def with_less(template: str) -> str:
    for much, little in LESS.items():
        template = template.replace(much, little)
    return template


STEPS = tuple((title, with_less(template)) for title, template in demo.STEPS)


def run(out: Path) -> Result:
    return CliRunner().invoke(main, ["demo", "--out", str(out), "--samples", "250"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("demo") / "folder of mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "STEPS", STEPS)
        return out, run(out)


@pytest.mark.parametrize("much", LESS)
def test_what_takes_its_time_is_in_a_step(much):
    assert any(much in template for _, template in demo.STEPS)


def test_it_shows_every_command_and_runs_it(shown):
    out, result = shown
    assert result.exit_code == 0, result.output
    for _, template in STEPS:
        words = shlex.split(template.format(out=shlex.quote(str(out)), n=250))
        assert f"$ latentmap {shlex.join(words)}" in result.stdout
    assert "Try next" in result.stdout
    for line in result.stdout.partition("Look at")[2].splitlines():
        named = line.strip().partition("   ")[0]
        if named.startswith(str(out)):
            assert Path(named).exists(), named


def test_it_offers_the_explorer_by_a_line_that_works(shown, tmp_path):
    offered = shown[1].stdout.partition("Move codes yourself")[2]
    (line,) = [one.strip() for one in offered.splitlines() if "latentmap explore svae" in one]
    words = [*shlex.split(line)[1:], "--at", "start=random&seed=4"]
    result = CliRunner().invoke(main, [*words, "--figure", str(tmp_path / "moved.png")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "moved.png").stat().st_size > 1000


@pytest.mark.parametrize("there", [True, False])
def test_what_the_explorer_needs_is_named_where_it_is_missing(shown, capsys, monkeypatch, there):
    monkeypatch.setattr(demo, "find_spec", lambda name: there or None)
    demo._offer_explorer(shown[0], "codes")
    assert ('pip install "latentmap[explore]"' in capsys.readouterr().out) == (not there)


def test_the_report_holds_all_of_it(shown):
    out, _ = shown
    page = (out / "report" / "index.html").read_text()
    for part in ("svae", "stylegan", "support", "data:image"):
        assert part in page
    described = json.loads((out / "report" / "report.json").read_text())
    kinds = [section["id"].partition("-")[0] for section in described["sections"]]
    assert kinds.count("fit") == 2 and {"support", "bench"} <= set(kinds)
    # Each says its own command, which makes it again.
    fits = [one for one in described["sections"] if one["id"].startswith("fit-")]
    commands = {one["record"]["command"] for one in fits}
    assert len(commands) == 2
    assert all(one.startswith("latentmap fit --src s") for one in commands)


def test_the_pictures_show_images(shown):
    out, _ = shown
    for name in ("svae-to-stylegan.png", "stylegan-to-svae.png", "support/images.png"):
        with Image.open(out / name) as picture:
            assert len(picture.convert("L").getcolors(2**16) or []) > 50


def test_its_options_reach_the_steps_that_have_them_and_json_holds_what_they_say(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("latentmap.cli.demo.STEPS", STEPS[3:4])
    words = ["demo", "--out", str(tmp_path / "d"), "-n", "200", "--seed", "3", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (step,) = json.loads(result.stdout)["steps"]
    assert step["command"].endswith("--seed 3")
    assert (step["result"]["model"], step["result"]["n"]) == ("gan", 200)
    assert f"$ {step['command']}" in result.stderr


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "holds something else than a demo: choose another --out" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_it_follows_no_link_out_of_its_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "images.png").write_text("precious")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / ".latentmap-demo").touch()
    (tmp_path / "demo" / "support").symlink_to(tmp_path / "mine")
    result = run(tmp_path / "demo")
    assert result.exit_code == 1
    assert "support is a link, which no demo makes" in result.stderr
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["precious"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "demo")
    assert result.exit_code == 2
    assert f"'{tmp_path / 'file'}' is a file, not a folder" in result.stderr


def test_an_interruption_ends_it(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("latentmap.comparison.making.images_for_all", stop)
    result = run(tmp_path / "demo")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
    assert "And back" not in result.stdout and "Look at" not in result.stdout


def test_a_step_that_fails_ends_it(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ImageError("no images today")

    monkeypatch.setattr("latentmap.comparison.making.images_for_all", fail)
    result = run(tmp_path / "demo")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Error: no images today"
    assert "Look at" not in result.stdout
