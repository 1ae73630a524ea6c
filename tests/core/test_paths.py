"""Paths are taken as text, too."""

import pytest
import torch

from latentmap.cache import Coder, LatentCache
from latentmap.codes import Codes, export_codes, read_codes
from latentmap.images import open_images, pack_images
from latentmap.model import generated_images
from latentmap.model.kept_images import kept_in, remove_kept
from latentmap.model.testing import LinearModel
from latentmap.report import mosaic, save_figure
from latentmap.report.parts import Section
from latentmap.report.store import add_section, read_report
from latentmap.support import SupportSet, choose_support_set


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def codes_of(model, n=20):
    return Codes.from_array(list(map(str, range(n))), model.sample(n), space=model.space)


@pytest.mark.parametrize("path", ["codes.npz", "codes.h5"])
def test_codes(path):
    model = LinearModel()
    codes = codes_of(model)
    export_codes(codes, path, provenance={}, force=False)
    assert torch.equal(read_codes(path, space=model.space).vectors, codes.vectors)


def test_packs_and_generated_images():
    source = open_images("digits", limit=5)
    assert pack_images(source, source.view(), "pack.h5").count == 5
    assert len(generated_images(LinearModel(), 3, folder="made")) == 3
    assert kept_in("made").bytes == remove_kept("made").bytes > 0


def test_caches():
    model = LinearModel(4, (1, 8, 8))
    cache = LatentCache("cache")
    Coder.of(cache).codes([model], open_images("digits", limit=5))
    assert len(cache.entries.export("codes.npz")) == 5


def test_support_sets():
    support = choose_support_set(codes_of(LinearModel()), variables=[0])
    support.save("support.h5")
    assert SupportSet.load("support.h5").ids.tolist() == support.ids.tolist()


def test_pictures_and_reports(tmp_path):
    save_figure(mosaic(torch.zeros(1, 1, 2, 2)), "picture.png")
    add_section("report", Section("one", "One", []))
    assert [section.id for section in read_report("report").sections] == ["one"]
    assert (tmp_path / "picture.png").exists()
