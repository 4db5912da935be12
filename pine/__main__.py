"""``python -m pine``."""

from pine.cli.main import main

main()
