"""The report in a real browser: Debian's Chromium, driven by Playwright."""

import csv
import io
import re

import numpy as np
import pytest
import torch

from latentmap.comparison import CompareOptions, compare_models
from latentmap.comparison.section import comparison_report
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.report.store import PAGE, write_report


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    models = [
        LinearModel(seed=s, span_seed=s, latent_dim=3 + s, name=f"model-of-a-long-name-{s}")
        for s in range(4)
    ]
    pixels = torch.rand(300, 4, 4, 1, generator=torch.manual_seed(0))
    np.save(folder / "images.npy", (pixels * 255).round().to(torch.uint8).numpy())
    result = compare_models(
        models,
        open_images(folder / "images.npy"),
        folder / "cache",
        options=CompareOptions(permutations=19, scored=20),
    )
    write_report(folder / "report", comparison_report(result))
    return (folder / "report" / PAGE).as_uri()


class Visit:
    """A page with everything that it asked for and complained of."""

    def __init__(self, browser, address, **options):
        self.page = browser.new_page(**options)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)


@pytest.fixture
def visit(browser, address):
    visits = []

    def begin(**options):
        visits.append(Visit(browser, address, **options))
        return visits[-1]

    yield begin
    for one in visits:
        one.page.close()


@pytest.fixture(scope="module")
def still(browser, address):
    """A visit for tests that leave the page as it is."""
    one = Visit(browser, address)
    one.page.wait_for_load_state("networkidle")
    yield one
    one.page.close()


def values(table, column):
    return table.locator(f"tbody td:nth-child({column})").evaluate_all(
        "cells => cells.map(c => Number(c.dataset.value))"
    )


def test_nothing_is_asked_for_and_nothing_goes_wrong(still, address):
    assert [url for url in still.requests if not url.startswith("data:")] == [address]
    assert still.complaints == []


def test_the_policy_stops_what_is_not_of_the_page(visit):
    one = visit()
    one.page.evaluate(
        "() => { const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
        " document.body.append(image); }"
    )
    one.page.wait_for_timeout(200)
    assert any("Content Security Policy" in text for text in one.complaints)


def test_all_pictures_are_drawn_and_have_words(still):
    page = still.page
    drawn = page.evaluate(
        """() => Promise.all([...document.querySelectorAll(".pictures image")].map(async (one) => {
            const image = new Image();
            image.src = one.getAttribute("href");
            await image.decode();
            return image.naturalWidth === Number(one.getAttribute("width"));
        }))"""
    )
    # The images are the same for all, and what a model makes of them for all of its maps.
    assert len(drawn) == 1 + 4 + 12 + 12 * 3 * 2
    assert all(drawn)
    shown = page.eval_on_selector_all(
        ".cell svg",
        """all => all.map(one => [
            one.getAttribute("aria-label"),
            document.querySelector(one.querySelector("use").getAttribute("href")) !== null,
            one.getBoundingClientRect().width,
        ])""",
    )
    assert len(shown) == 12 * (3 * 10 + 2 * 3 * 5)
    assert all(words and there and 64 <= width <= 96 for words, there, width in shown)
    assert page.get_attribute("svg", "aria-label")


def test_an_image_is_enlarged_by_the_keyboard_and_arrows_go_on(visit):
    one = visit()
    page = one.page
    cells = page.locator("#pair-0-1 .cell")
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.enlarged")
    title, words = dialog.locator("h2"), dialog.locator("p")
    assert dialog.is_visible()
    assert " · original · " in title.inner_text()  # And its id.
    assert words.inner_text().endswith("(2 of 10)")
    width = dialog.locator(".stage svg").bounding_box()["width"]
    assert width > 4 * 96 and width % 4 == 0
    page.keyboard.press("ArrowDown")
    assert title.inner_text().endswith(" · by model-of-a-long-name-0")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # There is none before the first: it stays.
    assert words.inner_text().endswith("(1 of 10)")
    assert dialog.get_by_role("button", name="Previous").is_disabled()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert cells.nth(10).evaluate("one => one === document.activeElement")
    assert page.locator("#pair-0-1 [tabindex='0'].cell").count() == 1
    assert one.complaints == []


