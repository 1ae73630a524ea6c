from .cache import Coder, LatentCache, encode
from .codes import Codes, Pairs, Space, pair
from .comparison import compare_models
from .errors import LatentmapError
from .explorer import explore
from .frames import Frame
from .images import ImageSource, open_images, read_attributes
from .mapping import FitOptions, LinearMap, Method, fit
from .model import Model, generated_images
from .relocation import (
    Scores,
    evaluate,
    fit_models,
    relocate,
    sample_pairs,
    score_models,
)
from .support import build_support_set

__all__ = [
    "Coder",
    "Codes",
    "FitOptions",
    "Frame",
    "ImageSource",
    "LatentCache",
    "LatentmapError",
    "LinearMap",
    "Method",
    "Model",
    "Pairs",
    "Scores",
    "Space",
    "build_support_set",
    "compare_models",
    "encode",
    "evaluate",
    "explore",
    "fit",
    "fit_models",
    "generated_images",
    "open_images",
    "pair",
    "read_attributes",
    "relocate",
    "sample_pairs",
    "score_models",
]
__version__: str
