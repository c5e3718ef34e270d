"""The objects that setup.py compiles, and their targets: pure functions of the tree and of the machine.

A `targets` file beside a .cu lists its compiler targets (`sm_80 sm_90a ptx gfx942`; `ptx`: also PTX, which the driver
compiles for newer GPUs); a line `name.cu ..: sm_89 ptx` is of these sources alone. formulas/ops/families.h lists
the families of the catalogue. No other table exists. Identifiers here call a compiler target a word.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
CSRC = Path("csrc")
# The CPU loops are compiled once per capability and chosen at run time: never -march=native. On x86 DEFAULT serves
# processors from before 2013; -Os compiles it in 10 s per family where -O3 takes 26.
CAPABILITIES = {
    "DEFAULT": ["-Os"],
    "AVX2": ["-O3", "-mavx2", "-mfma", "-mf16c"],
    "AVX512": ["-O3", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mf16c"],
}

# GPUKERN_SANITIZE=1, for `make sanitize`: the first wrong access or undefined operation ends the process. vptr is left
# out: it needs the typeinfo of every class of torch's that is used, which torch's libraries need not show. The
# assertions of libstdc++ see an index past a std::vector or std::span that stays within its memory.
SANITIZE = [
    *("-fsanitize=address,undefined", "-fno-sanitize=vptr", "-fno-sanitize-recover=all"),
    *("-fno-omit-frame-pointer", "-D_GLIBCXX_ASSERTIONS", "-DGPUKERN_WITHOUT_AVX512", "-g1"),
    "-Og",  # a quarter to a half of the compile time of -O1, and nothing is folded that a sanitizer could have seen
]
# UBSan's library is linked in: a shared one takes functions of AddressSanitizer's for its own, and its reports do not
# go where UBSAN_OPTIONS says.
SANITIZE_LINK = ["-fsanitize=address,undefined", "-static-libubsan", "-Wl,--exclude-libs,ALL"]
# Else each register of a formula would be watched until its scope ends: three times the compile time, for values that
# nothing points to. Their memory is watched as all other is.
SANITIZE_LOOPS = ["-fno-sanitize-address-use-after-scope"]


def sanitizing() -> bool:
    return os.environ.get("GPUKERN_SANITIZE") == "1"


def stop(sentence: str) -> NoReturn:
    raise SystemExit(f"gpukern: {sentence}")


def say(sentence: str) -> None:
    print(f"gpukern: {sentence}", file=sys.stderr, flush=True)


def output_of(*command: str) -> str:
    """Standard output of a command, "" where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def first_number(text: str) -> str:
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found.group(0) if found else "unknown"


@dataclass(frozen=True)
class Gpu:
    """A device compiler and the targets that it is to compile for."""

    backend: str  # "cuda" or "hip"
    compiler: str
    version: str
    home: Path
    wanted: tuple[str, ...]  # "8.0", "9.0a", "9.0+PTX" or gfx targets; empty: everything the folders name
    why: str
    known: tuple[str, ...] = ()  # targets that the compiler knows; empty: unknown


@cache
def words_in(folder: Path) -> dict[str, tuple[str, ...]]:
    """The `targets` file of a folder by stem of a source, "" for all others; `#` starts a comment."""
    try:
        text = (ROOT / folder / "targets").read_text()
    except OSError:
        return {}
    found: dict[str, tuple[str, ...]] = {"": ()}
    for line in re.sub(r"#.*", "", text).splitlines():
        sources, _, words = line.rpartition(":")
        for stem in [name.removesuffix(".cu") for name in sources.split()] or [""]:
            found[stem] = (*found.get(stem, ()), *words.split())
    return found


def words_of(place: Path) -> tuple[str, ...]:
    """The words of a folder's sources, or of one source with targets of its own (`arch/mma_sync/float8`)."""
    if words := words_in(place):
        return words[""]
    return words_in(place.parent).get(place.name, ())


def capability(word: str) -> tuple[int, int, str]:
    """(9, 0, "a") of sm_90a or 9.0a."""
    found = re.fullmatch(r"sm_(\d+)(\d)([af]?)", word) or re.fullmatch(r"(\d+)\.(\d)([af]?)", word)
    if not found:
        stop(f"{word!r} is not a CUDA target (sm_80, sm_90a, ..)")
    return int(found[1]), int(found[2]), found[3]


# The targets of a folder without a letter use no feature newer than the oldest of them (sm_75 aside).  So one pass of
# the compiler's front end serves all of them, and its PTX every device from the oldest on.  If `targets` has ptx_75
# instead of ptx, the code uses no feature newer than sm_75, and one pass serves sm_75 too.
OLDEST_SHARED = 80


def front_end(word: str, folder: Sequence[str]) -> str:
    """The virtual architecture of a target in a folder from sm_75 on: 80 for sm_120, 75 for sm_75, 90a for sm_90a."""
    number = word.partition("_")[2]
    plain = [int(w[3:]) for w in folder if re.fullmatch(r"sm_\d+", w)]
    said = [int(w[4:]) for w in folder if re.fullmatch(r"ptx_\d+", w)]
    shared = min(said or (n for n in plain if n >= OLDEST_SHARED), default=OLDEST_SHARED)
    return str(min(int(number), shared)) if number.isdigit() else number


