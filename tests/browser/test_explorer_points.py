"""The view "Points" of the explorer in Chromium: what is drawn, told and near is the library's."""

import io
import shlex
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.explorer import Serving, Session, explore_spaces
from latentmap.explorer.drawing import figure_of_state
from latentmap.explorer.points import Points
from latentmap.images import open_images
from latentmap.images.attribute_table import Attributes
from latentmap.images.tables import Table
from latentmap.model.testing import LinearModel

HAT = "<b>hat</b>"

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """A source and a target whose codes differ by a rotation, on 60 images with two attributes."""
    folder = tmp_path_factory.mktemp("points")
    source, target = LinearModel(4, seed=1, name="source"), LinearModel(4, seed=2, name="target")
    codes = 2 * torch.rand(60, 4, generator=torch.manual_seed(0)) - 1
    pixels = (source.decode(codes) * 255).round().to(torch.uint8)
    np.save(folder / "images.npy", pixels.permute(0, 2, 3, 1).numpy())
    images = open_images(folder / "images.npy")
    columns = {
        HAT: np.array(["<i>yes</i>", "no", ""])[np.arange(60) % 3],
        "age": np.arange(60.0) ** 2,
    }
    found = explore_spaces(source, [target], images, folder / "cache")
    return replace(found, attributes=Attributes(Table("t.csv", images.ids.tolist(), columns)))


@pytest.fixture
def visit(browser, explored):
    """Opens the view in a state, as soon as all is drawn; it complains of nothing."""
    complaints, pages = [], []
    with Serving(Session(explored)) as serving:

        def begin(state="", **options):
            page = browser.new_page(**{"viewport": {"width": 1600, "height": 1000}, **options})
            pages.append(page)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{serving.address}#view=points&{state}")
            page.locator(".key b").wait_for()
            return page

        yield begin
        for page in pages:
            page.close()
    assert complaints == []


def places_of(explored, by, x, y):
    """Where all points lie, by the codes one by one."""
    codes = explored.codes.codes.vectors.double()
    moving = explored.controls[by].moving
    return np.stack([moving.read(code)[[x, y]].numpy() for code in codes])


def closely_at(place):
    """The state with so small a box about a place that this is the middle of the plot."""
    return f"box={place[0]:.8f}_{place[1]:.8f}_0.001"


def middle_of(page):
    box = page.locator(".plot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wait_until(page, true):
    """Waits; not in the page, which lets nobody evaluate texts in it."""
    for _ in range(500):
        if true():
            return
        page.wait_for_timeout(20)
    pytest.fail(page.url)


def require_colour(page, expected):
    """The colour that is seen in the middle of the plot, as soon as it is drawn."""
    x, y = middle_of(page)
    clip = {"x": x, "y": y, "width": 1, "height": 1}

    def found():
        pixel = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB").getpixel((0, 0))
        return "#" + bytes(pixel).hex()

    wait_until(page, lambda: found() == expected)


def state_of(page, key):
    wait_until(page, lambda: f"{key}=" in page.url)
    return parse_qs(urlsplit(page.url).fragment)[key][0]


ENDS = """async (all) => {
  const { Colouring } = await import(new URL("page/colouring.js", location.href));
  return all.map((numbers) => {
    const told = { groups: null };
    const given = Float32Array.from(numbers, (value) => value ?? NaN);
    const { ends, unknown } = new Colouring({ numbers: given, told }, ["#000000", "#ffffff"]);
    return { ends, unknown };
  });
}"""


def test_a_scale_runs_from_the_second_to_the_98th_of_a_hundred_values(visit):
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=n) for n in (0, 1, 2, 49, 50, 51, 100, 3001)]
    drawn += [np.arange(500.0), np.arange(500.0)[::-1], np.zeros(300), rng.integers(0, 3, 1000)]
    drawn = [np.asarray(one, np.float32) for one in drawn]
    for one in drawn[3:8]:
        one[rng.random(len(one)) < 0.3] = np.nan
    given = [[None if np.isnan(value) else float(value) for value in one] for one in drawn]
    for values, found in zip(drawn, visit().evaluate(ENDS, given), strict=True):
        known = np.sort(values[~np.isnan(values)])
        end = int(0.02 * len(known))
        assert found["ends"] == ([known[end], known[-1 - end]] if len(known) else None)
        assert found["unknown"] == len(values) - len(known)


