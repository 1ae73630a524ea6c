import base64
import hashlib
import re

import html5lib
import pytest

from latentmap.report import Column, Measure, Row, Section, Table
from latentmap.report.page import render
from latentmap.report.parts import Report


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
    assert {one.get("alt") for one in tree.findall(".//img")} == {"two <images>"}


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


def test_sorting_has_the_whole_number(page):
    tree = parse(page)
    values = [one.get("data-value") for one in tree.findall(".//td") if one.get("data-value")]
    assert "0.0125" in values
    assert "-0.3" in values


def test_a_record_stands_once_with_all_that_it_made(page):
    tree = parse(page)
    names = [one.text for one in tree.findall(".//dl/div/dt")]
    assert names == ["command", "seed", "versions"]
    assert [one.text for one in tree.findall(".//dl//code")] == ["latentmap <x>", "0", "torch: 2"]


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
    shown = [one.text for one in tree.findall(".//dl//code")]
    assert shown == ["1.5, 2", "99 entries, in report.json", "rows: x 1"]
    made = [one.text for one in tree.find(".//section[@id='what-made-it']").findall("h3/a")]
    assert made == ["A", "B"]


def test_small_images_keep_their_edges(page):
    assert all(one.get("class") == "small" for one in parse(page).findall(".//div/div/img"))


def test_a_page_shows_what_would_turn_it_as_escapes():
    table = Table("\u202eT", [Column("c\x1b", "m\u2066")], [Row(["\u200bcell é 日本"])], "n\udcff")
    page = render(Report("a\u202eb", [Section("s", "S\u061c", ["one\u2069\ntwo"], [table])]))
    assert not set("\u202e\x1b\u2066\u200b\u2069\u061c\udcff") & set(page)
    assert r"<h1>a\u202eb</h1>" in page
    assert r"\u200bcell é 日本" in page and "one\\u2069\ntwo" in page and r"n\xff" in page