def select_cuda(words: Sequence[str], gpu: Gpu) -> list[str]:
    """The targets of a folder to compile: those that are wanted and that nvcc knows; `ptx_N`: PTX for sm_N."""
    bases = [w for w in words if w.startswith("sm_") and (not gpu.known or w.rstrip("af") in gpu.known)]
    bases.sort(key=capability)
    plain = [w for w in bases if not capability(w)[2]]
    folder_ptx = any(w.startswith("ptx") for w in words) and bool(plain)
    if not gpu.wanted:
        return bases + ([f"ptx_{front_end(plain[-1], words)}"] if folder_ptx else [])
    chosen: list[str] = []
    for wish in gpu.wanted:
        text, _, ptx = wish.partition("+")
        major, minor, _ = capability(text)
        same = [w for w in bases if capability(w)[:2] == (major, minor)]
        family = [
            w for w in bases if capability(w)[0] == major and capability(w)[1] <= minor and capability(w)[2] != "a"
        ]
        older = [w for w in plain if capability(w)[:2] <= (major, minor)]
        if same:
            chosen += same
        elif family:
            chosen.append(family[-1])
        if folder_ptx and older and (ptx or not (same or family)):
            chosen.append(f"ptx_{front_end(older[-1], words)}")
    return sorted(set(chosen), key=lambda w: (w.startswith("ptx"), capability("sm_" + w.split("_")[1])))


def select_hip(words: Sequence[str], gpu: Gpu) -> list[str]:
    named = [w for w in words if w.startswith("gfx")]
    if not gpu.wanted:
        return named
    return [w for w in named if w in gpu.wanted or any(generic_of(x) == w for x in gpu.wanted)]


def generic_of(word: str) -> str:
    """The generic target that serves a device: gfx11-generic for gfx1100."""
    found = re.fullmatch(r"gfx(1[0-9])[0-9a-f]{2}", word)
    return f"gfx{found[1]}-generic" if found else word


# ---- the objects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Object:
    source: Path
    rule: str  # "cxx" or "gpu"
    flags: tuple[str, ...]
    name: str
    torch: bool = False  # includes torch's headers, so it uses the precompiled ones


@dataclass
class Plan:
    objects: list[Object] = field(default_factory=list)
    # folder below csrc, or source of one (without .cu) that has targets of its own -> targets compiled
    targets: dict[str, list[str]] = field(default_factory=dict)


def families() -> list[str]:
    header = ROOT / CSRC / "formulas" / "ops" / "families.h"
    return re.findall(r"\bF\((\w+)\)", header.read_text()) if header.exists() else []


def capabilities() -> dict[str, list[str]]:
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    found = CAPABILITIES if x86 else {"DEFAULT": ["-O3"]}
    if sanitizing():  # AVX512 is AVX2's source again, for wider registers
        return {
            word: [*(flag for flag in flags if not flag.startswith("-O")), *SANITIZE_LOOPS]
            for word, flags in found.items()
            if word != "AVX512"
        }
    return found


def below(pattern: str) -> list[Path]:
    """Sources, without the machine model, which gpukern.model compiles."""
    found = (p.relative_to(ROOT) for p in (ROOT / CSRC).rglob(pattern))
    return sorted(p for p in found if "model" not in p.parts)


@cache
def reads_torch(path: Path) -> bool:
    """Whether a source includes torch's headers, itself or through a header of ours."""
    words = re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.M)
    if any(word.startswith(("torch/", "ATen/", "c10/")) for word in words):
        return True
    ours = [folder / word for word in words for folder in (path.parent, ROOT / CSRC) if (folder / word).exists()]
    return any(reads_torch(header.resolve()) for header in ours if header.resolve() != path)


def plan_objects(gpu: Gpu | None) -> Plan:
    plan = Plan()
    for source in below("*.cpp"):
        stem = "_".join(source.relative_to(CSRC).with_suffix("").parts)
        if source.name in ("host_loops.cpp", "host_stage.cpp"):
            for word, machine in capabilities().items():
                defines = [f"-DCPU_CAPABILITY={word}", f"-DCPU_CAPABILITY_{word}"]
                flags = [*defines, "-fno-math-errno", "-fno-trapping-math", *machine]
                for family in families() if source.name == "host_loops.cpp" else [""]:
                    named = [f"-DGPUKERN_FAMILY={family}"] if family else []
                    name = "_".join(filter(None, (stem, family, word.lower())))
                    plan.objects.append(Object(source, "cxx", (*flags, *named), name))
        else:
            plan.objects.append(Object(source, "cxx", (), stem, reads_torch(ROOT / source)))
    for folder in sorted({p.parent for p in (ROOT / CSRC).rglob("targets")}):
        name = folder.relative_to(ROOT / CSRC).as_posix()
        plan.targets |= {"/".join(filter(None, (name, stem))): [] for stem in words_in(folder.relative_to(ROOT))}
    if gpu:
        plan_gpu(plan, gpu)
    # GPU objects first, because they take longest: near the end only short jobs run, and no compiler waits for long.
    plan.objects.sort(key=lambda o: o.rule != "gpu")
    return plan


