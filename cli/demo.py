"""latentmap demo: the main commands on the bundled models, one after the other."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

_MARK = ".latentmap-demo"
# What each step shows, and its command; {out} is the demo's folder, {n} the number of images.
STEPS = (
    (
        "How do four models of faces relate?",
        "compare vae svae gan stylegan --samples {n} --sample-from stylegan --out {out}/report "
        "--force",
    ),
    (
        "The linear map from a Split-VAE to StyleGAN's W, fitted on images that StyleGAN makes",
        "fit --src svae --dst stylegan --samples {n} --out {out}/svae-to-stylegan.safetensors "
        "--figure {out}/svae-to-stylegan.png --report {out}/report --force",
    ),
    (
        "And back",
        "fit --src stylegan --dst svae --samples {n} --out {out}/stylegan-to-svae.safetensors "
        "--figure {out}/stylegan-to-svae.png --report {out}/report --force",
    ),
    (
        "Faces of a GAN, with the codes that they are made of",
        "sample gan -n {n} --images-out {out}/faces.h5 --force",
    ),
    (
        "A support set: few of them, far apart in the space of the Split-VAE",
        "support build svae --data {out}/faces.h5 -k 4 --members 16 --with-images "
        "--out {out}/support.h5 --force",
    ),
    (
        "What it looks like",
        "support show {out}/support.h5 --grid {out}/support.png --report {out}/report --force",
    ),
    (
        "Can StyleGAN make these? Its own images are the measure",
        "bench stylegan --target own:16 --target {out}/support.h5 --steps 80 --starts 1 "
        "--out {out}/bench --report {out}/report --force",
    ),
)
_CACHED = {"compare", "fit", "support build", "bench"}


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("latentmap-demo"),
    show_default=True,
    help="The demo's own folder.",
)
@click.option(
    "--samples",
    "n",
    type=click.IntRange(min=200),
    default=1000,
    show_default=True,
    metavar="N",
    help="How many images the models make for each step.",
)
@click.pass_context
def demo(context: click.Context, out: Path, n: int) -> None:
    """Show the main commands on the models that ship with latentmap.

    Takes less than two minutes on two cores and needs no data: the images are those that models
    make. Each command is shown before it runs, to be tried with other models and images.

    \b
    Example:
      latentmap demo --out latentmap-demo
    """
    group = context.find_root().command
    _claim(out)
    for title, template in STEPS:
        words = shlex.split(template.format(out=shlex.quote(str(out)), n=n))
        if _name(words) in _CACHED:
            words += ["--cache", str(out / "cache")]
        click.secho(f"\n{title}", bold=True)
        click.echo(f"$ latentmap {shlex.join(words)}\n")
        with group.make_context("latentmap", words) as inner:
            group.invoke(inner)
    click.secho("\nLook at", bold=True)
    click.echo(f"  {out / 'report' / 'index.html'}   everything above on one page")
    click.echo(f"  {out / 'svae-to-stylegan.png'}   original, Split-VAE, StyleGAN")
    click.echo(f"  {out / 'support.png'}   the support set by sector")
    click.echo(f"  {out / 'bench'}   images over their reproductions, worst first")
    click.secho("Try next", bold=True)
    click.echo("  latentmap models")
    click.echo("  latentmap train vae --data YOUR_IMAGES --split train --out mine.safetensors")
    click.echo("  latentmap import YOUR_CHECKPOINT --out theirs.safetensors")
    click.echo("  latentmap compare mine.safetensors theirs.safetensors --data YOUR_IMAGES")


def _name(words: list[str]) -> str:
    """The command that words call."""
    return " ".join(words[: 2 if words[0] == "support" else 1])


def _claim(out: Path) -> None:
    """Makes the folder, or knows it again; nothing of anybody else's is ever written over."""
    from latentmap.errors import OutputError
    from latentmap.files import write_atomic

    try:
        out.mkdir(parents=True, exist_ok=True)
        claimed = (out / _MARK).exists() or not any(out.iterdir())
    except OSError as error:
        raise OutputError(
            f"{out} cannot be the demo's folder ({error.strerror}): choose another --out"
        ) from None
    if not claimed:
        raise OutputError(f"{out} holds something else than a demo: choose another --out")
    write_atomic(out / _MARK, b"")
