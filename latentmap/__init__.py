"""How the latent spaces of generative models of images relate, and how to carry codes between them.

    from latentmap import fit_models, open_images, score_models
    from latentmap.encoders import load

The names stand in ``__init__.pyi`` and are loaded when they are first used: importing the package
costs milliseconds, not torch's seconds.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
