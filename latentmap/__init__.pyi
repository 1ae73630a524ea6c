from .cache import LatentCache, encode
from .codes import Codes, Pairs, Space, pair
from .errors import LatentmapError
from .frames import Frame
from .images import ImageSource, open_images
from .mapping import FitOptions, LinearMap, fit
from .model import Model, generated_images
from .relocation import (
    Scores,
    evaluate,
    fit_models,
    relocate,
    sample_pairs,
    score_models,
)

__all__ = [
    "Codes",
    "FitOptions",
    "Frame",
    "ImageSource",
    "LatentCache",
    "LatentmapError",
    "LinearMap",
    "Model",
    "Pairs",
    "Scores",
    "Space",
    "encode",
    "evaluate",
    "fit",
    "fit_models",
    "generated_images",
    "open_images",
    "pair",
    "relocate",
    "sample_pairs",
    "score_models",
]
__version__: str
