"""`latentmap encode` of sets of tars, tables and indexes: by one process and by shards."""

import json
from io import BytesIO

import pytest
from PIL import Image

from latentmap.images import open_images, tar_sets
from latentmap.images.indexing import write_index
from tests.cli.test_encode_shards import codes_in, require_same, run
from tests.core.images import test_parquet_images as tables
from tests.core.images.test_tars import write_tar

MODELS = ["encode", "a.safetensors", "b.safetensors", "--batch-size", "8"]


def pictures(count=60):
    """Files of digits, by their names."""
    digits = open_images("digits", limit=count)
    made = {}
    for i in range(count):
        stream = BytesIO()
        Image.fromarray(digits.read(i)[..., 0]).save(stream, "PNG")
        made[f"{i}.png"] = stream.getvalue()
    return made


def tars(folder):
    files = list(pictures().items())
    for k, (start, stop) in enumerate([(0, 25), (25, 26), (26, 60)]):
        others = {f"{name[:-4]}.json": b"{}" for name, _ in files[start:stop]}
        write_tar(folder / f"faces-{k}.tar", {**dict(files[start:stop]), **others})
    return "faces-{0..2}.tar"


def parquet(folder):
    files = pictures()
    rows = [{"bytes": data, "path": name} for name, data in files.items()]
    column = tables.pa.array(rows, tables.HUGGING)
    for k, part in enumerate((column[:25], column[25:])):
        tables.write(folder / f"faces-{k}.parquet", {"image": part}, 10)
    return "faces-*.parquet"


def index(folder):
    (folder / "faces").mkdir()
    for name, data in pictures().items():
        (folder / "faces" / name).write_bytes(data)
    write_index(folder / "faces", folder / "faces.index")
    return "faces.index"


@pytest.mark.parametrize("make", [tars, parquet, index])
def test_shards_of_a_source_have_the_codes_of_one_process(workdir, make):
    data = ["--data", make(workdir)]
    run(*MODELS, *data, "--cache", "alone")
    alone = codes_in("alone")
    assert [codes.shape for codes in alone] == [(60, 5), (60, 3)]
    words = [*MODELS, *data, "--cache", "codes"]
    plan = json.loads(run(*words, "--shard-images", 16, "--plan", "--json").stdout)
    assert (plan["images"], plan["shards"]) == (60, 4)
    for place in ("1/2", "0/2"):
        run(*words, "--shard", place)
    run("cache", "commit", "--cache", "codes")
    require_same("codes", alone)
    # The whole finds what parts made.
    again = json.loads(run(*MODELS, *data, "--cache", "codes", "--json").stdout)
    assert [one["computed"] for one in again["codes"]] == [0, 0]


def test_workers_share_a_set_of_tars(workdir, forked_workers):
    data = ["--data", tars(workdir)]
    run(*MODELS, *data, "--cache", "alone")
    run(*MODELS, *data, "--cache", "codes", "--shard-images", 16, "--workers", 2)
    require_same("codes", codes_in("alone"))


def test_a_worker_lists_no_tar_but_those_of_its_part(workdir, monkeypatch):
    words = [*MODELS, "--data", tars(workdir), "--limit", 55, "--cache", "codes"]
    run(*words, "--shard-images", 24, "--plan")
    listed = []
    real = tar_sets.list_tar
    monkeypatch.setattr(tar_sets, "list_tar", lambda file: listed.append(file.prefix) or real(file))
    run(*words, "--shard", "0/3")
    assert listed == ["faces-0"]
    listed.clear()
    run(*words, "--shard", "2/3")
    assert listed == ["faces-2"]


def test_a_worker_refuses_files_that_were_changed(workdir):
    words = [*MODELS, "--data", tars(workdir).replace("{0..2}", "*"), "--cache", "codes"]
    run(*words, "--shard-images", 24, "--plan")
    write_tar(workdir / "faces-1.tar", dict(list(pictures(3).items())))
    changed = run(*words, "--shard", "0/1", code=1).stderr
    assert "faces-1.tar holds 3 images, and held 1 when they were counted" in changed
    assert "Traceback" not in changed
    # One file more is another set, which is counted anew.
    write_tar(workdir / "faces-3.tar", pictures(2))
    more = run(*words, "--shard", "0/1", code=1).stderr
    assert "is of 60 images, faces-*.tar, and these are 64" in more


def test_choices_by_names_take_all_names_as_before(workdir):
    data = ["--data", tars(workdir), "--split", "train"]
    run(*MODELS, *data, "--cache", "alone")
    words = [*MODELS, *data, "--cache", "codes"]
    run(*words, "--shard-images", 16, "--plan")
    run(*words, "--shard", "0/1")
    run("cache", "commit", "--cache", "codes")
    require_same("codes", codes_in("alone"))
