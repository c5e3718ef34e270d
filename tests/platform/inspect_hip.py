"""Compiles every GPU source for every AMD target, reads the code objects, and links the host code as a build does."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import pickle
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.platform import yardstick
from tests.platform.inspect_cuda import Inspection
from tests.platform.kernels import Kernel, count
from tests.platform.toolchains import HIP_FOLDER, ROOT, Hip, demangle, hip, parallel, rules, run, timed

OUT = HIP_FOLDER / "objects"
METADATA = {
    "registers": r"\.vgpr_count:\s+(\d+)", "accumulators": r"\.agpr_count:\s+(\d+)", "scalar": r"\.sgpr_count:\s+(\d+)",
    "stack": r"\.private_segment_fixed_size: (\d+)", "shared": r"\.group_segment_fixed_size: (\d+)",
    "threads": r"\.max_flat_workgroup_size: (\d+)", "lost": r"\.vgpr_spill_count: (\d+)",
    "lost_scalar": r"\.sgpr_spill_count: (\d+)",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    source: Path
    target: str
    flags: tuple[str, ...]
    out: Path
    arch_flags: tuple[str, ...] = ()


def jobs() -> list[Job]:
    """One a source (and family) and target, from the plan of a HIP build."""
    found = []
    for o in rules.plan_objects(hip().gpu).objects:
        targets = [f.partition("=")[2] for f in o.flags if f.startswith("--offload-arch=")]
        rest = tuple(f for f in o.flags if not f.startswith("--offload-arch="))
        if o.rule == "gpu":
            found += [Job(o.source, target, rest, OUT / f"{o.name}.{target}.co") for target in targets]
    return found


def compile_for(tools: Hip, job: Job) -> tuple[str, float]:
    """The compiler's output, and its CPU seconds."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    device = [f"--offload-arch={job.target}", "--offload-device-only", "--no-gpu-bundle-output"]
    try:
        return timed(tools.clang, *tools.flags, *device, *job.flags, "-c", job.source, "-o", job.out)
    except RuntimeError as error:
        raise RuntimeError(f"{job.source} does not compile for {job.target}: {error}") from error


def read_object(tools: Hip, path: Path, target: str) -> list[Kernel]:
    notes = run(tools.tool("llvm-readelf"), "--notes", path)
    arch = re.search(r"amdhsa\.target:\s+\S*?(gfx[\w-]+)", notes)
    facts: dict[str, dict[str, int]] = {}
    for block in re.split(r"^  - (?=\.)", notes, flags=re.M)[1:]:
        name = re.search(r"^\s+\.name:\s+(\S+)", block, re.M)
        if name:
            facts[name[1]] = {k: int(m[1]) for k, v in METADATA.items() if (m := re.search(v, block))}
    code: dict[str, list[str]] = {}
    size: dict[str, int] = {}
    opcodes: list[str] = []
    for line in run(tools.tool("llvm-objdump"), "-d", "--no-show-raw-insn", path).splitlines():
        if line.endswith(">:"):
            name_of = re.search(r"<(.+)>:$", line)
            opcodes = code.setdefault(name_of[1], []) if name_of else []
        elif line.startswith("\t"):
            opcodes.append(line.split(None, 1)[0])
    for line in run(tools.tool("llvm-readelf"), "--symbols", "--wide", path).splitlines():
        parts = line.split()
        if len(parts) == 8 and parts[3] == "FUNC":
            size[parts[7]] = int(parts[2], 0)
    named = demangle(list(code))
    return [
        Kernel(
            target,
            named[name],
            registers=f.get("registers", 0),  # on gfx90a and later this counts the accumulators too
            scalar=f.get("scalar", 0),
            stack=f.get("stack", 0),
            spills=f.get("lost", 0),
            scalar_spills=f.get("lost_scalar", 0),
            shared=f.get("shared", 0),
            threads=f.get("threads", 0),
            code_bytes=size.get(name, 0),
            arch=arch[1] if arch else "",
            counts=count("hip", words),
            entry=name in facts,
        )
        for name, words in code.items()
        for f in [facts.get(name, {})]
    ]


