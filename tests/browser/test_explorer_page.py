"""The page of the explorer in a real browser: Debian's Chromium, driven by Playwright."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.explorer import Serving, Session, explore_spaces
from latentmap.images import open_images
from latentmap.model.testing import LinearModel

ODD = "<img src=x onerror=alert(1)> & 'a' \"b\"_*=.png"

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """A source of 24 variables and two targets, on images one of which has an odd name."""
    folder = tmp_path_factory.mktemp("explorer")
    names = ("<b>source</b>", "target", "target")
    source, *targets = (
        LinearModel(24, (1, 8, 8), seed=seed, name=name) for seed, name in enumerate(names)
    )
    codes = 2 * torch.rand(60, 24, generator=torch.manual_seed(0)) - 1
    pixels = (source.decode(codes) * 255).round().to(torch.uint8).numpy()
    (folder / "images").mkdir()
    for number, image in enumerate(pixels):
        name = ODD if number == 7 else f"{number:03}.png"
        Image.fromarray(image[0]).save(folder / "images" / name)
    found = explore_spaces(source, targets, open_images(folder / "images"), folder / "cache")
    return replace(found, command="latentmap explore")


@pytest.fixture(scope="module")
def address(explored):
    with Serving(Session(explored)) as serving:
        yield serving.address


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def visit(browser, address, complaints):
    """Opens the page in a state, as soon as its pictures are there."""
    pages = []

    def begin(state="", **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}#{state}")
        page.wait_for_selector("figure img")
        return page

    yield begin
    for page in pages:
        page.close()


def test_names_are_shown_as_they_are(visit, complaints):
    page = visit()
    assert "<b>source</b> (z, 24)" in page.locator("#spaces").text_content()
    page.get_by_text("From an image of the data").click()
    page.get_by_label("Images whose name has").fill("onerror")
    page.get_by_role("button", name=f"Start from {ODD}").click()
    page.locator("figure[data-key=original]").wait_for()
    assert page.locator("figure[data-key=original] span").text_content() == ODD
    assert (
        page.locator("figure b").all_text_contents() == ["image", "<b>source</b>"] + ["target"] * 4
    )
    assert ODD in page.get_by_text("From the code of").text_content()
    assert page.locator("img[src=x]").count() == 0 and complaints == []


def test_the_page_is_worked_by_keys_alone(visit, complaints):
    page = visit()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
        if seen[-1].startswith("control-"):
            break
    assert seen[0] == "skip" and "link" in seen and "by" in seen and "Random" in seen
    first = seen[-1]
    page.keyboard.press("End")
    assert page.locator(f"#{first}").input_value() == "2.25"
    # It stands behind the number from the first answer on.
    page.locator(f".slider:has(#{first}) button").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("-7.5")
    page.keyboard.press("Tab")
    assert page.locator(f"#{first}").input_value() == "-2.25"  # As far as it goes.
    page.wait_for_url(f"**#moves=variables_{first.removeprefix('control-')}_-7.5")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+z")
    page.wait_for_url(f"**#moves=variables_{first.removeprefix('control-')}_2.25")
    page.keyboard.press("Control+Shift+Z")
    page.wait_for_url("**_-7.5")
    assert complaints == []


@pytest.mark.parametrize("width", [390, 700, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_room_and_can_be_read(visit, width, scheme, complaints):
    page = visit(
        "start=image&image=001.png", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page.locator("figure").nth(5).wait_for()
    for summary in page.locator("summary").all():
        summary.click()
    page.locator(".thumbnails img").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.locator("figure, .slider input, .slider label, button:not([hidden])").evaluate_all(
        "all => all.filter(one => one.offsetParent).map(one => one.getBoundingClientRect())"
        ".map(box => [box.left, box.right])"
    )
    assert len(boxes) > 24 and all(0 <= left < right <= width for left, right in boxes)
    ground, ink = page.evaluate(
        "['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])"
    )
    dark = [sum(map(int, one[4:-1].split(","))) < 384 for one in (ground, ink)]
    assert dark == ([True, False] if scheme == "dark" else [False, True])
    assert complaints == []


def test_all_that_can_be_used_has_a_name(visit):
    page = visit("start=image&image=001.png")
    page.locator("figure").nth(5).wait_for()
    for image in page.locator("figure img").all():
        assert image.get_attribute("alt")
    for one in page.locator("input, select, button").all():
        name = one.evaluate(
            "one => one.ariaLabel || one.labels?.[0]?.textContent || one.textContent"
        )
        assert name.strip(), one.evaluate("one => one.outerHTML")


def test_a_link_and_a_command_are_copied(browser, address):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{address}#start=random&seed=5")
    page.wait_for_selector("figure img")
    read = "navigator.clipboard.readText()"
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate(read) == f"{address}#start=random&seed=5"
    page.get_by_text("As a command").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").nth(1).wait_for()
    assert page.evaluate(read).endswith(" --at 'start=random&seed=5' --figure picture.png")
    context.close()


def test_a_server_that_is_away_for_a_while_is_asked_again(visit):
    page = visit()
    slider = page.locator(".slider input[type=range]").first
    name = slider.get_attribute("id").removeprefix("control-")
    page.route("**/api/move", lambda route: route.abort())
    slider.fill("1.5")
    page.get_by_text("does not answer").wait_for()
    slider.fill("2")
    before = page.locator("figure img").first.get_attribute("src")
    page.unroute("**/api/move")
    page.wait_for_url(f"**#moves=variables_{name}_2")
    page.locator("#status:empty").wait_for(state="attached", timeout=10000)
    assert page.locator("figure img").first.get_attribute("src") != before


def test_a_fault_in_drawing_is_none_of_the_server(visit, complaints):
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        "() => { const make = URL.createObjectURL; window.mend = () => "
        "{ URL.createObjectURL = make; }; URL.createObjectURL = () => { throw 7; }; }"
    )
    slider = page.locator(".slider input[type=range]").first
    slider.fill("1.5")
    page.get_by_text("The page could not show the answer").wait_for()
    page.wait_for_timeout(2500)  # After which a server that is away is asked again.
    assert len(asked) == 1 and complaints == ["7"]
    page.evaluate("mend()")
    before = page.locator("figure img").first.get_attribute("src")
    slider.fill("2")
    page.locator("#status:empty").wait_for(state="attached")
    assert page.locator("figure img").first.get_attribute("src") != before


def test_what_changes_nothing_is_not_undone_and_what_is_refused_does_not_stay(visit, complaints):
    page = visit()
    for _ in range(3):
        page.get_by_role("button", name="Reset").click()
    assert page.locator("#undo").is_disabled()
    typed = page.locator(".slider input[type=number]").first
    before = typed.input_value()
    typed.fill("5000")
    typed.press("Enter")
    assert typed.input_value() == before and page.locator("#undo").is_disabled()
    assert complaints == []


def test_no_question_takes_the_place_of_one_of_another_part(visit):
    page = visit("view=line")
    asked = []
    page.on("request", lambda request: asked.append((request.url, request.post_data_json)))
    for end in "AB":
        page.get_by_text(f"{end} from an image of the data").click()
        page.get_by_role("button", name=f"{end}: 001.png").wait_for()
    page.get_by_label("Steps", exact=True).fill("5")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 5").wait_for()
    clients = [sent["client"] for url, sent in asked if "/api/images" in url]
    assert len({*clients}) == len(clients) == 2


def test_an_original_comes_as_soon_as_the_server_is_there_again(visit):
    page = visit()
    page.route("**/api/show", lambda route: route.abort())
    page.evaluate("location.hash = '#start=image&image=001.png'")
    page.locator("figure").nth(4).wait_for()
    assert page.locator("figure[data-key=original]").count() == 0
    page.unroute("**/api/show")
    page.locator("figure[data-key=original]").wait_for()


COUNTED = """
const [make, end] = [URL.createObjectURL, URL.revokeObjectURL];
window.held = new Set();
URL.createObjectURL = (blob) => { const one = make(blob); held.add(one); return one; };
URL.revokeObjectURL = (one) => { held.delete(one); end(one); };
"""


def test_a_view_that_is_closed_lets_its_pictures_go(browser, address):
    page = browser.new_page()
    page.add_init_script(COUNTED)
    page.goto(f"{address}#start=image&image=001.png")
    page.locator("figure[data-key=original]").wait_for()
    page.get_by_text("From an image of the data").click()
    page.locator(".thumbnails img").nth(11).wait_for()
    page.get_by_role("tab", name="A to B").click()
    page.locator(".strip img").first.wait_for()
    page.get_by_text("A from an image of the data").click()
    page.locator(".thumbnails img").nth(11).wait_for()
    page.get_by_role("tab", name="Sectors").click()
    page.locator(".thumbnails img").first.click()
    page.locator(".sectors figure img").first.wait_for()
    assert page.evaluate("held.size") > 0
    page.get_by_role("tab", name="Your own image").click()
    for _ in range(200):
        if page.evaluate("held.size") == 0:
            break
        page.wait_for_timeout(50)
    assert page.evaluate("held.size") == 0
    page.close()


def test_what_a_link_cannot_say_is_told_and_the_page_goes_on(browser, address):
    page = browser.new_page()
    page.goto(f"{address}#moves=variables_99_1")
    page.get_by_text("variables are 0 to 23: there is no 99").wait_for()
    page.get_by_role("button", name="Mean").click()
    page.wait_for_selector("figure img")
    assert page.locator("#status").text_content() == ""
    page.close()


def test_fast_moves_end_where_the_slider_is(visit, explored, complaints):
    page = visit()
    number = page.locator(".slider input[type=range]").first.get_attribute("id").split("-")[1]
    page.evaluate(
        """async () => {
          const slider = document.querySelector(".slider input[type=range]");
          for (let i = 0; i < 300; i += 1) {
            slider.value = 2 * Math.sin(i / 10);
            slider.dispatchEvent(new Event("input"));
            if (i % 9 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
          }
          slider.value = 1.25;
          slider.dispatchEvent(new Event("input"));
          slider.dispatchEvent(new Event("change"));
        }"""
    )
    page.wait_for_url(f"**#moves=variables_{number}_1.25")
    page.get_by_role("button", name="Undo").click()  # All of it is one movement.
    page.wait_for_url("**#")
    page.get_by_role("button", name="Redo").click()
    page.wait_for_url(f"**#moves=variables_{number}_1.25")
    code = explored.mean.clone()
    code[int(number)] = explored.ordering.center[int(number)] + 1.25
    expected = (explored.source.decode(code[None].float()) * 255).round().to(torch.uint8)
    found = page.locator("figure img").first.evaluate(
        """async (image) => {
          await image.decode();
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const pen = canvas.getContext("2d");
          pen.drawImage(image, 0, 0);
          return [...pen.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    np.testing.assert_array_equal(np.reshape(found, (8, 8, 4))[..., 0], expected[0, 0].numpy())
    assert complaints == []
