from .cache import LatentCache
from .codes import Codes, Space
from .encoding import encode
from .errors import LatentmapError
from .frames import Frame
from .generated import generated_images
from .images import ImageSource, open_images
from .mapping.fitting import FitOptions, fit
from .mapping.linear_map import LinearMap
from .model import Model
from .pairing import sample_pairs
from .pairs import Pairs, pair
from .relocation import fit_models, relocate, score_models
from .scores import Scores, evaluate

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
