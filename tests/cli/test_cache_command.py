"""latentmap cache: list, show, verify, rm and export, as a person meets them."""

import errno
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from latentmap.cache import EntryKey, LatentCache
from latentmap.cache.storage import Storage
from latentmap.cli import cache_export
from latentmap.cli.main import main
from latentmap.codes import Space
from latentmap.codes.export import CODE_FORMATS
from latentmap.files.home import cache_home
from latentmap.frames import Frame
from latentmap.images import contents, open_images
from latentmap.images.arrays import ArrayImages

N, DIM = 12, 3
CODES = np.arange(N * DIM, dtype=np.float32).reshape(N, DIM)
IDS = np.array([f"{number}.jpg" for number in range(N)])


def fill(path: Path, model: str = "vae", *, stop: int = N) -> str:
    """An entry of three shards when it is whole; gives back its id."""
    space = Space("z", DIM, model, f"{model.encode().hex():0<64}")
    key = EntryKey(space.fingerprint, "z", "d" * 64, {}, {})
    digests = np.zeros((N, 16), np.uint8)
    cache = LatentCache(path, shard_bytes=4 * DIM * 4)
    with cache.writer(key, space=space, frame=Frame(), ids=IDS, digests=digests) as writer:
        for start in range(0, stop, 4):
            positions = np.arange(start, start + 4)
            failed = [(5, "cut off")] if start == 4 else []
            positions = positions[positions != 5]
            writer.append(positions, CODES[positions], stop=start + 4, failed=failed)
    return key.id


def spoil(path: Path, name: str) -> str:
    shard = sorted((path / "entries" / name).glob("*.h5"))[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    return shard.name


def run(*words: object, **options: Any) -> Result:
    return CliRunner().invoke(main, ["cache", *map(str, words)], **options)


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    return tmp_path / "codes"


def test_list_shows_each_entry(codes):
    whole, half = fill(codes), fill(codes, "gan", stop=8)
    lines = run("list", "--cache", codes).output.splitlines()
    assert lines[0].split()[:5] == ["entry", "model", "space", "dim", "precision"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows[whole][:6] == ["vae", "z", "3", "float32", "12/12", "1"]
    assert rows[whole][-1] == "complete"
    assert rows[half][4] == "8/12"
    assert rows[half][-1] == "unfinished"


def test_list_shows_what_is_damaged_and_what_is_empty(codes):
    name = fill(codes)
    (codes / "entries" / name / "manifest.json").write_text("{}")
    (codes / "entries" / ("0" * 16)).mkdir()
    result = run("list", "--cache", codes)
    assert result.exit_code == 0
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:]] in (["empty", "damaged"],)
    assert f"entry {name} of {codes} is damaged: manifest.json" in result.stderr


def test_list_tells_of_repairs(codes):
    name = fill(codes)
    shard = spoil(codes, name)
    fill(codes)
    result = run("list", "--cache", codes)
    assert f"entry {name} was damaged and repaired: {shard} is not as it was" in result.stderr
    assert run("verify", "--cache", codes).exit_code == 0


