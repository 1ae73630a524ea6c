"""Libraries that are installed by an extra of latentmap, and imported when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from latentmap.errors import ModelError
from latentmap.files import reason_of


def require(module: str, extra: str) -> Any:
    """A module of a library that ``latentmap[extra]`` installs.

    Raises:
        ModelError: it is not installed, or does not match what else is.
    """
    install = f'pip install "latentmap[{extra}]"'
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModelError(f"this needs the library {error.name}: {install}") from error
    # A library that was built for another torch ends its import by an error of any kind.
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise ModelError(
            f"the library {module} cannot be imported ({reason_of(error)}): install versions that "
            f"match each other, with {install}"
        ) from error


@contextmanager
def quietly(library: Any) -> Iterator[None]:
    """Without the remarks and the bars of transformers or diffusers, whose loading we check."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), getattr(logging, "is_progress_bar_enabled", bool)()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
