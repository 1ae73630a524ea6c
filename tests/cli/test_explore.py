"""`latentmap explore`: the page in a browser, its picture as a command, and what it refuses."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.explore_page import Page
from latentmap.cli.explore_words import words_without_folders
from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.explorer import explore_spaces, read_place
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.lines import figure_of_line, read_line, show_line
from latentmap.explorer.showing import show_place
from latentmap.explorer.uploads import see_upload
from latentmap.images import open_images

CHROMIUM = Path("/usr/bin/chromium")
WORDS = ["explore", "a.safetensors", "b.safetensors", "--data", "few.npy", "--cache", "cache"]
WORDS += ["--device", "cpu"]


def run(*words):
    return CliRunner().invoke(main, [*WORDS, *words])


def explored_here():
    """The same spaces, by the library."""
    source, target = load("a.safetensors"), load("b.safetensors")
    return explore_spaces(source, [target], open_images("few.npy"), "cache")


def test_the_picture_of_a_place_is_that_of_the_library(workdir):
    state = "moves=variables_1_0.5"
    result = run("--at", state, "--figure", "moved.png", "--json")
    assert result.exit_code == 0, result.output
    _, shown = show_place(explored_here(), read_place(state))
    assert json.loads(result.stdout)["pictures"] == [one.to_json() for one in shown]
    pixels = np.asarray(Image.open("moved.png").convert("L"))
    for one in shown:
        # Enlarged a whole number of times: its first pixel, and its rows, stand somewhere in it.
        values = {*one.pixels[..., 0].flatten().tolist()}
        assert len(values) > 5 and values <= {*np.unique(pixels).tolist()}


def test_a_file_of_codes_is_explored_as_far_as_it_goes(workdir):
    explored = explored_here()
    ids, vectors = explored.codes.codes.ids, explored.codes.codes.vectors.numpy()
    np.savez("codes.npz", codes=vectors, ids=ids)
    codes, target = load("codes.npz"), load("b.safetensors")
    data = ["--data", "few.npy", "--cache", "cache", "--device", "cpu"]
    words = ["explore", "codes.npz", "b.safetensors", *data, "--at", "start=mean"]
    result = CliRunner().invoke(main, [*words, "--figure", "mapped.png", "--json"])
    assert result.exit_code == 0, result.output
    assert [one["role"] for one in json.loads(result.stdout)["pictures"]] == ["mapped"]
    mixed = explore_spaces(codes, [target], open_images("few.npy"), "cache")
    name = str(ids[2])
    near, expected = (ACTIONS["near"](one, {"id": name, "count": 3}) for one in (mixed, explored))
    assert near.told["spaces"][0]["ids"] == expected.told["spaces"][0]["ids"]
    np.testing.assert_array_equal(near.pictures, expected.pictures)
    member = ACTIONS["member"](mixed, {"id": name})
    assert [one["role"] for one in member.told["made"]] == ["own"]
    # What is sent has no code there, and is seen as by the other.
    Image.fromarray(mixed.images.read(2)[..., 0]).save("sent.png")
    back = explore_spaces(target, [codes], mixed.images, "cache")
    for some, roles in ((mixed, ["own"]), (back, ["source"])):
        sent = see_upload(Path("sent.png").read_bytes(), some.views)
        told = ACTIONS["own"](some, ACTIONS["upload"](some, {"seen": sent}).told).told
        assert told["without"] == ["codes"]
        assert [one["role"] for one in told["pictures"]] == roles


def test_the_picture_of_a_line_is_that_of_the_library(workdir):
    state = "view=line&a=start%3Drandom&steps=3"
    result = run("--at", state, "--figure", "line.png", "--json")
    assert result.exit_code == 0, result.output
    rows = show_line(explored_here(), read_line(state)[0])
    assert json.loads(result.stdout)["pictures"] == [one.to_json() for one in rows]
    expected = figure_of_line(rows).picture()
    np.testing.assert_array_equal(np.asarray(Image.open("line.png")), np.asarray(expected))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--at", "start=nowhere", "--figure", "x.png"], 1, "a state starts from one of"),
        (["--at", "start=image&image=no", "--figure", "x.png"], 1, "none of the 300 images"),
        (["--at", "view=line&steps=1", "--figure", "x.png"], 1, "a line has 2 to 32 steps"),
        (["--at", "start=upload&upload=a", "--figure", "x.png"], 1, "is not here any more"),
        (["--at", "view=none&x=1", "--figure", "x.png"], 1, "own, traces, not 'none'"),
        (["--at", "view=points&box=x", "--figure", "x.png"], 1, "a box is written as X_Y_SPAN"),
        (["--figure", "x.png", "--port", "80"], 2, "--port has no effect with --figure"),
        (["--figure", "x.png", "--report", "r"], 2, "--report has no effect with --figure"),
        (["--report", "."], 1, "holds other files and no report"),
        (["--samples", "200"], 2, "give either images"),
        (["--attributes", "few.csv", "--figure", "x.png"], 2, "with a --figure of another"),
        (["--attributes", "none.csv", "--no-browser"], 2, "none.csv"),
        (["--attributes", "other.csv", "--no-browser"], 1, "none of the 300 images (0 is the"),
        (["--trace", "few.npy", "--no-browser"], 1, "few.npy"),
        (["--trace", "few.npy", "--figure", "x.png"], 2, "--trace has no effect with --figure"),
        (["--host", "192.0.2.1", "--no-browser"], 1, "port 0 of 192.0.2.1 cannot be had"),
    ],
)
def test_what_cannot_be_is_refused(workdir, words, code, said):
    for name, image in (("few", "0"), ("other", "a.png")):
        Path(f"{name}.csv").write_text(f"image,hat\n{image},1\n", encoding="utf-8")
    result = run(*words)
    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "give a MODEL to explore, or a training by --trace FILE"),
        (["--trace", "few.npy", "--seed", "3"], 2, "--seed has no effect without a MODEL"),
        (["--trace", "few.npy", "--data", "few.npy"], 2, "--data has no effect without a MODEL"),
        (["--trace", "few.npy"], 1, "few.npy"),
    ],
)
def test_without_a_model_there_are_trainings_alone(workdir, words, code, said):
    result = CliRunner().invoke(main, ["explore", *words, "--no-browser"])
    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]


def test_without_the_server_the_extra_is_named(workdir, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("--no-browser")
    assert result.exit_code == 1
    assert 'pip install "latentmap[explore]"' in result.stderr
    assert run("--figure", "moved.png").exit_code == 0  # Which needs none.


def test_a_generator_alone_is_explored_on_its_own_images(workdir):
    words = ["explore", "a.safetensors", "--samples", "200", "--cache", "cache", "--device", "cpu"]
    result = CliRunner().invoke(main, [*words, "--at", "start=random&seed=3", "--figure", "x.png"])
    assert result.exit_code == 0, result.output
    assert "200 images are made by a" in result.stderr


def test_the_command_that_the_page_shows_has_no_folder_of_the_disk():
    context = main.get_command(None, "explore").make_context(
        "explore",
        shlex.split(
            "/home/me/a.safetensors svae --data /home/me/f.h5:/x --seed 3 --port 7 "
            "--cache /home/me/codes --at start=mean --no-browser"
        ),
    )
    shown = words_without_folders(context)
    assert shown == "latentmap explore a.safetensors svae --data f.h5:/x --seed 3"


def words_of(*words, view=""):
    context = main.get_command(None, "explore").make_context("explore", list(words))
    return shlex.split(words_without_folders(context, view))


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("onnx:/home/me/enc.onnx,/home/me/dec.onnx", "onnx:enc.onnx,dec.onnx"),
        ("onnx:enc.onnx,../me/dec.onnx", "onnx:enc.onnx,dec.onnx"),
        ("diffusers:/home/me/sd", "diffusers:sd"),
        ("diffusers:~/me/sd", "diffusers:sd"),
        ("python:m:f?weights=/home/me/w.pt&size=64x64", "python:m:f?weights=w.pt&size=64x64"),
        ("python:/home/me/m.py:f", "python:m.py:f"),
        ("other:kind:/home/me/w.pt", "other:kind:w.pt"),
        ("file:///home/me/a", "file:a"),
        ("C:\\Users\\me\\f.zip", "f.zip"),
        ("C:/Users/me/f.zip", "f.zip"),
        ("onnx:C:\\Users\\me\\f.onnx", "onnx:f.onnx"),
        ("\\\\server\\me\\f.zip", "f.zip"),
        ("..\\me\\f.zip", "f.zip"),
        ("/home/me/x.onnx?mean=/home/me/m", "x.onnx?mean=m"),
        ("/home/me?/x.onnx", "x.onnx"),
        ("/home/{me,you}/f-{00..99}.tar", "f-{00..99}.tar"),
        ("{/home/me/a,/home/me/b}.tar", "{a,b}.tar"),
        ("a/../../me/f.zip", "f.zip"),
        ("/home/me/", "me"),
        ("/home/me/f.h5:/inside", "f.h5:/inside"),
        ("folder/f.h5:/inside", "folder/f.h5:/inside"),
        ("hub:a/b?size=64x64", "hub:a/b?size=64x64"),
        ("onnx:enc.onnx,dec.onnx", "onnx:enc.onnx,dec.onnx"),
    ],
)
def test_no_word_of_it_has_a_folder_of_the_disk(word, shown):
    assert words_of(word, "svae") == ["latentmap", "explore", shown, "svae"]


def test_trainings_are_in_the_command_of_their_view_alone():
    """Which --figure, that the page adds to it, refuses of others."""
    words = ("svae", "--trace", "/home/me/a.trace", "--trace", "b.trace", "--seed", "3")
    assert words_of(*words) == ["latentmap", "explore", "svae", "--seed", "3"]
    traces = ["latentmap", "explore", "--trace", "a.trace", "--trace", "b.trace"]
    assert words_of(*words, view="traces") == traces
    assert words_of(*words[1:5], view="traces") == traces


def test_what_the_view_does_not_read_is_not_looked_for(workdir):
    """A page keeps the start of one code while it shows a line."""
    state = "view=line&a=start%3Drandom&steps=2&start=upload&upload=gone"
    result = run("--at", state, "--figure", "line.png")
    assert result.exit_code == 0, result.output


def test_attributes_colour_points_of_all_images(workdir, monkeypatch):
    rows = [f"{number},{number % 3}" for number in range(200)]
    Path("few.csv").write_text("\n".join(["image,hat", *rows]), encoding="utf-8")
    served = []
    monkeypatch.setattr(Page, "serve", lambda self, explored, *_, **__: served.append(explored))
    result = run("--attributes", "few.csv", "--no-browser")
    assert result.exit_code == 0, result.output
    (explored,) = served
    assert len(explored.images) == 300
    answer = ACTIONS["colour"](explored, {"by": "attribute hat", "start": 0})
    expected = [float(name) % 3 if float(name) < 200 else np.nan for name in explored.points.ids]
    np.testing.assert_array_equal(answer.arrays[0], expected)


@pytest.mark.parametrize("chosen", [True, False])
def test_it_has_a_table_of_attributes_where_that_chooses_images(workdir, chosen):
    Path("few.csv").write_text("image,hat\n0,1\n", encoding="utf-8")
    where = ["--where", "hat == 1"] if chosen else []
    words = ["a", "--data", "few.npy", "--attributes", "few.csv", *where]
    context = main.get_command(None, "explore").make_context("explore", words)
    where = " --where 'hat == 1'" if chosen else ""
    whole = f"latentmap explore a --data few.npy --attributes few.csv{where}"
    expected = whole if chosen else "latentmap explore a --data few.npy"
    assert words_without_folders(context) == expected
    assert words_without_folders(context, "points") == whole  # It has their colours.


@pytest.fixture
def served(workdir):
    """The address of the page of a command that runs; it ends by Ctrl-C, with nothing said."""
    words = [sys.executable, "-m", "latentmap.cli", *WORDS, "--no-browser"]
    environment = {**os.environ, "LATENTMAP_CACHE": "cache"}
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert [line for line in err.splitlines() if line] == [
        "next: latentmap compare a.safetensors b.safetensors --data few.npy --cache cache "
        "--device cpu"
    ]


@pytest.fixture
def page(served):
    """The page in Chromium; it asks its own server alone, and complains of nothing."""
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    requests, complaints = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served)
        page.wait_for_selector("figure img")
        yield page
        assert complaints == []
        base = served.split("#")[0]
        assert requests and all(url.startswith((base, f"blob:{base[:17]}")) for url in requests)
        browser.close()


PIXELS = """async (image) => {
  try { await image.decode(); } catch { return []; }  // The next one is on its way.
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, i) => i % 4 === 0);
}"""


def pictures_on(page):
    """The first channel of all pictures on the page, as they are drawn."""
    return [page.evaluate(PIXELS, image) for image in page.query_selector_all("figure img")]


def wait_for_state(page, key, value=None):
    """The value of a key of the state, as soon as the address has it."""
    end = time.monotonic() + 10
    while True:
        found = parse_qs(urlsplit(page.url).fragment).get(key, [""])[0]
        if found and value in (None, found):
            return found
        assert time.monotonic() < end, page.url
        page.wait_for_timeout(20)


def require_shown(page, explored, state):
    """The pictures and the numbers of a place are on the page, as soon as it has answered."""
    code, shown = show_place(explored, read_place(state))
    expected = [one.pixels[..., 0].flatten().tolist() for one in shown]
    end = time.monotonic() + 10
    while pictures_on(page)[-len(expected) :] != expected:
        assert time.monotonic() < end, "the page never showed it"
        page.wait_for_timeout(20)
    controls = explored.controls["variables"]
    read = controls.moving.read(code).tolist()
    numbers = page.locator(".slider input[type=number]").evaluate_all(
        "all => all.map(x => x.value)"
    )
    alive = [one.number for one in controls.controls if not one.dead]
    assert [float(one) for one in numbers] == [round(read[number], 2) for number in alive]


def test_a_slider_moves_the_pictures_of_both_models(page, workdir):
    explored = explored_here()
    first = next(one for one in explored.controls["variables"].controls if not one.dead)
    require_shown(page, explored, "")
    slider = page.get_by_label(first.name, exact=True)
    slider.focus()
    start = float(slider.input_value())
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    state = f"moves=variables_{first.number}_{start + 0.5:.4g}"
    require_shown(page, explored, state)
    assert slider.get_attribute("aria-valuetext") == f"{start + 0.5:.2f} standard deviations"
    wait_for_state(page, "moves", state.removeprefix("moves="))
    link = page.url
    page.get_by_role("button", name="Random").click()
    seed = wait_for_state(page, "seed")
    require_shown(page, explored, f"start=random&seed={seed}")
    page.keyboard.press("Control+z")
    require_shown(page, explored, state)
    # On a telephone all of it stands below each other.
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    # The link brings all of it back.
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("figure img")
    require_shown(page, explored, state)
    page.get_by_text("From an image of the data").click()
    page.get_by_role("button", name="Start from").nth(3).click()
    image = wait_for_state(page, "image")
    require_shown(page, explored, f"start=image&image={image}")
    assert page.locator("figure").count() == 4  # The image, the source, mapped, and its own code.
    page.get_by_text("As a command").click()
    shown = page.locator(".command code").text_content()
    words = "latentmap explore a.safetensors b.safetensors --data few.npy --device cpu"
    assert shown == f"{words} --at 'start=image&image={image}' --figure picture.png"


def run_shown(page, figure):
    """What the command that the page shows tells; its figure is called otherwise there."""
    page.get_by_text("As a command").click()
    *words, _ = shlex.split(page.locator(".command code").text_content())
    result = CliRunner().invoke(main, [*words[1:], figure, "--cache", "cache", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_command_of_points_draws_what_is_seen(page, workdir):
    page.get_by_role("tab", name="Points").click()
    page.locator(".key b").wait_for()
    page.locator("#plane").select_option("variables")
    page.locator("#axis-y").select_option("4")
    page.locator("#colour").select_option("code-error 0")
    page.get_by_role("button", name="Closer").click()
    box = wait_for_state(page, "box")
    page.locator(".ends").wait_for()
    ends = page.locator(".ends span").all_text_contents()
    told = run_shown(page, "points.svg")
    assert (told["plane"]["by"], told["plane"]["y"]) == ("variables", 4)
    assert list(told["box"].values()) == pytest.approx([float(one) for one in box.split("_")])
    assert [float(end[2:]) for end in ends] == pytest.approx(told["ends"], rel=1e-2)
    assert "variable 4" in Path("points.svg").read_text(encoding="utf-8")


def test_the_command_of_an_own_image_draws_what_is_seen(page, workdir):
    name = '-it\'s a "face".png'
    Image.fromarray(np.load("few.npy")[7].reshape(8, 8)).save(f"./{name}")
    content = {"name": name, "mimeType": "image/png", "buffer": Path(f"./{name}").read_bytes()}
    page.get_by_role("tab", name="Your own image").click()
    page.locator("#own-file").set_input_files(content)
    page.locator(".own figure").nth(3).wait_for()
    upload = wait_for_state(page, "upload")
    told = run_shown(page, "own.png")
    assert told["upload"] == upload
    errors = [f"mse {one['error']:#.3g} to the image" for one in told["pictures"]]
    notes = page.locator(".own figcaption span").all_text_contents()[1:]
    assert len(errors) == 3
    assert all(error in note for error, note in zip(errors, notes, strict=True))
    page.get_by_role("button", name="As B of a line").click()
    page.locator(".strip img").first.wait_for()
    assert [one["role"] for one in run_shown(page, "line.png")["pictures"]] == ["source", "mapped"]
    page.get_by_role("tab", name="Your own image").click()
    page.get_by_role("button", name="Move its code").click()
    page.get_by_text("From the code of your own image").wait_for()
    moved = run_shown(page, "moved.png")["pictures"]
    assert [one["mse"] for one in moved] == [one["mse"] for one in told["pictures"]]