def test_list_as_json_holds_what_made_the_codes(codes):
    name = fill(codes)
    result = json.loads(run("list", "--cache", codes, "--json").stdout)
    (entry,) = result["entries"]
    assert entry["entry"] == name
    assert (entry["state"], entry["images"], entry["done"]) == ("complete", 12, 12)
    assert entry["skipped"] == ["5.jpg"]
    assert entry["key"]["data"] == "d" * 64
    assert entry["bytes"] == sum(p.stat().st_size for p in (codes / "entries" / name).iterdir())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache is that nobody names; the current folder is another one."""
    monkeypatch.delenv("LATENTMAP_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return cache_home()


def test_without_an_argument_it_is_the_cache_of_the_user(home, monkeypatch):
    assert run("list").stdout == f"{home} is empty\n"
    assert run("verify").exit_code == 1
    fill(home)
    assert "complete" in run("list").stdout
    monkeypatch.setenv("LATENTMAP_CACHE", "elsewhere")
    fill(Path("elsewhere"), "gan")
    assert "gan" in run("list").stdout
    assert "gan" not in run("list", "--cache", home).stdout


ENCODE = ["encode", "mnist-vae", "--data", "digits", "--limit", "3"]


def test_what_is_kept_is_kept_at_home_for_its_owner_alone_and_that_is_said_once(home):
    first = CliRunner().invoke(main, ENCODE)
    said = (
        f"codes are kept in {home} from now on: `latentmap cache list` shows them, "
        "`latentmap cache rm --all` removes them"
    )
    assert first.stderr.splitlines().count(said) == 1
    assert said not in CliRunner().invoke(main, [*ENCODE, "--limit", "4"]).stderr
    assert home.stat().st_mode & 0o777 == 0o700
    assert not any(Path().iterdir())
    assert "from now on" not in CliRunner().invoke(main, [*ENCODE, "--cache", "my"]).stderr


def test_a_cache_that_older_versions_left_in_this_folder_is_told_of_and_can_be_used(home):
    fill(Path("latentmap-cache"))
    listed = run("list")
    assert listed.stdout == f"{home} is empty\n"
    assert listed.stderr == (
        "latentmap-cache in this folder is a cache of an earlier version, and is not used: codes "
        f"are in {home} now; --cache latentmap-cache uses it, `latentmap cache rm --all --cache "
        "latentmap-cache` empties it\nnext: latentmap cache verify\n"
    )
    named = run("list", "--cache", "latentmap-cache")
    assert "complete" in named.stdout
    assert named.stderr == "next: latentmap cache verify --cache latentmap-cache\n"


def test_a_home_that_cannot_be_written_is_one_line(home, monkeypatch):
    def refuse(self: Storage, folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Storage, "mkdir", refuse)  # Whoever tests as root may write anywhere.
    refused = CliRunner().invoke(main, ENCODE)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        f"Error: {home} cannot be written (Permission denied): 0 of 3 images are safe; make the "
        "folder writable, name another (--cache FOLDER), or check the disk, and run the same "
        "command to go on"
    )
    made = ["fit", "--src", "svae", "--dst", "stylegan", "--samples", "50"]
    refused = CliRunner().invoke(main, made).stderr.splitlines()[-1]
    assert f"Error: nothing can be kept in {home} (Permission denied): make that" in refused


@pytest.mark.parametrize(
    "words", [["list"], ["verify"], ["rm", "--all"], ["export", "--out", "x.h5"]]
)
def test_a_folder_that_is_no_cache_is_one_line(tmp_path, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words, "--cache", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path} is not a cache (it has neither a .latentmap-cache nor an entry): "
        "name the folder that was encoded to\n"
    )


def test_an_empty_cache_is_said_to_be_empty(codes):
    (codes / "entries").mkdir(parents=True)
    (codes / ".latentmap-cache").touch()
    assert run("list", "--cache", codes).stdout == f"{codes} is empty\n"


def test_verify_is_content_with_what_is_right(codes):
    fill(codes)
    result = run("verify", "--cache", codes)
    assert result.exit_code == 0
    assert "KiB in 1 entry are right" in result.stdout
    assert json.loads(run("verify", "--cache", codes, "--json").stdout)["problems"] == []


def test_verify_reads_images_again_that_are_known_by_their_files(codes, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_RACY", -(10**18))
    path = tmp_path / "images.npy"
    np.save(path, np.arange(48, dtype=np.uint8).reshape(3, 4, 4) * 5)
    fill(codes)
    words = ("verify", "--cache", codes, "--data", path)
    assert f"{path}: all 0 images that the cache knows" in run(*words).stdout
    open_images(path).examine(store=LatentCache(codes).contents)
    assert f"{path}: all 3 images that the cache knows" in run(*words).stdout
    real = ArrayImages.rows
    monkeypatch.setattr(ArrayImages, "rows", lambda self, index: real(self, index) // 2)
    result = run(*words, "--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert shown["images_checked"] == 3
    assert len(shown["problems"]) == 3
    assert f"image '1' of {path} is another than when it was read for" in shown["problems"][1]


def test_verify_names_every_file_that_is_wrong_and_exits_with_1(codes):
    names = fill(codes), fill(codes, "gan")
    shard = spoil(codes, names[0])
    (codes / "entries" / names[1] / "manifest.json").write_text("")
    result = run("verify", "--cache", codes)
    assert result.exit_code == 1
    lines = sorted(result.stdout.splitlines(), key=lambda line: names.index(line.split()[1]))
    assert f"entry {names[0]} of {codes} is damaged: {shard} is not as it was written" in lines[0]
    assert f"latentmap cache rm {names[0]} --cache {codes}" in lines[0]
    assert f"entry {names[1]} of {codes} is damaged: manifest.json" in lines[1]
    result = run("verify", "--cache", codes, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["problems"]) == 2


def test_rm_removes_what_is_chosen_and_says_how_much(codes):
    names = fill(codes), fill(codes, "gan"), fill(codes, "gan2")
    result = run("rm", "--cache", codes, names[0][:6], "--yes")
    assert result.exit_code == 0
    assert f"{codes}: removed 1 entry, which frees" in result.stdout
    assert {entry.id for entry in LatentCache(codes).entries.all()} == set(names[1:])
    assert run("rm", "--cache", codes, "--model", "gan", "--yes").exit_code == 0
    assert [entry.id for entry in LatentCache(codes).entries.all()] == [names[2]]
    assert run("rm", "--cache", codes, "--model", b"gan2".hex(), "--yes").exit_code == 0
    assert run("list", "--cache", codes).stdout == f"{codes} is empty\n"


def test_rm_all_removes_damaged_and_empty_entries_too(codes):
    fill(codes)
    (codes / "entries" / fill(codes, "gan") / "manifest.json").write_text("")
    (codes / "entries" / ("0" * 16)).mkdir()
    assert run("rm", "--cache", codes, "--all", "--yes").exit_code == 0
    assert run("list", "--cache", codes).stdout == f"{codes} is empty\n"


def test_rm_leaves_what_is_no_cache_and_what_is_not_ours(tmp_path, codes):
    outside = tmp_path / "outside"
    outside.mkdir()
    mine = [tmp_path / "p" / "entries" / "2024" / "diary.md", tmp_path / "p" / "generated" / "a.py"]
    for path in mine:
        path.parent.mkdir(parents=True)
        path.write_text("precious")
    (tmp_path / "p" / "entries" / "link").symlink_to(outside)
    for words in (["rm", "--all", "--yes"], ["rm", "--generated", "--yes"], ["list"], ["verify"]):
        result = run(*words, "--cache", tmp_path / "p")
        assert (result.exit_code, "is not a cache" in result.stderr) == (1, True)
    fill(codes)
    kept = codes / "generated" / ("a" * 16)
    mine += [outside / "thesis.tex", codes / "generated" / "client.py", kept / "notes.txt"]
    kept.mkdir(parents=True)
    for path in mine[2:]:
        path.write_text("precious")
    (codes / "generated" / f"{'b' * 16}.h5").symlink_to(outside / "thesis.tex")
    (codes / "generated" / f"{'c' * 16}.h5").write_bytes(b"ours")
    result = run("rm", "--all", "--generated", "--yes", "--cache", codes)
    assert result.exit_code == 0
    assert "client.py is not of latentmap, and stays" in result.stderr
    assert [path.read_text() for path in mine] == ["precious"] * 5
    assert not (codes / "generated" / f"{'c' * 16}.h5").exists()


def test_rm_asks_and_takes_no_for_an_answer(codes):
    name = fill(codes)
    result = run("rm", "--cache", codes, "--all", input="n\n")
    assert result.exit_code == 1
    assert f"{name} (vae, 12 images)" in result.output
    assert "Remove 1 entry (" in result.output
    assert len(LatentCache(codes).entries.all()) == 1
    run("rm", "--cache", codes, "--all", input="y\n")
    assert len(LatentCache(codes).entries.all()) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["xyz"], 1, "no entry begins with 'xyz' in"),
        ([""], 2, "is empty: give a value"),  # The beginning of every entry.
        (["--model", "wgan"], 1, "no entry of model 'wgan' in .*: its models are gan, vae"),
    ],
)
def test_rm_names_what_there_is_when_nothing_fits(codes, words, code, message):
    fill(codes)
    fill(codes, "gan")
    result = run("rm", "--cache", codes, *words, "--yes")
    assert result.exit_code == code
    assert re.search(message, result.stderr)
    assert len(LatentCache(codes).entries.all()) == 2


def test_rm_must_be_told_what(codes):
    fill(codes)
    result = run("rm", "--cache", codes)
    assert result.exit_code == 2
    assert (
        "say what to remove: ENTRY, --model NAME, --plan PLAN, --all or --generated"
        in result.stderr
    )


def test_export_writes_the_only_entry(codes, tmp_path):
    fill(codes)
    out = tmp_path / "codes.npz"
    result = run("export", "--cache", codes, "--out", out)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{out}: 11 codes in z of vae (3-d, ")
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["codes"], np.delete(CODES, 5, axis=0))
        np.testing.assert_array_equal(arrays["ids"], np.delete(IDS, 5))
    result = run("export", "--cache", codes, "--out", out)
    assert result.exit_code == 1
    assert "add --force to replace it" in result.stderr
    assert run("export", "--cache", codes, "--out", out, "--force").exit_code == 0


def test_export_of_one_of_several_must_be_told_which(codes, tmp_path):
    names = fill(codes), fill(codes, "gan")
    out = tmp_path / "codes.h5"
    result = run("export", "--cache", codes, "--out", out)
    assert result.exit_code == 1
    assert f"{names[0]} (vae, 12 images)" in result.stderr
    assert f"{names[1]} (gan, 12 images)" in result.stderr
    assert not out.exists()
    assert run("export", "--cache", codes, "--out", out, names[1][:8]).exit_code == 0


def test_show_tells_what_made_one_entry(codes):
    names = fill(codes), fill(codes, "gan", stop=8)
    described = json.loads(run("show", names[1][:6], "--cache", codes, "--json").stdout)
    assert (
        described
        == json.loads(run("list", "--cache", codes, "--json").stdout)["entries"][
            sorted(names).index(names[1])
        ]
    )
    text = run("show", names[1], "--cache", codes).stdout
    assert "state      unfinished" in text and '"model": "gan"' in text
    assert "no entry begins with 'x'" in run("show", "x", "--cache", codes).stderr


def test_json_tells_what_was_removed_and_exported(codes, tmp_path):
    name, out = fill(codes), tmp_path / "codes.npz"
    exported = json.loads(run("export", "--cache", codes, "--out", out, "--json").stdout)
    assert (exported["codes"], exported["n"], exported["dim"]) == (str(out), 11, DIM)
    size = json.loads(run("show", name, "--cache", codes, "--json").stdout)["bytes"]
    removed = json.loads(run("rm", name, "--cache", codes, "--json", input="y\n").stdout)
    assert removed == {"cache": str(codes), "entries": [name], "plans": [], "bytes": size}


def test_rm_removes_nothing_unless_all_that_is_named_is_there(codes):
    name = fill(codes)
    assert run("rm", name, "xyz", "--generated", "--cache", codes, "--yes").exit_code == 1
    refused = run("rm", name, "--all", "--cache", codes, "--yes")
    assert refused.exit_code == 2
    assert "--all is all entries: name none beside it" in refused.stderr
    assert [entry.id for entry in LatentCache(codes).entries.all()] == [name]


@pytest.mark.parametrize("words", [["list"], ["show"], ["verify"], ["rm"], ["export"]])
def test_every_command_shows_an_example(words):
    assert "latentmap cache " + words[0] in run(*words, "--help").output


def test_a_list_shows_the_good_beside_the_bad(codes):
    bad, good = fill(codes, "bad"), fill(codes, "good")
    (codes / "entries" / bad / "manifest.json").write_text('{"a":' + "[" * 100_000)
    (codes / "generated").write_text("no folder")
    result = run("list", "--cache", codes)
    assert result.exit_code == 0
    assert f"{good}  good" in result.stdout and bad in result.stdout
    assert f"entry {bad} of {codes} is damaged: manifest.json cannot be read" in result.stderr
    listed = json.loads(run("list", "--cache", codes, "--json").stdout)["entries"]
    assert {one["entry"]: bool(one["problem"]) for one in listed} == {bad: True, good: False}
    assert run("verify", "--cache", codes).exit_code == 1


def test_the_formats_of_an_export_are_those_of_the_library():
    assert cache_export.FORMATS == CODE_FORMATS


def test_export_to_an_array_says_where_its_ids_are(codes, tmp_path):
    fill(codes)
    out = tmp_path / "codes.npy"
    result = run("export", "--cache", codes, "--out", out)
    assert result.stdout.endswith(f"; their ids are in {tmp_path / 'codes.ids.txt'}\n")
    words = ("export", "--cache", codes, "--out", out, "--force", "--json")
    written = json.loads(run(*words).stdout)
    assert (written["format"], written["ids"]) == ("npy", str(tmp_path / "codes.ids.txt"))
    np.testing.assert_array_equal(np.load(out), np.delete(CODES, 5, axis=0))


def test_export_takes_the_format_of_the_suffix_or_the_option(codes, tmp_path):
    fill(codes)
    for name in ("codes.parquet", "codes.table"):
        words = ("export", "--cache", codes, "--out", tmp_path / name, "--format", "parquet")
        assert run(*words, "--json").exit_code == 0
        table = pyarrow.parquet.read_table(tmp_path / name)
        assert table["id"].to_pylist() == np.delete(IDS, 5).tolist()
    result = run("export", "--cache", codes, "--out", tmp_path / "x.npz", "--format", "parquet")
    assert result.exit_code == 1
    assert "x.npz ends as a file of npz does, and parquet is asked for" in result.stderr
    assert not (tmp_path / "x.npz").exists()


def test_export_with_thumbnails(codes, tmp_path):
    ids = [f"{number}.png" for number in range(4)]
    for number, name in enumerate(ids):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (40, 20), (number, 0, 0)).save(tmp_path / "images" / name)
    encode = ("encode", "pixels:4?size=8x8", "--data", tmp_path / "images", "--cache", codes)
    assert CliRunner().invoke(main, [*map(str, encode)]).exit_code == 0
    words = ("export", "--cache", codes, "--out", tmp_path / "a.parquet", "--thumbnails", 16)
    result = run(*words)
    assert result.exit_code == 2
    assert "--thumbnails is of the images of --data: give both" in result.stderr
    assert run(*words, "--data", tmp_path / "images").exit_code == 0
    images = pyarrow.parquet.read_table(tmp_path / "a.parquet")["image"].to_pylist()
    assert [one["path"] for one in images] == ids
    assert {Image.open(io.BytesIO(one["bytes"])).size for one in images} == {(16, 8)}
    (tmp_path / "images" / "3.png").unlink()
    result = run(*words, "--data", tmp_path / "images", "--force")
    assert result.exit_code == 1
    assert "has no image of 1 of the 4 codes (3.png): give the images that" in result.stderr
    words = ("export", "--cache", codes, "--out", tmp_path / "a.npz", "--thumbnails", 16)
    result = run(*words, "--data", tmp_path / "images")
    assert result.exit_code == 2
    assert "--thumbnails goes into .parquet, not npz: leave it out" in result.stderr