def test_a_point_is_where_its_code_is_in_the_colour_of_its_group(visit, explored):
    xy = places_of(explored, "variables", 3, 1)
    assert explored.points.ids.tolist() == explored.images.ids.tolist()
    for row, name, colour in ((4, "no", "#e69f00"), (6, "<i>yes</i>", "#0072b2")):
        state = f"plane=variables_3_1&colour={quote('attribute ' + HAT)}&{closely_at(xy[row])}"
        page = visit(state)
        require_colour(page, colour)
        page.mouse.move(*middle_of(page))
        card = page.locator(".point figcaption")
        card.wait_for()
        assert card.text_content() == f"{explored.points.ids[row]}, {HAT} {name}"
    groups = page.locator(".key li")
    assert groups.all_text_contents() == ["<i>yes</i>20", "no20"]
    assert page.locator(".key p").text_content() == "not known of 20 points"
    assert page.locator(".key b").text_content() == HAT


def nearest_to(codes, row):
    distances = np.linalg.norm(codes.astype(np.float64) - codes[row].astype(np.float64), axis=1)
    return np.argsort(distances, kind="stable")[1:9]


def test_a_click_takes_the_image_and_shows_its_neighbours_in_both_spaces(visit, explored):
    row, ids = 11, explored.points.ids
    page = visit(closely_at(places_of(explored, "directions", 0, 1)[row]))
    page.mouse.click(*middle_of(page))
    spaces = page.locator(".near section")
    spaces.nth(1).wait_for()
    assert state_of(page, "image") == ids[row]
    assert page.get_by_text(f"Taken: {ids[row]}").is_visible()
    near = [
        nearest_to(codes.codes.to_numpy(), row)
        for codes in (explored.codes, explored.targets[0].own)
    ]
    shown = [
        spaces.nth(place).locator("button").evaluate_all("all => all.map(one => one.dataset.id)")
        for place in range(2)
    ]
    assert shown == [ids[rows].tolist() for rows in near]
    both = len({*near[0]} & {*near[1]})
    assert spaces.nth(1).locator(".shared").count() == both > 0
    assert f"{both} of 8 near in source too" in spaces.nth(1).text_content()
    spaces.nth(1).locator("button").nth(2).click()
    page.get_by_text(f"Taken: {shown[1][2]}").wait_for()
    page.keyboard.press("Control+z")
    page.get_by_text(f"Taken: {ids[row]}").wait_for()
    page.get_by_role("button", name="Move this code").click()
    page.get_by_text(f"From the code of {ids[row]}").wait_for()


def test_keys_go_from_point_to_point_and_take_one(visit, explored):
    xy, ids = places_of(explored, "variables", 0, 1), explored.points.ids
    page = visit("plane=variables_0_1")
    page.locator("#colour").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "plot"
    page.keyboard.press("ArrowRight")
    middle = (xy.min(0) + xy.max(0)) / 2
    here = int(np.linalg.norm(xy - middle, axis=1).argmin())
    caption = page.locator(".point figcaption")
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowDown", 1, -1), ("ArrowLeft", 0, -1)):
        page.get_by_text(f"{ids[here]}, sector").wait_for()
        away = xy - xy[here]
        there = (sign * away[:, axis] > 0) & (np.abs(away[:, 1 - axis]) <= sign * away[:, axis])
        here = int(np.where(there, np.linalg.norm(away, axis=1), np.inf).argmin())
        page.keyboard.press(key)
    page.get_by_text(f"{ids[here]}, sector").wait_for()
    assert caption.get_attribute("aria-live") == "polite"
    page.keyboard.press("Enter")
    page.get_by_text(f"Taken: {ids[here]}").wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".point").is_hidden()