def test_an_image_is_enlarged_by_a_click_and_closed_by_one(visit):
    page = visit().page
    page.locator("#pair-0-1 .cell").nth(3).click()
    dialog = page.locator("dialog.enlarged")
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Next").click()
    assert dialog.locator("p").inner_text().endswith("(5 of 10)")
    page.mouse.click(3, 3)
    assert dialog.is_hidden()
    page.locator("#pair-0-1 .cell").first.click()
    dialog.get_by_role("button", name="Close").click()
    assert dialog.is_hidden()


def test_a_table_is_sorted_by_the_keyboard(visit):
    page = visit().page
    maps = page.locator("#maps .sortable").first
    head = maps.locator("th", has_text=re.compile("^R2(?! of)"))
    head.locator("button").focus()
    for key, direction in (("Enter", "ascending"), ("Space", "descending")):
        page.keyboard.press(key)
        assert head.get_attribute("aria-sort") == direction
        found = values(maps, 4)
        assert found == sorted(found, reverse=direction == "descending")
        assert len(set(found)) > 5
    other = maps.locator("th", has_text="L_mse")
    other.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert other.get_attribute("aria-sort") == "ascending"
    maps.locator("th button").nth(1).click()
    names = maps.locator("td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)


def test_a_heat_map_is_one_stop_and_arrows_go_on(visit):
    page = visit().page
    links = page.locator("#spaces .heat-map a")
    assert page.locator("#spaces .heat-map a[tabindex='0']").count() == 1
    links.first.focus()
    said = page.locator("#spaces .readout")
    assert said.inner_text() == links.first.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == links.nth(1).get_attribute("aria-label")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert said.inner_text() == focused
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # There is no row above: it stays.
    assert said.inner_text() == links.nth(1).get_attribute("aria-label")
    page.keyboard.press("Enter")
    assert page.url.endswith("#pair-0-2")


def test_the_first_tab_skips_to_the_content(visit):
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_button(visit, scheme):
    page = visit(color_scheme=scheme).page

    def is_dark():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(",")) < 3 * 128

    assert is_dark() == (scheme == "dark")
    page.click("#theme")
    assert is_dark() == (scheme == "light")
    page.emulate_media(media="print")
    assert not is_dark()


def test_tables_are_copied_or_shown_to_be_copied_by_hand(visit):
    page = visit().page
    table = page.locator("#maps .table").first
    page.evaluate(
        "() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }"
    )
    table.get_by_role("button", name="as CSV").click()
    rows = list(csv.reader(io.StringIO(page.evaluate("window.copied"))))
    assert rows[0][:6] == ["from", "to", "type", "R2", "R2 low", "R2 high"]
    assert len(rows) == 13
    assert table.locator("output").inner_text() == "copied as CSV"
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    table.get_by_role("button", name="as LaTeX").press("Enter")
    text = page.locator("dialog.copying textarea")
    assert text.input_value().startswith("\\begin{table}")
    selected = text.evaluate("one => [one.selectionStart, one.selectionEnd, one.value.length]")
    assert selected[0] == 0 and selected[1] == selected[2]
    page.keyboard.press("Escape")
    assert text.is_hidden()


def test_tables_fit_into_1200_pixels_and_say_where_they_do_not(visit):
    page = visit(viewport={"width": 1200, "height": 900}).page
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
    hints = "all => all.filter(one => !one.hidden).length"
    assert page.eval_on_selector_all(".table .scroll", wide) == 0
    assert page.eval_on_selector_all(".hint", hints) == 0
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    assert page.eval_on_selector_all(".table .scroll", wide) > 4
    assert page.eval_on_selector_all(".hint", hints) == page.eval_on_selector_all(
        ".scroll.scrolls", "all => all.length"
    )
    region = page.locator("#maps .table .scroll").first
    assert page.locator("#maps .table .hint").first.inner_text().endswith("scroll sideways →")
    assert region.get_attribute("tabindex") == "0"
    assert page.get_by_role("region", name="All ordered pairs").count() == 1
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert region.evaluate("one => one.scrollLeft") > 0


