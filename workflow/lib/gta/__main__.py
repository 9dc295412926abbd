"""`python -m gta`."""

import sys

from gta.cli import main

sys.exit(main())
