"""Faults planted in the sources of the mma_sync product: one line each, compiled for the machine model
(type_mutants.py has those of other types).

A mutant is the tree with one text replaced by another.  The text must occur exactly once, so that a fault cannot be
planted beside the line it means when the source changes.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpukern.model import build
from tests.gemm.mutants import seen
from tests.gemm.mutants.end_faults import END_FAULTS
from tests.gemm.mutants.sum_faults import SUM_FAULTS
from tests.gemm.mutants.term_faults import FAULTS
from tests.platform.includes import headers_of
from tests.platform.library import FOLDER, MACHINE, ROOT, load, machine_rules, run_ninja, sources_read

LOOP, TILE, FRAGMENTS = (f"primitives/{name}.h" for name in ("mainloop", "tile", "fragments"))
BLOCK, STORE, KERNEL, LAUNCH, CONFIGURATIONS = (
    f"gemm/arch/mma_sync/{name}" for name in ("block.cuh", "store.cuh", "kernel.cuh", "launch.cuh", "configurations.h")
)
EMIT, SPLIT, SCHEDULE = "gemm/emit.cuh", "gemm/split/kernel.cuh", "gemm/schedule.h"


@dataclass(frozen=True)
class Mutant:
    """`right` in csrc/`file` becomes `wrong`.  tf32: seen with float32, which reads tiles without ldmatrix."""

    what: str
    file: str
    right: str
    wrong: str
    tf32: bool = False
    terms: bool = False  # in the configuration that multiplies bfloat16 terms

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "-", self.what)


NONE = Mutant("nothing", KERNEL, "", "")
NONE_TF32 = Mutant("nothing, tf32", KERNEL, "", "", tf32=True)
NONE_TERMS = Mutant("nothing, terms", KERNEL, "", "", terms=True)
SUM_MUTANTS = [Mutant(*fault) for fault in SUM_FAULTS]
TERM_MUTANTS = [Mutant(*fault, terms=True) for fault in FAULTS]
MUTANTS = [
    Mutant(
        "no barrier behind the wait",
        LOOP,
        "cp_async_wait<Stages - 2>();\n          syncthreads();\n        }",
        "cp_async_wait<Stages - 2>();\n        }",
    ),
    Mutant(
        "a warp's barrier where the block's is needed",
        LOOP,
        "cp_async_wait<Stages - 2>();\n          syncthreads();\n        }",
        "cp_async_wait<Stages - 2>();\n          syncwarp();\n        }",
    ),
    Mutant(
        "the wait lets one group too many be under way",
        LOOP,
        "cp_async_wait<Stages - 2>();\n          syncthreads();\n        }",
        "cp_async_wait<Stages - 1>();\n          syncthreads();\n        }",
    ),
    Mutant(
        "no barrier before the first fragments",
        LOOP,
        "cp_async_wait<Stages - 2>();\n    syncthreads();\n    if",
        "cp_async_wait<Stages - 2>();\n    if",
    ),
    Mutant(
        "the first tile is not waited for",
        LOOP,
        "cp_async_wait<Stages - 2>();\n    syncthreads();\n    if",
        "syncthreads();\n    if",
    ),
    Mutant(
        "nothing is committed where the ring closes",
        LOOP,
        "before(slot));\n          cp_async_commit();",
        "before(slot));\n          if (slot < Stages - 1) cp_async_commit();",
    ),
    Mutant(
        "a tile is loaded into the stage in use",
        LOOP,
        "return slot == 0 ? Stages - 1 : slot - 1;",
        "return slot;",
    ),
    Mutant(
        "the tile after the next is loaded",
        LOOP,
        "tiles.load_ahead(shared, Stages - 1, before(slot));",
        "tiles.load_ahead(shared, Stages, slot);",
    ),
    Mutant(
        "no barrier before the epilogue takes the stages",
        LOOP,
        "    syncthreads();  // the last fragments are read; now the stages are the epilogue's\n",
        "",
    ),
    Mutant(
        "no barrier between a slab's writes and its reads",
        STORE,
        "    syncwarp();\n#pragma unroll 1\n    for (int q",
        "#pragma unroll 1\n    for (int q",
    ),
    Mutant(
        "no barrier before the slab is written again", STORE, "    syncwarp();\n    rotate(sum);", "    rotate(sum);"
    ),
    Mutant("the ring does not close", LOOP, "slot + 1 == Stages ? 0 : slot + 1", "slot + 1"),
    Mutant(
        "the last step reads on in its own slot", LOOP, "const int from = last ? next : slot", "const int from = slot"
    ),
    Mutant(
        "A is read one step too early",
        LOOP,
        "read_a(i, from, then);\n        }\n      };",
        "read_a(i, from, step);\n        }\n      };",
    ),
    Mutant("the sets of B do not take turns", LOOP, "take(step + 1, odd, even);", "take(step + 1, even, odd);"),
    Mutant(
        "warps stand the other way",
        BLOCK,
        "warp / (C::bn / C::wn) * C::wm, warp_column = warp % (C::bn / C::wn) * C::wn",
        "warp % (C::bn / C::wn) * C::wm, warp_column = warp % (C::bn / C::wn) * C::wn",
    ),
    Mutant(
        "a range of k begins at 0 for B",
        BLOCK,
        "block.column * p.b.column + range.first * p.b.row",
        "block.column * p.b.column",
    ),
    Mutant(
        "the range's matrix, not the batch's",
        BLOCK,
        "static_cast<const T*>(data.a) + block.batch * p.a.batch",
        "static_cast<const T*>(data.a) + block.slice * p.a.batch",
    ),
    Mutant(
        "a fragment's lower half goes to the upper rows",
        STORE,
        "At::row(lane / 4, half) * pitch",
        "At::row(lane / 4, half) * (pitch - 1)",
    ),
    Mutant(
        "a column of D is handed over as a row",
        STORE,
        "row = q % (16 / each) * each, column = q / (16 / each);",
        "row = q / (16 / each) % 16, column = q % (16 / each);",
    ),
    Mutant(
        "chunks are not turned where they are copied to",
        TILE,
        "to = place(line, thread % chunks);",
        "to = static_cast<uint32_t>(line * line_bytes + thread % chunks * 16);",
    ),
    Mutant(
        "lines beyond the matrix are copied",
        TILE,
        "return l < lines_left ? columns_left - c : 0;",
        "return columns_left - c;",
    ),
    Mutant("chunks beyond the matrix are copied", TILE, "bytes_of(have, 16)", "have <= 0 ? 0 : 16"),
    Mutant(
        "pieces beyond the matrix are copied",
        TILE,
        "bytes_of(have - j * piece / size, piece)",
        "have * size <= j * piece ? 0 : piece",
    ),
    Mutant(
        "elements beyond the matrix are read", TILE, "j < have ? *reinterpret_cast", "j <= have ? *reinterpret_cast"
    ),
    Mutant(
        "the next tile lies one element too near",
        TILE,
        "at += (AlongK ? s.unit : s.line) * (BK * size);",
        "at += (AlongK ? s.unit : s.line) * (BK * size - size);",
    ),
    Mutant(
        "addresses of 8 bytes are copied as 16",
        TILE,
        "if (unit == 1 && align >= 16) return LoadMode::chunks;",
        "if (unit == 1 && align >= 8) return LoadMode::chunks;",
    ),
    Mutant(
        "elements of any stride are copied as pieces",
        TILE,
        "size >= 4 || (unit == 1 && align >= 4)",
        "size >= 4 || align >= 4",
    ),
    Mutant(
        "A's columns are read as rows",
        FRAGMENTS,
        "ldmatrix_trans(r, shared_address(tile)",
        "ldmatrix(r, shared_address(tile)",
    ),
    Mutant("B's rows are read as columns", FRAGMENTS, "ldmatrix_trans(all,", "ldmatrix(all,"),
    Mutant(
        "A's matrices in the wrong order",
        FRAGMENTS,
        "Tile::place(x + lane % 16, 2 * step + lane / 16)",
        "Tile::place(x + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2)",
    ),
    Mutant(
        "B's matrices in the wrong order",
        FRAGMENTS,
        "Tile::place(x + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2)",
        "Tile::place(x + lane % 16, 2 * step + lane / 16)",
    ),
    Mutant(
        "B's halves are exchanged",
        FRAGMENTS,
        "r[0][0] = all[0], r[0][1] = all[1], r[1][0] = all[2], r[1][1] = all[3];",
        "r[0][0] = all[1], r[0][1] = all[0], r[1][0] = all[2], r[1][1] = all[3];",
    ),
    Mutant("tf32 is cut, not rounded", FRAGMENTS, "r[i] = round_to_tf32(x);", "memcpy(&r[i], &x, 4);", tf32=True),
    Mutant(
        "tf32 of the wrong row",
        FRAGMENTS,
        "x + lane / 4 + i % 2 * 8, step * deep + lane % 4 + i / 2 * 4",
        "x + lane / 4 + i / 2 * 8, step * deep + lane % 4 + i % 2 * 4",
        tf32=True,
    ),
    Mutant("rows beyond D are stored", EMIT, "if (row >= p.m || column >= p.n) return", "if (column >= p.n) return"),
    Mutant(
        "columns beyond D are stored",
        EMIT,
        "return along < P ? static_cast<int>(along) : P;",
        "return P;",
    ),
    Mutant("C is read where beta is 0", EMIT, "step == 0 ? !e.addend", "step == 0 ? !w.data.c"),
    Mutant(
        "a bias moves along with the rows",
        EMIT,
        "batch * l.batch + row * l.row + column * l.column, packets",
        "batch * l.batch + row * (step == 0 ? p.n : l.row) + column * l.column, packets",
    ),
    Mutant(
        "packets of D where it is not aligned",
        EMIT,
        "const auto fits = [&](const Layout& l) { return (e.down ? l.row : l.column) == 1 && l.align >= bytes_of; };",
        "const auto fits = [&](const Layout& l) { return (e.down ? l.row : l.column) == 1; };",
    ),
    Mutant(
        "the residual before the activation",
        EMIT,
        "step == 1 ? e.activation",
        "step == 1 ? e.residual ? Activation::none : e.activation",
    ),
    Mutant("beta scales the sum too", EMIT, "v[i] += beta * x[i];", "v[i] *= beta, v[i] += beta * x[i];"),
    Mutant(
        "the first range is added twice",
        SPLIT,
        "#pragma unroll 4\n",
        "  for (int i = 0; i < P; ++i) sum[i] = i < left ? from[i] : V(0);\n#pragma unroll 4\n",
    ),
    Mutant(
        "ranges lie one row apart", SPLIT, "const int64_t slice = p.batch * p.m * p.n;", "const int64_t slice = p.n;"
    ),
    Mutant("partial sums are always aligned", "gemm/split/split.cu", "p.n % each == 0};", "true};"),
    Mutant(
        "a range takes one step of the next",
        SCHEDULE,
        "return {first, first + each < k ? first + each : k};",
        "return {first, first + each + step < k ? first + each + step : k};",
    ),
    Mutant(
        "A and B are exchanged, their addresses not",
        LAUNCH,
        "t ? transposed(given_data) : given_data",
        "given_data",
    ),
    *(Mutant(*fault) for fault in END_FAULTS),
]


def _tree(mutant: Mutant, to: Path) -> None:
    """The headers of a mutant: the project's, one file excepted."""
    csrc, planted = ROOT / "csrc", not mutant.right
    below = [p for room in ("core", "formulas", "platform", "primitives") for p in csrc.glob(f"{room}/**/*.h")]
    for source in [*csrc.glob("gemm/**/*"), *below]:
        if not source.is_file() or source.suffix == ".cpp":
            continue
        place = to / source.relative_to(csrc)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text()
        if mutant.right and place == to / mutant.file:
            assert text.count(mutant.right) == 1, (mutant.what, text.count(mutant.right))
            text, planted = text.replace(mutant.right, mutant.wrong), True
        build.rules().write_if_changed(place, text)
    assert planted, f"{mutant.what}: {mutant.file} is no header of the trees that mutants are compiled from"


