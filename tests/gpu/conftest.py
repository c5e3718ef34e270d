"""The tests of this folder are there only where a GPU can be used and code for it was built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from gpukern.info import built
from tests.gpu import device
from tests.platform import record

HERE = torch.cuda.is_available() and any(built().get("targets", {}).values())
collect_ignore_glob = [] if HERE else ["test_*.py"]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """GPUKERN_GPU_FACTS names a file for how many tests ran and the worst rho of each configuration."""
    path = os.environ.get("GPUKERN_GPU_FACTS")
    if path and HERE and exitstatus == 0 and session.testscollected:
        facts = {"tests": session.testscollected, "rho": device.RHO}
        record.write_atomically(Path(path), facts)
