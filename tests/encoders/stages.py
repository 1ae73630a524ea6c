"""A stage for tests: one kind of work tells how far it is, the others do not."""

from contextlib import nullcontext


def during(name, progress):
    return lambda label, unit="images": nullcontext(progress if label == name else None)
