"""``python -m tests.benchmarks``: the same as ``python tests/benchmarks/run.py``."""

import sys

from .report import main

sys.exit(main())
