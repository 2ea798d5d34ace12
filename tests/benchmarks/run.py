"""Run the benchmarks: ``python tests/benchmarks/run.py --help``; what they are stands in ``__init__.py``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script this file has its own folder on the path, not its parent: name the package from there.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks.report import main

    sys.exit(main())
