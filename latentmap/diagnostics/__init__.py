"""What the latent variables of a VAE do."""

from latentmap.diagnostics.aggregate import Aggregate as Aggregate
from latentmap.diagnostics.aggregate import aggregate_posterior as aggregate_posterior
from latentmap.diagnostics.divergence import kl_divergence as kl_divergence
from latentmap.diagnostics.variables import ACTIVE_VARIANCE as ACTIVE_VARIANCE
from latentmap.diagnostics.variables import Diagnosis as Diagnosis
from latentmap.diagnostics.variables import diagnose as diagnose