@pytest.mark.parametrize(("width", "least"), [(1200, 90), (390, 64)])
def test_images_of_pairs_are_large_enough_to_judge_and_efficiency_is_seen(visit, width, least):
    page = visit(viewport={"width": width, "height": 900}).page
    widths = page.eval_on_selector_all(
        "[id^=pair-] ~ figure .cell", "all => all.map(one => one.getBoundingClientRect().width)"
    )
    assert len(widths) > 24 and min(widths) >= least
    head = page.locator("#maps th", has_text="efficiency").first.bounding_box()
    assert (head["x"] + head["width"] <= width) == (width == 1200)  # Else the table scrolls.


def test_the_contents_are_folded_in_a_narrow_window_alone(visit):
    page = visit(viewport={"width": 390, "height": 800}).page
    contents, first = page.locator(".contents"), page.locator(".contents a").first
    assert first.is_hidden()
    assert contents.bounding_box()["height"] < 60
    contents.get_by_text("Contents").click()
    assert first.is_visible()
    for width in (700, 1100, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)
        assert first.is_visible()


def test_both_sides_of_shared_directions_are_seen_in_a_narrow_window(visit):
    page = visit(viewport={"width": 390, "height": 800}).page
    row = page.locator("#pair-0-1 ~ figure .paired .image-row").nth(1)
    first, second = row.locator(".strip").all()
    assert first.bounding_box()["y"] < second.bounding_box()["y"]
    for strip in (first, second):
        assert strip.locator(".head").is_visible()
        last = strip.locator(".cell").last.bounding_box()
        assert last["x"] + last["width"] <= 390
    page.set_viewport_size({"width": 1200, "height": 800})
    assert first.bounding_box()["x"] < second.bounding_box()["x"]
    assert row.locator(".head").first.is_hidden()


def test_what_made_it_is_folded_on_the_screen_and_short_on_paper(visit):
    page = visit().page
    whole, short = page.locator(".made .record").first, page.locator(".on-paper .record").first
    assert whole.is_hidden() and short.is_hidden()
    page.locator(".made summary").first.click()
    assert whole.is_visible()
    assert re.search(r"[0-9a-f]{64}", whole.inner_text())
    page.emulate_media(media="print")
    assert whole.is_hidden() and short.is_visible()
    assert not re.search(r"[0-9a-f]{13}", short.inner_text())


def test_a_plane_is_no_wider_than_its_few_names_need(visit):
    page = visit(viewport={"width": 1600, "height": 900}).page
    assert page.locator(".plane svg").first.bounding_box()["width"] <= 24 * 16


def test_the_page_is_never_wider_than_the_window(still):
    page = still.page
    for width in (390, 768, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_everything_can_be_read(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#maps .sortable").first.locator("tbody tr").count() == 12
    assert page.locator("#theme").is_hidden()
    context.close()


def test_contrast_of_text_is_enough(still):
    page = still.page
    ratio = """(names) => {
        const of = (name) => {
            const probe = document.createElement("span");
            probe.style.setProperty("color", `var(${name})`);
            document.body.append(probe);
            const parts = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
            probe.remove();
            return parts
                .map((p) => p / 255)
                .map((p) => (p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4))
                .reduce((sum, p, i) => sum + p * [0.2126, 0.7152, 0.0722][i], 0);
        };
        const [high, low] = names.map(of).sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    }"""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for text in ("--ink", "--soft", "--accent"):
            for ground in ("--page", "--tint"):
                assert page.evaluate(ratio, [text, ground]) >= 4.5, (scheme, text, ground)
