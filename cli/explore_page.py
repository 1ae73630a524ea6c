"""Where the page of the explorer is, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from latentmap.cli.declaring import RUNNING, number_option, option, together
from latentmap.cli.kinds import Text
from latentmap.cli.output import print_json, say, warn

if TYPE_CHECKING:
    from latentmap.explorer import Explored
    from latentmap.explorer.trainings import OnlyTrainings

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Page:
    """The address of the page, and whether a browser is opened, as given on the command line."""

    host: str
    port: int
    browser: bool

    def serve(self, explored: Explored | OnlyTrainings, state: str, *, as_json: bool) -> None:
        """Shows the page in a ``state`` until Ctrl-C.

        Raises:
            ExplorerError: the address cannot be had.
        """
        from latentmap.explorer import Serving, Session

        with Serving(Session(explored), host=self.host, port=self.port, notify=warn) as serving:
            address = f"{serving.address}#{state}" if state else serving.address
            if as_json:
                print_json({"address": address, "port": serving.port})
            else:
                say(address)
            if self.browser:
                _open(address)
            try:
                serving.wait()
            except KeyboardInterrupt:
                say("", err=True)  # After the ^C of the terminal.


def page_options(command: Command) -> Command:
    """Adds --host, --port and --browser; the command gets them as ``page: Page``."""
    return together(
        "page",
        Page,
        option(
            "--host",
            title=RUNNING,
            type=Text(),
            default="127.0.0.1",
            show_default=True,
            help="The address of this machine where the page is. On any other than this one, "
            "whoever has the link can open it.",
        ),
        number_option(
            "--port",
            least=0,
            most=65535,
            default=0,
            title=RUNNING,
            help="The port; 0 is a free one.",
        ),
        option(
            "--browser/--no-browser",
            title=RUNNING,
            default=True,
            help="Whether a browser is opened.  [default: where there is a screen]",
        ),
    )(command)


def _open(address: str) -> None:
    """Opens a browser, where there is a screen for it: else one of text would take the terminal."""
    import os
    import sys
    import webbrowser

    if sys.platform == "linux" and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}):
        return
    webbrowser.open(address)
