from .exporting import export_map
from .fitting import fit
from .gathering import moments_of
from .linear_map import LinearMap
from .methods import METHODS, Method
from .moments import Moments
from .options import FitOptions
from .solution import Solution, affine
from .spectrum import SharedFactors, shared_factors
from .typicality import Typicality, typicality

__all__ = [
    "METHODS",
    "FitOptions",
    "LinearMap",
    "Method",
    "Moments",
    "SharedFactors",
    "Solution",
    "Typicality",
    "affine",
    "export_map",
    "fit",
    "moments_of",
    "shared_factors",
    "typicality",
]
