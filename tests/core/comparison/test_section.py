import json
from dataclasses import replace

import html5lib
import numpy as np
import pytest

from latentmap.comparison.context_tables import context_table
from latentmap.comparison.nearer import letters_of
from latentmap.comparison.section import comparison_report, comparison_sections
from latentmap.comparison.similarity_figures import calibrated_maps
from latentmap.comparison.tables import models_table
from latentmap.intervals import Estimate
from latentmap.relocation.tables import figure_of
from latentmap.report import ImageRows, Measure, Table
from latentmap.report.page import render
from latentmap.report.parts import HeatMap, Plane
from latentmap.report.reading import report_from_json


@pytest.fixture(scope="module")
def sections(comparison):
    return {one.id: one for one in comparison_sections(comparison)}


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_sections_are_in_the_order_of_reading(sections):
    assert list(sections) == [
        "models",
        "spaces",
        "maps",
        "pairs",
        "similarity",
        "ways",
        "methods",
    ]


def test_the_page_is_valid_and_its_links_lead_somewhere(comparison):
    report = comparison_report(comparison)
    page = render(report_from_json(json.loads(json.dumps(report.to_json()))))
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {one.get("href")[1:] for one in tree.findall(".//a")} <= set(ids)
    assert all(one.get("alt") for one in tree.findall(".//img"))
    assert "How 3 latent spaces relate" in page


def test_every_ordered_pair_stands_in_the_table_with_its_figures(comparison, sections):
    table, _, beside = blocks(sections["maps"], Table)
    assert [row.cells[:2] for row in beside.rows] == [row.cells[:2] for row in table.rows]
    titles = [column.title for column in table.columns]
    assert [row.cells[:2] for row in table.rows] == [
        [comparison.models[i].label, comparison.models[j].label] for i, j in comparison.pairs
    ]
    for row, pair in zip(table.rows, comparison.pairs.values(), strict=True):
        cells = dict(zip(titles, row.cells, strict=True))
        assert cells["type"] == pair.kind
        assert cells["R2"] == Measure.of(pair.figures.r2)
        assert cells["M_mse"] == Measure.of(pair.figures.m_mse)
        assert cells["efficiency"] == figure_of(pair.figures, "efficiency")


def test_heat_maps_have_the_figure_of_each_pair(comparison, sections):
    (r2,) = blocks(sections["spaces"], HeatMap)
    (back,) = blocks(sections["ways"], HeatMap)
    for (i, j), pair in comparison.pairs.items():
        cell = r2.cells[i][j]
        assert (cell.value, cell.link) == (pair.figures.r2.value, f"pair-{i}-{j}")
        assert f"{comparison.models[i].label} to {comparison.models[j].label}" in cell.meaning
        assert back.cells[i][j].value == 1 - pair.cycle.value
    assert [r2.cells[i][i] for i in range(3)] == [None] * 3


def test_the_interval_of_what_is_left_is_turned_around(comparison):
    pairs = dict(comparison.pairs)
    pairs[0, 1] = replace(pairs[0, 1], cycle=Estimate(0.25, 0.125, 0.5))
    ways = comparison_sections(replace(comparison, pairs=pairs))[5]
    (heat,) = blocks(ways, HeatMap)
    assert heat.cells[0][1].meaning.endswith("0.750 [0.500, 0.875]")


def test_a_figure_that_is_not_defined_is_said_to_be(comparison):
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    pairs = {
        place: replace(pair, figures=replace(pair.figures, r2=nothing))
        for place, pair in comparison.pairs.items()
    }
    sections = comparison_sections(replace(comparison, pairs=pairs))
    (heat,) = blocks(sections[1], HeatMap)
    assert heat.cells[0][1].value is None
    assert heat.cells[0][1].meaning.endswith("not defined")
    assert not any("Best predicted" in text for text in sections[1].text)


def test_the_best_and_the_worst_are_named(sections):
    assert any(
        "Best predicted: a to b, R2 1.00" in t or "Best predicted: b to a, R2 1.00" in t
        for t in sections["spaces"].text
    )


def test_the_plane_has_every_model_and_says_the_distances(comparison, sections):
    plane, calibrated = blocks(sections["spaces"], Plane)
    assert plane.names == calibrated.names == ["a", "b", "<c>"]
    assert f"b and a {comparison.layout.distances[1, 0]:.2f}" in plane.alternative
    cka = comparison.similarities.matrices["cka"].calibrated
    assert f"b and a {(1 - cka[1, 0]) ** 0.5:.2f}" in calibrated.alternative


