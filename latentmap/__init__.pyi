from .codes import Codes, Space
from .errors import LatentmapError
from .frames import Frame

__all__ = ["Codes", "Frame", "LatentmapError", "Space"]
__version__: str
