"""What tests of files of images need."""

from tests.forked_looks import forked_looks as forked_looks
