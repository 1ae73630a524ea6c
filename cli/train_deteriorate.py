"""latentmap train deteriorate: what becomes of a variable of a VAE that noise is added to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import OUTPUT, RUNNING, Command, number_option, option
from latentmap.cli.kinds import OutputFile, Reference
from latentmap.cli.options import seed_option
from latentmap.cli.output import warn
from latentmap.cli.training import carry_out
from latentmap.cli.training_ending import Told
from latentmap.cli.training_options import (
    RunOptions,
    learning_rate_option,
    positive_option,
    run_options,
)

if TYPE_CHECKING:
    from latentmap.encoders.training.runs import Run
    from latentmap.model import Model


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@number_option(
    "--variable",
    least=0,
    metavar="I",
    help="The variable, an active one.  [default: of these the middle one by gain]",
)
@positive_option(
    "--noise-step",
    default=0.2,
    help="How much noise is added after each epoch, in units of the codes.",
)
@number_option("--growing", default=60, help="Epochs in which the noise grows, at most.")
@number_option("--after", least=0, default=5, help="Epochs in which it stays as it is then.")
@number_option("--recovery", least=0, default=15, help="Epochs without it, at the end.")
@positive_option("--gamma", help="The balance of the loss.  [default: as the model's file says]")
@learning_rate_option(help="Of Adam.  [default: as the model's file says]")
@option(
    "--trace",
    title=OUTPUT,
    required=True,
    type=OutputFile(),
    metavar="TRACE",
    help="What became of the variables, for `latentmap trace show`.",
)
@run_options
@number_option(
    "--batch-size", title=RUNNING, help="Images a step.  [default: as the model's file says]"
)
@seed_option
def deteriorate(
    model: str, data: DataOptions, run: RunOptions, *, trace: Path, **asked: Any
) -> None:
    """Add noise to a variable of a VAE until it collapses, then take the noise away.

    The VAE is trained on, with more noise after each epoch, until what the variable is worth in the
    loss (its gain) is below what it costs there (its KL divergence). Inactive variables are kept
    inactive. The model that comes out of it is written too.

    \b
    Examples:
      latentmap train deteriorate mnist.safetensors --data train-images-idx3-ubyte.gz \\
          --trace noisy.trace --out noisy.safetensors
      latentmap trace show noisy.trace --figure noisy.png
    """
    from latentmap.diagnostics.deteriorated import deteriorated_in
    from latentmap.diagnostics.traces import Trace
    from latentmap.encoders.training.train_deteriorated import Deterioration
    from latentmap.encoders.training.train_deteriorated import deteriorate as carry
    from latentmap.files import refuse_existing

    refuse_existing(trace, force=run.force or run.resume)
    wanted = Deterioration(**asked)

    def train(goal: Run) -> Model:
        return carry(model, data.open(), wanted, goal, trace=trace, notify=warn, device=run.device)

    def tell(trained: Model, training: dict[str, Any]) -> Told:
        found = deteriorated_in(Trace.load(trace))
        assert found is not None, "it has just been written"
        warnings = [f"skipped {name}: it could not be read" for name in training["skipped"]]
        if found.crossing is None:
            warnings.append(
                f"the gain of variable {found.variable} stayed above its KL: add --growing epochs, "
                "or take a larger --noise-step"
            )
        figures = {
            "trace": str(trace),
            **found.to_json(),
            "figures": training["figures"],
            "skipped": training["skipped"],
        }
        return Told(
            figures, [found.in_words(), f"{trace}, and the model after it {run.out}"], warnings
        )

    carry_out(run, data, train, tell)
