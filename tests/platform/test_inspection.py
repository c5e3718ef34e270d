"""GPU code as compiled: no spills, no stack, no warnings, the instructions that configurations promise, figures as
recorded.

Without a toolchain there is a warning; in CI (CI=true) that is a failure.  The faults planted in
faults.cu must be found, and its sound kernel must not be.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.platform import inspect_cuda, inspect_hip, inspection, kernels, promises, yardstick
from tests.platform.inspection import BACKENDS, reachable
from tests.platform.kernels import Kernel
from tests.platform.toolchains import ROOT, cuda_gpu, cuda_tools, hip, rules, run

FAULTS = Path(__file__).with_name("faults.cu")
pytestmark = pytest.mark.xdist_group("inspection")  # in one process: all GPU code is compiled or read once


# ---- the project's own kernels ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_kernels_keep_what_they_promise(backend: str) -> None:
    found = reachable(BACKENDS[backend])
    if found:
        assert not inspection.complaints(found)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_figures_are_those_of_the_golden_files(backend: str) -> None:
    found = reachable(BACKENDS[backend])
    if not found:
        return
    if sentence := inspection.other_compiler(found):  # of a newer day; what kernels promise is tested all the same
        warnings.warn(sentence, stacklevel=1)
        return
    wrong = inspection.differences(found)
    assert not wrong, "\n".join([*wrong, "if this is meant: make inspect-golden, and commit the files"])


@pytest.mark.slow
def test_the_hip_host_code_links_and_loads() -> None:
    if not reachable(BACKENDS["hip"]):
        return
    library = inspect_hip.link_host(hip())
    content = library.read_bytes()
    targets = {job.target for job in inspect_hip.jobs()}
    assert len(targets) >= 5
    assert not [t for t in targets if f"amdgcn-amd-amdhsa--{t}".encode() not in content]
    assert inspect_hip.load(library)


def gpu(backend: str, *wanted: str) -> rules.Gpu:
    return rules.Gpu(backend, "", "", ROOT, wanted, "")


def test_every_device_that_is_promised_has_code() -> None:
    for folder in rules.plan_objects(None).targets:
        words = rules.words_of(rules.CSRC / folder)
        for number in ("7.5", "8.0", "8.6", "8.9", "9.0a", "10.0", "12.0"):
            major, minor = number.rstrip("a").split(".")
            code = rules.select_cuda(words, gpu("cuda", number))
            # 8.6 and 8.9 run the code of 8.0
            served = [
                w for w in words if re.fullmatch(rf"sm_{major}\d[af]?", w) and int(w.rstrip("af")[-1]) <= int(minor)
            ]
            assert code or served or folder != "gemm/arch/simt", (folder, number)
        for device in ("gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201"):
            assert rules.select_hip(words, gpu("hip", device)) or folder != "gemm/arch/simt", (folder, device)


def test_golden_files_are_those_of_the_targets() -> None:
    plan = rules.plan_objects(None)
    words = {w for folder in plan.targets for w in rules.words_of(rules.CSRC / folder) if not w.startswith("ptx")}
    assert {p.stem for p in kernels.GOLDEN.glob("*.txt")} == words
    for path in kernels.GOLDEN.glob("*.txt"):  # short enough to be read in a review
        families = Counter(re.findall(r"^elementwise/(\w+) ", path.read_text(), re.MULTILINE))
        assert all(lines <= 20 for lines in families.values()), (path, families)
        assert path.read_text().count("\n") - families.total() <= 70, path


# ---- planted faults --------------------------------------------------------------------------------------------------

EXPECTED = {
    "stacked": r"has a stack frame of \d+ bytes",
    "spilled": r"spills \d+ registers|has \d+ of (LDL|scratch)",
    "Narrow": r"has 0 of (STG\.128|store128), promises 1",
}


def found_in(group: list[Kernel]) -> dict[str, list[str]]:
    """Complaints, by the key of EXPECTED (or "sound") that the kernel's name has."""
    words = [*EXPECTED, "Sound"]
    return {w: [c for k in group if w in k.name and k.entry for c in kernels.complaints(k)] for w in words}


def check_faults(group: list[Kernel]) -> None:
    found = found_in(group)
    for word, pattern in EXPECTED.items():
        assert any(re.search(pattern, text) for text in found[word]), (word, found)
    assert sum("Sound" in k.name for k in group) == 1 and not found["Sound"], found


