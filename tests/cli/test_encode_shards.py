"""`latentmap encode` by shards: with workers of this machine, as Slurm and torchrun start it, and
what is said to who gives what does not go together."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cache import Entries
from latentmap.cli.main import main
from latentmap.cli.sharding import Place, place_of
from tests.cli.full_disks import FullOnOne

pytestmark = pytest.mark.usefixtures("forked_workers")

ENCODE = ["encode", "a.safetensors", "b.safetensors", "--data", "few.npy", "--batch-size", "8"]


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def codes_in(cache):
    """The codes of the two models in a cache, in the order of their names."""
    entries = Entries(cache)
    found = [entry for entry in entries.all() if entry.state == "complete"]
    found.sort(key=lambda entry: entry.manifest.space.model)
    return [
        codes.rows.read(0, len(codes)) for codes in (entries._open(one.manifest) for one in found)
    ]


@pytest.fixture
def alone(workdir):
    """The codes of one process."""
    run(*ENCODE, "--cache", "alone")
    return codes_in("alone")


def require_same(cache, alone):
    found = codes_in(cache)
    assert len(found) == len(alone) == 2
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_workers_make_the_codes_of_one_process_and_nothing_twice(alone):
    words = [*ENCODE, "--cache", "codes", "--shard-images", 40, "--workers", 2, "--json"]
    first, again = (json.loads(run(*words).stdout) for _ in range(2))
    assert first["shards"] == 8
    assert [one["computed"] for one in first["codes"]] == [300, 300]
    assert [one["computed"] for one in again["codes"]] == [0, 0]
    require_same("codes", alone)
    # Whoever else needs codes of these images finds them.
    fit = run("fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy",
              "--cache", "codes", "--baselines", "none")  # fmt: skip
    assert "encoding" not in fit.stderr
    assert len(Entries("codes").all()) == 2


def test_tasks_of_slurm_and_of_torchrun_share_a_plan(alone, monkeypatch):
    cache = ["--cache", "codes"]
    plan = json.loads(run(*ENCODE, *cache, "--shard-images", 24, "--plan", "--json").stdout)
    assert (plan["shards"], plan["shard_images"]) == (13, 24)
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "3")
    for task in ("3", "1"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        run(*ENCODE, *cache, "--shard", "auto")
    lacking = run("cache", "commit", *cache, code=1)
    assert "lacks 4 of 13 shards: 4, 5, 6, 7; 204 of 300 images are committed" in lacking.stdout
    assert "204/300" in run("cache", "list", *cache).stdout
    for name in ("TASK_ID", "TASK_MIN", "TASK_COUNT"):
        monkeypatch.delenv(f"SLURM_ARRAY_{name}")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run(*ENCODE, *cache, "--shard", "auto")
    done = json.loads(run("cache", "commit", *cache, "--json").stdout)["plans"]
    assert done[0]["missing"] == [] and done[0]["done"] == 300
    require_same("codes", alone)
    late = run(*ENCODE, *cache, "--shard", "auto", "--shard-images", 24)
    assert "all shards of these images are committed" in late.stdout
    late = run(*ENCODE, *cache, "--shard", "auto", "--shard-images", 24, "--json")
    assert json.loads(late.stdout)["plan"] is None
    assert "there is no plan" in run("cache", "commit", *cache).stdout


def started(*words, **more):
    """A command in a process group of its own, so that nothing of it outlives the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "latentmap.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **more,
    )


def children(pid):
    """The processes that a process has started and that run Python code of ours."""
    listed = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)],
                            capture_output=True, text=True, check=False)  # fmt: skip
    lines = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, words in lines if "spawn_main" in words]


def wait_for(something, *, seconds=120):
    until = time.monotonic() + seconds
    while not (found := something()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return found


def shards_there(tmp_path):
    return [*tmp_path.glob("codes/plans/*/shard-??????"), *tmp_path.glob("codes/entries/*/*.h5")]


@pytest.fixture
def many(workdir):
    """Images enough that somebody can be killed in between, and a command that encodes them."""
    rng = np.random.default_rng(0)
    np.save("many.npy", rng.integers(0, 256, (8_000, 8, 8), dtype=np.uint8))
    words = [word if word != "few.npy" else "many.npy" for word in ENCODE]
    run(*words, "--cache", "alone")
    return workdir, [*words, "--cache", "codes", "--shard-images", 64, "--workers", 2]


def test_a_worker_that_is_killed_is_replaced(many):
    folder, words = many
    with started(*words) as driver:
        wait_for(lambda: len(shards_there(folder)) > 3)
        os.kill(children(driver.pid)[0], signal.SIGKILL)
        out, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, err
    assert out.count("8000 codes in") == 2
    require_same("codes", codes_in("alone"))


def test_a_driver_that_is_killed_ends_its_workers_and_the_same_command_goes_on(many):
    folder, words = many
    with started(*words) as driver:
        wait_for(lambda: len(shards_there(folder)) > 3)
        workers = children(driver.pid)
        driver.kill()
        driver.communicate(timeout=60)
    assert len(workers) == 2
    for pid in workers:
        wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), seconds=30)  # noqa: PTH110
    before = len({path.name for path in shards_there(folder)})
    done = run(*words, "--json")
    computed = [one["computed"] for one in json.loads(done.stdout)["codes"]]
    assert before and all(0 < count <= 8_000 - 3 * 64 for count in computed)
    require_same("codes", codes_in("alone"))