def inspect() -> Inspection:
    """Compiles and reads everything; what an earlier process found of the same sources is taken over."""
    tools = hip()
    digest = hashlib.sha256(repr((tools.version, tools.flags)).encode())
    for source in sorted(p for p in (ROOT / rules.CSRC).rglob("*") if p.is_file() and p.suffix != ".pyc"):
        digest.update(source.read_bytes())
    kept = HIP_FOLDER / "inspection.pickle"
    with (HIP_FOLDER / "inspection.lock").open("w") as lock:  # of several test processes, one compiles
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists() and OUT.exists():
            key, found = pickle.loads(kept.read_bytes())
            if key == digest.hexdigest():
                return found  # type: ignore[no-any-return]
        found = compile_and_read(tools)
        beside = kept.with_suffix(".new")
        beside.write_bytes(pickle.dumps((digest.hexdigest(), found)))
        beside.replace(kept)
        return found


def compile_and_read(tools: Hip) -> Inspection:
    found = Inspection(tools.version)
    shutil.rmtree(OUT, ignore_errors=True)

    def one(job: Job) -> tuple[str, float, list[Kernel]]:
        log, seconds = compile_for(tools, job)
        return log, seconds, read_object(tools, job.out, job.target)

    work = sorted(jobs(), key=lambda j: (j.source.parent.name != "elementwise", str(j.out)))  # the longest first
    before = yardstick.clang(tools.clang, tools.flags)
    compiled = parallel(one, work)
    found.pace = (before + yardstick.clang(tools.clang, tools.flags)) / 2  # it may change in these minutes
    for job, (log, seconds, kernels) in zip(work, compiled):
        found.logs[job.out.name] = log
        found.seconds[job.out.name] = seconds / found.pace
        found.by_target[job.target] = found.by_target.get(job.target, 0) + seconds / found.pace
        found.kernels.setdefault(job.target, []).extend(kernels)
    found.code_bytes = sum(k.code_bytes for group in found.kernels.values() for k in group)
    return found


# ---- the host side ---------------------------------------------------------------------------------------------------


def link_host(tools: Hip) -> Path:
    """A shared object of the host code of every source, with the code objects in it, as a build for HIP makes."""
    linked = OUT / "libgpukern_hip.so"
    sources: dict[str, list[Job]] = {}
    for job in jobs():
        sources.setdefault(job.out.name.partition(".")[0], []).append(job)

    def host_object(item: tuple[str, list[Job]]) -> Path:
        name, group = item
        out, bundle = OUT / f"{name}.o", OUT / f"{name}.hipfb"
        targets = ["host-x86_64-unknown-linux-gnu", *(f"hipv4-amdgcn-amd-amdhsa--{job.target}" for job in group)]
        inputs = [f"-input={path}" for path in ("/dev/null", *(job.out for job in group))]
        bundler = tools.tool("clang-offload-bundler")
        run(bundler, "-type=o", f"-targets={','.join(targets)}", *inputs, f"-output={bundle}")
        device = ["-Xclang", "-fcuda-include-gpubinary", "-Xclang", str(bundle), "--offload-host-only"]
        run(tools.clang, *tools.flags, *device, *group[0].flags, "-c", group[0].source, "-o", out, cwd=ROOT)
        return out

    objects = parallel(host_object, sources.items())
    # Against HIP 7, which must have every name that is used.
    strict = ["-Wl,--no-undefined", "-Wl,--allow-shlib-undefined", f"{tools.rocm}/lib/libamdhip64.so"]
    run(tools.clang, "-shared", *objects, *strict, "-o", OUT / "libgpukern_hip7.so", cwd=ROOT)
    # Against the library of this system, which can be loaded here; names that only HIP 7 has are bound when called.
    run(tools.clang, "-shared", *objects, "-Wl,-z,lazy", "-l:libamdhip64.so.5", "-o", linked, cwd=ROOT)
    return linked


def load(path: Path) -> int:
    """Loads a library with its functions bound when called, which registers its kernels; the handle."""
    libc = ctypes.CDLL(None)
    libc.dlopen.restype = ctypes.c_void_p
    libc.dlerror.restype = ctypes.c_char_p
    handle = libc.dlopen(str(path).encode(), os.RTLD_LAZY)
    assert handle, libc.dlerror().decode()
    return int(handle)