def test_each_pair_has_three_rows_and_its_shared_directions(comparison, sections):
    figures = blocks(sections["pairs"], ImageRows)
    assert [one.id for one in figures[::2]] == [f"pair-{i}-{j}" for i, j in comparison.pairs]
    for rows, factors in zip(figures[::2], figures[1::2], strict=True):
        assert len(rows.rows) == 3
        assert {image.width for row in rows.rows for image in row.images} == {40}
        assert len(factors.heads) == 2
        assert all(len(row.images) == 2 for row in factors.rows)


def test_similarities_stand_with_interval_and_null(comparison, sections):
    table, _, _, _, indexes = blocks(sections["similarity"], Table)
    titles = [column.title for column in table.columns]
    cells = dict(zip(titles, table.rows[0].cells, strict=True))
    cka = comparison.similarities.matrices["cka"]
    assert cells["linear CKA"].value == cka.value[0, 1]
    assert cells["linear CKA"].low == cka.low[0, 1]
    assert "null" in cells["linear CKA"].note
    pwcca = comparison.similarities.matrices["pwcca"]
    assert cells["PWCCA →"].value == pwcca.value[0, 1]
    assert cells["PWCCA ←"].value == pwcca.value[1, 0]
    assert len(table.rows) == 3
    assert len(indexes.rows) == len(comparison.similarities.matrices)
    better = {column.title: column.better for column in table.columns}
    assert (better["linear CKA"], better["Procrustes distance"]) == ("high", "low")


def test_calibrated_values_stand_with_what_they_are_held_against(comparison, sections):
    _, table, *_ = blocks(sections["similarity"], Table)
    titles = [column.title for column in table.columns]
    cells = dict(zip(titles, table.rows[1].cells, strict=True))
    gulp = comparison.similarities.matrices["gulp"]
    found = cells["GULP distance"]
    parts = (gulp.calibrated, gulp.calibrated_low, gulp.calibrated_high)
    assert [found.value, found.low, found.high] == [one[0, 2] for one in parts]
    assert found.note == f"p {gulp.p_holm[0, 2]:.2g}, spectra p {gulp.spectra_p[0, 2]:.2g}"
    assert "95 % of 19 random pairings" in table.note
    # 6 ordered pairs at 5 % need 119.
    assert "119 can" in table.note


def test_every_two_models_are_held_against_each_third(comparison, sections):
    (table,) = (
        one
        for one in blocks(sections["similarity"], Table)
        if one.title == "Which of two is nearer"
    )
    assert [row.cells[:3] for row in table.rows] == [
        ["a", "b", "<c>"],
        ["b", "a", "<c>"],
        ["<c>", "a", "b"],
    ]
    (cka, *_) = comparison.similarities.nearer["cka"]
    cell = table.rows[0].cells[3]
    assert (cell.value, cell.low, cell.high) == tuple(cka.difference)
    assert cell.note == ("*" if cka.p_holm <= 0.05 else "")


def test_heat_maps_of_indexes_have_calibrated_values_and_letters(comparison, sections):
    maps = blocks(sections["similarity"], HeatMap)
    found = comparison.similarities
    assert len(maps) == len(found.matrices)
    for heat, (name, matrix) in zip(maps, found.matrices.items(), strict=True):
        assert heat.title == f"Calibrated {matrix.index.title}"
        assert heat.cells[0][1].value == matrix.calibrated[0, 1]
        letters = letters_of(found.nearer.get(name, ()), 0, found.alpha)
        assert [heat.cells[0][j].mark for j in (1, 2)] == [letters.get(j, "") for j in (1, 2)]
        assert bool(letters) == (name != "pwcca")
        assert heat.cells[0][0] is None


def test_two_models_have_no_third_to_be_nearer_to(comparison):
    none = {name: [] for name in comparison.similarities.nearer}
    similarities = replace(comparison.similarities, nearer=none)
    section = comparison_sections(replace(comparison, similarities=similarities))[4]
    assert "Which of two is nearer" not in [block.title for block in section.blocks]
    assert not any("letter" in heat.note for heat in blocks(section, HeatMap))


def test_an_index_that_is_not_defined_has_an_empty_field(comparison):
    found = comparison.similarities
    nothing = np.full_like(found.matrices["cka"].value, np.nan)
    cka = replace(found.matrices["cka"], calibrated=nothing)
    changed = replace(found, matrices={**found.matrices, "cka": cka})
    heat = calibrated_maps(replace(comparison, similarities=changed))[0]
    assert heat.cells[0][1].value is None
    assert heat.cells[0][1].meaning == "a and b: calibrated linear CKA not defined"


