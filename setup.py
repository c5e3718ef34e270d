"""Builds gpukern._C: C++ against the installed torch, and CUDA or HIP where a compiler for it is found.

This script writes one ninja file, which compiles every object: with its own flags, and with dependency files, so that
a changed header recompiles only what includes it. setuptools links. The build is described in the source folders: a
`targets` file beside a .cu lists its compiler targets, and formulas/ops/families.h lists the families.

Environment: GPUKERN_BUILD=auto|cpu|cuda|hip, TORCH_CUDA_ARCH_LIST, PYTORCH_ROCM_ARCH, CUDA_HOME, ROCM_HOME, CXX,
MAX_JOBS, GPUKERN_BOUNDED_WAITS=1 (a wait that never ends reports who waits: csrc/platform/waits.h),
GPUKERN_BUILD_TIMES=1 (seconds per object at the end), GPUKERN_BUILD_VERBOSE=1 (every command), GPUKERN_SANITIZE=1 (host
C++ with AddressSanitizer and UBSan: `make sanitize`).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "csrc"))

from build_rules import (  # noqa: E402
    CSRC,
    SANITIZE,
    SANITIZE_LINK,
    Gpu,
    Plan,
    built_header,
    facts,
    first_number,
    output_of,
    plan_objects,
    sanitizing,
    say,
    stop,
    write_if_changed,
)

OLDEST_TORCH = (2, 11)
INSTALL = "pip install --no-build-isolation ."


def require_torch() -> Any:
    """Imports torch, or stops with one line that says what to run."""
    try:
        import torch
    except ImportError as error:
        if getattr(error, "name", None) == "torch":
            stop(
                f"this Python ({sys.executable}) has no torch, and the build compiles against it; "
                f"run: pip install 'torch>=2.11' 'setuptools>=77' ninja && {INSTALL}"
            )
        stop(f"torch is installed but cannot be imported ({error}); repair it, then run: {INSTALL}")
    found = tuple(int(x) for x in re.findall(r"\d+", torch.__version__)[:2])
    if found < OLDEST_TORCH:
        stop(f"torch {torch.__version__} is too old; run: pip install 'torch>=2.11' && {INSTALL}")
    return torch


# ---- what to build for -----------------------------------------------------------------------------------------------


def find_gpu(torch: Any, mode: str) -> Gpu | None:
    """nvcc or hipcc, as GPUKERN_BUILD allows; None for the CPU build, with one line that says why."""
    if mode not in ("auto", "cpu", "cuda", "hip"):
        stop(f"GPUKERN_BUILD={mode} is unknown; choose auto, cpu, cuda or hip")
    if mode == "cpu":
        say("building for the CPU only, because GPUKERN_BUILD=cpu")
        return None
    if mode == "hip" or (mode == "auto" and torch.version.hip):
        home = Path(os.environ.get("ROCM_HOME") or os.environ.get("ROCM_PATH") or "/opt/rocm")
        hipcc = home / "bin" / "hipcc"
        compiler = str(hipcc) if hipcc.exists() else shutil.which("hipcc")
        if compiler:
            asked = tuple(os.environ.get("PYTORCH_ROCM_ARCH", "").replace(";", " ").split())
            why = "PYTORCH_ROCM_ARCH" if asked else "all targets"
            return Gpu("hip", compiler, first_number(output_of(compiler, "--version")), home, asked, why)
        if mode == "hip":
            stop("GPUKERN_BUILD=hip, but hipcc is neither in ROCM_HOME nor on PATH")
    if mode in ("auto", "cuda") and not (mode == "auto" and torch.version.hip):
        compiler = find_nvcc()
        if compiler:
            wanted, why = wanted_cuda()
            known = tuple(output_of(compiler, "--list-gpu-code").split())
            home = Path(compiler).resolve().parent.parent
            if not (home / "include" / "cuda_runtime.h").exists():
                home = next((p for p in cuda_homes() if (p / "include" / "cuda_runtime.h").exists()), home)
            version = first_number(output_of(compiler, "--version").split("release")[-1])
            return Gpu("cuda", compiler, version, home, wanted, why, known)
        if mode == "cuda":
            stop("GPUKERN_BUILD=cuda, but nvcc is neither in CUDA_HOME nor on PATH nor in /usr/local/cuda/bin")
    say("no nvcc or hipcc found: building for the CPU only (set CUDA_HOME to build the CUDA kernels; no GPU is needed)")
    return None


def cuda_homes() -> Iterable[Path]:
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            yield Path(os.environ[name])
    yield Path("/usr/local/cuda")


def find_nvcc() -> str | None:
    named = [p for p in cuda_homes() if p != Path("/usr/local/cuda")]
    for home in named:
        if (home / "bin" / "nvcc").exists():
            return str(home / "bin" / "nvcc")
    default = Path("/usr/local/cuda/bin/nvcc")
    return shutil.which("nvcc") or (str(default) if default.exists() else None)


def wanted_cuda() -> tuple[tuple[str, ...], str]:
    """Compute capabilities: those of the environment, else of the GPUs present, else none."""
    names = {"Turing": "7.5", "Ampere": "8.0 8.6", "Ada": "8.9", "Hopper": "9.0", "Blackwell": "10.0 12.0"}
    text = os.environ.get("TORCH_CUDA_ARCH_LIST", "").replace(";", " ").replace(",", " ")
    wanted: list[str] = []
    for capability in text.split():
        name, plus, ptx = capability.partition("+")
        expanded = names.get(name, name).split()
        wanted += [*expanded[:-1], expanded[-1] + plus + ptx]
    if wanted and wanted != ["native"]:
        for capability in wanted:
            if not re.fullmatch(r"\d+\.\d[af]?(\+PTX)?", capability):
                stop(f"TORCH_CUDA_ARCH_LIST has {capability!r}; write capabilities like '8.0;9.0a;12.0+PTX'")
        return tuple(wanted), "TORCH_CUDA_ARCH_LIST"
    present = output_of("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").split()
    found = tuple(sorted({p for p in present if re.fullmatch(r"\d+\.\d", p)}))
    return found, "the GPUs present" if found else "all targets"


# ---- compiling -------------------------------------------------------------------------------------------------------


def jobs() -> int:
    """MAX_JOBS, else what cores and free memory allow, 2 GB a job."""
    asked = os.environ.get("MAX_JOBS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(free_memory() // 2e9)))


def free_memory() -> float:
    """Free memory in bytes, within the limit of the control group."""
    free = 8e9
    try:
        meminfo = Path("/proc/meminfo").read_text()
        free = float(re.search(r"MemAvailable:\s+(\d+)", meminfo)[1]) * 1024  # type: ignore[index]
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            free = min(free, float(limit) - float(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, TypeError, ValueError):
        pass
    return free


def ninja_command() -> list[str]:
    try:
        import ninja
    except ImportError:
        found = shutil.which("ninja")
        return [found] if found else []
    binary = Path(ninja.BIN_DIR) / "ninja"
    return [str(binary)] if binary.exists() else [sys.executable, "-m", "ninja"]


@dataclass(frozen=True)
class Command:
    source: str
    line: str
    name: str
    after: str = ""  # an output that must be there first


def compile_all(commands: dict[str, Command], temp: Path, count: int) -> None:
    """commands: output -> its command. Runs those whose inputs changed."""
    ninja = ninja_command()
    if not ninja:
        say(
            "ninja is not installed: compiling with threads (pip install ninja: it shows progress and is better tested)"
        )
        compile_with_threads(commands, count)
        return
    text = [
        "ninja_required_version = 1.3",
        f"builddir = {temp}",
        "rule run\n  command = $cmd\n  depfile = $out.d\n  deps = gcc\n  description = $what",
    ]
    for out, command in commands.items():
        after = f" | {command.after}" if command.after else ""
        text.append(f"build {out}: run {command.source}{after}")
        text.append(f"  cmd = {command.line.replace('$', '$$')}\n  what = {command.name}")
    write_if_changed(ROOT / temp / "build.ninja", "\n".join(text) + "\n")
    verbose = ["-v"] if os.environ.get("GPUKERN_BUILD_VERBOSE") else []
    result = subprocess.run([*ninja, "-f", str(temp / "build.ninja"), "-j", str(count), *verbose], cwd=ROOT)
    if result.returncode:
        stop("a source file did not compile; the compiler's messages are above")
    if os.environ.get("GPUKERN_BUILD_TIMES"):
        print_times(temp)


def compile_with_threads(commands: dict[str, Command], count: int) -> None:
    def stale(out: str, line: str) -> bool:
        path, note, depends = (ROOT / (out + suffix) for suffix in ("", ".cmd", ".d"))
        if not (path.exists() and note.exists() and depends.exists()) or note.read_text() != line:
            return True
        read = [ROOT / p for p in depends.read_text().replace("\\\n", " ").partition(": ")[2].split()]
        return any(not p.exists() or p.stat().st_mtime > path.stat().st_mtime for p in read)

    def one(item: tuple[str, Command]) -> str:
        out, command = item
        if not stale(out, command.line):
            return ""
        result = subprocess.run(command.line, shell=True, cwd=ROOT, capture_output=True, text=True)
        if result.returncode:
            return f"{command.name}\n{result.stdout}{result.stderr}"
        (ROOT / (out + ".cmd")).write_text(command.line)
        print(command.name, flush=True)
        return ""

    for out in commands:
        (ROOT / out).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(count) as pool:
        failed = [text for text in pool.map(one, commands.items()) if text]
    if failed:
        print("\n".join(failed), file=sys.stderr)
        stop("a source file did not compile; the compiler's messages are above")


def print_times(temp: Path) -> None:
    """Wall seconds of each object of the last run that compiled it, slowest first, from ninja's log."""
    seconds: dict[str, float] = {}
    for line in (ROOT / temp / ".ninja_log").read_text().splitlines()[1:]:
        start, end, _, out, *_ = line.split("\t")
        seconds[out] = (int(end) - int(start)) / 1000
    print(f"gpukern: {len(seconds)} objects, {sum(seconds.values()):.0f} s in total; the slowest:")
    for out, time in sorted(seconds.items(), key=lambda kv: -kv[1])[:20]:
        print(f"  {time:7.1f} s  {Path(out).name}")


