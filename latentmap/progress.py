"""How long work tells its caller how far it is: ``progress(done, total)``."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