def test_all_ways_by_a_third_are_there(comparison, sections):
    (table,) = blocks(sections["ways"], Table)
    assert len(table.rows) == len(comparison.compositions) == 6
    way = comparison.compositions[0]
    assert table.rows[0].cells[3:] == [
        Measure.of(way.r2),
        Measure.of(comparison.pairs[way.source, way.target].figures.r2),
        Measure.of(way.lost_r2),
    ]


def test_methods_stand_beside_ridge_or_say_why_not(comparison, sections):
    (table,) = blocks(sections["methods"], Table)
    assert [column.title for column in table.columns] == ["from", "to", "ridge", "procrustes"]
    place, pair = next(iter(comparison.pairs.items()))
    failed = replace(pair, methods=[], failed={"cca": "too few images"})
    changed = replace(comparison, pairs={**comparison.pairs, place: failed})
    (table,) = comparison_sections(changed)[-1].blocks
    assert table.rows[0].cells[3:] == [None, None]
    assert "No map by cca: too few images." in table.note


def test_without_other_methods_there_is_no_section_of_them(comparison):
    pairs = {place: replace(pair, methods=[]) for place, pair in comparison.pairs.items()}
    assert comparison_sections(replace(comparison, pairs=pairs))[-1].id == "ways"


def test_two_models_have_no_way_by_a_third(comparison):
    ways = comparison_sections(replace(comparison, compositions=[]))[5]
    assert ways.title == "There and back"
    assert [block.title for block in ways.blocks] == ["R2 of codes that come back"]


def test_a_model_that_made_the_images_is_named(comparison):
    own = replace(comparison.models[1], reconstruction_mse=Estimate(1e-6, 1e-6, 1e-6))
    models = [comparison.models[0], own, comparison.models[2]]
    (overview, made, *_) = comparison_sections(replace(comparison, models=models))[0].text
    assert overview.startswith("3 models of the same images.")
    assert made.startswith("b made the images")


def test_two_fingerprints_of_a_model_are_told_apart_in_words(comparison):
    assert "of its space" not in [column.title for column in models_table(comparison).columns]
    inverted = replace(comparison.models[2], space_fingerprint="5" * 64)
    table = models_table(replace(comparison, models=[*comparison.models[:2], inverted]))
    *_, own, of_space = table.columns
    assert (own.title, of_space.title) == ("fingerprint", "of its space")
    assert own.meaning.startswith("of the model")
    assert "that of the generator" in of_space.meaning
    assert [row.cells[-1] for row in table.rows] == [
        *(one.fingerprint[:12] for one in comparison.models[:2]),
        "5" * 12,
    ]


def test_every_section_says_what_made_it(comparison, sections):
    for section in sections.values():
        assert section.record["command"] == "latentmap compare a b '<c>'"
        assert section.record["models"]["a"] == comparison.models[0].fingerprint
        assert {"seed", "versions", "images"} <= set(section.record)


@pytest.mark.parametrize(("floor", "mark"), [(0.01, ""), (0.03, "*")])
def test_an_efficiency_beside_a_high_floor_is_marked(comparison, floor, mark):
    pairs = {place: _with_floor(pair, floor) for place, pair in comparison.pairs.items()}
    result = replace(comparison, pairs=pairs)
    maps = comparison_sections(result)[2]
    (heat,) = blocks(maps, HeatMap)
    assert heat.cells[0][1].mark == mark
    assert ("it says little" in heat.note) == bool(mark)
    # What stands beside other errors has the same floor.
    (table,) = (one for one in blocks(maps, Table) if one.title.startswith("Between"))
    assert "eff. over best" in [column.title for column in table.columns]
    said = "every eff. says little of all ways: the floor is above half the baseline"
    assert (said in table.note) == (said in str(result)) == bool(mark)
    low = {place: _with_floor(pair, 0.01) for place, pair in pairs.items()}
    one = replace(result, pairs={**low, (0, 1): pairs[0, 1]})
    assert ("every eff. says little of a to b: the" in context_table(one).note) == bool(mark)


def _with_floor(pair, floor):
    bounds = {
        "floor_mse": Estimate(floor, floor, floor),
        "baseline_mse": Estimate(0.05, 0.04, 0.06),
    }
    return replace(pair, figures=replace(pair.figures, **bounds))


def test_what_a_ceiling_is_not_there_for_is_said(comparison):
    assert comparison.failed_in_words == []
    record = {**comparison.record, "without_ceiling": ["of patches"]}
    said = replace(comparison, record=record).failed_in_words
    assert said == ["no ceiling stands beside a map: of patches"]
