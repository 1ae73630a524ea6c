"""Support sets: a few real images that are far apart in a latent space."""

from latentmap.support.building import SupportOptions as SupportOptions
from latentmap.support.building import build_support_set as build_support_set
from latentmap.support.comparing import StrategyOptions as StrategyOptions
from latentmap.support.comparing import compare_strategies as compare_strategies
from latentmap.support.ordering import Ordering as Ordering
from latentmap.support.ordering import OrderOptions as OrderOptions
from latentmap.support.ordering import order_variables as order_variables
from latentmap.support.selection import ChoiceOptions as ChoiceOptions
from latentmap.support.selection import choose_support_set as choose_support_set
from latentmap.support.support_set import SupportSet as SupportSet
