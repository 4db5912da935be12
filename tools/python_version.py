"""Stop set-up early where Python is too old."""

import sys

if sys.version_info < (3, 11):
    sys.exit(f"pine needs Python 3.11 or newer, found {sys.version.split()[0]}; try: make PYTHON=python3.11 demo")
