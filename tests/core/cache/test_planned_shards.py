"""Shards of a plan: made by anybody, at any time, twice or killed; committed by one, once.

Whatever happens, the codes are those of one process, bit for bit.
"""

import itertools
import json
import os
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from latentmap.cache import Coder, LatentCache
from latentmap.cache.manifest import MANIFEST, Manifest
from latentmap.cache.plan import Plan
from latentmap.cache.plan_folder import PlanFolder, find_plans, remove_plan
from latentmap.cache.planned_entries import planned_entries
from latentmap.cache.planning import plan_shards
from latentmap.cache.sealed import seal
from latentmap.cache.shard_commit import commit_shards
from latentmap.cache.shard_driver import carry_out, start_plan
from latentmap.cache.shard_work import encode_shard
from latentmap.cache.storage import Storage
from latentmap.errors import CacheError, ImageError, ModelError
from latentmap.images import open_images, open_parts
from latentmap.images.parts import counts_in
from latentmap.model import generated_images
from latentmap.model.testing import LinearModel
from tests.core.images import test_parts as parts_of

SHAPE, N, SIZE, BATCH = (1, 8, 8), 50, 8, 4
MODELS = [LinearModel(4, SHAPE, name="one"), LinearModel(3, SHAPE, seed=1, name="two")]


class QuickStorage(Storage):
    """A disk that does not wait for the platter."""

    def sync(self, path):
        pass

    def sync_folder(self, folder):
        pass


def digits(n=N):
    return open_images("digits", limit=n)


def quick(path, storage=None) -> LatentCache:
    return LatentCache(path, storage=storage or QuickStorage())


def planned(path, images=None, models=MODELS, **options):
    """A plan in a cache of its own."""
    images = images or digits()
    cache = quick(path)
    plan = plan_shards(models, images, **{"shard_images": SIZE, "batch_size": BATCH, **options})
    return start_plan(plan, cache), images, cache


def make(plan, images, cache, numbers=None, models=MODELS, **options):
    for number in range(len(plan)) if numbers is None else numbers:
        encode_shard(plan, number, models, images, cache, **options)


def codes_of(plan, cache):
    found = [cache.find(entry.key) for entry in plan.entries]
    assert all(one is not None for one in found)
    return found


def expected(tmp_path, images, models=MODELS, **options):
    """What one process makes of them."""
    cache = quick(tmp_path / "of one process")
    return Coder(cache, batch_size=BATCH, **options).codes(models, images)


def require_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.digests, other.digests)
        np.testing.assert_array_equal(one.vectors.numpy(), other.vectors.numpy())
        assert one.skipped == other.skipped


@pytest.mark.parametrize("order", [list(range(7)), [6, 0, 3, 1, 5, 4, 2]])
def test_the_codes_are_those_of_one_process_in_whatever_order_shards_come(tmp_path, order):
    plan, images, cache = planned(tmp_path / "cache")
    for number in order:
        make(plan, images, cache, [number])
        state = commit_shards(plan, cache)
        assert number not in state.missing
    assert len(plan) == 7 and not state.missing and state.images == N
    require_same(codes_of(plan, cache), expected(tmp_path, images))
    assert not find_plans(cache.path)
    assert cache.entries.verify() == []


def test_entries_have_holes_while_they_are_worked_on(tmp_path):
    plan, images, cache = planned(tmp_path)
    make(plan, images, cache, [1, 2, 5])
    state = commit_shards(plan, cache)
    assert state.missing == (0, 3, 4, 6) and state.images == 3 * SIZE
    for entry in cache.entries.all():
        assert entry.state == "unfinished"
        assert entry.manifest.holes == ((0, SIZE), (3 * SIZE, 5 * SIZE))
        assert entry.manifest.done == entry.manifest.rows == 3 * SIZE
    assert cache.find(plan.entries[0].key) is None
    # What is there serves already, by content.
    part = images.subset(np.arange(SIZE, 2 * SIZE))
    (codes,) = Coder(cache).codes(MODELS[:1], part)
    whole = expected(tmp_path, images)[0].vectors
    np.testing.assert_array_equal(codes.vectors.numpy(), whole[SIZE : 2 * SIZE].numpy())


