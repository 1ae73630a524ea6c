"""latentmap encode: the codes of images, into a cache."""

from __future__ import annotations

from dataclasses import replace

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import RUNNING, Command, number_option
from latentmap.cli.kinds import Reference
from latentmap.cli.options import CoderOptions, Loading, coder_options, json_option, loading_options
from latentmap.cli.output import say
from latentmap.cli.sharding import Sharding, sharding_options


@click.command(cls=Command)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=Reference())
@data_options
@coder_options
@loading_options
@number_option(
    "--threads",
    most=1024,
    title=RUNNING,
    help="Threads that decode images.  [default: by the processors]",
)
@sharding_options
@json_option
def encode(
    models: tuple[str, ...],
    data: DataOptions,
    coding: CoderOptions,
    loading: Loading,
    threads: int | None,
    sharding: Sharding,
    as_json: bool,
) -> None:
    """Encode images with one or more models; each image is decoded once for all of them.

    Only images whose code is nowhere in the cache, by their contents, are decoded and encoded: one
    that was added, the rest after a --limit. A run that was stopped goes on.

    With --workers several processes, or GPUs, share the work, on several machines with --engine
    ray; with --plan and --shard the tasks of a Slurm array, or of torchrun, do. Each encodes all
    images of its shards, whatever the cache holds of them.

    \b
    Examples:
      latentmap encode vae.safetensors svae.safetensors --data faces.zip --cache codes
      latentmap encode vae.safetensors --data faces.zip --cache codes --workers 2
      latentmap encode vae.safetensors --data faces.zip --cache codes --workers 8 --engine ray
      latentmap encode vae.safetensors --data faces.zip --cache codes --plan
      latentmap encode vae.safetensors --data faces.zip --cache codes --shard auto
    """
    from latentmap.cli.output import print_json, warn_skipped

    sharding.check()
    sharding.check_device(loading.device)
    if sharding.asked:
        from latentmap.cli.encode_shards import ShardedEncoding

        work = ShardedEncoding(models, data, coding, loading, sharding, threads)
        work.run(as_json=as_json)
        return
    loaded = data.complete(loading.all(models))
    for model in loaded:
        if model.stored is not None:  # Else it would give the codes that it has.
            model.require_encoder()
    images = data.open()
    coder = replace(coding.open(data), threads=threads)
    results = coder.encoded(loaded, images)
    if as_json:
        print_json(
            {
                "cache": str(coding.cache),
                "data": images.fingerprint,
                "choice": images.choice.to_json(),
                "codes": [
                    {
                        "model": reference,
                        "fingerprint": one.codes.space.fingerprint,
                        "space": one.codes.space.kind,
                        "n": len(one.codes),
                        "computed": one.computed,
                        "dim": one.codes.space.dim,
                        "skipped": list(one.codes.skipped),
                    }
                    for reference, one in zip(models, results, strict=True)
                ],
            }
        )
        return
    for one in results:
        say(
            f"{coding.cache}: {len(one.codes)} codes in {one.codes.space}, of which {one.there} "
            f"were there and {one.computed} were computed"
        )
    warn_skipped(list(dict.fromkeys(name for one in results for name in one.codes.skipped)))
