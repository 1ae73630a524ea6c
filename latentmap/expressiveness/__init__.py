"""What a generator cannot make: how well it reproduces images, its own and others."""

from latentmap.expressiveness.benchmark import bench as bench
from latentmap.expressiveness.reproducing import BenchOptions as BenchOptions
from latentmap.expressiveness.result import Expressiveness as Expressiveness
