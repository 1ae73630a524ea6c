import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from latentmap.errors import ImageError
from latentmap.expressiveness import BenchOptions, bench
from latentmap.expressiveness.blindness import verdict
from latentmap.expressiveness.by_attribute import cut_sets, in_words, told
from latentmap.expressiveness.by_attribute_tables import groups_figure, groups_table
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.reported import ReportedBlind, blind_in_report
from latentmap.expressiveness.section import bench_section
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.images.asked_groups import AskedGroups
from latentmap.images.group_ratios import GroupRatio
from latentmap.intervals import Estimate
from latentmap.model.testing import LinearModel
from latentmap.report.store import add_section, read_report


class Lacking(LinearModel):
    """A generator that makes nothing of some of its last variables."""

    family = "lacking-test"
    lacks = 1

    def _decode(self, codes):
        kept = self.latent_dim - self.lacks
        return super()._decode(torch.cat([codes[:, :kept], 0 * codes[:, kept:]], dim=1))


class LackingMore(Lacking):
    family = "lacking-more-test"
    lacks = 2


def scene(tmp_path, *, n=90):
    """Images of which a third have hats, that need a variable that both generators lack; a quarter
    are old, which needs one that only the second lacks.
    """
    whole = LinearModel(6, (1, 8, 8), name="whole")
    codes = whole.sample(n, seed=1)
    hat, old = np.arange(n) % 3 == 0, np.arange(n) % 4 == 1
    scatter = np.random.default_rng(0).uniform(0.8, 1.2, (2, n))
    codes[:, -1] = torch.from_numpy(scatter[0] * np.where(hat, 1.0, 0.3)).float()
    codes[:, -2] = torch.from_numpy(scatter[1] * np.where(old, 0.8, 0.02)).float()
    pixels = (whole.decode(codes) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = ImageSource(ArrayImages(pixels, "images"), np.arange(n))
    table = tmp_path / "faces.csv"
    rows = [f"{name},{2 * hat[i] - 1},{int(old[i])}" for i, name in enumerate(images.ids)]
    table.write_text("\n".join(["file,Hat,Old", *rows[:80]]))
    return ImageSet("faces", images, images.ids), table


def measured(tmp_path, crossings, *, encoder=None, models=None):
    faces, table = scene(tmp_path)
    sets = cut_sets([faces], AskedGroups.of(crossings, table))
    models = models or [LackingMore(6, (1, 8, 8), name="stylegan")]
    options = BenchOptions(20, ["network"])
    return models, bench(models, sets, tmp_path, options=options, encoder=encoder)


def test_what_is_hard_for_any_model_is_not_what_a_generator_is_blind_to(tmp_path):
    reference = Lacking(6, (1, 8, 8), name="svae")
    _, (result,) = measured(tmp_path, [("Hat",), ("Old",)], encoder=reference)
    (scores,) = result.sets
    (hat, other), (old, _) = scores.groups
    assert (hat.name, other.name, old.name) == ("Hat", "not Hat", "Old")
    assert len(hat.positions) + len(other.positions) == 80
    assert hat.plain.low > 1.5 and verdict(hat) == "not blind"
    assert old.ratio.low > 1.5 and verdict(old) == "blind"
    said = in_words(result, scores, hat)
    assert (
        said.startswith("stylegan is not blind to Hat: ") and "times what svae finds hard" in said
    )
    assert said.endswith("(by its network)")
    assert in_words(result, scores, old).startswith("stylegan is blind to Old: ")


def test_the_errors_and_the_reference_are_those_of_the_images(tmp_path):
    _, (result,) = measured(tmp_path, [("Hat",)], encoder=Lacking(6, (1, 8, 8), name="svae"))
    (scores,) = result.sets
    (hat, other), reference = scores.groups[0], scores.held.wholes["reference"]
    share = [
        scores.mse[one.positions].mean() / reference[one.positions].mean() for one in (hat, other)
    ]
    assert hat.share.value == pytest.approx(share[0])
    assert hat.ratio.value == pytest.approx(share[0] / share[1])
    assert (np.diff(scores.mse[hat.positions]) <= 0).all()


def test_the_groups_stand_in_table_section_pictures_and_json(tmp_path):
    models, results = measured(tmp_path, [("Hat",), ("Hat", "Old")])
    table = groups_table(results)
    assert [column.title for column in table.columns][4:] == ["error", "x rest", "p", "verdict"]
    assert [row.cells[2] for row in table.rows[:2]] == ["Hat", "not Hat"]
    assert "faces: Hat is not known of 10 of 90 images, which are in no group" in table.note
    assert "times as hard as the rest, which may be so for any model" in table.note
    (printed,) = json.loads(json.dumps([one.to_json() for one in results]))
    groups = printed["targets"][0]["groups"]
    assert {"by", "group", "n", "ratio", "corrected_p_value", "verdict", "ids"} <= set(groups[0])
    assert [one["by"] for one in groups][:3] == ["Hat", "Hat", "Hat,Old"]
    assert printed["record"]["by"] == ["Hat", "Hat,Old"]
    section = bench_section(results, models)
    said = [line for line in table.note.splitlines() if "blind to" in line or "too few" in line]
    assert said and section.text[: len(said)] == [f"{line}." for line in said]
    titles = [getattr(block, "title", "") for block in section.blocks]
    assert "Groups by attribute" in titles and "stylegan: faces by Hat,Old" in titles
    scores = results[0].sets[0]
    shown = groups_figure(scores, scores.groups[0], models[0], n=4)
    assert [row.label for row in shown.rows][::2] == ["worst of Hat", "worst of not Hat"]
    (rows,) = [one for one in section.blocks if one.title == "stylegan: faces by Hat"]
    hat, made = rows.rows[:2]
    worst = scores.groups[0][0].positions[:8]
    assert hat.captions == scores.ids[worst].tolist()
    assert made.captions == [f"mse {error:.4f}" for error in scores.best.mse[worst]]
    assert len({one.id for one in section.blocks if one.kind == "image rows"}) == 4
    assert section.id != bench_section(measured(tmp_path, [("Hat",)])[1], models).id


def test_what_a_report_calls_blind_is_what_its_benchmark_found(tmp_path):
    faces, table = scene(tmp_path)
    hat = np.arange(90) % 3 == 0
    sectors = replace(faces, name="support.h5", sector=np.where(hat, 2, 1), variables=(4, 0))
    sectors = replace(sectors, sectors_digest="of the set")
    sets = [*cut_sets([faces], AskedGroups.of([("Old",)], table)), sectors]
    models = [LackingMore(6, (1, 8, 8), name="stylegan")]
    results = bench(models, sets, tmp_path, options=BenchOptions(20, ["network"]))
    add_section(tmp_path / "report", bench_section(results, models))
    groups, of_sectors = results[0].sets
    assert [verdict(one) for one in groups.groups[0]] == ["blind", "not blind"]
    assert [(one.number, one.blind) for one in of_sectors.sectors] == [(2, True), (1, False)]
    assert {*blind_in_report(read_report(tmp_path / "report"))} == {
        ReportedBlind("stylegan", "faces", "Old", by=("Old",)),
        ReportedBlind("stylegan", "support.h5", "sector 2", "-+", sectors="of the set"),
    }


def test_all_groups_of_all_generators_are_corrected_for(tmp_path):
    models = [Lacking(6, (1, 8, 8), name="one"), LackingMore(6, (1, 8, 8), name="two")]
    _, both = measured(tmp_path, [("Hat",), ("Old",)], models=models)
    _, alone = measured(tmp_path, [("Hat",), ("Old",)], models=models[:1])
    every = [one for result in both for family in result.sets[0].groups for one in family[:1]]
    least = min(every, key=lambda one: one.p_value)
    assert least.corrected == pytest.approx(min(1, 4 * least.p_value))
    assert (
        alone[0].sets[0].groups[0][0].corrected <= 2 * alone[0].sets[0].groups[0][0].p_value + 1e-9
    )


def one_of(ratio, plain=(2, 1.5, 3), corrected=0.001, units=50):
    over, simple = Estimate(*ratio), Estimate(*plain)
    return GroupRatio(
        "Hat", "Hat", np.arange(units), units, over, over, simple, over, corrected, corrected
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ratio": (1.6, 1.2, 2.0)}, "blind"),
        ({"ratio": (1.6, 0.9, 2.0), "corrected": 0.06}, "not told"),
        ({"ratio": (1.4, 1.2, 1.6)}, "not told"),
        ({"ratio": (1.3, 1.2, 1.4)}, "not blind"),
        ({"ratio": (1.7, 1.6, 1.8), "plain": (0.8, 0.7, 0.9)}, "not blind"),
        ({"ratio": (1.7, 1.6, 1.8), "plain": (0.9, 0.7, 1.1)}, "not told"),
        ({"ratio": (9.0, 5.0, 20.0), "corrected": None, "units": 4}, "too few"),
    ],
)
def test_the_verdict_follows_by_rule(given, expected):
    assert verdict(one_of(**given)) == expected


