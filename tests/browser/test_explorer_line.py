"""The views "A to B" and "Your own image" of the explorer in Chromium, as the library has them."""

import io
import time
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.explorer import Serving, Session, explore_spaces, read_place
from latentmap.explorer.lines import Line, show_line
from latentmap.images import open_images
from latentmap.mapping import typicality
from latentmap.model.testing import LinearModel
from latentmap.report.store import read_report

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """A source and two targets, one of which has no encoder, and a folder for a report."""
    folder = tmp_path_factory.mktemp("explorer")
    source, target = (
        LinearModel(4, (1, 8, 8), seed=seed, name=name)
        for seed, name in enumerate(("source", "target"))
    )
    spread = torch.tensor([0.5, 0.1, 0.9, 0.3])
    codes = (2 * torch.rand(300, 4, generator=torch.manual_seed(0)) - 1) * spread
    pixels = (source.decode(codes) * 255).round().to(torch.uint8)
    np.save(folder / "images.npy", pixels.permute(0, 2, 3, 1).numpy())
    images = open_images(folder / "images.npy")
    found = explore_spaces(source, [target], images, folder / "cache")
    return replace(found, report=folder / "report", command="latentmap explore")


@pytest.fixture(scope="module")
def address(explored):
    with Serving(Session(explored)) as serving:
        yield serving.address


@pytest.fixture
def visit(browser, address):
    """Opens the page in a state; it complains of nothing."""
    complaints, pages = [], []

    def begin(state, **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}#{state}")
        return page

    yield begin
    for page in pages:
        page.close()
    assert complaints == []


PIXELS = """async (image) => {
  try { await image.decode(); } catch { return []; }  // The next one is on its way.
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, i) => i % 4 === 0);
}"""


def require_pictures(page, where, expected):
    """The pictures somewhere on the page are these, uint8 ``(h, w, 1)``, as soon as they are."""
    wanted = [pixels.flatten().tolist() for pixels in expected]
    end = time.monotonic() + 10
    while True:
        images = page.query_selector_all(f"{where} img")
        if [page.evaluate(PIXELS, image) for image in images] == wanted:
            return
        assert time.monotonic() < end, f"{where} never showed them"
        page.wait_for_timeout(20)


def require_line(page, explored, line, step):
    """All steps of a line stand in the strip, and one of them large."""
    rows = show_line(explored, line)
    require_pictures(page, ".strip", [one for row in rows for one in row.pictures])
    require_pictures(page, "figure", [row.pictures[step] for row in rows])
    guesses = page.locator(".strip img").evaluate_all(
        "all => all.map(x => x.classList.contains('guess'))"
    )
    assert guesses == [one is True for row in rows for one in row.outside]
    return rows


def test_the_line_between_two_codes_is_shown_played_and_written(visit, explored, images_of):
    page = visit("view=line&steps=5", viewport={"width": 1600, "height": 1000})
    ids = explored.images.ids
    a, b = (urlencode({"start": "image", "image": ids[i]}) for i in (0, 1))
    require_line(page, explored, Line(a, b, 5), 0)
    require_pictures(page, ".end", [images_of(0), images_of(1)])
    # By keys: from step to step, and the steps played once.
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("ArrowRight")
    require_line(page, explored, Line(a, b, 5), 1)
    page.wait_for_url("**step=1*")
    page.get_by_label("Played").select_option("once")
    page.get_by_label("Steps in a second").select_option("16")
    page.locator(".strip").focus()
    page.keyboard.press(" ")
    page.wait_for_url("**step=4*")
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
    require_line(page, explored, Line(a, b, 5), 4)
    # Other ends: an image that is chosen, and the code that was moved.
    page.get_by_text("B from an image of the data").click()
    page.get_by_role("button", name=f"B: {ids[3]}").click()
    b = urlencode({"start": "image", "image": ids[3]})
    require_line(page, explored, Line(a, b, 5), 0)
    page.get_by_role("button", name="Swap A and B").click()
    require_line(page, explored, Line(b, a, 5), 0)
    page.keyboard.press("Control+z")
    page.get_by_role("tab", name="Move a code").click()
    page.get_by_label("variable 2", exact=True).press("End")
    page.get_by_role("tab", name="A to B").click()
    page.get_by_role("button", name="A: The moved code").click()
    a = "start=mean&moves=variables_2_2.25"
    rows = require_line(page, explored, Line(a, b, 5), 0)
    assert rows[1].outside[0] is True
    assert "a guess" in page.locator("figure").nth(1).text_content()
    assert page.get_by_text("Underlined: far from").is_visible()
    # Files, and the report.
    with page.expect_download() as known:
        page.get_by_role("button", name="Save a picture").click()
    assert known.value.suggested_filename == "line.png"
    with page.expect_download() as known:
        page.get_by_role("button", name="Save a GIF").click()
    with Image.open(known.value.path()) as saved:
        assert saved.n_frames == 5
    page.get_by_role("button", name="Add to the report").click()
    page.get_by_text("Added to the report.").wait_for()
    (section,) = read_report(explored.report).sections
    assert section.record["a"] == a and section.record["b"] == b
    page.get_by_text("As a command").click()
    command = page.locator(".command code").text_content()
    assert (
        command.startswith("latentmap explore --at '")
        and "--at 'view=line&a=start%3Dmean" in command
    )
    # The link brings all of it back, on a telephone, where less motion is asked for.
    page.wait_for_url("**a=start*")
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    other = visit(page.url.split("#")[1], reduced_motion="reduce", **options)
    require_line(other, explored, Line(a, b, 5), 0)
    assert other.evaluate("document.documentElement.scrollWidth") == 390
    still = visit("view=line", reduced_motion="reduce", **options)
    assert still.get_by_label("Played").input_value() == "once"
    assert still.get_by_label("Steps in a second").input_value() == "2"


