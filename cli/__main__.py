"""``python -m latentmap.cli`` is the command ``latentmap``."""

from latentmap.cli.main import main

main()
