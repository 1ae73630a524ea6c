import base64
import hashlib
import re

import html5lib
import pytest
import torch

from latentmap.report import Column, ImageRow, ImageRows, Measure, Row, Section, Table
from latentmap.report.embedding import image_strips
from latentmap.report.page import as_html, render
from latentmap.report.page_pictures import picture_id, pictures_in_page, pictures_of
from latentmap.report.parts import Report
from latentmap.report.words import SCORED_CHOICE, titled


def parse(page):
    """The page as a tree; any fault of its markup is an error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


@pytest.fixture
def page(report):
    return render(report)


def test_the_page_is_valid_and_the_same_every_time(page, report):
    parse(page)
    assert render(report) == page


def test_a_report_without_sections_is_a_valid_page():
    parse(render(Report("Nothing yet")))


def test_text_is_never_markup(page):
    tree = parse(page)
    assert len(tree.findall(".//script")) == 1
    assert "alert(1)" not in tree.findall(".//script")[0].text
    assert [one.text for one in tree.findall(".//h1")] == ["A <report>"]
    assert "<script>alert(1)</script>" in [one.text for one in tree.findall(".//td")]
    shown = [one.get("aria-label") for one in tree.findall(".//span/{*}svg")]
    assert shown == [*["two <images> (1 of 2)", "two <images> (2 of 2)"] * 3, "two <images>"]
    captions = [one.text for one in tree.findall(".//span[@class='caption']")]
    assert captions == ["<i>1</i>.png", "b"]


def test_ids_are_unique_and_links_lead_somewhere(page):
    tree = parse(page)
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    targets = [one.get("href") for one in tree.findall(".//a")]
    assert targets
    assert {target[1:] for target in targets} <= set(ids)
    for one in tree.iter():
        if one.get("aria-labelledby"):
            assert one.get("aria-labelledby") in ids


def test_nothing_comes_from_elsewhere(page):
    tree = parse(page)
    for one in tree.iter():
        for name in ("src", "href"):
            assert one.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"https?:|url\(|@import|//[a-z]+\.", page)


def test_the_policy_allows_the_own_style_and_script_and_no_other(page):
    tree = parse(page)
    (policy,) = (
        one.get("content")
        for one in tree.findall(".//meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    for name in ("style", "script"):
        (element,) = tree.findall(f".//{name}")
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not any(one.get("style") for one in tree.iter())


def cells(*values):
    table = Table("t", [Column("c")], [Row([value]) for value in values])
    tree = parse(render(Report("x", [Section("s", "S", blocks=[table])])))
    return [" ".join("".join(one.itertext()).split()) for one in tree.findall(".//tbody/tr/td")]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.98765, 0.1], ["0.988", "0.100"]),
        ([0.01234, 0.002], ["0.0123", "0.0020"]),
        ([123.456, 1.5], ["123", "2"]),
        ([3, 12], ["3", "12"]),
        ([-0.5, -0.0001], ["\N{MINUS SIGN}0.500", "0.000"]),
        ([0.0, 0.0], ["0", "0"]),
        ([Measure(0.5, 0.4, 0.6), Measure(None)], ["0.500 [0.400, 0.600]", "\N{EN DASH}"]),
        ([Measure(0.5, 0.4, 0.6, "p 0.1"), None], ["0.500 [0.400, 0.600] p 0.1", "\N{EN DASH}"]),
        (["text", None], ["text", "\N{EN DASH}"]),
        ([0.5, float("nan"), float("inf")], ["0.500", "\N{EN DASH}", "\N{EN DASH}"]),
        ([Measure(float("nan"), note="p 1"), 2], ["\N{EN DASH} p 1", "2.00"]),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals(values, shown):
    assert cells(*values) == shown


def of_images(*choices):
    """Sections of the images of some choices, in words."""
    return [
        Section(f"s{i}", f"Scores: {words}", record={"choice": {"in_words": words}})
        for i, words in enumerate(choices)
    ]


def texts(tree, path):
    return ["".join(one.itertext()) for one in tree.findall(path)]


def test_the_images_of_a_report_stand_once_where_all_is_of_the_same():
    report = Report("A: a.zip, <hat> == 1", of_images("a.zip, <hat> == 1", "a.zip, <hat> == 1"))
    tree = parse(render(report))
    assert texts(tree, ".//p[@class='data']") == ["Images: a.zip, <hat> == 1"]
    assert texts(tree, ".//h1") == ["A"]
    assert texts(tree, ".//section/h2") == ["Scores", "Scores (2)", "What made it"]
    assert not parse(render(Report("x"))).findall(".//p[@class='data']")


def test_images_stand_once_a_section_where_these_differ():
    sections = [Section("none", "N"), *of_images("a.zip", "b.zip")]
    tree = parse(render(Report("A: a.zip", sections)))
    said = texts(tree, ".//section/p[@class='data']")
    assert said == texts(tree, ".//p[@class='data']") == ["Images: a.zip", "Images: b.zip"]
    assert texts(tree, ".//h1") == ["A"]
    assert texts(tree, ".//section/h2")[:3] == ["N", "Scores", "Scores"]
    # What tells them apart stands where only the titles are.
    listed = ["N", "Scores: a.zip", "Scores: b.zip", "What made it"]
    assert texts(tree, ".//nav//li") == listed


def test_a_section_of_scores_is_of_the_images_that_are_scored():
    record = {"choice": {"in_words": "train"}, "scored_choice": {"in_words": "test, Male == 1"}}
    section = Section("s", titled("Scores", record, SCORED_CHOICE), record=record)
    tree = parse(render(Report("Scores: test, Male == 1", [section])))
    assert texts(tree, ".//p[@class='data']") == ["Images: test, Male == 1"]
    assert texts(tree, ".//h1") == texts(tree, ".//section[@id='s']/h2") == ["Scores"]
    assert "scored choice" in texts(tree, ".//dt")


def test_sorting_has_the_whole_number(page):
    tree = parse(page)
    values = [one.get("data-value") for one in tree.findall(".//td") if one.get("data-value")]
    assert "0.0125" in values
    assert "-0.3" in values


def test_a_record_stands_once_with_all_that_it_made(page):
    tree = parse(page)
    # On the screen, and once more for paper.
    for place in (".//details/dl", ".//div[@class='on-paper']/dl"):
        assert texts(tree, f"{place}/div/dt") == ["command", "seed", "versions"]
        assert texts(tree, f"{place}//code") == ["latentmap <x>", "0", "torch: 2"]


def test_a_record_is_whole_on_the_screen_and_short_on_paper():
    digest = "0123456789ab" + "c" * 52
    words = f"latentmap fit --data '/home/a b/x' --data /data/faces.zip --src hf://a/b --x={digest}"
    record = {
        "command": words,
        "models": {"vae": digest},
        "files": ["/a/b.h5", "c/d.h5", "C:\\e\\f"],
    }
    tree = parse(render(Report("x", [Section("a", "A", record=record)])))
    whole, short = (
        texts(tree, f"{place}/dl//code") for place in (".//details", ".//div[@class='on-paper']")
    )
    assert whole == [words, f"vae: {digest}", "/a/b.h5, c/d.h5, C:\\e\\f"]
    assert short == [
        "latentmap fit --data 'x' --data faces.zip --src hf://a/b --x=0123456789ab",
        "vae: 0123456789ab",
        "b.h5, c/d.h5, f",
    ]


def test_sections_of_one_title_are_numbered_and_named_where_they_are_made():
    sections = [Section(f"s{i}", "A map", record={"seed": i}) for i in range(3)]
    page = render(Report("x", sections))
    for place in ("<li>", "<h3>"):
        for id, title in (("s0", "A map"), ("s1", "A map (2)"), ("s2", "A map (3)")):
            assert f'{place}<a href="#{id}">{title}</a>' in page


def test_long_lists_of_a_record_are_left_to_the_file():
    sections = [
        Section("a", "A", record={"few": [1.5, 2], "many": list(range(99)), "empty": []}),
        Section("b", "B", record={"nested": {"rows": [{"x": 1}], "none": None}}),
    ]
    tree = parse(render(Report("x", sections)))
    shown = texts(tree, ".//details/dl//code")
    assert shown == ["1.5, 2", "99 entries, in report.json", "rows: x 1"]
    made = [one.text for one in tree.find(".//section[@id='what-made-it']").findall("h3/a")]
    assert made == ["A", "B"]


def test_small_images_keep_their_edges(page):
    cells = parse(page).findall(".//span[@class='cell']/{*}svg")
    assert [one.get("class") for one in cells] == ["small"] * 6


def test_each_picture_is_in_the_page_once_and_shown_in_parts(page, report):
    tree = parse(page)
    (picture,) = tree.findall(".//{*}defs/{*}image")
    strip = report.sections[0].blocks[-1].image
    assert picture.get("href") == strip.uri
    assert page.count(strip.uri) == 1
    shown = tree.findall(".//span/{*}svg")
    assert {one.find("{*}use").get("href") for one in shown} == {f"#{picture.get('id')}"}
    assert [one.get("viewbox") or one.get("viewBox") for one in shown[:2]] == [
        "0 0 8 8",
        "8 0 8 8",
    ]
    assert (shown[-1].get("viewBox"), strip.count) == ("0 0 16 8", 2)


def test_a_long_row_of_images_goes_on_in_the_next_line():
    strips = image_strips(torch.zeros(20, 1, 4, 4), "twenty")
    for rows, long in (([ImageRow("a", strips)], True), ([ImageRow("a", strips[:1])], False)):
        page = render(Report("x", [Section("s", "S", blocks=[ImageRows("i", "I", rows)])]))
        assert ('class="strips wrapped"' in page) == long


def test_pictures_of_a_report_beside_are_in_the_page_unseen(report):
    page = render(Report("x"), beside=report)
    assert (
        pictures_in_page(page)
        == {picture_id(uri): uri for uri in pictures_of(report.sections)}
        != {}
    )
    assert not parse(page).findall(".//{*}use")


def test_a_piece_for_a_notebook_has_pictures_in_place(report):
    tree = parse("<!DOCTYPE html><title>x</title>" + as_html([report.sections[0].blocks[-1]]))
    (picture,) = tree.findall(".//img")
    assert picture.get("alt") == "two <images>"


def test_a_page_shows_what_would_turn_it_as_escapes():
    table = Table("\u202eT", [Column("c\x1b", "m\u2066")], [Row(["\u200bcell é 日本"])], "n\udcff")
    page = render(Report("a\u202eb", [Section("s", "S\u061c", ["one\u2069\ntwo"], [table])]))
    assert not set("\u202e\x1b\u2066\u200b\u2069\u061c\udcff") & set(page)
    assert r"<h1>a\u202eb</h1>" in page
    assert r"\u200bcell é 日本" in page and "one\\u2069\ntwo" in page and r"n\xff" in page
