"""Coverage-guided fuzzing of one target, with atheris (pip install atheris): what reaches new code
is changed further.

    python -m tests.fuzz.guided TARGET [-max_total_time=3600] [-runs=1000000] [CORPUS_FOLDER]

The options are those of libFuzzer, which ends with the first failure.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["latentmap"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.cases import Case, Place, write_case
from tests.fuzz.examining import Examiner
from tests.fuzz.readers import Loaded
from tests.fuzz.run import load, outside
from tests.fuzz.working import change_file

_LIMITS = ("-timeout=10", "-rss_limit_mb=3000", "-max_len=200000")


class Coding:
    """Cases as the bytes that libFuzzer knows: which seed, which of its files, what is in it."""

    def __init__(self, readers: list[Loaded]) -> None:
        self._seeds = [(loaded, seed) for loaded in readers for seed in loaded.seeds]

    def decode(self, data: bytes) -> tuple[Loaded, Case, str]:
        """The reader, the case, and the name of the file that is changed."""
        head = data[:2].ljust(2, b"\0")
        loaded, seed = self._seeds[head[0] % len(self._seeds)]
        name = list(seed)[head[1] % len(seed)]
        return loaded, {**seed, name: data[2:]}, name

    def all(self) -> list[bytes]:
        """Every seed with each of its files as the one that is changed."""
        return [
            bytes([number, place]) + content
            for number, (_, seed) in enumerate(self._seeds[:256])
            for place, content in enumerate(list(seed.values())[:256])
            if isinstance(content, bytes)
        ]

    def change(self, data: bytes, most: int, seed: int) -> bytes:
        """Another case, by what knows the format or by libFuzzer."""
        if seed % 2:
            changed: bytes = atheris.Mutate(data, most)
            return changed
        chance = random.Random(seed)
        loaded, case, name = self.decode(data)
        content = change_file(loaded, chance, name, case[name])
        made = data[:2].ljust(2, b"\0") + content if isinstance(content, bytes) else data
        return made[:most]


def main() -> None:
    """Runs libFuzzer."""
    name, *arguments = sys.argv[1:]
    folder = Path(tempfile.mkdtemp())
    readers = [load(reader, folder / reader.name) for reader in TARGETS[name]]
    place = Place(folder / "place")
    place.prepare(outside())
    coding = Coding(readers)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(coding.all()):
        (corpus / str(number)).write_bytes(data)
    examiner = Examiner(place)
    examiner.warm_up(readers)

    def run(data: bytes) -> None:
        loaded, case, _ = coding.decode(data)
        write_case(case, place.case)
        for use in range(len(loaded.reader.uses)):
            found = examiner.examine(loaded, use, case)
            if found:
                raise AssertionError(f"{loaded.reader.name}: {found}")

    # The corpus that libFuzzer adds to comes first, our seeds after it.
    options = [one for one in arguments if one.startswith("-")]
    folders = [one for one in arguments if not one.startswith("-")]
    atheris.Setup(
        [sys.argv[0], *_LIMITS, *options, *folders, str(corpus)],
        run,
        custom_mutator=coding.change,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
