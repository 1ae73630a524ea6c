"""The view "Sectors" of the explorer in Chromium: counts, members and errors are the library's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.explorer import Serving, Session, explore_spaces
from latentmap.explorer.sectors import Signs
from latentmap.expressiveness.reported import ReportedBlind
from latentmap.images import open_images
from latentmap.images.attribute_table import Attributes
from latentmap.images.tables import Table
from latentmap.model import SeenImages
from latentmap.model.testing import LinearModel
from latentmap.support.building import SupportOptions, build_support_set

HAT = ReportedBlind("target", "<b>faces</b>", "Hat", by=("Hat",))

pytest.importorskip("uvicorn")


class Blind(LinearModel):
    """It makes the images of one sector grey: variable 2 above its center, 0 below."""

    family = "blind-test"

    def _decode(self, codes):
        grey = (codes[:, 2] > 0) & (codes[:, 0] < 0)
        return super()._decode(torch.where(grey[:, None], 0.2 * codes, codes))


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """A source and a target of the same codes, and a support set with the sectors of two variables;
    images whose codes are the same to both sides of their mean.
    """
    folder = tmp_path_factory.mktemp("sectors")
    source, target = LinearModel(4, name="source"), Blind(4, name="target")
    spread = torch.tensor([0.5, 0.1, 0.9, 0.3])
    half = (2 * torch.rand(150, 4, generator=torch.manual_seed(0)) - 1) * spread
    pixels = (source.decode(torch.cat([half, -half])) * 255).round().to(torch.uint8)
    np.save(folder / "images.npy", pixels.permute(0, 2, 3, 1).numpy())
    images = open_images(folder / "images.npy")
    source.seen = SeenImages.of(images.digests[:50])
    options = SupportOptions(k=2, threshold=0.05, size=8)
    support = build_support_set(source, images, folder / "cache", options)
    assert support.settings["variables"] == [2, 0]
    found = explore_spaces(source, [target], images, folder / "cache", support=support)
    hats = Table("faces.csv", images.ids.tolist(), {"Hat": np.where(np.arange(300) % 3, -1.0, 1)})
    of = support.sectors_digest
    sector = ReportedBlind("target", "support.h5", "sector 0", "--", sectors=of)
    return replace(found, reported=(HAT, sector), attributes=Attributes(hats))


@pytest.fixture(scope="module")
def page(browser, explored):
    """The view; it complains of nothing."""
    complaints = []
    with Serving(Session(explored)) as serving:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.address = serving.address
        page.goto(f"{serving.address}#view=sectors")
        yield page
        page.close()
    assert complaints == []


def require_sector(page, explored, text):
    """The counts and the members of some signs are on the page, as soon as it has them."""
    leading = explored.look.leading
    found = leading.find(Signs(text, 0.05))
    n, expected = found.count.n, found.count.expected
    page.get_by_text(f"{n} of 300 images, where {expected:.1f} are expected").wait_for()
    sides = page.locator(".toggle").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('label span')].map(x => x.textContent))"
    )
    assert sides == [[str(below.n), "", str(above.n)] for below, above in found.sides]
    ids = explored.codes.codes.ids[found.rows[:24]].tolist()
    marked = {*explored.codes.codes.ids[leading.rows].tolist()}
    hats = {*explored.images.ids[::3].tolist()}
    reported = {*explored.codes.codes.ids[leading.find(Signs("--", 0.05)).rows].tolist()}
    words = (
        (marked, ", in the support set"),
        (hats, ", target is blind to Hat"),
        (reported, ", target is blind to sector 0"),
    )
    said = [f"Look at {one}" + "".join(of for some, of in words if one in some) for one in ids]
    members = page.get_by_role("group", name="Members", exact=True).locator("button")
    members.nth(len(said) - 1).and_(page.get_by_label(said[-1], exact=True)).wait_for()
    assert [one.get_attribute("aria-label") for one in members.all()] == said
    shown = page.get_by_role("group", name="Images of the support set").locator("button")
    stands = leading.of_support(Signs(text, 0.05))
    assert [one.get_attribute("title").split(",")[0] for one in shown.all()] == (
        explored.support.ids[stands].tolist()
    )
    return found


def test_signs_members_errors_and_blind_sectors(page, explored):
    require_sector(page, explored, "..")
    # The arrow keys of a toggle go from any to above.
    page.get_by_label("variable 2 any").focus()
    page.keyboard.press("ArrowRight")
    require_sector(page, explored, "+.")
    page.get_by_label("variable 0 above its center").check()
    found = require_sector(page, explored, "++")
    # What is known of all errors, by the library, and of one member.
    page.get_by_text("Typical errors (mse), on random images.").wait_for()
    page.get_by_text("Seen in training: source 50, target unknown.").wait_for()
    jump = page.get_by_role("button", name="Go to the blind sector +-")
    jump.wait_for()
    lines = page.locator(".verdicts li").all_text_contents()
    (verdicts,) = {id(v): v for v in explored.look.blind.verdicts(Signs("++", 0.05))[1:]}.values()
    blind = [one for one in verdicts.sectors if one.blind]
    assert [one.number for one in blind] == [1]
    assert lines[0].startswith("source: not blind") and lines[1].startswith("target: not blind")
    assert "1 of 4 sectors of these signs blind" in lines[1]
    assert jump.get_attribute("title") == f"{blind[0].excess:.2f} times the rest"
    assert lines[2] == "target is blind to Hat of <b>faces</b>, says the report"
    assert lines[3].startswith("target is blind to sector 0 of support.h5, says the report")
    page.get_by_role("button", name="Go to the blind sector --").click()
    require_sector(page, explored, "--")
    jump.click()
    found = require_sector(page, explored, "+-")
    page.locator(".verdicts .warn", has_text="target: blind to this sector").wait_for()
    name = str(explored.codes.codes.ids[found.rows[0]])
    page.get_by_role("group", name="Members", exact=True).locator("button").first.click()
    page.locator("figcaption span.warn", has_text="blind to this sector").wait_for()
    typical = explored.look.typical
    place = explored.codes.codes.ids[typical.rows].tolist().index(name)
    for number, caption in enumerate(page.locator("figcaption span").all_text_contents()[1:]):
        said, *_ = caption.split("mse ")[1].split(";")
        assert float(said) == pytest.approx(float(typical.errors[number, place]), rel=6e-3)
        median = caption.split("median ")[1].split(";")[0]
        assert float(median) == pytest.approx(typical.spread(number).median, rel=6e-3)


def test_a_link_restores_the_sector_on_a_telephone(page, explored):
    page.wait_for_url("**member=*")
    link = page.url
    page.keyboard.press("Control+z")
    page.wait_for_url(lambda address: "member" not in address)
    assert page.locator(".sectors figure").count() == 0
    page.goto("about:blank")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto(link)
    require_sector(page, explored, "+-")
    page.locator("figcaption span.warn", has_text="blind to this sector").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Next").click()
    page.wait_for_url("**from=24*")
    page.get_by_label("Threshold").fill("0.4")
    page.keyboard.press("Tab")
    n = explored.look.leading.find(Signs("+-", 0.4)).count.n
    page.get_by_text(f"{n} of 300 images, where").wait_for()
    page.get_by_label("Leading variables", exact=True).fill("1")
    page.keyboard.press("Tab")
    n = explored.look.leading.find(Signs("+", 0.4)).count.n
    page.get_by_text(f"{n} of 300 images, where").wait_for()
    assert page.locator(".toggle").count() == 1
