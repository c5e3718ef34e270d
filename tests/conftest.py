"""What every test has: a printed seed, two threads, and the marker of the long ones.

GPUKERN_TEST_SEED picks another seed (hypothesis then explores anew); without it a run repeats the last one.
"""

from __future__ import annotations

import os
import random
import sys
import zlib

import hypothesis
import numpy
import pytest
import torch

SEED = int(os.environ.get("GPUKERN_TEST_SEED", "20"))

hypothesis.settings.register_profile(
    "gpukern",
    deadline=None,
    derandomize="GPUKERN_TEST_SEED" not in os.environ,
    database=None,
    print_blob=True,
    max_examples=40,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("gpukern")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: exhaustive patterns, compilers, subprocesses; not in `make test-fast`")
    torch.set_num_threads(2)


def pytest_report_header(config: pytest.Config) -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"{torch.get_num_threads()} threads, torch {torch.__version__} on {capability}"
    return f"gpukern: seed {SEED} (GPUKERN_TEST_SEED), {machine}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was compared with torch's own samples; a test of that module fails where one differs."""
    module = next((m for name, m in sys.modules.items() if name.endswith("test_opinfo")), None)
    if module is not None and module.compared:
        forms = ", ".join(f"{count} {form}" for form, count in module.compared.items())
        terminalreporter.write_line(f"OpInfo samples compared with torch: {module.compared.total()} ({forms})")
    inspected = next((m for name, m in sys.modules.items() if name.endswith("platform.inspection")), None)
    for text in inspected.reports.values() if inspected is not None else ():
        terminalreporter.write_line(text)


def pytest_runtest_setup(item: pytest.Item) -> None:
    seed = (SEED * 1_000_003 + zlib.crc32(item.nodeid.encode())) % 2**32
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