def test_ctrl_c_leaves_what_is_done(many):
    folder, words = many
    with started(*words) as driver:
        wait_for(lambda: len(shards_there(folder)) > 3)
        os.killpg(driver.pid, signal.SIGINT)
        _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130 and "Interrupted: what was finished is kept" in err
    assert "Traceback" not in err
    (one, _) = Entries("codes").all()
    assert one.state == "unfinished" and one.manifest.done >= 3 * 64


def require_a_full_disk_was_said(stderr):
    """One line, which says which shard was lost and what to do."""
    (line,) = [line for line in stderr.splitlines() if "Error" in line]
    found = re.search(
        r"plans/[0-9a-f]{16} cannot be written \((No space left on device|File too large)\): shard "
        r"\d+ is lost, all that were made are safe; .* run the same command to go on$",
        line,
    )
    assert found, line
    assert "Traceback" not in stderr


def test_a_full_disk_of_one_worker_is_one_line_and_all_other_shards_are_safe(
    alone, workdir, monkeypatch
):
    monkeypatch.setattr("latentmap.cli.encode_shards.ShardSetup", FullOnOne)
    (workdir / "full").touch()
    words = [*ENCODE, "--cache", "codes", "--shard-images", 8, "--workers", 2]
    require_a_full_disk_was_said(run(*words, code=1).stderr)
    # What was made is committed, by the other one, too.
    assert not [*workdir.glob("codes/plans/*/shard-??????")]
    done = {entry.manifest.done for entry in Entries("codes").all()}
    assert len(done) == 1 and done.pop() >= 16
    assert Entries("codes").verify() == []
    (workdir / "full").unlink()
    run(*words)
    require_same("codes", alone)


