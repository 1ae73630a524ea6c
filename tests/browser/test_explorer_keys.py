"""The page of the explorer by keys alone, and as it is read aloud, in Chromium."""

from dataclasses import replace

import pytest

from latentmap.explorer import Serving, Session, explore_spaces
from latentmap.explorer.trainings import Training
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from tests.core.diagnostics.traces_by_hand import trace_by_hand

pytest.importorskip("uvicorn")

# What each view has when all of it is there.
VIEWS = {
    "start=random&seed=4&moves=variables_2_1": ".slider .quiet:visible",
    "view=line&a=start%3Drandom&b=start%3Dmean&steps=5": ".strip canvas, .strip img",
    "view=points&start=image&image=0": ".near button",
    "view=sectors&signs=%2B&member=0": "figure img",
    "view=own": "input[type=file]",
    "view=traces": ".rows td",
}
# Headings that skip a level, values of ARIA that are empty, controls without a name, and what is
# outside of all landmarks.
FAULTS = """() => {
  const found = [];
  let last = 1;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(heading.tagName[1]);
    if (level > last + 1) found.push(`${heading.tagName} after h${last}`);
    last = level;
  }
  for (const element of document.querySelectorAll("body *")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("aria-") && value === "") found.push(`${element.outerHTML} ${name}`);
    }
  }
  for (const control of document.querySelectorAll("button, input, select")) {
    const label = control.labels?.[0]?.textContent;
    if (!(control.ariaLabel || control.textContent.trim() || label)) found.push(control.outerHTML);
  }
  for (const element of document.body.children) {
    const known = "header, nav, main, noscript, [role=status], .skip";
    if (!element.matches(known)) found.push(element.outerHTML);
  }
  return found;
}"""
FOCUSED = """() => {
  const { id, ariaLabel, textContent } = document.activeElement;
  return document.activeElement === document.body ? "nothing" : id || ariaLabel || textContent;
}"""


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    source, target = (LinearModel(6, (1, 8, 8), seed=seed, name=f"m{seed}") for seed in (1, 2))
    found = explore_spaces(source, [target], open_images("digits", limit=60), folder / "cache")
    return replace(found, trainings=(Training("a.trace", trace_by_hand()),))


@pytest.fixture
def visit(browser, explored):
    """Opens a state, as soon as what it has is there."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    with Serving(Session(explored)) as serving:

        def begin(state, awaited):
            page.goto(f"{serving.address}#{state}")
            page.locator(awaited).first.wait_for()
            return page

        yield begin
        page.close()


def press(page, button, key="Enter"):
    """What has the focus after a key on a button, as soon as that has been answered."""
    button.focus()
    page.keyboard.press(key)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    return page.evaluate(FOCUSED)


@pytest.mark.parametrize("state", VIEWS)
def test_all_that_a_view_has_is_named_and_in_its_place(visit, state):
    assert visit(state, VIEWS[state]).evaluate(FAULTS) == []


def test_what_goes_hands_the_focus_on(visit):
    page = visit("start=random&seed=4&moves=variables_2_1", ".slider .quiet:visible")
    assert press(page, page.locator(".slider .quiet:visible")) == "control-2"
    assert press(page, page.locator("#undo")) == "redo"
    assert press(page, page.locator("#redo")) == "undo"


def test_a_neighbour_that_is_taken_leaves_the_focus_among_the_neighbours(visit):
    page = visit("view=points&start=image&image=0", ".near button")
    focused = press(page, page.locator(".near button").nth(1))
    first = page.locator(".near button").first
    assert focused == first.get_attribute("aria-label")
    # A button that leads to another view is not there.
    assert press(page, page.get_by_role("button", name="Move this code")) == "view"


def test_pictures_to_choose_from_keep_the_focus(visit):
    page = visit("view=sectors", ".thumbnails button")
    second = page.locator(".thumbnails button").nth(1)
    expected = second.get_attribute("aria-label")
    assert press(page, second) == expected
    on = page.get_by_role("button", name="Next", exact=True)
    while on.is_enabled():
        focused = press(page, on)
    assert focused == "Previous"


def test_keys_go_through_the_tabs(visit):
    page = visit("", ".slider")
    tabs = [tab.get_attribute("id") for tab in page.get_by_role("tab").all()]
    first = page.get_by_role("tab").first
    assert press(page, first, "End") == tabs[-1]
    assert press(page, page.locator(":focus"), "ArrowRight") == tabs[0]
    assert press(page, page.locator(":focus"), "ArrowLeft") == tabs[-1]
    assert press(page, page.locator(":focus"), "Home") == tabs[0]
