from .attribute_table import Attributes, read_attributes
from .choice import Choice
from .choosing import Missing
from .loading import floats_of, load_all
from .opening import open_images
from .opening_parts import open_parts
from .packing import pack_images
from .parts import ImageParts
from .source import ImageSource, OnError
from .splits import SPLITS, Split
from .views import Batch, View

__all__ = [
    "SPLITS",
    "Attributes",
    "Batch",
    "Choice",
    "ImageParts",
    "ImageSource",
    "Missing",
    "OnError",
    "Split",
    "View",
    "floats_of",
    "load_all",
    "open_images",
    "open_parts",
    "pack_images",
    "read_attributes",
]
