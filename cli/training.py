"""What the commands of ``latentmap train`` do: from their options to a model, and to what is said
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from latentmap.cli.data_options import DataOptions
from latentmap.cli.label_options import labels_of
from latentmap.cli.output import say, warn
from latentmap.cli.training_ending import Told, in_words, validate
from latentmap.cli.training_options import RunOptions, TraceOptions
from latentmap.cli.view_options import ViewOptions

if TYPE_CHECKING:
    from latentmap.encoders.training.on_images import Settings
    from latentmap.encoders.training.runs import Run
    from latentmap.images import View
    from latentmap.model import Model


def carry_out(
    options: RunOptions,
    data: DataOptions,
    train: Callable[[Run], Model],
    tell: Callable[[Model, dict[str, Any]], Told],
    **record: Any,
) -> None:
    """Trains, and tells of the result.

    ``tell`` gets the model and the training record of its file, to which ``record`` is added.
    """
    from latentmap.cli.output import command_line, print_json
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.native import read_header
    from latentmap.encoders.training.runs import Run

    run = Run(
        options.out,
        resume=options.resume,
        force=options.force,
        keep_checkpoint=options.keep_checkpoint,
        on_error=data.on_error,
        record={"command": command_line(), **record},
        stage=progress_bar,
    )
    model = train(run)
    told = tell(model, read_header(options.out).training)
    for warning in told.warnings:
        warn(warning)
    if options.as_json:
        known = {"model": str(options.out), "fingerprint": model.fingerprint}
        print_json({**known, **told.figures})
    else:
        say(*told.lines)


def _of_gates(training: dict[str, Any]) -> Told:
    """What is said of the gates of a training, where it had some."""
    from latentmap.encoders.training.narrowing import GATES

    if GATES not in training:
        return Told({}, [])
    gates = training[GATES]
    said = f"error {gates['error']:.4g} an image, mse {gates['mse']:.4g} per pixel"
    names = ", ".join(map(str, gates["open"]))
    kept = f"{len(gates['open'])} of {gates['latent_dim']} gates are open (variables {names})"
    missed = (
        f"tau {gates['tau']:.4g} is not reached: {said}, over the training images; train longer, "
        "or give a larger tau or more variables"
    )
    return Told(
        {GATES: gates},
        [f"{kept}; {said}, tau {gates['tau']:.4g} an image"],
        [] if gates["reached"] else [missed],
    )


def train_images(
    data: DataOptions,
    view: ViewOptions,
    run: RunOptions,
    make_settings: Callable[[View], Settings],
    *,
    remark: Callable[[dict[str, Any]], str | None] = lambda figures: None,
    traced: TraceOptions | None = None,
) -> None:
    """Trains what ``make_settings`` describes for a view of the images, and tells of the result.

    ``remark`` makes a warning of the last figures; ``traced`` asks for a trace.
    """
    from latentmap.encoders.training.on_images import train_on_images
    from latentmap.encoders.training.runs import working_folder
    from latentmap.encoders.training.tracing import Tracing
    from latentmap.files import refuse_existing

    if traced is not None:
        traced.check()
        if traced.trace is not None:
            refuse_existing(traced.trace, force=run.force or run.resume)
    images = data.open()
    watch = None
    if traced is not None and traced.trace is not None:
        labels = labels_of(images, traced.labels)
        watch = Tracing(traced.trace, labels=labels, images=traced.trace_images, notify=warn)
    seen = view.of(images)

    def train(goal: Run) -> Model:
        settings = make_settings(seen)
        return train_on_images(
            images, settings, goal, frame=seen.frame, watch=watch, device=run.device
        )

    def tell(model: Model, training: dict[str, Any]) -> Told:
        figures, skipped = training["figures"], training["skipped"]
        warnings = [f"skipped {name}: it could not be read" for name in skipped]
        remarked = remark(figures)
        held_out = validate(model, data, device=run.device)
        gates = _of_gates(training)
        return Told(
            {"figures": figures, "skipped": skipped, **gates.figures, **held_out.figures},
            [
                f"{run.out}: {model.family} {model.fingerprint[:12]}; log and pictures in "
                f"{working_folder(run.out)}",
                f"  last epoch: {in_words(figures)}",
                *held_out.lines,
                *gates.lines,
            ],
            [*warnings, *([remarked] if remarked else []), *gates.warnings],
        )

    carry_out(
        run,
        data,
        train,
        tell,
        split=data.split,
        group_by=data.group_by and data.group_by.name,
    )
