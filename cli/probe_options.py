"""The options of ``--probe``: what a map keeps of what is known of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import option, together
from latentmap.cli.label_options import labels_option
from latentmap.cli.lists import AnyNames
from latentmap.cli.output import print_json, say, show_result

if TYPE_CHECKING:
    from latentmap.images import ImageSource
    from latentmap.images.attribute_values import Attribute
    from latentmap.images.tables import Table
    from latentmap.relocation import Probes, Scores
    from latentmap.relocation.groups import ScoresByGroup

# A test compares it with the library's own, which cannot be imported here without torch.
LABELS = "labels"
_ALL = "all"


@dataclass(frozen=True, eq=False)
class WantedProbes:
    """Probes that are asked for: of the columns ``names`` of a ``table``, and of ``labels``, of a
    table and its column, or else as they are known without one: ``must`` tells that they have to.
    """

    table: Table | None
    names: tuple[str, ...]
    labels: bool
    must: bool
    label_column: tuple[Table, str] | None

    def attributes(self, *sources: ImageSource) -> list[Attribute]:
        """What is to be probed, of the images of all ``sources``.

        Raises:
            ImageError: it is not known of any of them.
        """
        import numpy as np

        from latentmap.images.attribute_values import attributes_in, labels_in

        ids = np.unique(np.concatenate([one.ids for one in sources]))
        found = [] if self.table is None else attributes_in(self.table, ids, self.names)
        if self.label_column is not None:
            return [*found, labels_in(*self.label_column, ids)]
        return [*found, *self._known_labels(sources)] if self.labels else found

    def _known_labels(self, sources: Sequence[ImageSource]) -> list[Attribute]:
        import numpy as np

        from latentmap.errors import ImageError
        from latentmap.images.attribute_values import Attribute

        words = [one.labels for one in sources]
        known = [one for one in words if one is not None]
        if len(known) == len(words):
            ids, first = np.unique(np.concatenate([one.ids for one in sources]), return_index=True)
            return [Attribute.of_classes(LABELS, ids, np.concatenate(known)[first])]
        if self.must:
            raise ImageError(
                f"the labels of {sources[0].path} are not known: give them with --labels FILE, or "
                "a table with --attributes FILE"
            )
        return []


@dataclass(frozen=True)
class ProbeOptions:
    """What is to be probed, as given on the command line."""

    probe: tuple[str, ...] | None
    labels: str | None

    def choosing(self, data: DataOptions) -> DataOptions:
        """The data options without a table of attributes that is there for probes alone."""
        if self.probe is None or data.where is not None:
            return data
        return replace(data, attributes=None)

    def prepare(
        self, data: DataOptions, *, made: bool, groups: bool = False
    ) -> WantedProbes | None:
        """What is to be probed, before any work is done; None where nothing is. ``made`` tells that
        a model makes the images. The table of attributes may be there for ``groups``.

        Raises:
            click.UsageError: options do not belong together.
            ImageError: a table cannot be read, or has no such column.
        """
        from latentmap.images.attribute_values import require_columns
        from latentmap.images.labels import label_table
        from latentmap.images.tables import read_table

        if self.probe is None:
            if self.labels is not None:
                raise click.UsageError(
                    "--labels is for --probe: leave it out, or ask for --probe labels"
                )
            return None
        if made:
            raise click.UsageError(
                "--probe asks for what is known of images, and nothing is of those that a model "
                "makes: give images (--data), or leave it out"
            )
        every, labels = _ALL in self.probe, LABELS in self.probe
        names = tuple(name for name in self.probe if name not in (_ALL, LABELS))
        if names and data.attributes is None:
            raise click.UsageError(
                f"--probe {names[0]} is a column of a table: give that with --attributes"
            )
        alone = data.attributes is not None and data.where is None and not groups
        if alone and not (names or every):
            raise click.UsageError(
                "--attributes is for --where, or to be named with --probe: leave it out"
            )
        if self.labels is not None and not (labels or every):
            raise click.UsageError("--labels is for --probe labels: name it, or leave it out")
        table = None
        if data.attributes is not None and (names or every):
            table = read_table(data.attributes)
            require_columns(table, names)
            names = tuple(table.columns) if every else names
        column = None if self.labels is None else label_table(self.labels)
        must = labels or table is None
        return WantedProbes(table, names, labels or every, must, column)


probe_options = together(
    "probing",
    ProbeOptions,
    option(
        "--probe",
        type=AnyNames("attributes", "Male,Smiling"),
        metavar="NAME,NAME",
        help="What the map keeps of these columns of --attributes, of the word labels, or of all: "
        "probes that are fitted on the target's own codes of the split train, judged on mapped "
        "ones.",
    ),
    labels_option,
)


def show_scores(
    scores: Scores,
    probes: Probes | None,
    groups: ScoresByGroup | None = None,
    *,
    title: str,
    as_json: bool,
) -> None:
    """The scores of a map, the same by groups of images, and what its probes tell, where they were
    asked for.
    """
    if as_json:
        more = {"by": groups and groups.to_json(), "probes": probes and probes.to_json()}
        print_json({**scores.to_json(), **more})
        return
    show_result(scores, title=title)
    for one in (groups, probes):
        if one is not None:
            say("")
            show_result(one)
