"""Models: a family a file, the networks in ``nets``, the training in ``training``."""

if __name__ != "latentmap.encoders":
    raise ImportError(
        f"this folder is the package latentmap.encoders; it was imported as {__name__!r}"
    )
