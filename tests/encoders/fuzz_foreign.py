"""Coverage-guided fuzzing of the reader of foreign files, with atheris (pip install atheris).

Every input is opened as a file, and its tensors are loaded. Anything but a result or one
CheckpointError line is a finding; so is an import, an execution or a process.

    python -m tests.encoders.fuzz_foreign -runs=1000000 -rss_limit_mb=1500 [CORPUS_FOLDER]
"""

import codecs
import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["latentmap.encoders.checkpoints"]):
    from latentmap.encoders.checkpoints import foreign  # noqa: F401  # Loaded here to be watched.

from tests.encoders.hostile_corpus import INERT, REFUSED
from tests.encoders.read_hostile import Watch, read
from tests.encoders.test_hostile_files import SAMPLES


def main() -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    seeds = folder / "seeds"
    seeds.mkdir()
    corpus = [*INERT.values(), *(data for data, _ in REFUSED.values()), *SAMPLES.values()]
    for number, data in enumerate(corpus):
        (seeds / str(number)).write_bytes(data[:100_000])
    path = folder / "input"
    watch = Watch()
    codecs.lookup("raw-unicode-escape"), codecs.lookup("cp437")
    executions = 0

    def run(data: bytes) -> None:
        nonlocal executions
        executions += 1
        path.write_bytes(data)
        watch.watching = True
        message = read(path)
        watch.watching = False
        if watch.events:
            raise AssertionError(f"it did what a reader must not: {watch.events}")
        if message is not None and len(message.splitlines()) != 1:
            raise AssertionError(f"a message of several lines: {message!r}")
        if executions % 100_000 == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{executions} executions, {peak} MB at most", file=sys.stderr)

    # The corpus that libFuzzer adds to comes first, our seeds after it.
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], *options, *folders, str(seeds)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
