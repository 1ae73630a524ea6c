"""Sectors in the explorer: who is in one, how many are expected, and what models make of them."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from latentmap.errors import ExplorerError, SpaceError
from latentmap.explorer import explore_spaces
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.drawing import figure_of_state
from latentmap.expressiveness.blindness import errors_by_sector
from latentmap.expressiveness.reported import ReportedBlind
from latentmap.images.attribute_table import Attributes
from latentmap.images.tables import Table
from latentmap.model import SeenImages
from latentmap.support.building import SupportOptions, build_support_set
from latentmap.support.sectors import signs_of


def ask(explored, action, **asked):
    return ACTIONS[action](explored, asked)


def sector(explored, signs, *, threshold=None, start=0, count=32):
    asked = {"signs": signs, "threshold": threshold, "start": start, "count": count}
    return ask(explored, "sector", **asked).told


def measured(explored, signs):
    """All that is known of typical errors, as the page asks for it."""
    end = time.monotonic() + 60
    while not (told := ask(explored, "typical", signs=signs, threshold=None).told)["complete"]:
        assert time.monotonic() < end
    return told


def coordinates_of(explored):
    """The leading variables 2, 0 and 3 about their mean, in z in units of 1."""
    codes = explored.codes.codes.vectors.double().numpy()[
        :, explored.look.leading.sectors.variables
    ]
    return codes - codes.mean(axis=0)


@pytest.mark.parametrize("threshold", [0.0, 0.1])
@pytest.mark.parametrize("signs", ["", ".", "+", "-+", ".-", "+-", "++", "--"])
def test_the_members_are_those_on_these_sides(explored, signs, threshold):
    t = coordinates_of(explored)
    told = sector(explored, signs, threshold=threshold)
    toward = [{"+": 1, "-": -1}.get(sign, 0) for sign in signs]
    chosen = [place for place, sign in enumerate(toward) if sign]
    reach = [min((toward[i] * row[i] for i in chosen), default=np.inf) for row in t]
    rows = [row for row in np.argsort(-np.array(reach), kind="stable") if reach[row] > threshold]
    ids = explored.codes.codes.ids
    assert told["found"]["n"] == len(rows)
    assert [one["id"] for one in told["members"]] == [str(ids[row]) for row in rows[:32]]
    share = norm.sf(threshold) ** len(chosen)
    assert told["found"]["expected"] == pytest.approx(400 * share)
    assert told["reference"] == "standard normal"
    again = sector(explored, signs, threshold=threshold, start=5, count=3)
    assert again["members"] == told["members"][5:8]


@pytest.mark.parametrize("signs", ["..", "+.", "-+"])
def test_a_toggle_says_how_many_its_sign_would_leave(explored, signs):
    for place, (side, sign) in itertools.product(range(2), (("below", "-"), ("above", "+"))):
        told = sector(explored, signs, threshold=0.05)["variables"][place][side]
        toggled = signs[:place] + sign + signs[place + 1 :]
        assert told == sector(explored, toggled, threshold=0.05)["found"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"signs": "+-+-+"}, "signs are up to 2 of"),
        ({"signs": "1"}, "signs are up to 2 of"),
        ({"signs": None}, "signs must be a text"),
        ({"threshold": -1}, "a threshold is a number from 0 to 100"),
        ({"threshold": float("nan")}, "a threshold is a number from 0 to 100"),
        ({"threshold": True}, "threshold must be a number"),
        ({"threshold": "1"}, "threshold must be a number"),
        ({"count": 33}, "count must be a whole number from 1 to 32"),
        ({"start": -1}, "start must be a whole number"),
    ],
)
def test_what_is_no_sector_is_refused(explored, asked, said):
    whole = {"signs": "+", "threshold": 0, "start": 0, "count": 1, **asked}
    with pytest.raises(ExplorerError, match=said):
        ask(explored, "sector", **whole)
    with pytest.raises(ExplorerError, match="there is no image called 'none'"):
        ask(explored, "member", id="none")


@pytest.fixture(scope="module")
def with_support(models, images, tmp_path_factory):
    """The same spaces with a support set of half of the images, its sectors and its threshold."""
    source, target, _ = models
    cache = tmp_path_factory.mktemp("cache")
    half = images.subset(np.arange(0, 400, 2))
    options = SupportOptions(k=2, threshold=0.4, size=9)
    support = build_support_set(source, half, cache, options)
    return explore_spaces(
        source, [target], images.subset(np.arange(0, 399)), cache, support=support
    )


def test_a_support_set_says_the_sectors_and_its_images_are_marked(with_support):
    support = with_support.support
    assert with_support.look.leading.sectors.variables == tuple(support.settings["variables"])
    seen = set()
    for number in range(4):
        told = sector(with_support, signs_of(number, 2))
        assert told["threshold"] == 0.4
        mine = np.flatnonzero(support.sector == number)
        shown = told["support"]["images"]
        assert told["support"]["n"] == told["support"]["here"] == len(mine)
        assert [one["id"] for one in shown] == support.ids[mine].tolist()
        assert [one["relaxed"] for one in shown] == support.relaxed[mine].tolist()
        assert [one["short"] for one in shown] == support.short[mine].tolist()
        members = [one["id"] for one in told["members"]]
        assert {*support.members_of(number).tolist()} <= {*members}
        marked = [one["id"] for one in told["members"] if one["marked"]]
        assert {*marked} == {*members} & {*support.ids.tolist()}
        seen |= {*marked}
    assert len(seen) > 3
    assert sector(with_support, "")["support"]["n"] == len(support)
    few = with_support.images.subset(np.arange(1, 300, 2))
    codes = type(with_support.codes)(with_support.codes.codes.take(np.arange(1, 300, 2)))
    others = replace(with_support, images=few, codes=codes)
    told = sector(others, "")["support"]
    assert (told["n"], told["here"], told["images"]) == (len(support), 0, [])


def test_a_support_set_of_another_model_is_refused(models, images, with_support, tmp_path):
    with pytest.raises(SpaceError, match="the support set must be in"):
        explore_spaces(models[1], [], images, tmp_path, support=with_support.support)


def test_a_member_is_shown_as_every_model_makes_it(explored, models, images):
    name = str(images.ids[3])
    answer = ask(explored, "member", id=name)
    pixels = images.read(3)
    np.testing.assert_array_equal(answer.pictures[0], pixels)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
    assert [one["role"] for one in answer.told["made"]] == ["source", "own"]
    for model, one, picture in zip(models, answer.told["made"], answer.pictures[1:], strict=False):
        made = model.decode(model.encode(image))
        assert (one["model"], one["role"]) == (
            model.name,
            {"source": "source", "target": "own"}[model.name],
        )
        assert one["mse"] == pytest.approx(float((made - image).square().mean()), rel=1e-4)
        shown = (made[0] * 255).round().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(picture, shown)


def test_a_generator_without_an_encoder_makes_it_of_the_mapped_code(models, images, tmp_path):
    source, _, maker = models
    other = type(maker)(4, seed=3, name="maker")
    linear_map = explore_spaces(source, [other], images, tmp_path).targets[0].linear_map
    explored = explore_spaces(source, [maker], images, tmp_path, maps=[linear_map])
    name = str(images.ids[3])
    answer = ask(explored, "member", id=name)
    assert [one["role"] for one in answer.told["made"]] == ["source", "mapped"]
    code = explored.codes.require(name)[None].float()
    made = (maker.decode(linear_map.apply(code))[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(answer.pictures[2], made)


def test_typical_errors_are_those_of_all_images_of_the_sample(explored, models, images):
    fresh = replace(explored)
    first = ask(fresh, "typical", signs="", threshold=None).told
    assert 0 < first["done"] <= first["n"] == 400 and not first["judged"]
    told = measured(fresh, "")
    assert told["done"] == 400 and not told["judged"]
    pixels = np.stack([images.read(i) for i in range(400)])
    shown = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    for number, model in enumerate(models[:2]):
        made = model.decode(model.encode(shown))
        errors = (made - shown).double().square().flatten(1).mean(1).numpy()
        np.testing.assert_allclose(fresh.look.typical.errors[number], errors, rtol=1e-3, atol=1e-9)
        spread = told["models"][number]["spread"]
        known = fresh.look.typical.errors[number]
        expected = np.quantile(known, [0.05, 0.5, 0.95])
        assert [spread[name] for name in ("low", "median", "high")] == pytest.approx(expected)
        worst = str(images.ids[int(known.argmax())])
        made = ask(fresh, "member", id=worst).told["made"][number]
        assert made["worse"] == pytest.approx(399 / 400, abs=0.01)


def test_it_says_how_many_of_the_sample_models_were_trained_on(explored, images, monkeypatch):
    assert measured(replace(explored), "")["seen"] == {"source": None, "target": None}
    seen = SeenImages.of(images.digests[40:100])
    monkeypatch.setattr(explored.targets[0].model, "seen", seen)
    some = explored.codes.codes.take(np.arange(0, 400, 2))
    half = replace(explored, codes=type(explored.codes)(some))
    assert measured(half, "")["seen"] == {"source": None, "target": 30}


def test_an_image_is_not_worse_than_itself_by_the_rounding_of_a_batch(explored, images):
    fresh = replace(explored)
    measured(fresh, "")
    name = str(images.ids[3])
    for number, one in enumerate(ask(fresh, "member", id=name).told["made"]):
        errors = fresh.look.typical.errors[number]
        errors[:] = one["mse"] * (1 - 1e-7)
        errors[:100] = 0.9 * one["mse"]
        assert ask(fresh, "member", id=name).told["made"][number]["worse"] == 0.25


def test_the_verdicts_are_those_of_the_benchmark(explored):
    fresh = replace(explored, reported=(ReportedBlind("target", "faces", "Hat"),))
    measured(fresh, "")
    typical = fresh.look.typical
    t = coordinates_of(fresh)[:, :2]
    numbers = (t > 0) @ [1, 2]
    scatter = np.random.default_rng(1).uniform(0.9, 1.1, (2, 400))
    typical.errors[0] = 0.01 * scatter[0]
    typical.errors[1] = 0.01 * scatter[1] * np.where(numbers == 2, 2.0, 1.0)
    told = measured(fresh, "+-")
    assert told["judged"] and told["reported"] == [
        {"model": "target", "set": "faces", "group": "Hat", "signs": "", "here": False}
    ]
    source, target = told["models"]
    assert (source["blind"], source["reference"]) == ([], None)
    assert [one["signs"] for one in target["blind"]] == ["-+"] and target["reference"] == "source"
    expected = errors_by_sector(
        typical.errors[1], numbers, reference=typical.errors[0], units=typical.units
    )
    assert target["blind"][0]["excess"] == expected[0].excess > 1.9
    for signs in ("+-", "-+"):
        here = measured(fresh, signs)["models"][1]["here"]
        (found,) = (one for one in expected if signs_of(one.number, 2) == signs)
        assert (here["verdict"], here["n"]) == (found.verdict, len(found.positions))
        assert (here["excess"], here["p"]) == (found.excess, found.p_value)
    # Of the second variable alone, at its place among the others.
    told = measured(fresh, ".-")
    assert [one["signs"] for one in told["models"][1]["blind"]] in ([], [".+"])


def test_sectors_of_too_many_signs_are_not_judged(with_support):
    few = with_support.codes.codes.take(np.arange(30))
    small = replace(with_support, codes=type(with_support.codes)(few))
    told = measured(small, "+-")
    assert told["n"] == 30 and not told["judged"]


def test_a_sector_is_drawn_as_the_page_shows_it(explored, models):
    told = sector(explored, "-+", threshold=0.1)
    drawn = figure_of_state(explored, "view=sectors&signs=-%2B&threshold=0.1&from=2")
    n, expected = told["found"]["n"], told["found"]["expected"]
    assert drawn.what == f"a sector of {n} images, {expected:.1f} expected, in source, target"
    names = [one["id"] for one in told["members"][2:10]]
    assert [row.label for row in drawn.figure.rows] == ["image", "by source", "by target"]
    first, *others = drawn.told["pictures"]
    assert first == {"images": names}
    for one, row in zip(others, drawn.figure.rows[1:], strict=True):
        known = [ask(explored, "member", id=name).told["made"] for name in names]
        errors = [made["mse"] for of in known for made in of if made["model"] == one["model"]]
        assert one["images"] == names and one["mse"] == pytest.approx(errors, rel=1e-3)
        assert [text for text, _ in row.texts] == [f"mse {error:.3g}" for error in one["mse"]]
    alone = figure_of_state(explored, f"view=sectors&signs=-%2B&member={names[3]}")
    assert alone.told["pictures"][0] == {"images": [names[3]]}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("threshold=x", "a threshold is a number, not 'x'"),
        ("signs=%2B&threshold=50", "no image has these signs"),
        ("from=99999", "no image has these signs"),
        ("member=none", "there is no image called 'none'"),
        ("signs=%2B%2B%2B", "signs are up to 2 of"),
    ],
)
def test_what_is_no_sector_is_not_drawn(explored, state, said):
    with pytest.raises(ExplorerError, match=said):
        figure_of_state(explored, f"view=sectors&{state}")


def test_members_of_groups_that_a_report_calls_blind_are_marked(explored, images):
    ids = images.ids
    hat = np.where(np.arange(400) % 3 == 0, 1.0, -1.0)
    old = np.where(np.arange(400) % 2 == 0, 1.0, -1.0)
    known = slice(0, 300)
    table = Table("faces.csv", ids[known].tolist(), {"Hat": hat[known], "Old": old[known]})
    reported = (
        ReportedBlind("target", "faces", "Hat", by=("Hat", "Hat,Old")),
        ReportedBlind("source", "faces", "not Hat, Old", by=("Hat", "Hat,Old")),
        ReportedBlind("source", "faces", "background low (to 0.3)", by=("background",)),
        ReportedBlind("source", "support.h5", "sector 2", "-+"),
    )
    marked = replace(explored, attributes=Attributes(table), reported=reported)
    seen = set()
    for start in range(0, 400, 32):
        for one in sector(marked, "", start=start)["members"]:
            number = ids.tolist().index(one["id"])
            groups = [("target", "Hat")] * (number % 3 == 0)
            groups += [("source", "not Hat, Old")] * (number % 3 > 0 and number % 2 == 0)
            groups = groups if number < 300 else []
            assert [(of["model"], of["group"]) for of in one["blind"]] == groups
            seen |= {*groups}
    assert len(seen) == 2
    assert not any(one["here"] for one in measured(marked, "")["reported"])
    without = sector(replace(explored, reported=reported), "")["members"]
    assert not any(one["blind"] for one in without)


def test_sectors_that_a_report_calls_blind_are_marked_where_they_are_those_of_the_support_set(
    with_support,
):
    support = with_support.support
    digest = support.sectors_digest
    elsewhere = replace(support, settings={**support.settings, "threshold": 0.5}).sectors_digest
    assert len({digest, elsewhere, ""}) == 3
    assert digest == support.take(np.arange(3)).sectors_digest
    reported = (
        ReportedBlind("target", "support.h5", "sector 2", "-+", sectors=digest),
        ReportedBlind("target", "others.h5", "sector 1", "+-", sectors=elsewhere),
        ReportedBlind("source", "faces", "group 0"),
    )
    marked = replace(with_support, reported=reported)
    assert [one["here"] for one in measured(marked, "")["reported"]] == [True, False, False]
    inside = sector(marked, "-+")
    assert inside["found"]["n"] > 0
    for signs in ("-+", "+-", "--"):
        for one in sector(marked, signs)["members"]:
            expected = [{"model": "target", "group": "sector 2"}] if signs == "-+" else []
            assert one["blind"] == expected
    # At a lower threshold some have its signs that are not of it.
    near = sector(marked, "-+", threshold=0.0)
    assert near["found"]["n"] > inside["found"]["n"]
    assert sum(bool(one["blind"]) for one in near["members"]) == min(32, inside["found"]["n"])
