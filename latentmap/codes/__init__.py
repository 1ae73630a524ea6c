"""Codes of images in a space, pairs of them, and how they are read and exported."""

from latentmap.codes.codes import Codes as Codes
from latentmap.codes.codes import Rows as Rows
from latentmap.codes.codes import Space as Space
from latentmap.codes.export import export_codes as export_codes
from latentmap.codes.export import require_code_suffix as require_code_suffix
from latentmap.codes.ids import pack_ids as pack_ids
from latentmap.codes.ids import unpack_ids as unpack_ids
from latentmap.codes.pairs import Pairs as Pairs
from latentmap.codes.pairs import is_known as is_known
from latentmap.codes.pairs import pair as pair
from latentmap.codes.reading import read_codes as read_codes
