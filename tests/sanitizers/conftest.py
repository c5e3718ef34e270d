"""The tests of this folder are of `make sanitize`, whose runner loads AddressSanitizer before Python (run.py)."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "libasan" in os.environ.get("LD_PRELOAD", "") else ["test_*.py"]
