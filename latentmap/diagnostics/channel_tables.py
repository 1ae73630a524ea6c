"""The tables of channels: of one model, and of several models beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentmap.codes.channels import channels_of
from latentmap.diagnostics.channels import Channel, ChannelDiagnosis
from latentmap.report import Cell, Column, Measure, Row, Shown, Table
from latentmap.report.words import intervals_in_words

_SHOWN = 64  # Channels, and components of a spectrum, in a terminal.
_MEAN = Column("mean", "of all numbers of all codes: the shift factor", decimals=4)
_STD = Column("std", "of all numbers of all codes", decimals=4)
_SCALE = Column("scaling factor", "1 / std", decimals=5)
_EFFECTIVE = Column(
    "effective channels", "of equal variance, without correlation, that are as spread", decimals=1
)
_MSE = Column("mse", "of the reconstruction", "low", 5)


def channel_tables(found: ChannelDiagnosis) -> list[Table]:
    """The tables of one model, of many channels those that vary most."""
    tables = [channels_table(found, most=_SHOWN)]
    if found.covariance is not None and len(found.channels) > 1:
        tables.append(spectrum_table(found, most=_SHOWN))
    return [*tables, whole_table(found)]


def channels_table(found: ChannelDiagnosis, *, most: int | None = None) -> Table:
    """The channels by their numbers, or the ``most`` of them that vary most."""
    numbers = list(range(len(found.channels)))
    left = 0
    if most is not None and len(numbers) > most:
        widest = sorted(numbers, key=lambda k: -found.channels[k].std.value)[:most]
        numbers, left = sorted(widest), len(numbers) - most
    posterior = found.channels[0].noise is not None
    correlated = found.covariance is not None and len(found.channels) > 1
    columns = [
        Column("channel"),
        Column("mean", "of its codes over images and positions", decimals=4),
        Column("std", _of_what(found), decimals=4),
    ]
    if posterior:
        columns += [
            Column("noise", "root of the mean posterior variance", decimals=4),
            Column("KL", "divergence from the prior, a position", decimals=4),
        ]
    if correlated:
        columns += [
            Column("most like", "the channel that it is most correlated with"),
            Column("correlation", "with that channel", decimals=3),
        ]
    rows = [_row(found, number, posterior, correlated) for number in numbers]
    note = f"{left} channels that vary less are in --json and in the report." if left else ""
    return Table("Channels", columns, rows, note)


def _row(found: ChannelDiagnosis, number: int, posterior: bool, correlated: bool) -> Row:
    one: Channel = found.channels[number]
    cells: list[Cell] = [number, Measure.of(one.mean), Measure.of(one.std)]
    if posterior:
        cells += [_measure(one.noise), _measure(one.kl)]
    if correlated and found.covariance is not None:
        other = found.covariance.strongest(number)
        cells += [None, None] if other is None else [other[0], Measure.of(other[1])]
    return Row(cells)


def _measure(estimate: Any) -> Measure | None:
    return None if estimate is None else Measure.of(estimate)


def spectrum_table(found: ChannelDiagnosis, *, most: int | None = None) -> Table:
    """The variances along the principal directions of channels, the leading ``most``."""
    assert found.covariance is not None
    spectrum = found.covariance.spectrum
    total = sum(one.value for one in spectrum)
    columns = [
        Column("component"),
        Column("variance", "along a principal direction of the channels", decimals=4),
        Column("share", "of the variance of all channels", decimals=4),
        Column("together", "share of this and all before", decimals=4),
    ]
    rows, together = [], 0.0
    for number, one in enumerate(spectrum[:most]):
        share = one.value / total if total > 0 else None
        together += share or 0.0
        rows.append(Row([number, Measure.of(one), share, None if share is None else together]))
    return Table("Spectrum of the covariance of channels", columns, rows)


def whole_table(found: ChannelDiagnosis) -> Table:
    """The figures of all channels together."""
    c, positions = channels_of(found.shape)
    covariance = found.covariance
    intervals = _sentence(f"{intervals_in_words(found.n_units)}, over images and not positions")
    cells: dict[str | Column, Cell] = {
        "images": found.n,
        "groups": found.n_units if found.n_units < found.n else None,
        "channels": c,
        "positions": positions if positions > 1 else None,
        _MEAN: Measure.of(found.mean),
        Column("std", _of_what(found), decimals=4): Measure.of(found.std),
        _SCALE: Measure.of(found.scaling_factor),
        Column("KL", "of a whole code from the prior", decimals=2): _measure(found.kl),
        _EFFECTIVE: None if covariance is None else Measure.of(covariance.effective),
        _MSE: _measure(found.mse),
    }
    note = (
        "A diffusion model takes (code - mean) * scaling factor, or (code - mean) / std of each "
        f"channel: config and config_by_channel in --json, as diffusers has them.\n{intervals}"
    )
    if found.latent_scaling is not None:
        note += (
            "\nThe codes are scaled by what the model's own configuration says; config in --json "
            "is of what its network gives, to replace that."
        )
    return Table.of_one("All channels", cells, note)


def _of_what(found: ChannelDiagnosis) -> str:
    return "of codes drawn from the posteriors" if found.sampled else "of the codes"


@dataclass(frozen=True, eq=False)
class ChannelDiagnoses(Shown):
    """Diagnoses of the channels of several models on the same images, each in its own view."""

    results: Sequence[ChannelDiagnosis]

    def __repr__(self) -> str:
        return f"<ChannelDiagnoses of {', '.join(one.model for one in self.results)}>"

    def tables(self) -> list[Table]:
        """One row for each model."""
        columns = [
            Column("model"),
            Column("shape", "of a code"),
            Column("images"),
            _MEAN,
            _STD,
            _SCALE,
            Column("KL", "of a whole code from the prior", decimals=2),
            _EFFECTIVE,
            _MSE,
        ]
        rows = [
            Row(
                [
                    one.model,
                    "x".join(map(str, one.shape)),
                    one.n,
                    Measure.of(one.mean),
                    Measure.of(one.std),
                    Measure.of(one.scaling_factor),
                    None if one.kl is None else one.kl.value,
                    None if one.covariance is None else one.covariance.effective.value,
                    _measure(one.mse),
                ]
            )
            for one in self.results
        ]
        fewest = min(one.n_units for one in self.results)
        return [Table("Models by channels", columns, rows, _sentence(intervals_in_words(fewest)))]

    def to_json(self) -> list[dict[str, Any]]:
        """All figures of each model, ready for ``json.dumps``."""
        return [one.to_json() for one in self.results]


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
