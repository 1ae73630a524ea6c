"""What a GPU is kept waiting for: each command's work against the bare operations, in five minutes.

    python benchmarks/gpu.py [--images 4096] [--quick] [--device cuda]

One line a point: milliseconds of the work and of the bare operations on images and codes that lie
on the device, and their ratio, the best of three rounds; then what is a number of bytes or bits.
The points: codes of three models that see images alike, decoding with its checks, scores of a map,
gains of variables, a search, moments, leave-one-out and maps with both, weights in channels-last
memory, pinned memory that is kept, results with TF32 allowed, and of two runs. ``--device cpu``
tries the script without a GPU, on images and networks that have to be made small (``--quick``).
"""

from __future__ import annotations

import argparse
import copy
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from latentmap.cache.encoding import BATCH_SIZE, encode, encode_batches
from latentmap.codes import Codes, Pairs, pair
from latentmap.encoders import build
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.inversion import SearchSettings
from latentmap.inversion.code_search import search_codes
from latentmap.mapping import fit
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.near_minimum import smallest_left_out
from latentmap.model import Model, decode_all
from latentmap.relocation.measuring import measure
from latentmap.support.meter import Meter

DECODED = 64  # Images at a time, as scores and gains take them.
VARIABLES = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--quick", action="store_true", help="256 images, small networks")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here that torch can use: nothing was measured")
    bench = Bench(arguments.device, 256 if arguments.quick else arguments.images, arguments.quick)
    print(f"{bench.place}, torch {torch.__version__}, {len(bench.images)} images of 64 pixels")
    print(f"{'point':44} {'ms':>9} {'bare ms':>9} {'ratio':>6}")
    for point in (encoding, decoding, scoring, ordering, searching, gathering, laying_out):
        point(bench)
    for told in (*memory(bench), *rounding(bench), repeating(bench)):
        print(told, flush=True)


class Bench:
    """Models on the device, images, and their pairs of codes."""

    def __init__(self, device: str, n: int, small: bool) -> None:
        self.device = torch.device(device)
        self.place = torch.cuda.get_device_name() if self.device.type == "cuda" else device
        widths = [16, 32] if small else [128, 256, 512]
        self.models = [vae(widths, seed=seed).to(self.device) for seed in range(3)]
        self.source, self.target = self.models[:2]
        pixels = np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
        self.images = ImageSource(ArrayImages(pixels, "noise"), np.arange(n))
        self.seen = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        self.pairs: Pairs = pair(*(encode(model, self.images) for model in self.models[:2]))

    def __call__(self, work: Callable[[], object]) -> float:
        """Milliseconds of some work until the device has done it, the best of three rounds."""
        work()
        return 1e3 * min(self._once(work) for _ in range(3))

    def _once(self, work: Callable[[], object]) -> float:
        # Without a GPU another program would be measured, too.
        now = time.perf_counter if self.device.type == "cuda" else time.process_time
        self.wait()
        started = now()
        work()
        self.wait()
        return now() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def compare(self, point: str, work: Callable[[], object], bare: Callable[[], object]) -> None:
        took, least = self(work), self(bare)
        print(f"{point:44} {took:9.1f} {least:9.1f} {took / least:6.2f}", flush=True)

    def codes(self, model: Model) -> Tensor:
        """The codes of all images in a model, on the device."""
        part = self.pairs.source if model is self.source else self.pairs.target
        return part.vectors.to(self.device)

    def decoded(self, model: Model, codes: Tensor) -> Iterator[Tensor]:
        """Images of codes, bare, a batch after the other."""
        for part in codes.split(DECODED):
            with torch.no_grad():
                yield model.decode_with_gradient(part)


def vae(widths: list[int], *, seed: int) -> Model:
    torch.manual_seed(seed)
    config = {"image_shape": [3, 64, 64], "latent_dim": 64, "architecture": "conv"}
    return build("vae", {**config, "widths": widths}, name=f"vae-{seed}")


def drain(given: Iterator[object]) -> None:
    for _ in given:
        pass


def encoding(bench: Bench) -> None:
    resident = bench.seen.to(bench.device).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        for part in resident.split(BATCH_SIZE):
            for model in bench.models:
                model.encode_pixels(part)

    bench.compare(
        "encode, three models of one view",
        lambda: drain(encode_batches(bench.models, bench.images)),
        bare,
    )


def decoding(bench: Bench) -> None:
    codes = bench.codes(bench.target)
    bench.compare(
        "decode, checks and images on the processor",
        lambda: decode_all(bench.target, codes, batch_size=DECODED),
        lambda: drain(bench.decoded(bench.target, codes)),
    )
    bench.compare(
        "the same, asked for at once",
        lambda: [bench.target.decode(part).cpu() for part in codes.split(DECODED)],
        lambda: drain(bench.decoded(bench.target, codes)),
    )


def scoring(bench: Bench) -> None:
    linear_map = fit(bench.pairs, settings={"penalty": 1.0})
    passes = [
        (bench.source, bench.codes(bench.source)),
        *2 * [(bench.target, bench.codes(bench.target))],
    ]
    bench.compare(
        "evaluate, one map",
        lambda: measure([linear_map], bench.pairs, bench.source, bench.target, bench.images),
        lambda: drain(itertools.chain(*(bench.decoded(*given) for given in passes))),
    )


