"""Training an inversion network: from a generator to a native file of an encoder/decoder pair."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from latentmap.encoders import require_family
from latentmap.encoders.boxes import box_shape
from latentmap.encoders.inverted import InvertedModel, add_inversion, in_space, unwrap
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.inversion import (
    ARCHITECTURES,
    Architecture,
    InversionNetwork,
    default_network,
)
from latentmap.encoders.training.batches import PixelBatches, seeded
from latentmap.encoders.training.in_domain import read_domain, require_domain
from latentmap.encoders.training.inversion import (
    NOISES,
    SCHEDULES,
    CodeBatches,
    InversionRecipe,
    Noise,
    Schedule,
    fit_moments,
)
from latentmap.encoders.training.inversion_figures import measure_generated, measure_real
from latentmap.encoders.training.loop import FinishedRunError, Length, train_by
from latentmap.encoders.training.on_images import seeded_weights
from latentmap.encoders.training.runs import (
    Run,
    end_run,
    finished_model,
    prepare_folder,
    training_record,
)
from latentmap.encoders.training.settings import check_numbers
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.images import ImageSource
from latentmap.model import Model, count_seen
from latentmap.report import image_grid

_EPOCH = 500  # Steps until there is a line in the log, and a picture.
_PREVIEWS = 10
# A stream of random numbers beside those of the training.
_HELD_OUT = 4
_LEARNING: dict[Architecture, tuple[Schedule, float]] = {
    "residual": ("one-cycle", 2e-3),
    "plain": ("constant", 1e-3),
}


@dataclass(frozen=True)
class InversionSettings:
    """What is trained, and how.

    ``architecture`` and ``width``: see ``default_network``. ``space`` is that of the codes, by
    default the generator's own. ``view`` is the box of the generated picture that the network sees,
    named as a frame is. ``image_weight`` adds that many times the mse of the images generated again
    to the mse of the codes, which counts in units of their variance, ``real_weight`` that many
    times the mse of real images made again, of which a step gets as many as of generated ones.
    ``refine`` goes on with the network that the model has, in place of fresh weights. ``noise`` is
    what a StyleGAN's images have: drawn anew, or the stored maps, with which it decodes.
    ``learning_rate`` and ``schedule`` are, unless given, 2e-3 at its height (``one-cycle``) for the
    residual network, 1e-3 (``constant``) for the plain one; with 1e-2 it was published. ``memory``
    is that of the moving averages of the weights, 0 for none. ``held_out`` is the number of
    generated images that the figures are of.
    """

    architecture: Architecture = "residual"
    width: int | None = None
    space: Literal["w", "z"] | None = None
    view: str = "full"
    image_weight: float = 0.0
    real_weight: float = 0.0
    refine: bool = False
    noise: Noise = "random"
    steps: int = 5000
    batch_size: int = 64
    learning_rate: float | None = None
    schedule: Schedule | None = None
    memory: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    held_out: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("architecture", self.architecture, ARCHITECTURES),
            ("schedule", self.schedule, (None, *SCHEDULES)),
            ("space", self.space, (None, "w", "z")),
            ("noise", self.noise, NOISES),
            ("precision", self.precision, ("float32", "bfloat16")),
        ):
            if value not in choices:
                names = ", ".join(choice for choice in choices if choice)
                raise ModelError(f"unknown {what} {value!r}: choose one of {names}")
        check_numbers(
            self,
            positive=("width", "steps", "batch_size", "learning_rate"),
            not_negative=("image_weight", "real_weight", "seed"),
        )
        if not 0 <= self.memory < 1:
            raise ModelError(f"memory must be from 0 to below 1, not {self.memory}")
        if self.held_out < 2:
            raise ModelError(f"held out must be at least 2 images, not {self.held_out}")
        Frame(self.view)  # Refuses what is no box.


def _require_file(generator: Model) -> None:
    """Passes where a model file can hold the generator, beside its inversion network.

    Raises:
        ModelError: it is of no family that a file can be of.
    """
    try:
        require_family(generator.family)
    except ModelError:
        raise ModelError(
            f"{generator.name} is of the family {generator.family!r}, which no model file can be "
            "of, and so none with an inversion network: import its weights with `latentmap import`"
        ) from None


def train_inversion(
    generator: Model,
    settings: InversionSettings,
    run: Run,
    *,
    domain: ImageSource | None = None,
    real: ImageSource | None = None,
) -> InvertedModel:
    """Trains on the images of a generator, writes the native model file ``run.out``, and gives the
    model.

    It runs on the generator's device. The generator of an inverted model gets another network, or
    goes on with its own with ``settings.refine``. ``domain`` are real images to learn from with
    ``settings.real_weight``: of those that the generator was trained on, so that what the pair
    knows of its training images stays true. The training record of the file has the figures of
    images that were held out, ``held_out``, and those of ``real`` images, ``real``, where these are
    given. A run that was killed goes on with ``resume``.

    Raises:
        OutputError: the output, or a run towards it, exists, and neither ``resume`` nor ``force``
            is set.
        ModelError: the settings do not fit the generator, or the run that is resumed; or the
            generator was not trained on all of ``domain``.
        ImageError: a real image cannot be read; where it is one of ``real``, the model file is
            written, without their figures.
    """
    model, generator = generator, unwrap(generator)
    _require_file(generator)
    require_domain(generator, domain, weight=settings.real_weight, batch_size=settings.batch_size)
    generator = in_space(generator, settings.space or generator.space.kind)
    network, config = _fresh_network(generator, settings)
    if settings.refine:
        network = _network_of(model, config, settings.view, generator.space.kind)

    def with_network(network: InversionNetwork) -> InvertedModel:
        return add_inversion(generator, network, config, box=settings.view, name=run.path.stem)

    untrained = with_network(network)
    if real is not None:
        real.view_key(untrained.view)  # Refuses a pack that does not show it.
    origins: dict[str, Any] = {}
    if settings.refine:
        origins["refined"] = model.fingerprint
    batches = None
    if domain is not None:
        origins["domain"] = domain.fingerprint
        batches = read_domain(
            domain, untrained, run, batch_size=settings.batch_size, seed=settings.seed
        )
    recipe = _recipe(untrained, settings, batches)
    codes = generator.sample(_PREVIEWS, seed=settings.seed)
    drawn = CodeBatches(generator, size=settings.batch_size, per_epoch=_EPOCH, seed=settings.seed)
    try:
        with run.stage("training", "images seen") as progress:
            figures = train_by(
                recipe,
                drawn,
                Length(epochs=1, seed=settings.seed, steps=settings.steps),
                folder=prepare_folder(run),
                settings={**_fixed(settings, recipe), **origins, "space": generator.space.kind},
                resume=run.resume,
                draw=lambda: _draw(with_network(recipe.average), codes),
                progress=progress,
            )
    except FinishedRunError:
        finished = finished_model(run, {}, device=generator.device)
        assert isinstance(finished, InvertedModel), "its settings are those of an inversion"
        return finished
    # A new object, because the fingerprint is that of the trained weights.
    trained = with_network(recipe.average)
    known = {"learning_rate": recipe.learning_rate, "schedule": recipe.schedule}
    training = training_record({**asdict(settings), **known, **origins}, figures, **run.record)
    _measure_and_save(trained, training, settings, run, real)
    end_run(run)
    return trained


def _measure_and_save(
    trained: InvertedModel,
    training: dict[str, Any],
    settings: InversionSettings,
    run: Run,
    real: ImageSource | None,
) -> None:
    """Writes the model with its training record, to which the figures are added."""
    seed = int(seeded(settings.seed, _HELD_OUT, 0).integers(2**63))
    with run.stage("measuring") as progress:
        held_out = measure_generated(trained, settings.held_out, seed=seed, progress=progress)
    training["held_out"] = asdict(held_out)
    # Before the real images are read, so that one that cannot be read loses no training.
    save_model(trained, run.path, training=training)
    if real is not None:
        with run.stage("measuring real images") as progress:
            found = measure_real(
                trained, real, generated=held_out, on_error=run.on_error, progress=progress
            )
        # The network has learnt from none that the generator has not seen.
        (n_seen,) = count_seen([trained], real.digests, real.groups).values()
        training["real"] = {**asdict(found), "data": real.fingerprint, "n_seen": n_seen}
        save_model(trained, run.path, training=training)


def _fresh_network(
    generator: Model, settings: InversionSettings
) -> tuple[InversionNetwork, dict[str, Any]]:
    """A network with fresh weights that knows the moments of the codes, and its configuration."""
    shape = box_shape(generator, settings.view)
    config = default_network(
        settings.architecture, shape, generator.latent_dim, width=settings.width
    )
    with seeded_weights(settings.seed):
        network = InversionNetwork(config, shape, generator.latent_dim)
    fit_moments(network.to(generator.device), generator, seed=settings.seed)
    return network, config


def _network_of(model: Model, config: dict[str, Any], view: str, space: str) -> InversionNetwork:
    """A copy of the network of an inverted model, which must be as it is asked for."""
    if not isinstance(model, InvertedModel):
        raise ModelError(
            f"{model.name} has no inversion network that could be refined: leave out refine, or "
            "give a model that `latentmap train inversion` made"
        )
    wanted = {"network": config, "view": view, "space": space}
    for name, asked in wanted.items():
        if model.config[name] != asked:
            raise ModelError(
                f"to refine {model.name} its {name} must stay {model.config[name]}, not {asked}: "
                "give the options that it was trained with"
            )
    return copy.deepcopy(model.inversion)


def _recipe(
    untrained: InvertedModel, settings: InversionSettings, real: PixelBatches | None
) -> InversionRecipe:
    schedule, learning_rate = _LEARNING[settings.architecture]
    return InversionRecipe(
        untrained,
        steps=settings.steps,
        learning_rate=settings.learning_rate or learning_rate,
        schedule=settings.schedule or schedule,
        image_weight=settings.image_weight,
        real=real,
        real_weight=settings.real_weight,
        noise=settings.noise,
        memory=settings.memory,
        precision=settings.precision,
    )


def _fixed(settings: InversionSettings, recipe: InversionRecipe) -> dict[str, Any]:
    """What a run that goes on has in common with its beginning, beside what the batches say."""
    fixed = asdict(settings)
    for name in ("batch_size", "seed", "held_out"):
        del fixed[name]
    if recipe.schedule == "constant":
        del fixed["steps"]  # A run of another schedule cannot be made longer.
    return fixed


def _draw(model: InvertedModel, codes: Tensor) -> Image.Image:
    images = model.decode(codes)
    again = model.decode(model.encode(images))
    rows = [("generated", images), ("generated again", again)]
    return image_grid([(label, row.cpu()) for label, row in rows]).picture()
