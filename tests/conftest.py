"""What every test has: a printed seed, two threads, and the marker of the long ones.

GPUKERN_TEST_SEED picks another seed (hypothesis then explores other cases); without it a run repeats the last one.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import zlib
from collections import Counter
from typing import Any

import hypothesis
import numpy
import pytest
import torch

# The user's measurements on this machine would change which configurations are chosen; tests of it name a folder of
# their own.
os.environ.setdefault("GPUKERN_TUNING", "off")

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
    config.addinivalue_line("markers", "nightly: further samples of a question (tests/sampling.py); not in `make test`")
    torch.set_num_threads(1 if hasattr(config, "workerinput") else 2)  # a process of several takes one core


# Kernels under the machine model and planted faults, which are compiled first; compilers and subprocesses.
SLOW = (
    "tests/gemm/kernels/",
    "tests/gemm/mutants/",
    "tests/platform/test_",
    "tests/elementwise/test_kernels.py",
    "tests/elementwise/test_far_strides.py",
    "tests/bench/test_command.py",
    "tests/bench/test_plots.py",
    "tests/bench/test_tune.py",
    "tests/contract/test_demo.py",
    "tests/contract/test_install.py",
    "tests/contract/test_opinfo",  # torch's own samples, all of them
    "tests/contract/test_type_checkers.py",
    # Of other files, what compiles, starts processes or tries every op: the longest of the rest.
    "tests/contract/test_fakes.py::test_elementwise",
    "tests/contract/test_lazy_views.py::test_lazy_arguments",
    "tests/contract/test_rooms.py::test_formulas_plans_and_tables_are_plain_cpp",
    "tests/contract/test_rooms.py::test_device_code_never_reaches_torch",
    "tests/contract/test_selection.py::test_force_from_the_environment",
    "tests/elementwise/test_numbers.py::test_every_number_of_every_op_is_torchs",
    "tests/elementwise/test_wide_numbers.py::test_a_compiled_call",
    "tests/gemm/behaviour/test_family_gradients.py::test_compile_without_a_break",
    "tests/gemm/behaviour/test_ranking.py::test_import_reads_what_is_stored",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there by now stays: ten thousand tests, which the collector would look through again and again."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"{torch.get_num_threads()} threads, torch {torch.__version__} on {capability}"
    return f"gpukern: seed {SEED} (GPUKERN_TEST_SEED), {machine}"


# torch's own samples, by form, of every process of the run: begun and passed.
offered: Counter[str] = Counter()
compared: Counter[str] = Counter()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Samples are handed on; under GPUKERN_RECORD=1 a green session writes down what the machine model ran."""
    if os.environ.get("GPUKERN_RECORD") == "1":
        from tests.platform import record

        print(f"\ngpukern: {record.write_modelled(exitstatus == 0)}")
    for module in [m for name, m in sys.modules.items() if name.endswith("test_opinfo")]:
        offered.update(module.offered)
        compared.update(module.compared)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput.update(offered=dict(offered), compared=dict(compared))


def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    offered.update(output.get("offered", {}))
    compared.update(output.get("compared", {}))


pytest_testnodedown = pytest.hookimpl(optionalhook=True)(pytest_testnodedown)  # of pytest-xdist


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was compared with torch's own samples; a test of that module fails where one differs."""
    products = {form: offered[form] for form in offered if form.startswith("product ")}
    if forms := [form for form in compared if form not in products]:
        text = ", ".join(f"{compared[form]} {form}" for form in forms)
        total = sum(compared[form] for form in forms)
        terminalreporter.write_line(f"OpInfo samples compared with torch: {total} ({text})")
    if products:
        text = ", ".join(f"{compared[form]} / {count} {form[8:]}" for form, count in products.items())
        passed = sum(compared[form] for form in products)
        terminalreporter.write_line(f"of these the matrix products: {passed} / {sum(products.values())} ({text})")
    inspected = next((m for name, m in sys.modules.items() if name.endswith("platform.inspection")), None)
    for text in inspected.reports.values() if inspected is not None else ():
        terminalreporter.write_line(text)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if record := sys.modules.get("tests.platform.record"):
        record.RECORD.item = item.nodeid
    seed = (SEED * 1_000_003 + zlib.crc32(item.nodeid.encode())) % 2**32
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