@pytest.fixture
def images_of(explored):
    return explored.images.read


def own_image(folder, pixels, name):
    path = folder / name
    Image.fromarray(pixels[..., 0]).save(path, "PNG")
    return path


DROP = """async ([data, name]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(data)], name));
  (document.querySelector(".drop") ?? document.body).dispatchEvent(
    new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_an_image_of_ones_own_is_in_every_model(visit, explored, images_of, tmp_path):
    source, target = explored.models
    page = visit("view=own")
    path = own_image(tmp_path, images_of(8), "<b>my face.png")
    page.get_by_label("Drop an image here").set_input_files(path)
    image = torch.from_numpy(images_of(8)).permute(2, 0, 1)[None] / 255
    code = source.encode(image)
    linear_map = explored.targets[0].linear_map
    made = [source.decode(code), target.decode(linear_map.apply(code))]
    made.append(target.decode(target.encode(image)))
    pixels = [(one[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy() for one in made]
    require_pictures(page, "figure", [images_of(8), *pixels])
    for one, figure in zip(made, page.locator("figure span").all_text_contents()[1:], strict=True):
        error = float((one.double() - image.double()).square().mean())
        shown = float(figure.split("mse ")[1].split(" to the image")[0])
        assert shown == pytest.approx(error, rel=6e-3, abs=1e-12)
    known = typicality(linear_map, code)
    words = page.locator(".typicality p").text_content()
    assert words == (
        f"To target: {known.distances[0]:.2f} from the mean of the codes that the map was fitted "
        f"on, {100 * known.nearer[0]:.1f} % of which are nearer. 99 % of such codes are within "
        f"{known.limit:.2f}. Inside."
    )
    # What cannot be taken is said, and what was there stays.
    broken = tmp_path / "broken.png"
    broken.write_bytes(path.read_bytes()[:60])
    page.get_by_label("Drop an image here").set_input_files(broken)
    page.get_by_text("This is no image that can be taken: damaged or cut off").wait_for()
    require_pictures(page, "figure", [images_of(8), *pixels])
    # One that is dropped, far from the data.
    noise = np.random.default_rng(2).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise[..., 0]).save(file, "PNG")
    page.evaluate(DROP, [list(file.getvalue()), "noise.png"])
    page.get_by_text("Outside: the map guesses.").wait_for()
    assert page.locator("figure").nth(0).locator("img").is_visible()
    page.keyboard.press("Control+z")
    require_pictures(page, "figure", [images_of(8), *pixels])
    # Its code is moved, and an end of a line.
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Move its code").click()
    require_pictures(page, "figure", [images_of(8), *pixels])
    upload = dict(parse_qsl(urlsplit(page.url).fragment))["upload"]
    place = read_place(f"start=upload&upload={upload}")
    torch.testing.assert_close(explored.code_at(place).float(), code[0])
    page.get_by_text("As a command").click()
    shown = page.locator(".command code")
    place = f"start=upload&upload={upload}"
    assert shown.text_content() == (
        f"latentmap explore --image '<b>my face.png' --at '{place}' --figure picture.png"
    )
    page.reload()  # It has forgotten the name.
    page.get_by_text("FILE is the file of your own image").wait_for(state="attached")
    assert f" --image FILE --at '{place}'" in shown.text_content()
    page.get_by_role("tab", name="Your own image").click()
    page.get_by_role("button", name="As B of a line").click()
    a = urlencode({"start": "image", "image": explored.images.ids[0]})
    require_line(page, explored, Line(a, f"start=upload&upload={upload}", 9), 0)


def test_a_file_that_is_dropped_elsewhere_is_an_image_of_ones_own(visit, images_of):
    page = visit("")
    page.wait_for_selector("figure img")
    file = io.BytesIO()
    Image.fromarray(images_of(8)[..., 0]).save(file, "PNG")
    page.evaluate(DROP, [list(file.getvalue()), "face.png"])
    page.locator(".own figure").nth(3).wait_for()
    page.wait_for_url("**view=own*")


def test_a_step_between_steps_is_one_of_them_and_a_command_says_what_the_view_reads(
    visit, explored
):
    page = visit("view=line&step=2.5&start=upload&upload=abc")
    a, b = (urlencode({"start": "image", "image": explored.images.ids[i]}) for i in (0, 1))
    require_line(page, explored, Line(a, b, 9), 2)
    assert page.locator("#status").text_content() == ""
    command = page.locator(".command code").text_content()
    assert command.endswith("--at 'view=line&steps=9' --figure picture.png")
    page.get_by_role("tab", name="Sectors").click()
    page.locator(".thumbnails img").first.wait_for()
    command = page.locator(".command code").text_content()
    assert command.endswith("--at 'view=sectors' --figure picture.png")
    page.evaluate("location.hash = '#view=sectors&leading=1&signs=-.%2B'")  # Of which one is seen.
    page.get_by_text("'view=sectors&signs=-' --figure").wait_for(state="attached")


def test_a_link_to_an_image_that_is_gone_says_so(browser, address):
    page = browser.new_page()
    for state in ("view=own&upload=abc", "start=upload&upload=abc"):
        page.goto("about:blank")
        page.goto(f"{address}#{state}")
        page.get_by_text("the image 'abc' of your own is not here any more").wait_for()
    page.close()
