"""latentmap frames: what of one model's images another model sees."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.options import class_option, device_option, json_option, seed_option


@click.group()
def frames() -> None:
    """Bring models together that show the same things in different frames.

    \b
    Example:
      latentmap frames estimate --from stylegan.safetensors --to vae.safetensors
    """


@frames.command()
@click.option(
    "--from",
    "maker",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MODEL",
    help="The model with the wider frame: its images are looked at.",
)
@click.option(
    "--to", "other", required=True, metavar="MODEL", help="The model that sees a part of them."
)
@click.option(
    "--samples",
    "n",
    type=click.IntRange(min=64),
    default=256,
    show_default=True,
    metavar="N",
    help="How many images are looked at.",
)
@click.option(
    "--write/--no-write",
    default=True,
    show_default=True,
    help="Whether the box is kept in the file of the first model, for `latentmap fit --samples`.",
)
@class_option
@seed_option
@device_option
@json_option
def estimate(
    maker: Path,
    other: str,
    n: int,
    write: bool,
    label: int | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Find the box of one model's images that shows what another model was trained to see.

    It is the box that the other model rebuilds best, in relation to how hard its content is to
    rebuild. The box is written into the file of the first model.

    \b
    Example:
      latentmap frames estimate --from stylegan.safetensors --to vae.safetensors
    """
    import torch

    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.encoders.native import add_view
    from latentmap.encoders.sampling import adjust
    from latentmap.model import decode_all
    from latentmap.model.framing import estimate_box

    source, target = (load(reference, device=device) for reference in (maker, other))
    source = adjust(source, label=label)
    with progress_bar("generating") as progress:
        images = decode_all(source, source.sample(n, seed=seed), progress=progress)
    pictures = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with progress_bar("trying boxes", "boxes") as progress:
        found = estimate_box(pictures, target, progress=progress)
    if write:
        add_view(maker, target, found.frame_name)
    if as_json:
        print_json(
            {
                "box": list(found.box),
                "mse": found.mse,
                "mse_whole": found.mse_whole,
                "relation": found.relation,
                "relation_whole": found.relation_whole,
                "written": str(maker) if write else None,
            }
        )
        return
    click.echo(f"{target.name} sees the box {found.frame_name} of the images of {source.name}")
    click.echo(f"  its error there {found.mse:.5f}, in the largest box {found.mse_whole:.5f}")
    click.echo(
        f"  in relation to 16 directions {found.relation:.3f}, in the largest box "
        f"{found.relation_whole:.3f}"
    )
    if write:
        click.echo(f"  written into {maker}")