def said_of(one, *, doubted=False):
    result = SimpleNamespace(
        name="stylegan", record={"encoder_name": "svae"}, doubts=lambda scores: doubted
    )
    scores = SimpleNamespace(name="faces", held=SimpleNamespace(decisive="limit"))
    return in_words(result, scores, one)


def test_what_is_told_by_a_search_whose_pictures_are_smears_is_doubted():
    one = one_of((1.3, 1.2, 1.4))
    assert said_of(one).endswith("what svae finds hard, p 0.001")
    assert said_of(one, doubted=True).endswith(", p 0.001 (unreliable, as the search is)")


def test_of_a_ratio_that_is_not_told_the_interval_alone_is_said():
    wide = said_of(one_of((3.0, 1.1, 20.0), corrected=0.2))
    assert wide.startswith("whether stylegan is blind to Hat is not told: 1.10 to 20.00 times")
    undefined = said_of(one_of((np.nan, np.nan, np.nan), corrected=1.0))
    assert undefined.endswith("is not told: there is no error to hold that of the group against")


def test_of_two_sides_the_first_is_told_of_unless_the_second_is_the_blind_one():
    easy = one_of((1.3, 1.2, 1.4))
    hard = one_of((1.8, 1.7, 1.9))
    assert list(told([hard, easy])) == [hard]
    assert list(told([easy, hard])) == [easy, hard]
    assert list(told([easy, easy, hard])) == [easy, easy, hard]


