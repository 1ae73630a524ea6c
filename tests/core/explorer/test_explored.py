"""What the explorer shows is what the library gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.errors import ExplorerError, SpaceError
from latentmap.explorer import explore_spaces, read_place
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.controls import variable_controls
from latentmap.explorer.showing import figure_of, show_place
from latentmap.mapping import typicality
from latentmap.model.testing import LinearModel
from latentmap.relocation import fit_models
from latentmap.support import OrderOptions, order_variables


def pixels_of(images):
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_variables_stand_in_the_order_of_their_gain(explored, models, images, tmp_path):
    options = OrderOptions(leading=4)
    gains = order_variables(models[0], images, tmp_path / "cache", options)
    shown = explored.controls["variables"].controls
    assert [one.number for one in shown] == gains.order.tolist() == [2, 0, 3, 1]
    assert [one.dead for one in shown] == [i in gains.inactive for i in gains.order]
    assert 0 < sum(one.dead for one in shown) < 4
    np.testing.assert_allclose(explored.ordering.center, gains.center)
    np.testing.assert_allclose(explored.ordering.unit, gains.unit)


def test_a_place_is_decoded_by_the_source_and_carried_to_the_target(explored, models, images):
    source, target, _ = models
    code, shown = show_place(explored, read_place("moves=variables_2_0.5_0_-0.25"))
    expected = explored.codes.codes.mean.clone()
    expected[[2, 0]] = torch.from_numpy(explored.ordering.center)[[2, 0]]
    expected[[2, 0]] += torch.tensor([0.5, -0.25])  # The unit of a variable in z is 1.
    torch.testing.assert_close(code, expected)
    linear_map = fit_models(source, target, images, seed=0)
    mapped = target.decode(linear_map.apply(code[None].float()))
    assert [(one.role, one.model) for one in shown] == [("source", "source"), ("mapped", "target")]
    torch.testing.assert_close(shown[0].image[None], source.decode(code[None].float()))
    torch.testing.assert_close(shown[1].image[None], mapped)
    # The models show the same images, and the map between them is exact.
    torch.testing.assert_close(shown[0].image, shown[1].image, atol=2e-3, rtol=0)


def test_an_image_of_the_data_has_the_own_code_of_the_target_beside_it(explored, models, images):
    source, target, _ = models
    pixels = images.read(7)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    state = f"start=image&image={images.ids[7]}"
    code, shown = show_place(explored, read_place(state))
    torch.testing.assert_close(code[None].float(), source.encode(image))
    assert [one.role for one in shown] == ["source", "mapped", "own"]
    own = target.decode(target.encode(image))[0]
    torch.testing.assert_close(shown[2].image, own)
    difference = (shown[1].image - own).double().square().mean()
    assert shown[1].mse == pytest.approx(float(difference)) and shown[1].mse > 0
    # The map knows its images, and is not judged by one of them unsaid.
    train = images.split("train").ids
    for name in (train[0], images.ids[~np.isin(images.ids, train)][0]):
        _, shown = show_place(explored, read_place(f"start=image&image={name}"))
        assert [one.to_json()["fitted"] for one in shown] == [None, name in train, None]
    _, moved = show_place(explored, read_place(f"{state}&moves=variables_2_0.1"))
    assert [one.role for one in moved] == ["source", "mapped"] and moved[1].mse is None
    assert moved[1].fitted is None


def test_a_random_place_is_a_sample_of_the_source(explored, models):
    drawn = models[0].sample(1, seed=9)[0]
    still = list(explored.ordering.inactive)
    assert still
    drawn[still] = explored.codes.codes.mean.float()[still]
    torch.testing.assert_close(explored.code_at(read_place("start=random&seed=9")).float(), drawn)


def test_a_code_that_the_map_guesses_of_is_told(explored):
    linear_map = explored.targets[0].linear_map
    for state in ("", "moves=variables_2_0.5", "moves=variables_2_2", "moves=variables_1_1"):
        code, shown = show_place(explored, read_place(state))
        (outside,) = typicality(linear_map, code[None]).outside
        assert shown[1].outside is bool(outside) and shown[0].outside is None
    assert bool(outside)  # Codes of images vary by 0.06 in variable 1.


def test_moves_of_one_set_follow_those_of_another(explored):
    first = explored.code_at(read_place("moves=variables_2_1"))
    both = explored.code_at(read_place("moves=variables_2_1*directions_1_0.5"))
    moving = explored.controls["directions"].moving
    torch.testing.assert_close(both, moving.move(first, {1: 0.5}))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("start=image&image=none", "none of the 400 images is called 'none'"),
        ("moves=nothing_1_1", "there are no 'nothing'"),
        ("moves=variables_4_1", "variables are 0 to 3: there is no 4"),
        ("moves=variables_-1_1", "there is no -1"),
    ],
)
def test_what_is_not_there_is_refused(explored, state, said):
    with pytest.raises(ExplorerError, match=said):
        explored.code_at(read_place(state))


def test_the_action_answers_what_the_library_gives(explored, models):
    answer = ACTIONS["move"](explored, {"state": "moves=directions_0_1", "by": "directions"})
    assert answer.told["values"][0] == 1.0
    code = explored.code_at(read_place("moves=directions_0_1"))
    (expected,) = pixels_of(models[0].decode(code[None].float()))
    np.testing.assert_array_equal(answer.pictures[0], expected)
    grid, told = figure_of(explored, read_place("moves=directions_0_1"))
    assert [row.label for row in grid.rows] == ["source, the code", "target, mapped"]
    assert told == answer.told["pictures"]


def test_images_are_found_by_their_ids_and_shown_as_they_are(explored, images):
    listed = ACTIONS["images"](explored, {"start": 3, "count": 2})
    assert listed.told == {"ids": images.ids[3:5].tolist(), "n": 400}
    shown = ACTIONS["show"](explored, {"ids": listed.told["ids"][::-1]})
    np.testing.assert_array_equal(shown.pictures[0], images.read(4))
    np.testing.assert_array_equal(shown.pictures[1], images.read(3))
    named = ACTIONS["images"](explored, {"start": 0, "count": 64, "like": str(images.ids[399])})
    assert named.told == {"ids": [images.ids[399]], "n": 1}


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("move", {"state": 3}, "state must be a text"),
        ("move", {"state": "", "by": "no"}, "there are no 'no'"),
        ("images", {"start": -1, "count": 1}, "start must be a whole number from 0"),
        ("images", {"start": 0, "count": 65}, "count must be a whole number from 1 to 64"),
        ("images", {"start": True, "count": 1}, "start must be a whole number"),
        ("show", {"ids": "a"}, "ids must be a list of texts"),
        ("show", {"ids": []}, "at least one image"),
        ("show", {"ids": ["a"] * 65}, "64 at most, not 65"),
        ("show", {"ids": ["../secret"]}, "there is no image called '../secret'"),
    ],
)
def test_questions_that_cannot_be_answered_say_why(explored, action, asked, said):
    with pytest.raises(ExplorerError, match=said):
        ACTIONS[action](explored, asked)


def test_a_map_that_is_there_is_taken_as_it_is(models, images, tmp_path):
    source, target, maker = models
    found = fit_models(source, target, images, tmp_path)
    explored = explore_spaces(source, [target], images, tmp_path, maps=[found])
    assert explored.targets[0].linear_map is found
    with pytest.raises(ExplorerError, match="leads to z of target"):
        explore_spaces(source, [maker], images, tmp_path, maps=[found])
    with pytest.raises(SpaceError):
        explore_spaces(maker, [target], images, tmp_path, maps=[found])


def test_variables_of_large_images_stand_in_the_order_of_their_variance(images, tmp_path):
    large = LinearModel(4, (1, 1000, 1000), seed=1, name="large")
    stretched = images.subset(range(40))
    explored = explore_spaces(large, [], stretched, tmp_path)
    assert explored.ordering.by == "variance"
    variance = explored.codes.codes.to_numpy().astype(np.float64).var(axis=0)
    shown = explored.controls["variables"].controls
    assert [one.number for one in shown] == np.argsort(-variance).tolist()
    assert all(one.note.startswith("variance ") for one in shown)
    assert explored.controls["variables"].note == "The variance of variables is that of 40 images."


def test_a_slider_says_how_well_its_weight_is_known(explored, images):
    ordering = explored.ordering
    for one in explored.controls["variables"].controls:
        low, high = ordering.low[one.number], ordering.high[one.number]
        said = f"gain {(low + high) / 2:.2g} ± {(high - low) / 2:.2g}"
        assert one.note == said
    counts = np.unique(ordering.images)
    few = replace(ordering, images=np.where(ordering.order == 1, 3, ordering.images))
    codes = explored.codes.codes
    assert explored.controls["variables"].note == (
        f"The gain of variables is that of {counts[0]} images."
    )
    assert variable_controls(codes, few).note == (
        f"The gain of variables is that of 3 to {counts[0]} images."
    )
    alone = replace(ordering, low=ordering.low * np.nan, high=ordering.high * np.nan)
    assert all("±" not in one.note for one in variable_controls(codes, alone).controls)
