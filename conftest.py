"""Stops the tests when a part of the package would come from elsewhere than this checkout."""

from pathlib import Path

import latentmap

ROOT = Path(__file__).resolve().parent
ADVICE = "run `python -m pip install -e .` in this checkout, or use `make test`"

try:
    import latentmap.cli
    import latentmap.encoders
except ModuleNotFoundError as error:
    # Without an editable install, the folder latentmap/ here hides the installed package.
    raise RuntimeError(f"{error}: {ADVICE}") from error

for module, folder in (
    (latentmap, "latentmap"),
    (latentmap.encoders, "encoders"),
    (latentmap.cli, "cli"),
):
    if Path(module.__file__ or "").resolve().parent != ROOT / folder:
        raise RuntimeError(
            f"{module.__name__} is {module.__file__}, not {folder}/ of this checkout: {ADVICE}"
        )
