"""Families and schemes of other packages: their entry points of the group ``latentmap.models``.

An entry point is named as a family or a scheme is, and leads to the class of the family, or to the
function of the scheme, which are what ``FAMILIES`` and ``SCHEMES`` hold of our own.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from latentmap.errors import ModelError
from latentmap.files import reason_of

if TYPE_CHECKING:
    from latentmap.encoders.references import Given
    from latentmap.model import Model

GROUP = "latentmap.models"


@dataclass(frozen=True)
class Plugin:
    """A family or a scheme of another package, which is not imported yet."""

    entry: EntryPoint

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def package(self) -> str:
        """The package that it comes with, and its version."""
        distribution = self.entry.dist
        return "" if distribution is None else f"{distribution.name} {distribution.version}"

    @property
    def is_there(self) -> bool:
        """Whether its module can be found, as far as that can be told without importing it."""
        try:
            return importlib.util.find_spec(self.entry.module.partition(".")[0]) is not None
        except (ImportError, ValueError):
            return False

    def to_json(self) -> dict[str, Any]:
        """What is known without importing it."""
        return {"name": self.name, "package": self.package, "found": self.is_there}

    def load_family(self) -> type[Model]:
        """The class of a family.

        Raises:
            ModelError: the package is broken, or has something else of this name.
        """
        from latentmap.model import Model

        found = self._load()
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise ModelError(f"{self.name} of the package {self.package} is no family of models")
        return found

    def load_scheme(self, given: Given) -> Model:
        """The model that the function of a scheme gives for a reference.

        Raises:
            ModelError: the package is broken, has something else of this name, or has no such
                model.
        """
        from latentmap.model import Model

        function = self._load()
        if isinstance(function, type) or not callable(function):
            raise ModelError(
                f"{self.name} of the package {self.package} is no scheme: models of a family are "
                "files, which are named by their path"
            )
        model = function(given)
        if not isinstance(model, Model):
            raise ModelError(
                f"{self.name} of the package {self.package} gave {type(model).__name__} for "
                f"{given.text}, which is no model: tell its authors"
            )
        return model

    def _load(self) -> Any:
        try:
            return self.entry.load()
        # Whatever a package that is installed raises when it is imported.
        except Exception as error:
            raise ModelError(
                f"{self.name} of the package {self.package} cannot be loaded "
                f"({type(error).__name__}: {reason_of(error)}): update or uninstall the package"
            ) from error


def plugins() -> list[Plugin]:
    """All of them, by name."""
    return sorted(map(Plugin, entry_points(group=GROUP)), key=lambda one: (one.name, one.package))


def find_plugin(name: str) -> Plugin | None:
    """The one of this name.

    Raises:
        ModelError: several packages have one.
    """
    found = [Plugin(entry) for entry in entry_points(group=GROUP, name=name)]
    if len(found) > 1:
        raise ModelError(
            f"{name} comes with {' and '.join(one.package for one in found)}: uninstall all but one"
        )
    return found[0] if found else None