def test_codes_are_found_by_all_that_needs_them(tmp_path):
    plan, images, cache = planned(tmp_path / "cache")
    make(plan, images, cache)
    commit_shards(plan, cache)
    for one in Coder(cache).encoded(MODELS, images):
        assert (one.there, one.computed) == (N, 0)


def test_a_shard_that_is_made_twice_counts_once(tmp_path):
    plan, images, cache = planned(tmp_path / "cache")
    folder = PlanFolder(cache.path, plan, cache.entries.storage)
    with folder.attempt(2) as slow:
        make(plan, images, cache)
        report = folder.report(2)
        for file in folder.shard(2).iterdir():
            (slow / file.name).write_bytes(file.read_bytes())
        before = folder.shard(2).stat().st_ino
        folder.publish(slow, 2, report)
    assert folder.shard(2).stat().st_ino == before
    assert folder.reported() == list(range(7))
    assert not list(folder.path.glob("*.tmp"))
    assert not commit_shards(plan, cache).missing
    require_same(codes_of(plan, cache), expected(tmp_path, images))


def test_work_that_comes_after_the_last_commit_is_no_error(tmp_path, monkeypatch):
    plan, images, cache = planned(tmp_path)
    late = plan_shards(MODELS, images, shard_images=SIZE, batch_size=BATCH)
    make(plan, images, cache)

    real = PlanFolder.attempt

    def at_last(folder, number):
        commit_shards(plan, cache)
        return real(folder, number)

    monkeypatch.setattr(PlanFolder, "attempt", at_last)
    PlanFolder(cache.path, plan, cache.entries.storage).drop(3)
    make(plan, images, cache, [3])  # Whose commit lacks shard 3.
    assert commit_shards(plan, cache).missing == ()
    with pytest.raises(CacheError, match=f"no plan {plan.id} in .*: it is done, or was never made"):
        make(late, images, cache, [0])
    assert not find_plans(cache.path)


class Stop(BaseException):
    """The end of a process."""