def compiled(folder: Path, target: str, source: Path = FAULTS) -> tuple[Path, str]:
    out = folder / f"{source.stem}.{target}.o"
    tool = cuda_gpu().compiler
    flags = ["-std=c++20", "-O3", "-Icsrc", "-Wno-deprecated-gpu-targets", "--expt-relaxed-constexpr"]
    done = subprocess.run(
        [tool, *flags, *rules.target_flags([target], [target], cuda_gpu()), "-c", str(source), "-o", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout + done.stderr


@pytest.mark.slow
def test_faults_in_cuda_code_are_found(tmp_path: Path) -> None:
    if not reachable(cuda_gpu) or not reachable(cuda_tools):
        return
    path, _ = compiled(tmp_path, "sm_80")
    check_faults(inspect_cuda.read_object(path)["sm_80"])


@pytest.mark.slow
def test_cuda_code_for_another_device_is_found(tmp_path: Path) -> None:
    if not reachable(cuda_gpu) or not reachable(cuda_tools):
        return
    path, _ = compiled(tmp_path, "sm_90")
    inspect_cuda.tool("cuobjdump", "-xelf", "all", path, folder=tmp_path)
    cubin = next(tmp_path.glob("*.cubin"))
    shutil.copy(cubin, tmp_path / "renamed.sm_80.cubin")
    group = inspect_cuda.read_cubin(tmp_path / "renamed.sm_80.cubin")
    assert all(any("is code for sm_90" in text for text in kernels.complaints(k)) for k in group)


@pytest.mark.slow
def test_losses_that_ptxas_reports_are_found(tmp_path: Path) -> None:
    """setmaxnreg without launch bounds: C7508."""
    if not reachable(cuda_gpu):
        return
    source = tmp_path / "loss.cu"
    source.write_text('__global__ void k() { asm volatile("setmaxnreg.dec.sync.aligned.u32 40;"); }\n')
    _, log = compiled(tmp_path, "sm_90a", source)
    assert kernels.complaints_of_log("loss.cu", log), log
    assert not kernels.complaints_of_log("", "ptxas info    : 0 bytes gmem\n0m0.01s 0m0.00s\n")


EARLY = """
#include "primitives/dependent_launch.h"
#include "primitives/tma.h"
using namespace gpukern;
GPUKERN_KERNEL sound(int* p) { griddepcontrol_wait(); p[threadIdx.x] = p[threadIdx.x + 1]; }
GPUKERN_KERNEL read(int* p) { const int x = p[threadIdx.x + 1]; griddepcontrol_wait(); p[threadIdx.x] = x; }
GPUKERN_KERNEL written(int* p) { p[threadIdx.x] = 1; griddepcontrol_wait(); p[threadIdx.x + 1] = 2; }
GPUKERN_KERNEL none(int* p) { p[threadIdx.x] = p[threadIdx.x + 1]; }
GPUKERN_KERNEL boxed(const GPUKERN_GRID_CONST TensorMap map) {
  tma_load(0, &map, {0}, 1024);
  griddepcontrol_wait();
}
"""


@pytest.mark.slow
def test_an_access_ahead_of_the_wait_is_found(tmp_path: Path) -> None:
    if not reachable(cuda_gpu) or not reachable(cuda_tools):
        return
    source = tmp_path / "early.cu"
    source.write_text(EARLY)
    path, _ = compiled(tmp_path, "sm_90a", source)
    group = inspect_cuda.read_object(path)["sm_90a"]
    promised = "void gpukern::gemm::wgmma::product<gpukern::gemm::wgmma::p64x64, __half, __half, __half, 0, 0>(W)"
    texts = {k.name.partition("(")[0]: " ".join(kernels.complaints(replace(k, name=promised))) for k in group}
    assert replace(group[0], name=promised).key == "wgmma/p64x64 f16" and len(group) == 5
    assert "ahead of its wait" not in texts.pop("sound"), texts
    for name, words in {"read": "LDG", "written": "STG", "none": "no wait at all, LDG", "boxed": "UTMALDG"}.items():
        assert re.search(rf"may overlap the kernel before it, and has {words}.* ahead of its wait", texts[name]), texts
    assert not kernels.complaints(replace(group[0], early=["LDG"])), "of a kernel that does not overlap"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["gfx942", "gfx12-generic"])
def test_faults_in_hip_code_are_found(tmp_path: Path, target: str) -> None:
    tools = reachable(hip)
    if not tools:
        return
    out = tmp_path / "faults.co"
    device = [f"--offload-arch={target}", "--offload-device-only", "--no-gpu-bundle-output"]
    run(tools.clang, *tools.flags, *device, "-c", FAULTS, "-o", out, cwd=ROOT)
    group = inspect_hip.read_object(tools, out, target)
    check_faults(group)
    wrong = replace(group[0], target="gfx90a")
    assert any("is code for" in text for text in kernels.complaints(wrong))


def test_a_changed_figure_is_a_diff() -> None:
    one = Kernel(
        "sm_80", "void gpukern::gemm::simt::product<gpukern::gemm::simt::s128x128, float>(W)", 163, arch="sm_80"
    )
    other = replace(one, registers=168)
    old, new = (kernels.golden("sm_80", "nvcc 0", [k]).splitlines() for k in (one, other))
    assert one.key == "simt/s128x128 f32"
    assert [(a, b) for a, b in zip(old, new) if a != b and "regs 163" in a and "regs 168" in b]


def test_a_promise_that_no_kernel_answers_to_is_found() -> None:
    found = inspect_cuda.Inspection("nvcc 0", {"sm_75": [], "sm_80": [], "sm_89": [], "sm_90a": []})
    texts = inspection.unkept(found)
    assert [p.kernels for p in promises.PROMISES if not any(f" is named {p.kernels}," in text for text in texts)] == []
    assert not [text for text in texts if "sm_80: " in text and "wgmma/" in text]
    found = inspect_cuda.Inspection("nvcc 0", {"sm_75": []})  # has no kernels of mma_sync
    assert {s for s in inspection.unkept(found) if "mma_sync/" in s} == set()
    found = inspect_cuda.Inspection("nvcc 0", {"sm_90a": []})  # has those of the two folders for it, and no others
    folders = {re.search(r"is named (\w+)/", text)[1] for text in inspection.unkept(found)}  # type: ignore[index]
    assert folders == {"wgmma", "mma_sync"}


def test_a_budget_that_is_spent_is_found() -> None:
    found = inspect_cuda.Inspection("nvcc 0", seconds={"a.o": promises.BUDGET_SECONDS + 1.0})
    found.code_bytes = promises.BUDGET_BYTES + 1
    assert [text for text in inspection.complaints(found) if "CPU seconds, the budget" in text]
    assert [text for text in inspection.complaints(found) if "bytes, the budget" in text]


def test_seconds_are_counted_by_the_yardstick() -> None:
    """A machine of half the speed takes twice the seconds for the yardstick too; a compiler that fails is an error."""
    spin = "n = 0\nfor i in range({}): n += i"
    short, long = (yardstick.pace(0.1, sys.executable, "-c", spin.format(n * 1_000_000)) for n in (1, 8))
    assert long > 2 * short > 0
    with pytest.raises(RuntimeError, match="said this"):
        yardstick.pace(1.0, sys.executable, "-c", "raise SystemExit('said this')")


@pytest.mark.slow
def test_a_build_on_a_busy_machine_keeps_its_budget() -> None:
    """One source took 317 CPU seconds on an idle machine and 438 on a busy one, by a yardstick timed when it was idle.

    What a build took is compared with what the same objects take now.
    """
    if not reachable(cuda_gpu):
        return
    logs = [Path(f"{path}.log") for path in inspect_cuda.objects()]
    taken = {log: inspect_cuda.cpu_seconds(log.read_text()) for log in logs}
    least = dict(sorted(taken.items(), key=lambda item: item[1])[:2])
    idle, busy = (inspect_cuda.pace_of_build({log: n * s for log, s in least.items()}) for n in (1, 8))
    assert busy > 3 * idle > 0


@pytest.mark.parametrize(
    ("target", "registers", "threads", "shared", "blocks"),
    [
        ("sm_80", 128, 256, 0, 2),  # 65536 / (128 * 256)
        ("sm_80", 163, 256, 33792, 1),
        ("sm_90", 32, 256, 0, 8),  # 64 warps
        ("sm_90", 32, 128, 48 << 10, 4),  # 228 KB / 49 KB
        ("sm_75", 64, 256, 32 << 10, 2),
        ("gfx942", 128, 256, 0, 4),  # 4 waves a SIMD, 4 SIMDs, 4 waves a block
        ("gfx942", 64, 256, 40 << 10, 1),  # 64 KB of LDS
    ],
)
def test_occupancy(target: str, registers: int, threads: int, shared: int, blocks: int) -> None:
    assert promises.blocks_at_once(target, registers, threads, shared) == blocks
