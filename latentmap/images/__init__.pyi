from .attribute_table import Attributes, read_attributes
from .choice import Choice
from .choosing import Missing
from .loading import floats_of, load_all
from .opening import open_images
from .packing import pack_images
from .source import ImageSource, OnError
from .splits import SPLITS, Split
from .views import Batch, View

__all__ = [
    "SPLITS",
    "Attributes",
    "Batch",
    "Choice",
    "ImageSource",
    "Missing",
    "OnError",
    "Split",
    "View",
    "floats_of",
    "load_all",
    "open_images",
    "pack_images",
    "read_attributes",
]
