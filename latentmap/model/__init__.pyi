from .contract import PRECISIONS, Model, Posterior, Precision
from .generated import generated_images, images_between, maker_of
from .memory import count_seen, hold_out_seen, unseen
from .priors import Mixture, Prior, fit_mixture
from .sampling import decode_all, sample_codes
from .seen import SeenImages

__all__ = [
    "PRECISIONS",
    "Mixture",
    "Model",
    "Posterior",
    "Precision",
    "Prior",
    "SeenImages",
    "count_seen",
    "decode_all",
    "fit_mixture",
    "generated_images",
    "hold_out_seen",
    "images_between",
    "maker_of",
    "sample_codes",
    "unseen",
]
