"""Codes of images in a space, pairs of them, and how they are read and exported."""

from latentmap.codes.code_file import CodeFile as CodeFile
from latentmap.codes.code_file import open_code_file as open_code_file
from latentmap.codes.codes import PIXELS as PIXELS
from latentmap.codes.codes import Codes as Codes
from latentmap.codes.codes import Rows as Rows
from latentmap.codes.codes import Space as Space
from latentmap.codes.export import CodeFormat as CodeFormat
from latentmap.codes.export import export_codes as export_codes
from latentmap.codes.export import require_code_output as require_code_output
from latentmap.codes.held_out import FITTED as FITTED
from latentmap.codes.held_out import TRAINED as TRAINED
from latentmap.codes.held_out import HeldOut as HeldOut
from latentmap.codes.held_out import Seen as Seen
from latentmap.codes.held_out import hold_out as hold_out
from latentmap.codes.held_out import left_out_in_words as left_out_in_words
from latentmap.codes.ids import pack_ids as pack_ids
from latentmap.codes.ids import unpack_ids as unpack_ids
from latentmap.codes.matching import find_ids as find_ids
from latentmap.codes.matching import first_of_content as first_of_content
from latentmap.codes.matching import is_known as is_known
from latentmap.codes.pairs import Pairs as Pairs
from latentmap.codes.pairs import pair as pair
from latentmap.codes.reading import read_codes as read_codes
from latentmap.codes.units import contains as contains
from latentmap.codes.units import one_of_each as one_of_each
from latentmap.codes.units import units_of as units_of
