"""Sphinx makes these pages (`make docs`), and runs the notebooks. No build and no reader fetches
anything.
"""

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
from sphinx.application import Sphinx

import latentmap

project = "latentmap"
author = "The latentmap developers"
project_copyright = author
release = version = latentmap.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# The pages show what the notebooks print here and now; an error in one ends the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 900
os.environ.setdefault(
    "LATENTMAP_CACHE", str(Path(__file__).resolve().parents[1] / "build" / "notebooks")
)
# Help texts and docstrings write commands in single backticks, and options with two hyphens.
default_role = "literal"
smartquotes = False

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {
    # What scikit-learn adds to every estimator.
    "exclude-members": "set_fit_request, set_partial_fit_request, set_score_request"
}
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"latentmap {release}"
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    app.connect("sphinx-click-process-description", _description)
    app.connect("sphinx-click-process-options", _options)


def _description(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    lines[:] = _help_as_rst(context.command.help or "")


def _options(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """The options as click's own help shows them, with choices, defaults and variables."""
    lines.clear()
    for parameter in context.command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            names, text = record
            lines += [f".. option:: {names.replace(' / ', ', ')}", "", f"   {_escaped(text)}", ""]


def _help_as_rst(text: str) -> Iterator[str]:
    """Paragraphs; what follows a ``\\b``, up to an empty line, is a line of text and then code."""
    verbatim = False
    for line in inspect.cleandoc(text).splitlines():
        if line == "\b":
            verbatim = True
        elif not line:
            verbatim = False
            yield ""
        elif not verbatim:
            yield _escaped(line)
        elif line.startswith(" "):
            yield f"   {line}"
        else:
            yield from (_escaped(line), "", ".. code-block:: text", "")
    yield ""


def _escaped(text: str) -> str:
    """Plain text as reStructuredText; what stands in backticks is code in both."""
    parts = text.split("`")
    parts[::2] = (re.sub(r"([*_|\\])", r"\\\1", part) for part in parts[::2])
    return "`".join(parts)
