"""The command line: one command a file; ``main`` is the group."""

if __name__ != "latentmap.cli":
    raise ImportError(f"this folder is the package latentmap.cli; it was imported as {__name__!r}")