class BuildPy(build_py):  # type: ignore[misc]  # setuptools has no types
    """Copies files that are used at run time into the package: the kernels' sources, which gpukern.model compiles for
    the CPU on first use, and the suites of gpukern bench."""

    def sources(self) -> list[Path]:
        wanted = (".h", ".cuh", ".cu", ".py")
        found = [p for p in (ROOT / CSRC).rglob("*") if p.suffix in wanted or p.name == "targets"]
        found += (ROOT / CSRC / "platform" / "model").glob("*.cpp")
        return sorted([*found, *(ROOT / "benchmarks" / "suites").glob("*.json")])

    def copies(self) -> list[tuple[Path, Path]]:
        return [(p, Path(self.build_lib) / "gpukern" / p.relative_to(ROOT)) for p in self.sources()]

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self.copies():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *(str(target) for _, target in self.copies())]


class Build(build_ext):  # type: ignore[misc]  # setuptools has no types
    """Compiles by build.ninja, then lets setuptools link."""

    def run(self) -> None:
        if sanitizing() and self.inplace:
            stop("GPUKERN_SANITIZE=1 is not for the build in place, which Python loads alone; run: make sanitize")
        super().run()

    def build_extension(self, ext: Extension) -> None:
        torch = require_torch()
        if sys.platform == "win32":
            stop("Windows is not supported; use WSL")
        cxx = self.find_cxx()
        gpu = None if sanitizing() else find_gpu(torch, os.environ.get("GPUKERN_BUILD", "auto").lower())
        os.chdir(ROOT)
        temp = Path(os.path.relpath(self.build_temp, ROOT))
        plan = plan_objects(gpu)
        if not any(o.source.name == "bind.cpp" for o in plan.objects):
            stop("csrc/bind.cpp is missing: the source tree is incomplete")
        rules = self.rules(torch, gpu, temp)
        info = facts(plan, gpu, torch, cxx, rules)
        write_if_changed(ROOT / temp / "generated" / "gpukern_built.h", built_header(info))
        commands = self.commands(plan, rules, cxx, gpu, temp)
        count = jobs()
        say(f"{len(commands)} objects, {count} at a time; {self.summary(plan, gpu)}")
        compile_all(commands, temp, count)
        self.link(ext, torch, gpu, [out for out in commands if out.endswith(".o")])
        write_if_changed(Path(self.build_lib) / "gpukern" / "built.json", json.dumps(info, indent=1) + "\n")

    @staticmethod
    def commands(plan: Plan, rules: dict[str, list[str]], cxx: str, gpu: Gpu | None, temp: Path) -> dict[str, Command]:
        def line(compiler: str, flags: Iterable[str], source: str, out: str) -> str:
            return f"{compiler} {shlex.join(flags)} -MMD -MF {out}.d -c {source} -o {out}"

        commands: dict[str, Command] = {}
        gch = ""
        if ninja_command() and "Free Software Foundation" in output_of(*shlex.split(cxx), "--version"):
            # GCC reads torch_headers.h.gch in place of the header of that name, which is empty.
            stand_in = (temp / "generated" / "torch_headers.h").as_posix()
            write_if_changed(ROOT / stand_in, "")
            # Compile a file that includes the header: compiled alone, GCC warns about #pragma once in the main file.
            header = (temp / "generated" / "precompiled.h").as_posix()
            write_if_changed(ROOT / header, "#include <torch_headers.h>\n")
            gch = f"{stand_in}.gch"
            commands[gch] = Command(
                header, line(cxx, [*rules["cxx"], "-x", "c++-header"], header, gch), "torch headers"
            )
        for obj in plan.objects:
            out = (temp / "objects" / f"{obj.name}.o").as_posix()
            compiler = cxx if obj.rule == "cxx" else shlex.quote(gpu.compiler if gpu else "")
            headers = ["-include", gch[:-4]] if gch and obj.torch else []
            # A source's own flags come last, so that its -O3 wins.
            text = line(compiler, [*rules[obj.rule], *headers, *obj.flags], obj.source.as_posix(), out)
            if obj.rule == "gpu":
                # Keep the compiler's output and its CPU seconds: `make inspect` reads both.
                text = f"{{ {text}; }} >{out}.log 2>&1; code=$?; cat {out}.log >&2; times >>{out}.log; exit $code"
            commands[out] = Command(obj.source.as_posix(), text, f"{obj.rule} {obj.name}", gch if headers else "")
        return commands

    def get_outputs(self) -> list[str]:
        outputs: list[str] = super().get_outputs()
        return [*outputs, str(Path(self.build_lib) / "gpukern" / "built.json")]

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        shutil.copyfile(Path(self.build_lib) / "gpukern" / "built.json", ROOT / "gpukern" / "built.json")

    @staticmethod
    def summary(plan: Plan, gpu: Gpu | None) -> str:
        if not gpu:
            return "CPU only"
        compiled = dict.fromkeys(target for targets in plan.targets.values() for target in targets)
        return f"{gpu.backend} {gpu.version} for {' '.join(compiled) or 'no target'} ({gpu.why})"

    @staticmethod
    def find_cxx() -> str:
        asked = os.environ.get("CXX")
        found = asked or shutil.which("g++") or shutil.which("clang++") or shutil.which("c++") or ""
        if not found or not shutil.which(shlex.split(found)[0]):
            named = f" named {asked}" if asked else ""
            stop(f"no C++ compiler{named}; install g++ >= 11 or set CXX, then run: {INSTALL}")
        return found

    @staticmethod
    def rules(torch: Any, gpu: Gpu | None, temp: Path) -> dict[str, list[str]]:
        from torch.utils.cpp_extension import include_paths

        python = sysconfig.get_paths()["include"]
        if not (Path(python) / "Python.h").exists():
            stop(f"{python}/Python.h is missing; install the headers of Python (Debian: apt install python3-dev)")
        isystem = [flag for path in (*include_paths(), python) for flag in ("-isystem", path)]
        openmp = "" if sys.platform == "darwin" else "-fopenmp"
        abi = int(getattr(torch._C, "_GLIBCXX_USE_CXX11_ABI", True))
        common = f"-std=c++20 -DNDEBUG -I{CSRC} -I{(temp / 'generated').as_posix()}"
        hidden = "-fPIC -fvisibility=hidden"
        warnings = "-Wall -Wno-unknown-pragmas -Wno-psabi -Wno-maybe-uninitialized"
        rules = {
            "cxx": f"{common} -O2 {hidden} -fvisibility-inlines-hidden {openmp} {warnings} "
            f"-D_GLIBCXX_USE_CXX11_ABI={abi} -DGPUKERN_TORCH={torch.__version__.split('+')[0]}".split()
            + (SANITIZE if sanitizing() else [])
            + isystem
        }
        if gpu and gpu.backend == "cuda":
            host = f"-Xcompiler={','.join(hidden.split())},-O2,-Wno-psabi"
            ccbin = f"-ccbin={shlex.split(os.environ['CXX'])[0]}" if os.environ.get("CXX") else ""
            # `balance` gives a fifth of the size; `size` would save another fifth, and costs a fifteenth of the compile
            # time.  nvcc has the option since 12.8; the driver's support is older.
            modes = "compress-mode" in output_of(gpu.compiler, "--help")
            small = "--compress-mode=balance -Xfatbin=-compress-all" if modes else ""
            bounded = "-DGPUKERN_BOUNDED_WAITS" if os.environ.get("GPUKERN_BOUNDED_WAITS") == "1" else ""
            options = f"{host} {ccbin} {small} {bounded} -Wno-deprecated-gpu-targets --expt-relaxed-constexpr"
            rules["gpu"] = f"{common} -O3 {options}".split()
        elif gpu:
            rules["gpu"] = f"-x hip {common} -O3 {hidden}".split()
        return rules

    def link(self, ext: Extension, torch: Any, gpu: Gpu | None, objects: list[str]) -> None:
        ext.extra_objects = objects
        ext.depends = objects  # linked again only where an object is newer
        ext.library_dirs = [str(Path(torch.__file__).parent / "lib")]
        ext.libraries = ["c10", "torch", "torch_cpu", "torch_python"]
        if sys.platform != "darwin":
            # Reports of the sanitizers name lines, so the debug information stays.
            lean = SANITIZE_LINK if sanitizing() else ["-Wl,-O1", "-Wl,--strip-debug"]
            ext.extra_link_args = ["-fopenmp", *lean, "-Wl,--exclude-libs,ALL"]
        if gpu and gpu.backend == "cuda":
            found = [gpu.home / "lib64", gpu.home / "targets" / f"{platform.machine()}-linux" / "lib", gpu.home / "lib"]
            ext.library_dirs += [str(p) for p in found if p.exists()]
            ext.libraries += ["cudart_static", "dl", "rt", "pthread"]
        elif gpu:
            ext.library_dirs.append(str(gpu.home / "lib"))
            ext.libraries.append("amdhip64")
        super().build_extension(ext)


if __name__ == "__main__":
    if int(setuptools.__version__.split(".")[0]) < 77:
        stop(f"setuptools {setuptools.__version__} is too old; run: pip install 'setuptools>=77' ninja && {INSTALL}")
    # If something will be compiled, report missing parts before anything is downloaded; an sdist needs no torch.
    if {"build", "build_ext", "bdist_wheel", "dist_info", "editable_wheel", "develop", "install"} & set(sys.argv):
        require_torch()
    setup(ext_modules=[Extension("gpukern._C", [], language="c++")], cmdclass={"build_ext": Build, "build_py": BuildPy})