def test_what_cannot_be_cut_is_refused(tmp_path):
    faces, table = scene(tmp_path)
    table.write_text("\n".join(["file,Hat", *(f"{name},1" for name in faces.ids)]))
    with pytest.raises(
        ImageError, match=r"Hat is known of are of one group \(Hat 1\): there is no"
    ):
        cut_sets([faces], AskedGroups.of([("Hat",)], table))
    shown = replace(faces, shown=object())
    with pytest.raises(ImageError, match="groups are of the images of a data set: give one"):
        cut_sets([shown], AskedGroups.of([("Hat",)], table))


def test_the_table_has_no_ratio_that_is_not_told(tmp_path):
    _, (result,) = measured(tmp_path, [("Hat",)])
    (scores,) = result.sets
    wide = [one_of((3.0, 1.1, 20.0), plain=(4.0, 1.0, 9.0))]
    shown = groups_table([replace(result, sets=[replace(scores, groups=[wide])])])
    assert [column.title for column in shown.columns][4:] == ["error", "p", "verdict"]
    assert (
        "x reference, x rest, over reference left out, of which no row is told: the ends"
        in shown.note
    )
    narrow = [*wide, one_of((1.1, 1.0, 1.2), plain=(1.1, 1.0, 1.2))]
    shown = groups_table([replace(result, sets=[replace(scores, groups=[narrow])])])
    assert shown.rows[0].cells[5:8] == ["not told"] * 3
    assert "not told: the ends of the interval are more than 3 times apart" in shown.note
    assert "more than 3 times apart" not in groups_table([result]).note
