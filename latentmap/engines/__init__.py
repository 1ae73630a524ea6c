"""Engines: one function called for many numbers, by several workers that may end at any moment.

An engine keeps no state of the work: what was done stands where the function put it, and is asked
for anew when work goes on. ``processes.py`` are those of this machine, ``ray_actors.py`` those that
Ray has, and ``ray_driver.py`` is the process that speaks to Ray.
"""

from latentmap.engines.processes import by_processes as by_processes
from latentmap.engines.ray_actors import by_ray as by_ray
from latentmap.engines.ray_actors import require_ray as require_ray
from latentmap.engines.work import Done as Done
from latentmap.engines.work import Engine as Engine
from latentmap.engines.work import Setup as Setup
from latentmap.engines.work import Work as Work
