"""The rules of the house (docs/architecture.md), each one a test that reads the sources."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.platform.toolchains import rules

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
ARCH = CSRC / "gemm" / "arch"
CXX = shlex.split(os.environ.get("CXX", "c++"))
CODE = (".h", ".cuh", ".cu", ".cpp")


@cache
def text(path: Path) -> str:
    return path.read_text()


@cache
def without_comments(path: Path) -> str:
    """The code: comments blanked, lines kept."""
    source = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text(path), flags=re.S)
    return re.sub(r"//[^\n]*", "", source)


def sources(*suffixes: str) -> list[Path]:
    return sorted(p for p in CSRC.rglob("*") if p.suffix in (suffixes or CODE))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def hits(pattern: str, paths: list[Path], code_only: bool = True) -> list[str]:
    """`file:line: text` of each match."""
    found = []
    for path in paths:
        for number, line in enumerate((without_comments(path) if code_only else text(path)).splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name(path)}:{number}: {line.strip()}")
    return found


def included(path: Path) -> list[Path]:
    """Headers of ours that a file includes directly."""
    found = []
    for word in re.findall(r'#\s*include\s*[<"]([^>"]+)[>"]', without_comments(path)):
        for folder in (path.parent, CSRC):
            if (folder / word).exists():
                found.append((folder / word).resolve())
                break
    return found


# Every compiler that reads the rooms without torch, and what it defines: nvcc, clang as HIP, the machine model, and the
# host compiler, plainly and for one of the CPU loops' vector capabilities.
READERS = {
    "nvcc": ["-D__CUDACC__"],
    "hip": ["-D__HIP__"],
    "model": ["-DGPUKERN_MODEL"],
    "host": [],
    "loops": ["-DCPU_CAPABILITY=AVX2", "-DCPU_CAPABILITY_AVX2"],
}
DEVICE = ["nvcc", "hip", "model"]


@cache
def everything_read(path: Path, reader: str) -> frozenset[str]:
    """What the preprocessor reads for a file, headers that are not there included."""
    flags = ["-std=c++20", "-x", "c++", "-M", "-MG", f"-I{CSRC}", "-DGPUKERN_FAMILY=math", *READERS[reader]]
    result = subprocess.run([*CXX, *flags, str(path)], capture_output=True, text=True, check=True)
    return frozenset(result.stdout.replace("\\\n", " ").partition(":")[2].split())


def reads_torch(path: Path, readers: Sequence[str]) -> list[str]:
    torch = r"(^|/)(torch|ATen|c10|pybind11|Python\.h)(/|$)"
    return [
        f"{reader}: {word}" for reader in readers for word in everything_read(path, reader) if re.search(torch, word)
    ]


def in_room(path: Path, *rooms: str) -> bool:
    return any(path.is_relative_to(CSRC / room) for room in rooms)


# ---- what may stand where --------------------------------------------------------------------------------------------


def test_there_are_sources() -> None:
    assert len(sources()) > 20 and sources(".cu") and sources(".cpp")


def test_assembly_and_vendor_builtins_stay_in_isa_and_platform() -> None:
    paths = [p for p in sources() if p.name != "isa.h" and not in_room(p, "platform")]
    assert not hits(r"\basm(\s+volatile)?\s*\(|__asm__|__builtin_amdgcn|__nvvm_", paths)


def test_vendor_conditions_stay_in_platform() -> None:
    vendor = r"#\s*(if|ifdef|ifndef|elif).*(__HIP|USE_ROCM|__CUDACC__|__CUDA_ARCH__|__NVCC__|__AMDGCN|__gfx)"
    assert not hits(vendor, [p for p in sources() if not in_room(p, "platform")])


def test_the_rooms_below_know_nothing_of_those_above() -> None:
    """What core/, platform/ and primitives/ include lies in them."""
    rooms = ("core", "platform", "primitives")
    below = [p for p in sources(".h", ".cuh", ".cu") if in_room(p, *rooms)]
    above = {name(p): [name(q) for q in included(p) if not in_room(q, *rooms)] for p in below}
    assert below and not {file: found for file, found in above.items() if found}


def test_products_and_elementwise_kernels_know_nothing_of_each_other() -> None:
    """Both stand on core/, primitives/ and formulas/; gemm calls the elementwise ops by their dispatcher
    side only (elementwise.h)."""
    between = {("gemm", "elementwise"): {CSRC / "elementwise/elementwise.h"}, ("elementwise", "gemm"): set()}
    between |= {("formulas", "elementwise"): set(), ("formulas", "gemm"): set()}
    for (room, other), allowed in between.items():
        paths = [p for p in sources() if in_room(p, room)]
        assert paths
        reached = {h for p in paths for h in included(p) if in_room(h, other)}
        assert reached <= allowed, (room, sorted(map(name, reached)))


TORCH = r"#\s*include\s*[<\"](torch|ATen|c10|pybind11|Python\.h)"


def test_device_code_never_reaches_torch() -> None:
    assert not {name(p): found for p in sources(".cu", ".cuh") if (found := reads_torch(p, DEVICE))}


PURE = [
    "formulas",
    *(f"elementwise/{word}.h" for word in ("plan", "launch")),
    *(f"core/{word}.h" for word in ("bits", "dtype", "divider", "float8", "index", "number")),
    "platform",
    "primitives",
    "gemm/problem.h",
    "gemm/select.h",
    "gemm/registry.h",
    "gemm/ranking.h",
    "gemm/schedule.h",
    "gemm/epilogue.h",
]


def test_formulas_plans_and_tables_are_plain_cpp() -> None:
    """What nvcc, clang as HIP, the host compiler and the machine model all read knows no torch."""
    for room in [*PURE, *(f"gemm/arch/{p.name}/tiles.h" for p in sorted(ARCH.glob("*")))]:
        paths = [p for p in sources() if in_room(p, room)]
        assert paths, f"nothing in {room}"
        assert not {name(p): found for p in paths if (found := reads_torch(p, list(READERS)))}


# What the .cpp files of a room share, tensors and all; the kernels beside them get plain structs.
TORCH_SIDE = {
    "core": ["scalar_type"],
    "elementwise": ["autograd", "elementwise", "gpu_path", "host_vector", "unaliased"],
    "gemm": ["autograd", "gemm", "registrar"],
}


@pytest.mark.parametrize("room", TORCH_SIDE)
def test_torch_side_headers_are_for_cpp_files(room: str) -> None:
    """A header that includes torch is one of the few named here, and nothing that a kernel or a formula is made of
    includes it."""
    found = hits(TORCH, [p for p in sources(".h", ".cuh") if in_room(p, room)])
    headers = sorted({line.partition(":")[0] for line in found})
    assert headers == [f"csrc/{room}/{word}.h" for word in TORCH_SIDE[room]]
    for header in headers:
        code = [p for p in sources() if p.suffix != ".cpp" and (ROOT / header) in included(p)]
        assert not [name(p) for p in code if p.suffix != ".h" or in_room(p, *PURE, "gemm/arch")], header


def test_no_fast_math() -> None:
    paths = [*sources(), ROOT / "setup.py", CSRC / "build_rules.py", ROOT / "Makefile"]
    flags = (
        r"^[^#]*(use_fast_math|ffast-math|fgpu-flush-denormals|-ftz=true|-prec-(div|sqrt)=false|march=native|-Ofast)"
    )
    assert not hits(flags, paths)


def test_approximate_intrinsics_are_named_in_platform_only() -> None:
    """`__expf` and its kin are less precise than their names suggest to a reader; one that is used has a name there."""
    fast = r"\b__(expf|exp10f|logf|log2f|log10f|powf|sinf|cosf|tanf|fdividef|frcp_rn_ftz|frsqrt_rn)\s*\("
    assert not hits(fast, [p for p in sources() if not in_room(p, "platform")])


# ---- shape of the files ----------------------------------------------------------------------------------------------


def written_by_hand() -> list[Path]:
    found = [ROOT / "setup.py"]
    for folder in ("csrc", "gpukern", "tests", "benchmarks"):
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in (*CODE, ".py", ".hpp")]
    return sorted(found)


def test_no_file_is_longer_than_500_lines() -> None:
    assert not {name(p): n for p in written_by_hand() if (n := text(p).count("\n")) > 500}


def test_headers_are_guarded_by_pragma_once() -> None:
    assert not [name(p) for p in sources(".h", ".cuh") if "#pragma once" not in text(p)]


def test_macros_carry_the_project_name() -> None:
    """The machine model defines CUDA's own names (threadIdx ..), which is its purpose."""
    paths = [p for p in sources() if not in_room(p, "platform/model")]
    found = hits(r"^\s*#\s*define\s+(?!GPUKERN_)", paths)
    allowed = r"#\s*define\s+(CPU_CAPABILITY|PY_SSIZE_T_CLEAN|NPY_|TORCH_ASSERT_)"
    assert not [line for line in found if not re.search(allowed, line)]


