"""What the latent variables of a VAE do, and the channels of any codes."""

from latentmap.diagnostics.activity import ACTIVE_VARIANCE as ACTIVE_VARIANCE
from latentmap.diagnostics.activity import are_active as are_active
from latentmap.diagnostics.activity import has_unit_prior as has_unit_prior
from latentmap.diagnostics.activity import none_active as none_active
from latentmap.diagnostics.aggregate import Aggregate as Aggregate
from latentmap.diagnostics.aggregate import aggregate_posterior as aggregate_posterior
from latentmap.diagnostics.channels import ChannelDiagnosis as ChannelDiagnosis
from latentmap.diagnostics.channels import diagnose_channels as diagnose_channels
from latentmap.diagnostics.divergence import kl_divergence as kl_divergence
from latentmap.diagnostics.variables import Diagnosis as Diagnosis
from latentmap.diagnostics.variables import diagnose as diagnose
