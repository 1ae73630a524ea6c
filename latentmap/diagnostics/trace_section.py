"""A trace as a section of a report."""

from __future__ import annotations

import numpy as np

from latentmap.diagnostics.activity import are_active
from latentmap.diagnostics.deteriorated import deteriorated_in
from latentmap.diagnostics.staircase import Staircase, staircase_in
from latentmap.diagnostics.trace_figures import Motion
from latentmap.diagnostics.traces import Trace
from latentmap.report import Section, section_id
from latentmap.report.parts import Block, Film, Lines


def trace_section(trace: Trace, motion: Motion | None, *, name: str) -> Section:
    """The course of a training: variances and gains of the variables, and the codes in motion."""
    record = {**trace.record, "trace": name}
    found, gates = deteriorated_in(trace), staircase_in(trace)
    blocks: list[Block] = [
        *trace.tables(),
        _lines(trace, "Variance of the means", trace.steps.number, trace.steps.mean_variance),
        _lines(
            trace, "Mean posterior variance", trace.steps.number, trace.steps.posterior_variance
        ),
        _lines(trace, "Information gain (mse)", trace.epochs.number, trace.epochs.gain),
        _lines(trace, "KL divergence", trace.epochs.number, trace.epochs.kl),
    ]
    if found is not None:
        blocks = [found.table(), *found.lines(), *blocks]
    if gates is not None:
        blocks += _staircase(trace, gates)
    if motion is not None:
        blocks.append(_film(motion))
    text = (
        f"{trace.latent_dim} variables over {trace.epochs.number[-1]:,} steps and "
        f"{len(trace.epochs.number) - 1} epochs. Variances are those of each batch; gain and KL "
        f"are measured after each epoch on the same {trace.record.get('gain_images', 'few')} and "
        f"{trace.record.get('sample', 'some')} images."
    )
    identity = {
        "fingerprint": trace.record.get("model_fingerprint"),
        "steps": int(trace.epochs.number[-1]),
    }
    texts = [text] if found is None else [found.in_words(), text]
    return Section(section_id(f"trace {name}", identity), f"Training {name}", texts, blocks, record)


def _lines(trace: Trace, title: str, at: np.ndarray, values: np.ndarray) -> Lines:
    inactive = np.flatnonzero(~are_active(trace.epochs.mean_variance[-1]))
    last = ", ".join(f"{i}: {value:.3g}" for i, value in enumerate(values[-1]))
    return Lines(
        title,
        "steps",
        [float(one) for one in at],
        [[float(f"{value:.4g}") for value in line] for line in values.T],
        inactive.tolist(),
        f"{title} of {values.shape[1]} variables over steps; at the end {last}",
        note="A line a variable; in another colour those that end inactive.",
    )


def _staircase(trace: Trace, staircase: Staircase) -> list[Block]:
    assert trace.steps.gates is not None, "there is a staircase"
    parts = (
        ("Open gates", staircase.open),
        (f"Error of an image, tau {staircase.tau:.4g}", staircase.error),
        ("Multiplier of the error", staircase.multiplier),
    )
    steps = [float(one) for one in staircase.steps]
    drawn = [
        Lines(
            title,
            "steps",
            steps,
            [[float(f"{value:.4g}") for value in values]],
            [],
            f"{title} over steps; at the end {values[-1]:.4g}",
        )
        for title, values in parts
    ]
    gates = _lines(trace, "Probability that a gate is open", trace.steps.number, trace.steps.gates)
    return [staircase.table(), *drawn, gates]


def _film(motion: Motion) -> Film:
    first, second = motion.variables
    return Film(
        f"Codes of {len(motion.groups)} images in variables {first} and {second}",
        [f"variable {first}", f"variable {second}"],
        motion.reach,
        [f"step {step:,}" for step in motion.steps],
        [
            [[*map(float, at), float(r)] for at, r in zip(places, radii, strict=True)]
            for places, radii in zip(motion.places, motion.radii, strict=True)
        ],
        motion.groups.tolist(),
        motion.legend,
        f"Discs of {len(motion.groups)} codes in a plane, as they end",
        note="radius^2 is the geometric mean of the two posterior variances."
        + (" Colours are labels, and come again after ten." if motion.legend else ""),
    )