class Mortal(QuickStorage):
    """A disk whose process ends before step ``left``; with ``torn`` half of a file is written."""

    def __init__(self, left, torn):
        self.left, self.torn = left, torn

    def step(self):
        self.left -= 1
        if self.left < 0:
            raise Stop

    def write(self, path, data):
        try:
            self.step()
        except Stop:
            if self.torn:
                super().write(path, data[: len(data) // 2])
            raise
        super().write(path, data)

    def rename(self, source, target):
        self.step()
        super().rename(source, target)

    def mkdir(self, folder):
        self.step()
        super().mkdir(folder)

    def sync(self, path):
        self.step()

    def sync_folder(self, folder):
        self.step()


@pytest.mark.parametrize("torn", [False, True])
def test_whoever_is_killed_at_whatever_step_loses_nothing(tmp_path, torn, monkeypatch):
    images = digits(20)
    wanted = expected(tmp_path, images)
    # A killed process removes nothing of what it began.
    monkeypatch.setattr("latentmap.cache.plan_folder.shutil.rmtree", lambda *a, **k: None)
    for left in itertools.count():
        plan, _, cache = planned(tmp_path / str(left), images)
        mortal = quick(cache.path, Mortal(left, torn))
        try:
            make(plan, images, mortal, [1, 0])
            commit_shards(plan, mortal)
        except Stop:
            pass
        else:
            break
        with monkeypatch.context() as undone:
            undone.undo()
            make(plan, images, cache)
            state = commit_shards(plan, cache)
        assert not state.missing and not state.repairs, left
        require_same(codes_of(plan, cache), wanted)
    assert left > 30


@pytest.mark.parametrize("where", ["reported", "committed"])
def test_a_shard_that_is_not_as_it_was_written_is_made_again(tmp_path, where):
    plan, images, cache = planned(tmp_path / "cache")
    make(plan, images, cache)
    if where == "committed":
        PlanFolder(cache.path, plan, cache.entries.storage).drop(0)
        commit_shards(plan, cache)
    place = {"reported": "plans/*/shard-000004/*.h5", "committed": "entries/*/shard-*000000032-*"}
    damaged = sorted(cache.path.glob(place[where]))
    assert len(damaged) == 2
    data = bytearray(damaged[0].read_bytes())
    data[random.Random(0).randrange(len(data))] ^= 1
    damaged[0].write_bytes(data)
    told = []

    def engine(numbers):
        for number in numbers:
            make(plan, images, cache, [number])
            yield number

    made = carry_out(plan, cache, engine, notify=told.append)
    assert any("sha256 differs" in line and "shard 4" in line for line in told)
    assert made == {"reported": SIZE, "committed": 2 * SIZE}[where]
    require_same(codes_of(plan, cache), expected(tmp_path, images))
    assert cache.entries.verify() == []


def test_a_finished_entry_that_was_damaged_is_repaired_by_the_same_command(tmp_path):
    plan, images, cache = planned(tmp_path / "cache")
    make(plan, images, cache)
    commit_shards(plan, cache)
    damaged = next(cache.path.glob("entries/*/shard-*000000016-*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    asked = []

    def engine(numbers):
        asked.extend(numbers)
        for number in numbers:
            make(plan, images, cache, [number])
            yield number

    assert carry_out(plan, cache, engine) == SIZE
    assert asked == [2]
    require_same(codes_of(plan, cache), expected(tmp_path, images))


def test_what_killed_workers_began_is_removed_by_the_next_commit_that_can_tell(tmp_path):
    plan, images, cache = planned(tmp_path)
    folder = PlanFolder(cache.path, plan, cache.entries.storage)
    attempts = [folder.path / f"shard-{number:06}.{number:016x}.tmp" for number in (1, 2, 3)]
    for attempt in attempts:
        attempt.mkdir()
        (attempt / "0123456789abcdef.h5").write_bytes(b"half")
    os.utime(attempts[1], (0, 0))  # Nobody has touched it for long.
    make(plan, images, cache, [0, 1])
    commit_shards(plan, cache)
    # Somebody may still write the third.
    assert [*folder.path.glob("*.tmp")] == [attempts[2]]
    make(plan, images, cache)
    commit_shards(plan, cache)
    assert not folder.path.exists()


def test_a_worker_whose_attempt_was_removed_since_its_shard_is_committed_is_content(
    tmp_path, monkeypatch
):
    plan, images, cache = planned(tmp_path)
    real = PlanFolder.publish

    def late(folder, attempt, number, report):
        monkeypatch.setattr(PlanFolder, "publish", real)
        make(plan, images, cache, [4])
        commit_shards(plan, cache)
        assert not attempt.exists()
        real(folder, attempt, number, report)

    monkeypatch.setattr(PlanFolder, "publish", late)
    make(plan, images, cache, [4])
    assert 4 not in commit_shards(plan, cache).missing


def test_a_driver_that_fails_keeps_what_was_made(tmp_path):
    plan, images, cache = planned(tmp_path)

    def engine(numbers):
        make(plan, images, cache, [5])
        yield 5
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        carry_out(plan, cache, engine)
    assert commit_shards(plan, cache).missing == (0, 1, 2, 3, 4, 6)


def test_a_shard_that_is_committed_is_not_made_again(tmp_path, monkeypatch):
    plan, images, cache = planned(tmp_path)
    make(plan, images, cache, [2, 5])
    commit_shards(plan, cache)
    monkeypatch.setattr("latentmap.cache.shard_work._encoded", None)
    make(plan, images, cache, [5, 2])
    with pytest.raises(TypeError):
        make(plan, images, cache, [3])


def test_a_plan_that_is_removed_while_it_is_worked_on_is_said(tmp_path, monkeypatch):
    plan, images, cache = planned(tmp_path)

    def gone(folder, number):
        raise FileNotFoundError

    monkeypatch.setattr(PlanFolder, "attempt", gone)
    with pytest.raises(CacheError, match=r"was removed while shard 1 was made: plan again"):
        make(plan, images, cache, [1])


def test_a_disk_that_damages_twice_is_no_error_and_one_that_always_does_is(tmp_path):
    plan, images, cache = planned(tmp_path / "cache")
    left = 99

    def engine(numbers):
        nonlocal left
        for number in numbers:
            make(plan, images, cache, [number])
            if number == 4 and left:
                left -= 1
                for file in cache.path.glob("plans/*/shard-000004/*.h5"):
                    file.write_bytes(b"?" + file.read_bytes()[1:])
            yield number

    with pytest.raises(CacheError, match=r"1 shards of the plan .* as soon as they were written"):
        carry_out(plan, cache, engine)
    left = 2
    assert carry_out(plan, cache, engine) == SIZE
    require_same(codes_of(plan, cache), expected(tmp_path, images))


def test_one_model_is_planned_once():
    with pytest.raises(ModelError, match="one and one are the same model: name it once"):
        plan_shards([MODELS[0], MODELS[0]], digits())


def test_two_drivers_may_work_on_one_plan(tmp_path):
    plan, images, cache = planned(tmp_path / "cache")

    def engine(numbers):
        make(plan, images, cache)
        assert not commit_shards(plan, cache).missing  # By the other one, who ends the plan.
        make(plan, images, cache, [3])
        yield 3

    carry_out(plan, cache, engine)
    require_same(codes_of(plan, cache), expected(tmp_path, images))


def test_progress_counts_images_and_begins_with_those_that_are_there(tmp_path):
    plan, images, cache = planned(tmp_path)
    make(plan, images, cache, [0, 1])
    told = []

    def engine(numbers):
        for number in numbers:
            make(plan, images, cache, [number])
            yield number

    assert carry_out(plan, cache, engine, progress=lambda *one: told.append(one)) == N - 2 * SIZE
    assert told == [(done, N) for done in (16, 24, 32, 40, 48, 50)]


def test_progress_counts_no_image_twice_where_entries_lack_different_shards(tmp_path):
    plan, images, cache = planned(tmp_path)
    make(plan, images, cache)
    commit_shards(plan, cache)
    for entry, number in zip(plan.entries, (1, 4), strict=True):
        folder = cache.entries.folder(entry.key.id)
        next(folder.glob(f"shard-{number * SIZE:09}-*.h5")).unlink()
    told = []

    def engine(numbers):
        for number in numbers:
            make(plan, images, cache, [number])
            yield number

    assert carry_out(plan, cache, engine, progress=lambda *one: told.append(one)) == 2 * SIZE
    assert told == [(done, N) for done in (34, 42, 50)]


def test_workers_end_with_the_work_whatever_ends_it(tmp_path):
    plan, images, cache = planned(tmp_path)
    ended, engines = [], []

    def work(numbers):
        try:
            for number in numbers:
                make(plan, images, cache, [number])
                yield number
        finally:
            ended.append(PlanFolder(cache.path, plan, cache.entries.storage).reported())

    def engine(numbers):
        engines.append(work(numbers))
        return engines[-1]  # Somebody else has it, too.

    def interrupted(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, cache, engine, progress=interrupted)
    assert ended == [[0]]  # Before the last commit.


def broken_faces(folder):
    """30 pictures, of which those of the second shard, and one more, cannot be read."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(30):
        path = folder / f"{number:02}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
        if 8 <= number < 16 or number == 20:
            path.write_bytes(b"\x89PNG\r\n\x1a\n none")
    return open_images(folder)


def test_images_that_cannot_be_read_are_skipped_as_one_process_skips_them(tmp_path):
    plan, images, cache = planned(tmp_path / "cache", broken_faces(tmp_path / "faces"))
    with pytest.raises(ImageError, match=r"20\.png"):
        make(plan, images, cache, [2])
    make(plan, images, cache, [0, 2, 3], on_error="skip")
    commit_shards(plan, cache)
    (one, _) = cache.entries.all()
    assert one.manifest.holes == ((8, 16),)
    make(plan, images, cache, on_error="skip")
    assert not commit_shards(plan, cache).missing
    require_same(codes_of(plan, cache), expected(tmp_path, images, on_error="skip"))
    assert len(codes_of(plan, cache)[0].skipped) == 9


def test_codes_beside_skipped_images_are_found_and_not_copied(tmp_path):
    folder = tmp_path / "faces"
    plan, images, cache = planned(tmp_path / "cache", broken_faces(folder))
    make(plan, images, cache, on_error="skip")
    commit_shards(plan, cache)
    broken = [f"{number:02}.png" for number in (*range(8, 16), 20)]
    wanted = expected(tmp_path, images, on_error="skip")
    found = Coder(cache, on_error="skip").encoded(MODELS, open_images(folder))
    assert [(one.there, one.computed) for one in found] == [(21, 0)] * 2
    require_same([one.codes for one in found], wanted)
    assert list(found[0].codes.skipped) == broken
    assert {one.id for one in cache.entries.all()} == {entry.key.id for entry in plan.entries}
    # Some of them, where each has a name of its own.
    folder.rename(tmp_path / "moved")
    some = open_images(tmp_path / "moved").subset([3, 8, 20, 21])
    (codes,) = Coder(cache, on_error="skip").codes(MODELS[:1], some)
    assert (list(codes.ids), list(codes.skipped)) == (["03.png", "21.png"], ["08.png", "20.png"])
    np.testing.assert_array_equal(codes.vectors.numpy(), wanted[0].vectors.numpy()[[3, 12]])
    with pytest.raises(ImageError, match=r"08\.png.* cannot be read.*skip it \(--on-error skip\)"):
        Coder(cache).codes(MODELS[:1], some)
    # What was repaired has a code.
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "moved" / "20.png")
    repaired = open_images(tmp_path / "moved")
    (one,) = Coder(cache, on_error="skip").encoded(MODELS[:1], repaired)
    assert (one.there, one.computed, list(one.codes.skipped)) == (21, 1, broken[:-1])


def test_a_plan_is_of_its_images(tmp_path):
    plan, images, cache = planned(tmp_path)
    with pytest.raises(CacheError, match=f"{plan.id} is of 50 images of digits.*there are 49"):
        make(plan, digits(49), cache)
    others = open_images("digits").subset(np.arange(N) + 1)
    with pytest.raises(CacheError, match=r"shard 0 of the plan .* is of other images of digits"):
        make(plan, others, cache)
    swapped = images.subset([*range(40), 41, 40, *range(42, N)])
    make(plan, swapped, cache, [0, 4])
    with pytest.raises(CacheError, match=r"shard 5 of the plan .* is of other images"):
        make(plan, swapped, cache, [5])


def test_a_plan_is_for_its_models(tmp_path):
    plan, images, cache = planned(tmp_path)
    with pytest.raises(CacheError, match=r"is for z of one \(4-d, .*, not for z of two \(3-d"):
        make(plan, images, cache, models=MODELS[::-1])


def test_shards_of_two_plans_do_not_go_together(tmp_path):
    plan, images, cache = planned(tmp_path)
    other, _, _ = planned(tmp_path, shard_images=2 * SIZE)
    assert other.id != plan.id and other.entries != plan.entries
    make(plan, images, cache, [0])
    make(other, images, cache, [0])
    storage = cache.entries.storage
    strange = PlanFolder(cache.path, other, storage).shard(0)
    strange.rename(PlanFolder(cache.path, plan, storage).shard(3))
    with pytest.raises(
        CacheError,
        match=f"report of shard 0 of the plan {other.id} stands in the place of shard 3 of the "
        f"plan {plan.id}: shards of two plans do not go together",
    ):
        commit_shards(plan, cache)


def test_plans_are_found_and_removed(tmp_path):
    plan, images, cache = planned(tmp_path)
    assert find_plans(cache.path) == [plan]
    assert find_plans(tmp_path / "nothing") == []
    file = PlanFolder(cache.path, plan, cache.entries.storage).path / "plan.json"
    assert Plan.from_bytes(file.read_bytes()) == plan
    text = file.read_text()
    file.write_text(text.replace(f'"images": {N}', f'"images": {N + 1}'))
    with pytest.raises(
        CacheError, match=r"not as it was written.*cache rm --plan .* and plan again"
    ):
        find_plans(cache.path)
    file.write_text(text)
    make(plan, images, cache, [0])
    remove_plan(cache.path, plan.id)
    remove_plan(cache.path, plan.id)
    assert find_plans(cache.path) == [] and not list(tmp_path.glob("plans/*"))


def test_a_plan_does_not_depend_on_what_its_images_are_called(tmp_path):
    plan = plan_shards(MODELS, digits())
    assert replace(plan, data="elsewhere").id == plan.id
    assert plan_shards(MODELS, digits(), batch_size=128).id != plan.id
    assert plan_shards(MODELS, digits(49)).id != plan.id
    assert plan_shards(MODELS[:1], digits()).id != plan.id
    assert plan_shards(MODELS, digits(), precision="bfloat16").id != plan.id


@pytest.mark.parametrize(
    ("n", "wanted", "batch", "shards", "size"),
    [(50, None, 4, 13, 4), (1000, None, 4, 63, 16), (50, 9, 4, 5, 12), (50, 999, 4, 1, 1000)],
)
def test_shards_are_of_whole_batches(n, wanted, batch, shards, size):
    plan = plan_shards(MODELS, digits(n), shard_images=wanted, batch_size=batch)
    assert (len(plan), plan.shard_images) == (shards, size)
    ranges = [plan.range(number) for number in range(len(plan))]
    assert [place for one in ranges for place in range(*one)] == list(range(n))


def test_images_that_a_model_made_have_codes_already(tmp_path):
    made = generated_images(MODELS[0], 8, folder=tmp_path, seed=0)
    with pytest.raises(ModelError, match="one made these images, and their codes are known"):
        plan_shards(MODELS, made)


def test_a_manifest_with_holes_is_checked(tmp_path):
    plan, images, cache = planned(tmp_path)
    make(plan, images, cache, [1, 3])
    commit_shards(plan, cache)
    manifest = cache.entries.all()[0].manifest
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert json.loads(manifest.to_bytes())["schema_version"] == 2
    for holes in (
        ((0, 8),),
        ((0, 8), (16, 25)),
        ((0, 8), (16, 16)),
        ((4, 12), (16, 24)),
        ((0, 8), (16, 24), (50, 60)),
    ):
        with pytest.raises(CacheError, match="contradicts itself"):
            Manifest.from_bytes(replace(manifest, holes=holes).to_bytes())
    file = cache.entries.folder(manifest.key.id) / MANIFEST
    file.write_bytes(replace(manifest, holes=((0, 8),)).to_bytes())
    state = commit_shards(plan, cache)
    assert state.missing and "contradicts itself" in state.repairs[0]


@pytest.mark.parametrize("make", [parts_of.tars, parts_of.parquet, parts_of.index, parts_of.npy])
@pytest.mark.parametrize("limit", [None, 17])
def test_parts_are_planned_and_encoded_as_the_whole(tmp_path, make, limit):
    path = make(tmp_path)
    whole = open_images(path, limit=limit, value_range=(0, 255))
    parts = open_parts(path, limit=limit, value_range=(0, 255))
    models = [LinearModel(4, (1, 4, 6), name="one")]
    plan, _, cache = planned(tmp_path / "parts", parts, models)
    same, _, _ = planned(tmp_path / "whole", whole, models)
    assert plan.to_bytes() == same.to_bytes()
    for number in reversed(range(len(plan))):
        assert plan.shard(parts, number).ids.tolist() == plan.shard(whole, number).ids.tolist()
        encode_shard(plan, number, models, parts, cache)
    assert not commit_shards(plan, cache).missing
    require_same(codes_of(plan, cache), expected(tmp_path, whole, models))
    # Others find them, by the whole and by parts.
    for images in (parts, whole):
        (found,) = planned_entries(models, images, cache)
        assert found is not None and found.key == plan.entries[0].key


def test_counts_of_files_lie_beside_the_plan(tmp_path):
    parts = open_parts(parts_of.tars(tmp_path))
    models = [LinearModel(4, (1, 4, 6), name="one")]
    cache = quick(tmp_path / "cache")
    plan = plan_shards(models, parts, shard_images=SIZE, batch_size=BATCH)
    folder = PlanFolder(cache.path, plan, cache.entries.storage)
    assert folder.counts() is None
    start_plan(plan, cache, counts_in(parts))
    assert folder.counts() == counts_in(parts)
    file = folder.path / "files.json"
    file.write_text(file.read_text().replace("11", "12"))
    assert folder.counts() is None
    for wrong in ("11", -1, 11.0, True, None, [11], 10**30):
        rows = [[name, wrong] for name in counts_in(parts)]
        file.write_bytes(seal({"files": rows}))
        assert folder.counts() is None
    make(plan, parts, cache, models=models)
    assert not commit_shards(plan, cache).missing
    assert not folder.path.exists()