MUTANT_FOLDER = FOLDER.parent / "mutants"


@dataclass(frozen=True)
class Plant:
    """Mutants, the source that is compiled with each of them, and sources that are compiled once, without a fault."""

    name: str
    source: str
    mutants: tuple[Mutant, ...]
    common: tuple[str, ...] = ()
    apart: frozenset[str] | None = None  # of a plant that is compiled together (together.py): those with their own tree

    def is_apart(self, mutant: Mutant) -> bool:
        return self.apart is None or mutant.what in self.apart

    def tree(self, mutant: Mutant) -> Path:
        return FOLDER.parent / self.name / mutant.name

    def library(self, mutant: Mutant, parts: int | None) -> str:
        return (self.tree(mutant) / ("libmutant.so" if parts is None else "libparts.so")).as_posix()

    def key(self, mutant: Mutant) -> str:
        """In seen.json."""
        return f"{self.name}/{mutant.what}"


# What is no choice at run time: constants, declarations, a comma between calls, text outside of functions.
APART = frozenset(
    (
        "nothing is committed where the ring closes",
        "a range takes one step of the next",
        "S is D's transposed",
        "scales of rows are D's transposed",
        "the aux is D's transposed",
        "lines are not padded",
        "hi times lo is taken twice, lo times hi never",
    )
)
SUMS_APART = frozenset(
    (
        "rows outside of D are summed",
        "columns stay columns of the transposed",
        "a sum begins with the row before",
    )
)
SOUND = (NONE, NONE_TF32, NONE_TERMS)
MMA_SYNC = Plant("mutants", "tests/gemm/mutants/mutant.cu", (*SOUND, *MUTANTS, *TERM_MUTANTS), apart=APART)
SUMS = Plant("sum-mutants", "tests/gemm/mutants/mutant.cu", (*SOUND, *SUM_MUTANTS), apart=SUMS_APART)


