"""What tests of checkpoints need."""

from tests.forked_looks import forked_looks as forked_looks
