"""What a person meets at the command line: help, versions, one-line errors, exit codes."""

import errno
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import click
import pytest
import torch
from click.testing import CliRunner, Result

import latentmap
from latentmap.cli import main as main_module
from latentmap.cli.main import COMMANDS, main
from latentmap.errors import ImageError, LatentmapError


def run_raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Runs ``latentmap fit`` with a fit that raises ``error``."""

    def fit() -> None:
        raise error

    return run_as_fit(fit, monkeypatch)


def run_as_fit(function: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Result:
    fit = click.command("fit")(function)
    fake = SimpleNamespace(fit=fit)
    monkeypatch.setattr(main_module, "importlib", SimpleNamespace(import_module=lambda _: fake))
    return CliRunner().invoke(main, ["fit"])


def test_an_error_of_ours_is_one_line_on_stderr_and_exit_code_1(monkeypatch):
    result = run_raising(ImageError("faces has no image:\nname another folder"), monkeypatch)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "Error: faces has no image: name another folder\n"


def test_every_class_of_our_tree_is_an_error_of_ours(monkeypatch):
    for kind in LatentmapError.__subclasses__():
        assert run_raising(kind("refused"), monkeypatch).stderr == "Error: refused\n"


def test_any_other_exception_keeps_its_traceback(monkeypatch):
    result = run_raising(ZeroDivisionError("our fault"), monkeypatch)
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied; ch"),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: No space left on device; check"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, line, monkeypatch):
    result = run_raising(error, monkeypatch)
    assert result.exit_code == 1
    assert line in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [ImageError("a" * 5000), click.UsageError("b\n\x1b[2J" * 900)])
def test_a_long_message_is_cut_in_its_middle(error, monkeypatch):
    line = run_raising(error, monkeypatch).stderr.splitlines()[-1]
    assert line.startswith("Error: ") and " ... " in line
    assert len(line) < 600 and line.isprintable()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB."),
    ],
)
def test_too_little_memory_is_one_line_that_says_what_to_do(error, monkeypatch):
    result = run_raising(error, monkeypatch)
    assert result.exit_code == 1
    assert "not enough memory for this: ask for less at a time" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_interruption_is_exit_code_130_and_says_how_to_go_on(monkeypatch):
    result = run_raising(KeyboardInterrupt(), monkeypatch)
    assert result.exit_code == 130
    assert "run the same command again to go on" in result.stderr


def test_ctrl_c_ends_a_process_with_130_and_no_traceback():
    code = """
import sys, time, types
import click
from latentmap.cli.main import main
@click.command()
def fit():
    print("ready", flush=True)
    time.sleep(60)
sys.modules["latentmap.cli.fit"] = types.SimpleNamespace(fit=fit)
sys.argv = ["latentmap", "fit"]
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # It has to be asleep in the command, not in print.
        process.send_signal(signal.SIGINT)
        try:
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "Interrupted" in stderr


def test_an_import_that_ctrl_c_broke_is_an_interruption(monkeypatch):
    # What an import of many modules makes of it is up to them.
    def broken() -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ImportError("cannot load module more than once per process")

    result = run_as_fit(broken, monkeypatch)
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr and "ImportError" not in result.stderr
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "latentmap.cli", "models"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: No space left on device")
    assert ended.stderr.count("\n") == 1


def test_the_version_is_that_of_the_package():
    result = CliRunner().invoke(main, ["--version"], prog_name="latentmap")
    assert result.output == f"latentmap {latentmap.__version__}\n"


def test_help_lists_every_command_without_loading_one(monkeypatch):
    monkeypatch.setattr(main_module, "importlib", None)
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in result.output
        assert entry.help in result.output


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [("evalute", "did you mean evaluate?"), ("zzz", "see latentmap --help")],
)
def test_an_unknown_command_is_wrong_usage_with_advice(wrong, advice):
    result = CliRunner().invoke(main, [wrong])
    assert result.exit_code == 2
    assert f"no command '{wrong}': {advice}" in result.stderr


def test_an_unknown_option_is_wrong_usage():
    result = CliRunner().invoke(main, ["--nonsense"])
    assert result.exit_code == 2
    assert "No such option" in result.stderr


@pytest.mark.parametrize(
    ("seed", "message"),
    [("-1", "-1 is not in the range"), (str(2**63), f"too large: give {2**63 - 1} at most")],
)
def test_a_seed_that_no_generator_takes_is_wrong_usage(seed, message):
    result = CliRunner().invoke(main, ["fit", "--src", "vae", "--dst", "svae", "--seed", seed])
    assert result.exit_code == 2
    assert message in result.stderr