# Compiled once: what hardly a fault changes is more than half of what the compiler reads.  A mutant of one of these
# headers is compiled without, since the compiler would read the project's.  Others than g++ tell the headers of a
# mutant's tree from these by their paths.
FIRST = MUTANT_FOLDER / "first.h"
FIRST_LINES = """#include "platform/gpu.h"
#include "primitives/cluster.h"
#include "primitives/cp_async.h"
#include "primitives/dependent_launch.h"
#include "primitives/ldmatrix.h"
#include "primitives/mbarrier.h"
#include "primitives/mma.h"
#include "primitives/named_barrier.h"
#include "primitives/registers.h"
#include "platform/target.h"
#include "primitives/tma.h"
#include "primitives/warp.h"
#include "primitives/wgmma.h"
#include "platform/cluster_launch.h"
#include "platform/model/harness.h"
"""


def _listing(plant: Plant) -> str:
    """Ninja's rules: an object and a library for each mutant, and one machine for all of them.

    Of a mutant whose fault was seen before, only the parts that showed it are compiled; all of it if they do not show
    it again (seen.py).
    """
    lines = machine_rules()
    shared: dict[str, str] = {}
    for source in ("csrc/platform/model/harness_product.cpp", "tests/gemm/mutants/no_configurations.cpp"):
        name = Path(source).stem
        shared[name] = (MUTANT_FOLDER / f"{name}.o").as_posix()
        command = f"{build.compiler()} {build.flags()} -O2 -MMD -MF {shared[name]}.d -c {source} -o {shared[name]}"
        lines += [f"build {shared[name]}: cc {source}", f"  cmd = {command}"]
    harness = " ".join(shared[name] for name in ("harness_product", "no_configurations"))
    common = []
    for source in plant.common:
        out = (FOLDER.parent / plant.name / f"{Path(source).stem}.o").as_posix()
        common.append(out)
        command = f"{build.compiler()} {build.flags()} {build.WATCHED} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
        lines += [f"build {out}: cc {source}", f"  cmd = {command}"]
    first, include = f"{FIRST.as_posix()}.gch", ""
    if "clang" not in build.compiler():
        include = f"-include {FIRST.as_posix()}"
        command = (
            f"{build.compiler()} {build.flags()} {build.WATCHED} -MMD -MF {first}.d -x c++-header {FIRST} -o {first}"
        )
        lines += [f"build {first}: cc {FIRST}", f"  cmd = {command}"]
    for mutant in filter(plant.is_apart, plant.mutants):
        known = seen.recorded().get(plant.key(mutant))
        for parts in (None,) if known is None else (None, known.parts):
            own = bool(mutant.right) and mutant.file in headers_of(FIRST_LINES)
            known_headers = "" if own else include
            tree = plant.tree(mutant).as_posix()
            flags = build.flags().replace("-Icsrc", f"-I{tree} {known_headers}") + f" {build.WATCHED}"
            flags += f" -DGPUKERN_MUTANT_TF32={int(mutant.tf32)} -DGPUKERN_MUTANT_TERMS={int(mutant.terms)}"
            flags += "" if parts is None else f" -DGPUKERN_PARTS={parts}u"
            whole, source = plant.library(mutant, parts), plant.source
            out = whole.replace("/lib", "/").replace(".so", ".o")
            command = f"{build.compiler()} {flags} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
            lines += [f"build {out}: cc {source}{f' | {first}' if known_headers else ''}", f"  cmd = {command}"]
            lines.append(f"build {whole}: link {' '.join([out, *common, harness, MACHINE])}")
        lines.append(f"default {plant.library(mutant, known.parts if known else None)}")
    return "\n".join(lines) + "\n"