def test_nothing_is_left_open() -> None:
    words = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"))
    skips = "|".join(("pytest.mark." + "skip", "pytest.mark." + "xfail", r"pytest\." + r"skip\("))
    paths = [p for p in written_by_hand() if p != Path(__file__)]
    assert not hits(rf"\b({words})\b", paths, code_only=False)
    assert not hits(skips, [p for p in paths if p.is_relative_to(ROOT / "tests")], code_only=False)


# ---- the registry and the folders ------------------------------------------------------------------------------------


def arch_folders() -> list[str]:
    return sorted(p.name for p in ARCH.iterdir() if p.is_dir())


def test_the_registry_lists_the_arch_folders() -> None:
    code = without_comments(CSRC / "gemm" / "registry.h")
    listed = sorted(set(re.findall(r"arch/([\w-]+)/tiles\.h", code)))
    assert listed == arch_folders()


def test_arch_folders_have_the_same_files() -> None:
    for folder in arch_folders():
        names = {p.name for p in (ARCH / folder).iterdir() if p.is_file()}
        words = {"tiles.h", "launch.cpp"} if folder == "host" else {"tiles.h", "kernel.cuh", "launch.cu", "targets"}
        assert words <= names, f"{folder} lacks {sorted(words - names)}"


TARGET = r"ptx(_\d{2,3})?|sm_\d{2,3}[af]?|gfx\d{1,2}[0-9a-f]{2}|gfx\d{1,2}-generic"


