"""`python -m jobscript_ingest`."""

import sys

from jobscript_ingest.cli import main

sys.exit(main())