def test_the_plane_moves_by_wheel_drag_and_keys_and_its_link_brings_it_back(visit, explored):
    page = visit()
    x, y = middle_of(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    first = [float(one) for one in state_of(page, "box").split("_")]
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()
    wait_until(page, lambda: f"{first[0]}_" not in page.url)
    second = [float(one) for one in state_of(page, "box").split("_")]
    unit = second[2] / min(
        page.locator(".plot").evaluate("one => [one.clientWidth, one.clientHeight]")
    )
    assert first[2] == second[2]
    np.testing.assert_allclose(second[:2], [first[0] - 60 * unit, first[1] + 30 * unit], rtol=1e-3)
    xy = places_of(explored, "directions", 0, 1)
    assert first[2] < np.ptp(xy, axis=0).max()
    assert state_of(page, "view") == "points" and "image" not in page.url  # A drag is no click.
    page.locator(".plot").focus()
    page.keyboard.press("+")
    wait_until(page, lambda: f"_{second[2]}" not in page.url)
    assert float(state_of(page, "box").split("_")[2]) == pytest.approx(second[2] / 1.25, rel=1e-5)
    page.keyboard.press("0")
    wait_until(page, lambda: "box=" not in page.url)


def test_two_fingers_zoom_and_one_moves(visit):
    page = visit(viewport={"width": 390, "height": 900}, has_touch=True)
    page.get_by_text("60 points").wait_for()
    x, y = middle_of(page)
    touch = page.context.new_cdp_session(page)

    def send(kind, *fingers):
        points = [{"x": one, "y": y, "id": number} for number, one in enumerate(fingers)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    page.locator(".plot").focus()
    page.keyboard.press("-")
    before = [float(one) for one in state_of(page, "box").split("_")]
    send("touchStart", x - 30)
    send("touchStart", x - 30, x + 30)
    for away in (40, 50, 60):
        send("touchMove", x - away, x + away)
    send("touchEnd")
    wait_until(page, lambda: f"_{before[2]}" not in page.url)
    zoomed = [float(one) for one in state_of(page, "box").split("_")]
    np.testing.assert_allclose(zoomed, [*before[:2], before[2] / 2], rtol=1e-3, atol=1e-2)
    send("touchStart", x)
    for far in (20, 40):
        send("touchMove", x + far)
    send("touchEnd")
    wait_until(page, lambda: f"{zoomed[0]}_" not in page.url)
    assert float(state_of(page, "box").split("_")[0]) < zoomed[0]
    assert "image=" not in page.url
    send("touchStart", x + 400)  # Beside the plot.
    send("touchEnd")


def test_what_a_map_loses_is_a_scale_between_the_values_of_the_library(visit, explored):
    from latentmap.codes import pair
    from latentmap.relocation.measuring import measure

    (target,) = explored.targets
    pairs = pair(explored.codes.codes, target.own.codes)
    (measured,) = measure(
        [target.linear_map], pairs, explored.source, target.model, explored.images
    )
    for by, errors in (("code", measured.errors.code), ("image", measured.errors.relocation)):
        page = visit(f"colour={by}-error 0")
        page.locator(".key .ends").wait_for()
        page.get_by_text("60 points").wait_for()
        shown = page.locator(".key .ends span").all_text_contents()
        ends = np.sort(errors)[[1, -2]]
        assert [float(one[2:]) for one in shown] == pytest.approx(ends, rel=6e-3)


def test_whole_numbers_have_all_their_digits(visit, explored):
    years = Attributes(
        Table("t.csv", explored.images.ids.tolist(), {"year": np.arange(60.0) + 12345})
    )
    with Serving(Session(replace(explored, attributes=years))) as serving:
        xy = places_of(explored, "variables", 3, 1)
        page = visit()
        state = f"plane=variables_3_1&colour=attribute year&{closely_at(xy[4])}"
        page.goto(f"{serving.address}#view=points&{state}")
        page.locator(".key .ends").wait_for()
        assert page.locator(".key .ends span").all_text_contents() == ["≤ 12346", "≥ 12403"]
        page.mouse.move(*middle_of(page))
        card = page.locator(".point figcaption")
        card.wait_for()
        assert card.text_content() == f"{explored.points.ids[4]}, year 12349"
        page.close()


def test_of_very_many_images_an_even_choice_is_said(visit, explored, monkeypatch):
    few = Points(explored.codes, [explored.targets[0].own], most=13)
    monkeypatch.setitem(explored.__dict__, "points", few)
    page = visit()
    page.get_by_text("13 points, evenly of 60").wait_for()
    assert "13 codes: direction 1 across" in page.locator(".plot").get_attribute("aria-label")


@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_room_and_a_name(visit, explored, width, scheme):
    page = visit(
        f"start=image&image={explored.points.ids[3]}",
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
    )
    page.locator(".near section").nth(1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for one in page.locator("main select, main button").all():
        if one.is_visible():
            box = one.bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= width
            name = one.evaluate("one => one.labels[0]?.textContent ?? one.ariaLabel ?? ''")
            assert name or one.text_content()
    # The middle of the plot has paper, or points, that its lines are seen on.
    corner = page.locator(".plot canvas").first.evaluate(
        "one => one.getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    )
    assert (corner < 128) == (scheme == "dark")


def test_a_plane_and_a_colour_that_are_not_there_are_others(visit, explored):
    page = visit("plane=nothing_1_9&box=x_1_2")
    page.get_by_text("60 points").wait_for()
    assert page.locator("#plane").input_value() == "directions"
    assert page.locator("#axis-y").input_value() == "1"


@pytest.mark.parametrize(
    "box", ["1_0_1e-20", "1e300_0_1", "-1e300_1e300_1e-9", "0_0_1e308", "1_NaN_1"]
)
def test_a_link_to_a_box_that_cannot_be_drawn_leads_near_to_it(visit, box):
    page = visit(f"box={box}")
    page.get_by_text("60 points").wait_for()
    page.locator(".plot").focus()
    page.keyboard.press("+")
    wait_until(page, lambda: quote(box) not in page.url)
    assert all(abs(float(one)) < 1e4 for one in state_of(page, "box").split("_"))


def test_points_come_as_soon_as_the_server_is_there_again(browser, explored):
    with Serving(Session(explored)) as serving:
        page = browser.new_page()
        page.route("**/api/plane", lambda route: route.abort())
        page.goto(f"{serving.address}#view=points")
        page.get_by_text("does not answer").wait_for()
        label = page.locator(".plot").get_attribute("aria-label")
        page.unroute("**/api/plane")
        wait_until(page, lambda: page.locator(".plot").get_attribute("aria-label") != label)
        assert page.locator("#status").text_content() == ""
        page.close()


def test_the_command_says_the_plane_the_colours_and_the_box_that_are_seen(visit, explored):
    page = visit(f"start=image&image={explored.points.ids[4]}&seed=3&step=2&plane=variables_9_9")
    page.locator(".taken img").wait_for()
    shown = page.locator(".command code")
    first, second = (one.number for one in explored.controls["variables"].controls[:2])
    known = f"view=points&plane=variables_{first}_{second}&colour=sector"
    taken = f"start=image&image={explored.points.ids[4]}"
    assert shown.text_content().endswith(f"--at '{known}&{taken}' --figure picture.png")
    page.locator("#colour").select_option(f"attribute {HAT}")
    page.get_by_role("button", name="Closer").click()
    box = state_of(page, "box")
    state = shlex.split(shown.text_content())[-3]
    drawn = figure_of_state(explored, state)
    assert drawn.told["colour"] == f"attribute {HAT}" and drawn.told["taken"] in taken
    assert list(drawn.told["box"].values()) == pytest.approx([*map(float, box.split("_"))])
    counts = page.locator(".key li .note").all_text_contents()
    assert [one["n"] for one in drawn.told["groups"]] == [int(one) for one in counts]
