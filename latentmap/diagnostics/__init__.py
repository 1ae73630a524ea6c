"""What the latent variables of a VAE do."""

from latentmap.diagnostics.variables import ACTIVE_VARIANCE as ACTIVE_VARIANCE
from latentmap.diagnostics.variables import Diagnosis as Diagnosis
from latentmap.diagnostics.variables import diagnose as diagnose
from latentmap.diagnostics.variables import kl_divergence as kl_divergence
