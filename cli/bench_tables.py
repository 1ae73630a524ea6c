"""What latentmap bench prints: a table of errors, and what else is known of each generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentmap.cli.output import table

if TYPE_CHECKING:
    from latentmap.expressiveness import Expressiveness
    from latentmap.expressiveness.result import TargetScores
    from latentmap.intervals import Estimate

_SECTORS = 5  # Sectors that are shown beside the blind ones; --json and the picture have all.
_NAMED = 5  # Images.


def errors_table(results: Sequence[Expressiveness]) -> str:
    """The errors of all generators on all target sets, by every method."""
    rows = []
    for result in results:
        for target in (result.own, *result.targets):
            for name, one in target.reproductions.items():
                doubted = result.reliable is False and name in ("search", "hybrid")
                rows.append(
                    (
                        result.name,
                        target.name,
                        name,
                        len(target.ids),
                        f"{one.mean_mse.value:.5f}",
                        _interval(one.mean_mse, 5),
                        f"{4 * one.mean_mse.value:.4f}",
                        f"{one.mean_ssim.value:.3f}",
                        "" if one.ratio is None else f"{one.ratio.value:.2f}",
                        "" if one.ratio is None else _interval(one.ratio, 2),
                        "unreliable" if doubted and target is not result.own else "",
                    )
                )
    header = ("model", "target", "method", "n", "mse", "95 % interval", "in [-1, 1]", "SSIM")
    return table((*header, "x own", "95 % interval", ""), rows)


def verdict(result: Expressiveness) -> list[str]:
    """What is known of a generator beside the errors, a line each."""
    if result.calibration is None:
        lines = [f"{result.name}: not calibrated, for lack of a search (--method search)"]
    else:
        lines = [
            f"{result.name}: the search misses {result.calibration:.1%} of the variance of own "
            + (
                "images: reliable"
                if result.reliable
                else "images: UNRELIABLE on others, take more --steps or --starts"
            )
        ]
    for target in result.targets:
        lines += _of_target(target, doubted=result.reliable is False)
    return lines


def _of_target(target: TargetScores, *, doubted: bool) -> list[str]:
    from latentmap.expressiveness.coverage import FIGURES

    lines = []
    parts = {
        "generator limit": target.limit,
        "encoder gap": target.encoder_gap,
        "map gap": target.map_gap,
    }
    shown = [
        f"{name} {part.value:.5f} {_interval(part, 5)}" for name, part in parts.items() if part
    ]
    if shown:
        lines.append(f"  {target.name}: {', '.join(shown)}")
    if target.coverage is not None:
        values = (f"{name} {getattr(target.coverage, name).value:.3f}" for name in FIGURES)
        lines.append(f"  {target.name}: {', '.join(values)}")
    if target.sectors:
        blind = [one for one in target.sectors if one.blind]
        said = f"{len(blind)} of {len(target.sectors)} sectors are blind"
        # Without a search it is not known whether the generator is, or its network.
        doubt = " for the network" if target.limit is None else " (unreliable)" if doubted else ""
        lines.append(f"  {target.name}: {said}{doubt}")
        lines += _sectors_table(target).splitlines()
    worst, best = (
        [str(target.ids[i]) for i in part]
        for part in (target.worst_first[:_NAMED], target.worst_first[::-1][:_NAMED])
    )
    lines.append(f"  {target.name}: worst {', '.join(worst)}; best {', '.join(best)}")
    return lines


def _sectors_table(target: TargetScores) -> str:
    rows = []
    shown = [one for i, one in enumerate(target.sectors) if one.blind or i < _SECTORS]
    for one in shown:
        signs = "".join(
            "+" if one.number >> bit & 1 else "-" for bit in range(len(target.variables))
        )
        rows.append(
            (
                "   ",
                f"{one.number} {signs}".rstrip(),
                len(one.positions),
                f"{one.mse.value:.5f}",
                f"{one.excess:.2f}",
                f"{one.share:.3f}",
                "" if one.own_share is None else f"{one.own_share:.3f}",
                f"{one.p_value:.4f}",
                "blind" if one.blind else "",
            )
        )
    header = ("   ", "sector", "n", "mse", "x rest", "share", "of own", "p", "")
    return table(header, rows)


def _interval(estimate: Estimate, digits: int) -> str:
    return f"[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