def test_targets_files_hold_words_of_compilers() -> None:
    paths = sorted(CSRC.rglob("targets"))
    assert paths
    for path in paths:
        assert any(p.suffix == ".cu" for p in path.parent.iterdir())
        for stem, words in rules.words_in(path.parent.relative_to(ROOT)).items():
            assert words and all(re.fullmatch(TARGET, word) for word in words), (name(path), words)
            assert len(words) == len(set(words)) and (not stem or (path.parent / f"{stem}.cu").exists()), (stem, words)


def test_the_build_names_no_target() -> None:
    """The `targets` files are the only table: a new architecture is not a change of the build."""
    assert not hits(r"(?<!\")[\"'](sm_\d|gfx9|gfx1)\S*[\"']", [ROOT / "setup.py", CSRC / "build_rules.py"])


# ---- places to touch -------------------------------------------------------------------------------------------------


def catalogue() -> dict[str, Path]:
    """Public name of each elementwise op -> the header that has its struct."""
    found: dict[str, Path] = {}
    for path in sorted((CSRC / "formulas" / "ops").glob("*.h")):
        for op in re.findall(r"\.name\s*=\s*\"(\w+)\"", text(path)):
            found[op] = path
    return found


# Where an op of torch's may be named besides its struct: torch's own rules about it (overload names, autocast's list),
# the epilogue's and the modules' choice of activations, the routes, and the reference, written by other hands.
MAY_NAME_OPS = (
    "csrc/formulas/ops/",
    "csrc/elementwise/twin.cpp",
    "csrc/gemm/",
    "csrc/dropin/",
    "gpukern/mlp.py",
    "gpukern/nn.py",
    "gpukern/bench/",
    "gpukern/demo/",
    "gpukern/formulas.py",
    "gpukern/reference.py",
)


