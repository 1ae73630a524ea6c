"""From a folder or a file to pixels: where images lie, which are chosen, how a model sees them."""

from latentmap.images.loading import floats_of as floats_of
from latentmap.images.loading import load_all as load_all
from latentmap.images.opening import open_images as open_images
from latentmap.images.packing import pack_images as pack_images
from latentmap.images.source import ImageSource as ImageSource
from latentmap.images.source import OnError as OnError
from latentmap.images.splits import SPLITS as SPLITS
from latentmap.images.splits import Split as Split
from latentmap.images.views import Batch as Batch
from latentmap.images.views import View as View
