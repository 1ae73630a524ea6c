"""From two models and images to pairs, maps and scores."""

from latentmap.relocation.baselines import Baseline as Baseline
from latentmap.relocation.baselines import fit_baseline as fit_baseline
from latentmap.relocation.fitting import fit_training as fit_training
from latentmap.relocation.measuring import require_models as require_models
from latentmap.relocation.pairing import TrainingPairs as TrainingPairs
from latentmap.relocation.pairing import sample_pairs as sample_pairs
from latentmap.relocation.pairing import training_pairs as training_pairs
from latentmap.relocation.probed_models import probe_models as probe_models
from latentmap.relocation.probes import Probes as Probes
from latentmap.relocation.probing import probe_map as probe_map
from latentmap.relocation.relocating import fit_models as fit_models
from latentmap.relocation.relocating import relocate as relocate
from latentmap.relocation.relocating import score_models as score_models
from latentmap.relocation.scores import Scores as Scores
from latentmap.relocation.scores import evaluate as evaluate
from latentmap.relocation.thumbnails import thumbnail_between as thumbnail_between
