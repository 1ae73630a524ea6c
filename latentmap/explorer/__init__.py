"""Two spaces side by side, live: a session over models, and the page that shows it in the browser.

The names stand in ``__init__.pyi`` and are loaded when they are first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
