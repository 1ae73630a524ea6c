"""latentmap demo: the whole path on built-in images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from latentmap.progress import Progress


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("latentmap-demo"),
    show_default=True,
    help="The demo's own folder; what is finished there is not done again.",
)
def demo(out: Path) -> None:
    """Train two small models on handwritten digits, map between them, and score the maps.

    Takes about a minute on two cores and needs no download: the images are scikit-learn's.

    \b
    Example:
      latentmap demo --out latentmap-demo
    """
    import torch

    from latentmap.encoders.demo import run_demo

    # Networks this small gain nothing from a second thread (57 s with one, 81 s with two), and on a
    # busy machine threads that wait for each other made it seven minutes.
    torch.set_num_threads(1)
    result = run_demo(out, stage=_stage)
    vae, mapping = out / "vae.safetensors", out / "vae-to-split-vae.safetensors"
    click.echo(f"\n{result.table}\n")
    click.echo("Figures (original, source reconstruction, relocated image):")
    for picture in result.pictures:
        click.echo(f"  {picture}")
    click.echo(f"Tables: {out / 'results.md'}, {out / 'results.json'}")
    click.echo("\nTry next:")
    click.echo(f"  latentmap models show {vae}")
    click.echo(f"  latentmap diagnose {vae} --data digits --split test")
    click.echo(f"  latentmap apply {mapping} --data digits --split val --out grid.png")
    click.echo("  latentmap train vae --data YOUR_IMAGES --split train --out vae.safetensors")


@contextmanager
def _stage(label: str) -> Iterator[Progress]:
    from latentmap.cli.progress import progress_bar

    click.echo(f"{label} ...", err=True)
    with progress_bar("  ") as progress:
        yield progress
