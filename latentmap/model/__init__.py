"""What a model is, what it makes of itself, and what of that another model sees."""

from latentmap.model.contract import PRECISIONS as PRECISIONS
from latentmap.model.contract import Model as Model
from latentmap.model.contract import Posterior as Posterior
from latentmap.model.contract import Precision as Precision
from latentmap.model.generated import generated_images as generated_images
from latentmap.model.generated import images_between as images_between
from latentmap.model.generated import maker_of as maker_of
from latentmap.model.memory import count_seen as count_seen
from latentmap.model.memory import hold_out_seen as hold_out_seen
from latentmap.model.memory import unseen as unseen
from latentmap.model.priors import Mixture as Mixture
from latentmap.model.priors import Prior as Prior
from latentmap.model.priors import fit_mixture as fit_mixture
from latentmap.model.sampling import decode_all as decode_all
from latentmap.model.sampling import sample_codes as sample_codes
from latentmap.model.seen import SeenImages as SeenImages
