"""Every result says in a line what it is, and shows its tables in a notebook."""

import html5lib
import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Pairs
from latentmap.diagnostics import diagnose
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.mapping import fit
from latentmap.model import decode_all
from latentmap.model.testing import LinearModel
from latentmap.relocation import evaluate
from latentmap.report.page import as_html
from latentmap.report.parts import Column, Row, Table
from latentmap.support import ChoiceOptions, choose_support_set


def codes_of(model, n=40):
    vectors = model.sample(n, seed=0)
    return Codes.from_array([f"<{i}>" for i in range(n)], vectors, space=model.space)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    source, target = LinearModel(seed=1, name="a"), LinearModel(seed=2, name="<b>", span_seed=1)
    shown = decode_all(source, source.sample(40, seed=3))
    np.save(folder / "x.npy", (shown * 255).round().byte().permute(0, 2, 3, 1).numpy())
    images = open_images(folder / "x.npy")
    (batch,) = images.batches([source.view], batch_size=40)
    pixels = batch.images[0].float() / 255
    codes, other = (
        Codes.from_array(images.ids, model.encode(pixels), space=model.space)
        for model in (source, target)
    )
    pairs = Pairs(codes, other)
    linear_map = fit(pairs)
    support = choose_support_set(codes, (0, 1), ChoiceOptions(threshold=0.0, size=8))
    (scores,) = evaluate([linear_map], pairs, source, target, images)
    return [codes, pairs, images, linear_map, support, scores, diagnose(source, images)]


def test_a_line_says_what_a_result_is(results):
    for one in results:
        assert len(repr(one)) < 250 and "\n" not in repr(one)
        assert "tensor" not in repr(one) and "array" not in repr(one)
    kinds = [repr(one).split()[0].rstrip(":") for one in results]
    assert kinds == [
        *("<Codes", "<Pairs", "<40", "<LinearMap", "<SupportSet", "<Scores", "<Diagnosis")
    ]


def test_a_notebook_shows_the_tables_that_are_printed(results):
    for one in results:
        piece = one._repr_html_()
        page = f"<!DOCTYPE html><html><head><title>x</title></head><body>{piece}</body></html>"
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
        assert len(tree.findall(".//table")) == len(one.tables()) >= 1
    pairs = results[1]
    assert "&lt;b&gt;" in pairs._repr_html_()
    assert "z of <b>" in str(pairs)


def test_a_row_leads_nowhere_outside_a_page():
    table = Table("Maps", [Column("From")], [Row(["vae"], link="map-1")])
    assert "vae" in as_html([table])
    assert "href" not in as_html([table])


def test_a_model_shows_images_of_a_few_codes():
    piece = LinearModel(seed=1, name="<a>")._repr_html_()
    assert piece.count("<img") == 1
    assert 'alt="Images that &lt;a&gt; makes of random codes"' in piece
    assert piece == LinearModel(seed=1, name="<a>")._repr_html_()


def test_a_model_without_codes_to_draw_is_shown_as_text():
    class NoPrior(LinearModel):
        def _sample(self, n, generator):
            raise ModelError("no prior")

    assert NoPrior(seed=1)._repr_html_() is None


def test_large_images_are_fewer():
    model = LinearModel(seed=1, image_shape=(1, 512, 512))
    assert 'width="512"' in model._repr_html_()
    assert torch.is_tensor(model.sample(1, seed=0))
