"""Files that are there whole or not at all, locks, and the one format of models and maps."""

from latentmap.files.hdf5_output import create_hdf5 as create_hdf5
from latentmap.files.json_text import parse_json as parse_json
from latentmap.files.json_text import read_json as read_json
from latentmap.files.kinds import FileKind as FileKind
from latentmap.files.kinds import file_kind as file_kind
from latentmap.files.locks import Notify as Notify
from latentmap.files.locks import hold_file as hold_file
from latentmap.files.locks import hold_lock as hold_lock
from latentmap.files.numpy_arrays import open_arrays as open_arrays
from latentmap.files.opening import open_regular as open_regular
from latentmap.files.opening import read_regular as read_regular
from latentmap.files.opening import require_regular as require_regular
from latentmap.files.ownership import Found as Found
from latentmap.files.ownership import folders_in as folders_in
from latentmap.files.ownership import look_into as look_into
from latentmap.files.reading import reading as reading
from latentmap.files.reading import reason_of as reason_of
from latentmap.files.tensor_file import TensorFile as TensorFile
from latentmap.files.writing import TEMPORARY as TEMPORARY
from latentmap.files.writing import fsync_folder as fsync_folder
from latentmap.files.writing import refuse_equal as refuse_equal
from latentmap.files.writing import refuse_existing as refuse_existing
from latentmap.files.writing import replace_atomic as replace_atomic
from latentmap.files.writing import require_parent as require_parent
from latentmap.files.writing import temporary_beside as temporary_beside
from latentmap.files.writing import write_atomic as write_atomic
