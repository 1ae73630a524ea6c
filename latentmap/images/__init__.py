"""From a folder or a file to pixels: where images lie, which are chosen, how a model sees them.

The names stand in ``__init__.pyi`` and are loaded when they are first used: a condition on
attributes is checked without torch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
