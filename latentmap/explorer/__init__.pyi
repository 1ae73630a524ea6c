from .answers import Answer
from .explored import Explored, Target
from .notebook import Explorer, explore
from .places import Place, Start, read_place
from .preparing import explore_spaces
from .serving import Serving
from .session import Session

__all__ = [
    "Answer",
    "Explored",
    "Explorer",
    "Place",
    "Serving",
    "Session",
    "Start",
    "Target",
    "explore",
    "explore_spaces",
    "read_place",
]
