"""A support set is found again in its data, and its file is read with care."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from latentmap.cache import encode
from latentmap.errors import SupportError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.support import ChoiceOptions, SupportSet, choose_support_set
from latentmap.support.support_file import holds_support
from latentmap.support.support_set import _THRESHOLD

N = 200


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "few.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (N, 4, 4), dtype=np.uint8)
    np.save(path, pixels)
    return open_images(path)


@pytest.fixture(scope="module")
def support(data):
    codes = encode(LinearModel(), data)
    record = {"command": "latentmap x", "image_shape": [1, 4, 4]}
    return choose_support_set(
        codes, (2, 0), ChoiceOptions(threshold=0.3, size=10), seed=0
    ).with_settings(**record)


def test_a_file_gives_the_set_back(tmp_path, support, data):
    whole = support.with_images(data)
    whole.save(tmp_path / "s.h5")
    read = SupportSet.load(tmp_path / "s.h5")
    arrays = ("ids", "digests", "codes", "sector", "reach", "relaxed", "filled", "images")
    for name in (*arrays, "member_ids", "member_digests", "member_sectors"):
        np.testing.assert_array_equal(getattr(read, name), getattr(whole, name))
        assert getattr(read, name).dtype == getattr(whole, name).dtype
    assert read.to_json() == json.loads(json.dumps(whole.to_json()))
    assert (read.space, read.frame) == (support.space, support.frame)


def test_a_file_of_an_earlier_version_knows_of_no_units(tmp_path, support):
    support.save(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        record = json.loads(file["record"][...].tobytes())
        assert record.pop("n_units") == support.n_candidates
        del file["record"]
        file["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    read = SupportSet.load(tmp_path / "s.h5")
    assert read.n_units == read.n_candidates and read.unit_occupancy is None


def test_pixels_are_in_the_file_only_when_they_are_asked_for(tmp_path, support):
    support.save(tmp_path / "s.h5")
    assert SupportSet.load(tmp_path / "s.h5").images is None
    with h5py.File(tmp_path / "s.h5") as file:
        assert "images" not in file


def test_ids_in_other_scripts_come_back(tmp_path, support):
    names = np.array(["größer.png", *support.ids[1:]])
    replace(support, ids=names).save(tmp_path / "s.h5")
    assert SupportSet.load(tmp_path / "s.h5").ids.tolist() == names.tolist()


def test_the_images_are_found_by_content_in_any_order_and_under_any_name(tmp_path, support, data):
    order = np.random.default_rng(1).permutation(N)
    np.save(tmp_path / "other.npy", np.stack([data.read(i)[:, :, 0] for i in order]))
    found = support.select_in(open_images(tmp_path / "other.npy"))
    assert np.array_equal(found.digests, support.digests)
    assert [order[int(name)] for name in found.ids] == [int(name) for name in support.ids]


def test_a_support_set_is_known_by_its_file(tmp_path, support):
    support.save(tmp_path / "s.h5")
    assert holds_support(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file["codes"]
    assert holds_support(tmp_path / "s.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "another"
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file.attrs["format"] = ["latentmap-support", "another"]
    (tmp_path / "text.h5").write_text("latentmap-support")
    others = ("other.h5", "many.h5", "text.h5", "none.h5", ".")
    assert not any(holds_support(tmp_path / name) for name in others)


def test_a_data_set_that_lacks_images_is_refused(support, data):
    lacking = data.subset([i for i in range(N) if str(i) not in support.ids[:2].tolist()])
    with pytest.raises(SupportError, match="2 of the 10 images of the support set are not among t"):
        support.select_in(lacking)
    with pytest.raises(SupportError, match="a support set of other data"):
        support.select_in(open_images("digits", limit=20))


def test_the_pixels_are_what_the_model_sees(support, data):
    pixels = support.pixels_in(data)
    assert pixels.shape == (10, 4, 4, 1)
    np.testing.assert_array_equal(pixels[3], data.read(int(support.ids[3])))


def test_the_codes_are_codes_of_the_space(support, data):
    codes = support.as_codes
    assert codes.space == support.space
    expected = encode(LinearModel(), support.select_in(data)).vectors
    np.testing.assert_allclose(codes.vectors.numpy(), expected.numpy(), atol=1e-5)


def test_members_that_were_not_chosen_are_found_in_the_data(support, data):
    sector = int(support.occupancy.argmax())
    wanted = [one for one in support.members_of(sector) if one not in support.ids]
    others = support.other_members_in(data, sector, most=100)
    expected = [data.read(np.flatnonzero(data.ids == one)[0]) for one in sorted(wanted, key=int)]
    assert len(wanted) > 2
    np.testing.assert_array_equal(others, np.stack(expected))
    assert len(support.other_members_in(data, sector, most=2)) == 2
    # By content, whatever the images are called and however they are sorted.
    renamed = data.subset(np.arange(N)[::-1])
    renamed.ids = data.ids
    found = support.other_members_in(renamed, sector, most=100)
    assert sorted(map(bytes, found)) == sorted(map(bytes, others))
    alone = data.subset(np.flatnonzero(np.isin(data.ids, support.ids)))
    assert support.other_members_in(alone, sector, most=100) is None
    nobody = replace(support, member_sectors=np.zeros_like(support.member_sectors))
    assert nobody.other_members_in(data, 3, most=100) is None


def test_a_part_keeps_its_rows_together(support, data):
    part = support.with_images(data).take(support.sector == 1)
    assert len(part) == (support.sector == 1).sum() == len(part.images) == len(part.codes)


def test_the_settings_say_what_made_it(support, data):
    settings = support.settings
    assert settings["variables"] == [2, 0]
    assert settings["threshold"] == 0.3
    assert settings["seed"] == 0
    assert settings["images"] == data.fingerprint
    assert settings["command"] == "latentmap x"
    assert set(settings["versions"]) == {"latentmap", "numpy", "torch"}
    assert support.n_candidates == N


def test_other_files_are_refused(tmp_path, support):
    with pytest.raises(SupportError, match=r"there is no file .*none\.h5: make one with"):
        SupportSet.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(SupportError, match=r"text.h5 cannot be read as a support set"):
        SupportSet.load(tmp_path / "text.h5")
    (tmp_path / "page.h5").write_text("<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(
        SupportError, match=r"page.h5 cannot be read .*it is a web page \('Sign in'"
    ):
        SupportSet.load(tmp_path / "page.h5")
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        file.attrs["format"] = "latentmap-codes"
    with pytest.raises(SupportError, match="it says that it is something else"):
        SupportSet.load(tmp_path / "codes.h5")
    support.save(tmp_path / "s.h5")
    whole = (tmp_path / "s.h5").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.h5").write_bytes(whole[:length])
        with pytest.raises(SupportError, match=r"cut\.h5 cannot be read as a support set"):
            SupportSet.load(tmp_path / "cut.h5")


def _replace(name, array):
    def change(file):
        del file[name]
        file.create_dataset(name, data=array)

    return change


def _add(name, array):
    return lambda file: file.create_dataset(name, data=array)


def _enormous(file):
    del file["codes"]
    file.create_dataset("codes", shape=(10, 1 << 40), dtype="<f4", chunks=(1, 1024))


def _elsewhere(file):
    del file["images"]
    file["images"] = h5py.ExternalLink("/etc/passwd", "x")


def _say(**settings):
    return lambda file: _record(settings={**_record_of(file)["settings"], **settings})(file)


def _record(**values):
    def change(file):
        record = json.dumps({**_record_of(file), **values})
        _replace("record", np.frombuffer(record.encode(), "|u1"))(file)

    return change


def _record_of(file):
    return json.loads(file["record"][...].tobytes())


def _newer(file):
    file.attrs["schema_version"] = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_enormous, "codes is in pieces of 4398046511104 bytes"),
        (_elsewhere, "images is an external link"),
        (_newer, "its format is 2, not 1"),
        (_replace("codes", np.full((10, 4), np.nan, "<f4")), "codes are not finite"),
        (_replace("codes", np.zeros((9, 4), "<f4")), "codes has 9 rows for 10 images"),
        (_replace("codes", np.zeros((10, 4), "<f8")), "codes has type float64"),
        (_replace("sector", np.full(10, 4, "<i8")), "a sector is not among the 4"),
        (_replace("digests", np.zeros((10, 8), "|u1")), "digests or counts have another shape"),
        (_replace("member_sectors", np.zeros(3, "<i8")), "members have another number of sectors"),
        (_replace("occupancy", np.zeros(4, "<i8")), "members of sectors are not as many as it cou"),
        (_add("unit_orthants", np.zeros(4, "<i8")), "counts of units have another shape"),
        (_replace("record", np.frombuffer(b"[1]", "|u1")), "not an object"),
        (_replace("record", np.frombuffer(b"{}", "|u1")), "does not say what made its support set"),
        (
            _replace("record", np.frombuffer(b'{"settings": 3}', "|u1")),
            "does not say what made its support set",
        ),
        (
            _replace("member_sectors", np.full(3, 1 << 60, "<i8")),
            "a sector of a member is not amon",
        ),
        (_replace("images", np.zeros((10, 4, 4, 2), "|u1")), "its images have 2 channels"),
        (_replace("record", np.frombuffer(b"[" * 100_000, "|u1")), "nested too deeply"),
        (_say(variables=[9, 0]), "variables must be numbers of variables"),
        (_say(variables=[1]), "its variables must have 4 sectors"),
        (_say(variables=None), "does not say what made its support set"),
        (_say(center=[0, "x"]), "does not say what made its support set"),
        (_say(unit=[1e400, 0]), "center and unit must have a number a variable"),
        (_say(threshold=-1), "the threshold must be a number of at least 0"),
        (_say(strategy=[]), "strategy and images must be texts"),
        (_say(seed={}), "the seed must be a number"),
        (_say(image_shape=[1, 4]), "the shape of images must be channels, height and width"),
        (_say(spread={"n_random": 1}), "does not say what made its support set"),
        (_say(posterior_variance=[1]), "the posterior variance must have a number a variable"),
        (_say(posterior_variance={}), "does not say what made its support set"),
        (_say(thresholds=[{"threshold": 1}]), "does not say what made its support set"),
        (_say(thresholds=[dict.fromkeys(_THRESHOLD, 1e400)]), "the thresholds must be numbers"),
        (_record(n_units=10**18), "numbers of images up to 1000000000000 are expected"),
        (_record(n_candidates=-1), "numbers of images up to 1000000000000 are expected"),
    ],
)
def test_a_file_with_something_wrong_is_refused(tmp_path, support, data, change, message):
    support.with_images(data).save(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        change(file)
    with pytest.raises(SupportError, match=message):
        SupportSet.load(tmp_path / "s.h5")
