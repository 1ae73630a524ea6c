"""Linear maps between spaces: one pass over the pairs, then everything in closed form."""

from latentmap.mapping.fitting import FitOptions as FitOptions
from latentmap.mapping.fitting import fit as fit
from latentmap.mapping.gathering import moments_of as moments_of
from latentmap.mapping.linear_map import LinearMap as LinearMap
from latentmap.mapping.moments import Moments as Moments
from latentmap.mapping.solvers import SOLVERS as SOLVERS
from latentmap.mapping.spectrum import SharedFactors as SharedFactors
from latentmap.mapping.spectrum import shared_factors as shared_factors
