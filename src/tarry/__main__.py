"""`python -m tarry`: the same as the program `tarry`."""

import sys

from tarry.commands.cli import main

sys.exit(main())
