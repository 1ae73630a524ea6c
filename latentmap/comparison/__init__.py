"""How several spaces relate: similarity indexes, maps between all pairs, ways round, layout."""

from latentmap.comparison.models import CompareOptions as CompareOptions
from latentmap.comparison.models import compare_models as compare_models
from latentmap.comparison.result import ModelComparison as ModelComparison