@cache
def _build(plant: Plant, *targets: str) -> None:
    """Everything, or these libraries."""

    def prepare() -> str:
        build.rules().write_if_changed(ROOT / FIRST, FIRST_LINES)
        for mutant in filter(plant.is_apart, plant.mutants):
            _tree(mutant, ROOT / plant.tree(mutant))
        return _listing(plant)

    run_ninja(plant.name, prepare, targets)


@cache
def _read(plant: Plant, library: str) -> frozenset[str]:
    """What the compiler read for a library of mutants."""
    return sources_read(plant.name, library.replace("/lib", "/").replace(".so", ".o"))


def check_read(plant: Plant, mutant: Mutant, library: str) -> None:
    """A fault that the compiler never saw is refused: it would be "not seen" by every test."""
    read = _read(plant, library)
    planted = (plant.tree(mutant) / mutant.file).as_posix()
    assert not mutant.right or planted in read, f"{mutant.what}: {plant.source} does not read {mutant.file}"


class Library:
    """The machine with the product in which one line is wrong, or with the recorded parts of it."""

    def __init__(self, mutant: Mutant, plant: Plant, parts: int | None = None) -> None:
        _build(plant)
        whole = plant.library(mutant, parts)
        if plant.key(mutant) in seen.recorded() and parts is None:
            _build(plant, whole)
        check_read(plant, mutant, whole)
        self._product = load(whole)
        self._product.gpukern_model_product.restype = ctypes.c_char_p

    def __getattr__(self, name: str) -> Any:
        return getattr(self._product, name)