def plan_gpu(plan: Plan, gpu: Gpu) -> None:
    sources = below("*.cu")
    select = select_cuda if gpu.backend == "cuda" else select_hip
    for place in plan.targets:
        if any(CSRC / place in (source.parent, source.with_suffix("")) for source in sources):
            plan.targets[place] = select(words_of(CSRC / place), gpu)
    # A .cu without `targets` beside it is host code for the runtime, the same for every device: any target will do.
    any_one = next((words[:1] for words in plan.targets.values() if words), [])
    for source in sources:
        folder, alone = (path.relative_to(CSRC).as_posix() for path in (source.parent, source.with_suffix("")))
        compiled = plan.targets.get(alone, plan.targets.get(folder, any_one))
        if not compiled:
            continue
        # Sources beside it that are compiled for no device: a launcher leaves their kernels out.
        absent = [p.rpartition("/")[2] for p, w in plan.targets.items() if p.rpartition("/")[0] == folder and not w]
        stem = "_".join(source.relative_to(CSRC).with_suffix("").parts)
        for family in families() if source == CSRC / "elementwise" / "gpu.cu" else [""]:
            named = [f"-DGPUKERN_FAMILY={family}"] if family else []
            named += [f"-DGPUKERN_WITHOUT_{name}" for name in absent]
            name = "_".join(filter(None, (stem, family, "gpu")))
            flags = target_flags(compiled, words_of(CSRC / (alone if alone in plan.targets else folder)), gpu)
            plan.objects.append(Object(source, "gpu", (*flags, *named), name))


def target_flags(words: Sequence[str], folder: Sequence[str], gpu: Gpu) -> list[str]:
    """The compiler flags for the chosen targets of a folder."""
    if gpu.backend == "hip":
        return [f"--offload-arch={w}" for w in words]
    flags = []
    for word in words:
        kind, _, number = word.partition("_")
        virtual = f"compute_{front_end(word, folder)}"
        flags.append(f"-gencode=arch={virtual},code={f'sm_{number}' if kind == 'sm' else virtual}")
    return flags


# ---- what was built, baked in ----------------------------------------------------------------------------------------


def facts(plan: Plan, gpu: Gpu | None, torch: Any, cxx: str, rules: dict[str, list[str]]) -> dict[str, Any]:
    """The facts that `python -m gpukern info` prints. No dates and no paths: the same sources give the same bytes."""

    def without_paths(flags: list[str]) -> str:
        return " ".join(f for f in flags if "/" not in f and f != "-isystem")

    return {
        "version": version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "backend": gpu.backend if gpu else "cpu",
        "targets": plan.targets,
        "targets_from": gpu.why if gpu else "",
        "cpu_capabilities": list(capabilities()),
        "families": families(),
        "compilers": {
            "cxx": f"{Path(cxx.split()[0]).name} {first_number(output_of(*shlex.split(cxx), '-dumpfullversion'))}",
            **({"gpu": f"{Path(gpu.compiler).name} {gpu.version}"} if gpu else {}),
        },
        "flags": {rule: without_paths(flags) for rule, flags in rules.items()},
    }


def built_header(info: dict[str, Any]) -> str:
    lines = [
        "// Written by setup.py: what this build compiled. Folders are those below csrc/ that have a `targets` file.",
        "#pragma once",
        f"#define GPUKERN_BUILT_CUDA {int(info['backend'] == 'cuda')}",
        f"#define GPUKERN_BUILT_HIP {int(info['backend'] == 'hip')}",
        "#define GPUKERN_BUILT_GPU (GPUKERN_BUILT_CUDA || GPUKERN_BUILT_HIP)",
        "// One a folder, 1 where code for some device was compiled: GPUKERN_BUILT_elementwise, GPUKERN_BUILT_simt ..",
    ]
    for folder, words in info["targets"].items():
        name = re.sub(r"\W", "_", folder.rpartition("/")[2])
        lines.append(f"#define GPUKERN_BUILT_{name} {int(bool(words))}")
    lines += ["namespace gpukern {", "struct BuiltFolder { const char* folder; const char* targets; };"]
    rows = [f'  {{"{folder}", "{" ".join(words)}"}},' for folder, words in info["targets"].items()]
    lines += [
        '// targets: words with a blank between, ptx_N for PTX of sm_N, "" where nothing was compiled',
        "inline constexpr BuiltFolder kBuiltFolders[] = {",
        *rows,
        "  {nullptr, nullptr}};",
    ]
    lines += [f'inline constexpr char kBuildInfo[] = R"json({json.dumps(info)})json";', "}  // namespace gpukern"]
    return "\n".join(lines) + "\n"


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    return found[1] if found else "0"
