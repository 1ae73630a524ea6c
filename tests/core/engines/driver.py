"""A driver for tests, which they kill: an engine, a folder, what else the engine takes as JSON."""

import json
import sys
from pathlib import Path

from latentmap import engines
from tests.core.engines.works import Marks

if __name__ == "__main__":
    name, folder, more = sys.argv[1:]
    work = Marks(Path(folder), seconds=0.2)
    for _ in getattr(engines, name)(work, range(1000), workers=2, **json.loads(more)):
        pass