def test_a_task_whose_disk_is_full_ends_with_one_line_and_the_same_command_goes_on(alone, workdir):
    cache = ["--cache", "codes"]
    run(*ENCODE, *cache, "--shard-images", 40, "--plan")
    run(*ENCODE, *cache, "--shard", "0/2")

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))

    with started(*ENCODE, *cache, "--shard", "1/2", preexec_fn=no_room) as task:
        _, err = task.communicate(timeout=300)
    assert task.returncode == 1
    require_a_full_disk_was_said(err)
    assert not [*workdir.glob("codes/plans/*/*.tmp")]
    assert "lacks 4 of 8 shards: 4, 5, 6, 7" in run("cache", "commit", *cache, code=1).stdout
    run(*ENCODE, *cache, "--shard", "1/2")
    run("cache", "commit", *cache)
    require_same("codes", alone)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", 2, "--plan"], "--plan and --workers do not go together"),
        (["--shard", "0/2", "--workers", 2], "--shard and --workers do not go together"),
        (["--shard-images", 9], "say who makes the shards"),
        (["--shard", "2/2"], "'2/2' is no place among workers: give i/N"),
        (["--shard", "one"], "'one' is no place among workers"),
        (["--shard", "auto"], "neither SLURM_ARRAY_TASK_ID nor RANK is set"),
        (["--workers", 2, "--address", "auto"], "--address is for --engine ray"),
        (["--plan", "--engine", "ray"], "--engine is for --workers N"),
    ],
)
def test_what_does_not_go_together_is_said(workdir, monkeypatch, words, message):
    for name in ("SLURM_ARRAY_TASK_ID", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert message in " ".join(run(*ENCODE, *words, code=2).stderr.split())


def test_a_worker_without_its_plan_says_how_to_make_it(workdir):
    cache = ["--cache", "codes"]
    none = run(*ENCODE, *cache, "--shard", "0/2", code=1)
    assert "has no plan for these models" in none.stderr and "--plan in place" in none.stderr
    run(*ENCODE, *cache, "--plan")
    other = run(*ENCODE, *cache, "--limit", 200, "--shard", "0/2", code=1)
    assert "is of 300 images, few.npy, and these are 200, few.npy, the first 200" in other.stderr
    np.save("few.npy", np.load("few.npy")[::-1])
    changed = run(*ENCODE, *cache, "--shard", "0/2", code=1)
    assert "shard 0 of the plan" in changed.stderr and "is of other images" in changed.stderr
    nothing = run("cache", "commit", "zz", *cache, code=1)
    assert "no plan begins with 'zz'" in nothing.stderr
    run("cache", "rm", "--all", "--yes", *cache)
    assert "there is no plan" in run("cache", "commit", *cache).stdout


@pytest.mark.parametrize(
    ("words", "has"),
    [
        (["--shard-images", 50], "--shard-images 40"),
        (["--batch-size", 4], "--batch-size 8"),
        (["--precision", "bfloat16"], "--precision float32"),
        (
            ["--precision", "bfloat16", "--batch-size", 4, "--shard-images", 9],
            "--precision float32 and --batch-size 8 and --shard-images 40",
        ),
    ],
)
def test_a_worker_that_is_told_another_thing_than_the_plan_is_refused(workdir, words, has):
    cache = ["--cache", "codes", "--shard-images", 33]
    plan = json.loads(run(*ENCODE, *cache, "--plan", "--json").stdout)["plan"]
    refused = run(*ENCODE, *cache, *words, "--shard", "0/9", code=1).stderr
    assert refused.splitlines()[-1] == (
        f"Error: the plan {plan} in codes has {has}: give the same here, or plan with these "
        "options (--plan in place of --shard)"
    )
    assert not [*workdir.glob("codes/plans/*/shard-*")]
    run(*ENCODE, *cache, "--shard-images", 38, "--shard", "0/8")  # Whole batches are the same.
    assert [one.name for one in workdir.glob("codes/plans/*/shard-*")] == ["shard-000000"]


def test_a_plan_that_was_given_up_is_removed_and_what_is_committed_of_it_stays(workdir):
    cache = ["--cache", "codes"]
    plans = [
        json.loads(run(*ENCODE, *cache, "--plan", *more, "--json").stdout)["plan"]
        for more in (["--shard-images", 24], ["--limit", 40])
    ]
    run(*ENCODE, *cache, "--shard", "0/2")
    run("cache", "commit", *cache, code=1)
    assert (
        f"`latentmap cache rm --plan {plans[0][:4]}` gives it up"
        in run("cache", "list", *cache).stdout
    )
    # One that cannot be read can be removed, too.
    damaged = workdir / "codes" / "plans" / plans[0] / "plan.json"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    size = sum(path.stat().st_size for path in damaged.parent.rglob("*") if path.is_file())
    none = run("cache", "rm", "--plan", "x", *cache, code=1).stderr
    assert f"no plan begins with 'x' in codes: those there are {', '.join(sorted(plans))}" in none
    (workdir / "codes" / "plans" / f"{plans[0][:4]}{0:012}").mkdir()
    many = run("cache", "rm", "--plan", plans[0][:4], *cache, code=1).stderr
    assert f"several plans begin with '{plans[0][:4]}' in codes" in many
    asked = CliRunner().invoke(main, ["cache", "rm", "--plan", plans[0][:9], *cache], input="n\n")
    assert asked.exit_code == 1 and f"Remove plan {plans[0]} (" in asked.stderr
    assert damaged.exists()
    gone = run("cache", "rm", "--plan", plans[0][:9], "--yes", *cache, "--json")
    assert json.loads(gone.stdout) == {
        "cache": "codes",
        "entries": [],
        "plans": plans[:1],
        "bytes": size,
    }
    listed = json.loads(run("cache", "list", *cache, "--json").stdout)
    assert [one["plan"] for one in listed["plans"]] == plans[1:]
    assert [one["done"] for one in listed["entries"]] == [144, 144]
    said = run("cache", "rm", "--plan", plans[1], "--yes", *cache).stdout
    assert said.startswith(f"codes: removed plan {plans[1]}, which frees ")
    refused = run("cache", "rm", "--plan", plans[1], "--all", *cache, code=2).stderr
    assert "--all is all entries" in refused


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Place(1, 4, 1)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "9"}, Place(7, 9)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "5",
            },
            Place(2, 5),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "1",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_PROCID": "3",
                "SLURM_STEP_NUM_TASKS": "4",
                "SLURM_LOCALID": "0",
            },
            Place(7, 12, 0),
        ),
        # In a batch script that starts no step there is one task, whatever was asked for.
        (
            {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "0"},
            Place(0, 2),
        ),
    ],
)
def test_the_place_of_a_worker_is_that_of_what_started_it(environment, place):
    assert place_of(environment) == place


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "neither SLURM_ARRAY_TASK_ID nor RANK"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x', and should be a number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "make this worker 2 of 2: give i/N"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "make this worker 2 of 0: give i/N"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "17",
                "SLURM_ARRAY_TASK_MIN": "3",
                "SLURM_ARRAY_TASK_MAX": "17",
                "SLURM_ARRAY_TASK_COUNT": "2",
            },
            "no unbroken range",
        ),
    ],
)
def test_a_place_that_cannot_be_is_refused(environment, message):
    with pytest.raises(ValueError, match=message):
        place_of(environment)


@pytest.mark.parametrize("count", [1, 3, 40, 1000])
def test_shares_of_workers_are_all_shards_once(count):
    shares = [Place(number, count).share(40) for number in range(count)]
    assert [shard for share in shares for shard in share] == list(range(40))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