def ordering(bench: Bench) -> None:
    rows = np.arange(min(512, len(bench.images)))
    codes, every = bench.pairs.target, bench.codes(bench.target)[: len(rows)]
    meter = Meter(
        bench.target,
        bench.images,
        np.arange(len(bench.images)),
        codes=codes,
        center=np.zeros(codes.space.dim),
    )
    bench.compare(
        f"order, {VARIABLES} variables of {len(rows)} images",
        lambda: meter(rows, np.arange(VARIABLES), np.ones((len(rows), VARIABLES), dtype=bool)),
        lambda: drain(bench.decoded(bench.target, every.repeat(VARIABLES + 1, 1))),
    )


def searching(bench: Bench) -> None:
    n, steps = min(256, len(bench.images)), 20
    images = bench.seen[:n].float().div(255)
    start = bench.pairs.target.vectors[:n]
    settings = SearchSettings(steps=steps, starts=1)

    def bare() -> None:
        for shown, codes in zip(
            images.to(bench.device).split(DECODED),
            start.to(bench.device).split(DECODED),
            strict=True,
        ):
            for _ in range(steps):
                leaf = codes.detach().requires_grad_()
                loss = (bench.target.decode_with_gradient(leaf) - shown).square().mean((1, 2, 3))
                torch.autograd.grad(loss.sum(), leaf)

    bench.compare(
        f"search, {steps} steps of {n} images",
        lambda: search_codes(bench.target, images, start=start, search=settings),
        bare,
    )


def gathering(bench: Bench) -> None:
    """Moments, leave-one-out and both in a fit, against the products of the moments in float64 on
    the device, which has the codes.
    """
    n, p = (20_000, 128) if len(bench.images) <= 256 else (200_000, 512)
    pairs = random_pairs(bench, n, p)
    joined = torch.cat([pairs.source.vectors, pairs.target.vectors], 1).to(bench.device)

    def bare() -> None:
        for rows in joined.split(65_536):
            block = rows.double()
            block[:, :p].T @ block

    gather = partial(moments_of_pairs, pairs, targets="squares")
    bench.compare(
        f"moments, {n} pairs of {p} variables", partial(gather, device=bench.device), bare
    )
    moments, there = gather(), gather(device=bench.device)
    left_out = partial(smallest_left_out, pairs, moments, device=bench.device)
    bench.compare("leave-one-out of the same", left_out, bare)
    bench.compare("fit of the same", lambda: fit(pairs, device=bench.device), bare)
    bench.compare("moments of the same on the processor", gather, bare)
    apart = float((there.xy - moments.xy).abs().max() / moments.xy.abs().max())
    print(f"moments of the device from those of the processor: {apart:.1e}", flush=True)


def random_pairs(bench: Bench, n: int, p: int) -> Pairs:
    x = torch.randn(n, p, generator=torch.Generator().manual_seed(0))
    y = x.flip(1) + torch.randn(n, p, generator=torch.Generator().manual_seed(1))
    ids = np.char.mod("%08d", np.arange(n))
    digests = np.random.default_rng(0).integers(0, 256, (n, 16), dtype=np.uint8)
    spaces = [type(one.space)("z", p, one.name, one.fingerprint) for one in bench.models[:2]]
    return pair(
        *(
            Codes.from_array(ids, part, space=space, digests=digests)
            for part, space in zip((x, y), spaces, strict=True)
        )
    )


def laying_out(bench: Bench) -> None:
    """Decoding with weights as they lie now, and as they lie without ``Model.to``."""
    codes = bench.codes(bench.target)
    other = copy.deepcopy(bench.target)
    for weight in other.network.parameters():
        weight.data = weight.data.contiguous()
    bench.compare(
        "decode, weights channels-last / as they were",
        lambda: drain(bench.decoded(bench.target, codes)),
        lambda: drain(bench.decoded(other, codes)),
    )


def memory(bench: Bench) -> Iterator[str]:
    """Pinned bytes that are in use while the codes of all images are held."""
    if not hasattr(torch.cuda, "host_memory_stats") or bench.device.type != "cuda":
        return
    codes = encode(bench.source, bench.images)
    used = torch.cuda.host_memory_stats().get("allocated_bytes.current", 0)
    yield f"pinned while {codes.vectors.nbytes} bytes of codes are held: {used} bytes (0 is right)"


def rounding(bench: Bench) -> Iterator[str]:
    """How far results on the device are from those of the processor, with TF32 allowed."""
    was = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        few = bench.seen[:64]
        there = bench.target.encode_pixels(few.to(bench.device)).cpu()
        made = bench.target.decode(there).cpu()
        kept = torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(was)
    bench.target.to("cpu")
    here = bench.target.encode_pixels(few)
    again = bench.target.decode(there)
    bench.target.to(bench.device)
    apart = [float((a - b).abs().max() / b.abs().max()) for a, b in ((there, here), (made, again))]
    yield f"codes, images from those of the processor, TF32 allowed: {apart[0]:.1e}, {apart[1]:.1e}"
    yield f"what the program allowed is allowed again: {kept}"


def repeating(bench: Bench) -> str:
    """Whether results are the same bits twice, when cuDNN may try algorithms."""
    was = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        images, start = bench.seen[:64].float().div(255), bench.pairs.target.vectors[:64]
        settings = SearchSettings(steps=10, starts=1)
        runs = [
            (
                decode_all(bench.target, bench.codes(bench.target)[:64], batch_size=DECODED),
                search_codes(bench.target, images, start=start, search=settings).codes,
            )
            for _ in range(2)
        ]
    finally:
        torch.backends.cudnn.benchmark = was
    same = [torch.equal(a, b) for a, b in itertools.zip_longest(*runs)]
    return f"images, codes of a search are the same bits twice: {same[0]}, {same[1]}"


if __name__ == "__main__":
    main()
