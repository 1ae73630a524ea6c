"""Workers: the options of who shares the work, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from latentmap.cli.declaring import WORKERS, number_option, option, together
from latentmap.cli.kinds import ClusterAddress

if TYPE_CHECKING:
    from latentmap.engines import Done, Setup

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Workers:
    """Who shares the work, as given on the command line."""

    workers: int | None = None
    engine: Literal["processes", "ray"] | None = None
    address: str | None = None
    cpus_per_worker: int | None = None

    @property
    def asked(self) -> bool:
        """Whether any are."""
        return self.workers is not None

    def check(self) -> None:
        """Refuses what does not go together.

        Raises:
            click.UsageError: that is so.
        """
        of_ray = [
            name
            for name, value in (
                ("--address", self.address),
                ("--cpus-per-worker", self.cpus_per_worker),
            )
            if value is not None
        ]
        if of_ray and self.engine != "ray":
            raise click.UsageError(f"{' and '.join(of_ray)} is for --engine ray: leave it out")
        if self.engine is not None and self.workers is None:
            raise click.UsageError("--engine is for --workers N: say how many")

    def check_device(self, device: str) -> None:
        """Refuses a GPU of this machine for workers that may be on others.

        Raises:
            click.UsageError: that is so.
        """
        if self.engine == "ray" and device.startswith("cuda:"):
            raise click.UsageError(
                f"--device {device} does not go with --engine ray, which chooses a GPU for each "
                "worker: give --device cuda"
            )

    def require(self) -> None:
        """Refuses an engine that is not installed.

        Raises:
            EngineError: that is so.
        """
        if self.engine == "ray":
            from latentmap.engines import require_ray

            require_ray()

    @property
    def threads(self) -> int:
        """How many threads each worker has, where they are not said."""
        if self.engine == "ray":
            return self.cpus_per_worker or 1
        from latentmap.images.prefetch import own_cores

        return max(own_cores() // (self.workers or 1), 1)

    def run(self, setup: Setup, numbers: Sequence[int], *, gpus: bool = False) -> Done:
        """Has what has some ``numbers`` done, and gives each when it is; on a GPU each, where
        workers of Ray need ``gpus``.

        Raises:
            EngineError: workers end again and again, or do not start.
            Exception: what a worker raised.
        """
        from latentmap.cli.output import warn
        from latentmap.engines import by_processes, by_ray

        workers = self.workers or 1
        if self.engine != "ray":
            return by_processes(setup, numbers, workers=workers)
        return by_ray(
            setup,
            numbers,
            workers=workers,
            address=self.address,
            cpus_per_worker=self.cpus_per_worker or 1,
            gpus_per_worker=int(gpus),
            notify=warn,
        )


def worker_choices(what: str) -> tuple[Callable[[Command], Command], ...]:
    """The options, of which the first says ``what`` workers do."""
    return (
        number_option("--workers", title=WORKERS, most=4096, help=what),
        option(
            "--engine",
            title=WORKERS,
            type=click.Choice(("processes", "ray")),
            help="What runs the workers: processes of this machine, or actors of Ray.  [default: "
            "processes]",
        ),
        option(
            "--address",
            title=WORKERS,
            type=ClusterAddress(),
            metavar="HOST:PORT|auto",
            help="Of a Ray cluster that runs and has this machine in it; auto is the one that runs "
            "here.  [default: one of its own on this machine, for this call]",
        ),
        number_option(
            "--cpus-per-worker",
            title=WORKERS,
            most=1024,
            help="Processors that Ray keeps for each worker, and its threads.  [default: 1]",
        ),
    )


def worker_options(what: str) -> Callable[[Command], Command]:
    """Adds the options; the command gets them as ``workers: Workers``."""
    return together("workers", Workers, *worker_choices(what))