def test_an_op_is_named_in_one_file() -> None:
    """Registration, autograd, fakes, docstrings and kernels come from the struct: a new op touches its family only."""
    ops = catalogue()
    assert len(ops) >= 40
    paths = [p for p in [*sources(), *(ROOT / "gpukern").rglob("*.py")] if not name(p).startswith(MAY_NAME_OPS)]
    code = {p: without_comments(p) if p.suffix in CODE else text(p) for p in paths}
    named = {op: [name(p) for p in paths if re.search(rf"[\"'](?:\w+::)?{op}[\"']", code[p])] for op in ops}
    elsewhere = {op: places for op, places in named.items() if places}
    # What remains are overloads of torch's that take a number, and its list of ops that autocast computes in float32.
    assert set().union(*elsewhere.values()) <= {
        "csrc/elementwise/autograd.cpp",
        "csrc/elementwise/composite.cpp",
        "csrc/elementwise/functions.cpp",
        "csrc/elementwise/register.cpp",
        "csrc/entry/entry.cpp",
        "gpukern/__init__.py",
        "gpukern/batching.py",
        "gpukern/dynamo.py",
        "gpukern/fakes_elementwise.py",
        "gpukern/selection.py",
    }, elsewhere
    # A new op is like these: its struct is all there is.
    assert len(ops) - len(elsewhere) >= 20, sorted(elsewhere)


def test_families_are_listed_once_and_have_a_header_each() -> None:
    header = CSRC / "formulas" / "ops" / "families.h"
    listed = re.findall(r"\bF\((\w+)\)", text(header))
    assert sorted(listed) == sorted(p.stem for p in header.parent.glob("*.h") if p != header)


def test_an_architecture_is_a_folder_and_a_line() -> None:
    """Outside its folder only the registry reads a folder's files."""
    for folder in arch_folders():
        outside = [p for p in sources() if ARCH / folder not in p.parents]
        where = [name(p) for p in outside if f"{folder}/tiles.h" in without_comments(p)]
        assert where == ["csrc/gemm/registry.h"], (folder, where)


# Files that name configurations because they test these.
STATES_BY_NAME = {
    "tests/contract/test_rooms.py": "reads the folders' own files",
    "tests/platform/promises.py": "which instructions the compiled kernels of each configuration have",
    "tests/platform/test_inspection.py": "which of them a build without some of these instructions breaks",
}
READS_A_NAME = {
    "startswith",
    "removeprefix",
    "match",
    "fullmatch",
    "search",
    "findall",
    "split",
    "partition",
    "compile",
}


def branches_on_a_folder(source: str, folders: Sequence[str]) -> list[int]:
    """Lines of Python that test which folder a name is of: by its beginning, by a pattern, or by the folder itself."""
    one = "|".join(folders)
    begins, pattern, whole = (re.compile(p) for p in (rf"\^?\(?({one})/[^: ]*", rf"({one})/.*[\\\[(|]", rf"({one})/?"))
    found = []
    for node in ast.walk(ast.parse(source)):
        words = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READS_A_NAME:
            given = [n for a in node.args for n in ast.walk(a) if isinstance(n, ast.Constant)]
            hit = any(isinstance(n.value, str) and begins.fullmatch(n.value) for n in given)
        elif isinstance(node, ast.Compare):
            sides = ast.unparse(node)
            asked = "folder" in sides or ".split('/')" in sides or ".partition('/')" in sides
            left = node.left.value if isinstance(node.left, ast.Constant) else None
            inside = isinstance(node.ops[0], (ast.In, ast.NotIn)) and bool(re.fullmatch(rf"({one})/", str(left)))
            hit = inside or (asked and any(whole.fullmatch(w) for w in words))
        else:
            hit = isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(pattern.match(node.value))
        if hit:
            found.append(node.lineno)  # type: ignore[attr-defined]
    return sorted(set(found))


def test_python_asks_for_what_a_configuration_is_and_not_for_its_folder() -> None:
    """Lanes, TMA, the multiplier and the like are in a folder's table (Traits), so that a new folder has them too."""
    for line in (
        'c.name.startswith("wgmma/")', 'name.startswith(("simt/", "skinny/r"))', 're.match(r"mma_sync/f", name)',
        'c.folder == "simt"', 'name.split("/")[0] in ("host", "simt")', '"wgmma/" in key', r'Promise(r"simt/w\w+ f32")',
    ):  # fmt: skip
        assert branches_on_a_folder(line, arch_folders()), line
    for line in ('found.would_run == "simt/s64x64"', 'gpukern.force("simt/s64x64*4")', 'clock.name == "host"'):
        assert not branches_on_a_folder(line, arch_folders()), line
    files = [p for room in ("gpukern", "benchmarks", "tests") for p in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 150
    found = {name(p): branches_on_a_folder(text(p), arch_folders()) for p in files}
    asked = {path: lines for path, lines in found.items() if lines}
    assert asked.keys() == STATES_BY_NAME.keys(), asked
