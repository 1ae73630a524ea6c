"""Engines: one function called for many numbers, by several workers that may end at any moment.

An engine keeps no state of the work: what was done stands where the function put it, and is asked
for anew when work goes on. ``processes.py`` are those of this machine.
"""

from latentmap.engines.processes import by_processes as by_processes
from latentmap.engines.work import Setup as Setup
from latentmap.engines.work import Work as Work
