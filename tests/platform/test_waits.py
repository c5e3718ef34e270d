"""The build for the first runs on a device (csrc/platform/waits.h): a wait that never ends leaves a record, one that
does leaves nothing, and the compiler makes the pipeline that it ships."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.oracle import fills, products
from tests.platform.kernels import LOSS
from tests.platform.library import ROOT, model_library
from tests.platform.test_conformance import SCHEDULES, buffer, named, nvcc

HERE = Path(__file__).parent.relative_to(ROOT)
CASES = {
    "mbarrier_of_a_ring": r"block \(0,0,0\) of \(1,1,1\), thread (?:9[6-9]|1[012]\d) of 128 \(warp 3, warpgroup 0\): "
    r"mbarrier_wait_parity on the mbarrier at 0x[0-9a-f]+, parity 0, given up after \d{4,} ms",
    "named_barrier": r"block \(0,0,0\) of \(1,1,1\), thread 32 of 128 \(warp 1, warpgroup 0\): "
    r"barrier_sync on barrier 5 of 64 threads",
    "cluster_barrier": r"block \(0,0,0\) of \(2,1,1\), thread (?:0|32) of 64 \(warp [01], warpgroup 0\): cluster_wait",
}


@cache
def library() -> ctypes.CDLL:
    sources = tuple(f"{HERE}/{name}.cu" for name in ("conformance/harness", "bounded_waits", "bounded_product"))
    found = named(model_library("bounded_waits", sources, "-DGPUKERN_BOUNDED_WAITS"))
    found.take_waits.restype = found.bounded_product.restype = ctypes.c_char_p
    return found


def ran(case: str, comes: int) -> tuple[str, int, list[str]]:
    """The model's error, what the kernel wrote, and what the host would read."""
    given, size = buffer(f"{comes:08x}")
    output, output_size = buffer("00000000")
    error = library().run_case(case.encode(), given, ctypes.c_size_t(size), output, ctypes.c_size_t(output_size))
    return error.decode(), output[0], library().take_waits().decode().splitlines()


@pytest.mark.parametrize("case", CASES)
def test_a_wait_that_never_ends_says_who_waits_for_what(case: str) -> None:
    for name, order, seed in SCHEDULES:
        library().set_schedule(order, ctypes.c_uint32(seed), 32)
        error, wrote, message = ran(case, 0)
        assert error and not wrote, (name, seed)
        assert any(re.fullmatch(CASES[case], line) for line in message), (name, seed, message)
        if case == "mbarrier_of_a_ring":
            assert "given up: block" in error and "deadlock" not in error and len(message) == 1, error


@pytest.mark.parametrize("case", CASES)
def test_a_wait_that_ends_leaves_nothing(case: str) -> None:
    for name, order, seed in SCHEDULES:
        library().set_schedule(order, ctypes.c_uint32(seed), 32)
        assert ran(case, 1) == ("", 1, []), (name, seed)


def test_a_product_whose_waits_end_is_the_same_and_a_starved_one_says_who_waits() -> None:
    """Hopper's own kernel: ragged, with more tiles than blocks; and with boxes that load half of the expected bytes."""
    m, n, k = 200, 136, 712
    a, b = fills.integers(m, k, k=k, dtype=torch.bfloat16), fills.integers(n, k, k=k, dtype=torch.bfloat16)
    want = a.double() @ b.double().t()
    for starved in (0, 1):
        for order, seed in ((0, 1), (1, 1), (3, 2)):
            library().set_schedule(order, ctypes.c_uint32(seed), 32)
            d = torch.full((m, n), torch.nan, dtype=torch.bfloat16)
            at = (ctypes.c_void_p(t.data_ptr()) for t in (a, b, d))
            error = library().bounded_product(*at, m, n, k, starved).decode()
            message = library().take_waits().decode()
            if not starved:
                assert (error, message) == ("", ""), (order, seed)
                products.exactly_equal(d, want.to(torch.bfloat16))
                continue
            first = message.splitlines()[0]  # a consumer of the first stage, or the producer behind the last
            assert "of 384 (warp" in first and "mbarrier_wait_parity on the mbarrier at 0x" in first
            assert "given up after" in first and "given up: block" in error, error


@pytest.mark.slow
def test_the_compiler_makes_the_pipeline_that_it_ships(tmp_path: Path) -> None:
    """A call (printf) made it wait for each wgmma (C7510); the instruction trap, of which a store to address 0 does the
    work, made it spill up to 940 bytes a thread."""
    if not nvcc():
        return
    command = [nvcc(), "-std=c++20", "-DNDEBUG", "-Icsrc", "-O3", "--expt-relaxed-constexpr", "-DGPUKERN_BOUNDED_WAITS"]
    command += ["-gencode=arch=compute_90a,code=sm_90a", "-Xptxas=-v", "-cubin", f"{HERE}/bounded_hopper.cu"]
    done = subprocess.run([*command, "-o", str(tmp_path / "x.cubin")], cwd=ROOT, capture_output=True, text=True)
    message = done.stdout + done.stderr
    assert done.returncode == 0, message[-4000:]
    assert not LOSS.search(message), LOSS.search(message)
    found = re.findall(
        r"Function properties for \S*7product\S*\n\s*(\d+) bytes stack frame, (\d+) bytes spill stores", message
    )
    assert found == [("0", "0")] * 5, found


@pytest.mark.slow
def test_the_host_prints_the_record_and_ends_what_stands_at_a_barrier(tmp_path: Path) -> None:
    """Once, to the file that is named and to stderr, with the launches that may be the hung one; status 86 where no
    instruction ends the wait."""
    if not nvcc():
        return
    program = tmp_path / "host"
    command = [nvcc(), "-std=c++20", "-Icsrc", "-DGPUKERN_BOUNDED_WAITS", "-Werror=all-warnings", "-arch=sm_90a"]
    done = subprocess.run([*command, f"{HERE}/bounded_host.cu", "-o", str(program)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    record = tmp_path / "record"
    environment = {**os.environ, "GPUKERN_WAIT_SECONDS": "0.05", "GPUKERN_WAIT_RECORD": str(record)}
    where = "gpukern: block (5,0,0) of (132,1,1), thread 256 of 384 (warp 8, warpgroup 2): "
    launched = "gpukern: a recent launch with that grid: product<2>\n"
    for kind, status, text in (
        ("record", 0, f"{where}mbarrier_wait_parity on the mbarrier at 0x38010, parity 1, given up after 9999 ms\n"),
        ("note", 86, f"{where}cluster_wait\n"),
    ):
        record.unlink(missing_ok=True)
        ran = subprocess.run([program, kind], env=environment, capture_output=True, text=True)
        assert ran.returncode == status, (kind, ran)
        assert record.read_text() == text + launched
        assert ran.stderr.startswith(text + launched) and ran.stderr.count("gpukern: block") == 1
        assert ("1 warps wait at barriers" in ran.stderr) is (kind == "note")
