"""Codes of any image: by a model's encoder, by a gradient search, by both."""

from latentmap.inversion.code_search import SearchSettings as SearchSettings
from latentmap.inversion.inverting import InversionMethod as InversionMethod
from latentmap.inversion.inverting import Inverted as Inverted
from latentmap.inversion.inverting import invert_images as invert_images
from latentmap.inversion.inverting import invert_tensor as invert_tensor
