"""Faults of primitives and of their model, one each: what is wrong, in which file, what it is made of, who sees it.

In `right`, which occurs once in the file, [[..]] marks what becomes `wrong`; without marks it is all of it.  `seen`
names a conformance case, or MAPS for the checks of test_tensor_map.py.  A fault is a switch, so one library has all.
"""

from __future__ import annotations

from dataclasses import dataclass

MAP, ENCODE, TMA_WORDS = "primitives/tensor_map.h", "primitives/tensor_map_encode.h", "primitives/tma.h"
WORDS, ATOMICS, TYPES = "platform/model/words.h", "platform/model/atomics.cpp", "platform/model/types.h"
FRAGMENTS, FLOAT8 = "platform/model/fragments.h", "platform/model/float8.h"
BARRIERS, WARPS = "platform/model/named_barrier.h", "platform/model/warp.h"
COPIES, COPIES_CPP = "platform/model/cp_async.h", "platform/model/cp_async.cpp"
MATRICES, MATRICES_CPP = "platform/model/ldmatrix.h", "platform/model/ldmatrix.cpp"
MMA, MMA_CPP = "platform/model/mma.h", "platform/model/mma.cpp"
SWIZZLE, DRIVER, LAYOUT = "platform/model/swizzle.h", "platform/model/driver.cpp", "platform/model/wgmma_layout.h"
MAPS = "maps"


@dataclass(frozen=True)
class Fault:
    what: str
    file: str  # below csrc
    right: str
    wrong: str
    seen: str


WORD_FAULTS = [
    # ---- the kernels' maps, swizzles and descriptors
    Fault("a piece of 128 has two bits of three", MAP, "0x70", "0x60", "wgmma_k_k_128_none"),
    Fault("64 bytes are swizzled as 128", MAP, "0x30", "0x70", "wgmma_k_k_64_32"),
    Fault("32 bytes are swizzled as 64", MAP, "0x10", "0x30", "wgmma_k_k_32_64"),
    Fault("pieces are swizzled by half the lines", MAP, "address >> [[3]] & mask", "4", "wgmma_k_k_128_none"),
    Fault("pieces are not swizzled", MAP, "address >> 3 & [[mask]]);", "0", "wgmma_mn_k_64_32"),
    Fault("a box is the sum of its sides", MAP, "bytes *= box[d];", "bytes += box[d];", "tma_load_2d"),
    Fault("rank 0 is a map", MAP, "m.rank < 1", "m.rank < 0", MAPS),
    Fault("rank 6 is a map", MAP, "m.rank > TensorMapFields::kMaxRank", "m.rank > 6", MAPS),
    Fault("elements of 3 bytes", MAP, "m.element_bytes != 8", "m.element_bytes != 3", MAPS),
    Fault("16 bits are rounded to tf32", MAP, "m.to_tf32 && m.element_bytes != 4", "false", MAPS),
    Fault("the null pointer is an address", MAP, "if ([[address == 0]]) return", "false", MAPS),
    Fault("addresses of 8 bytes", MAP, "if ([[address % 16]]) return", "address % 8", MAPS),
    Fault("addresses of 32 bytes alone", MAP, "if ([[address % 16]]) return", "address % 32", MAPS),
    Fault("an extent of 0", MAP, "m.extent[d] < 1", "false", MAPS),
    Fault("an extent above 2^32", MAP, "m.extent[d] > uint64_t{1} << 32", "m.extent[d] > uint64_t{1} << 33", MAPS),
    Fault(
        "an extent of 2^32 is none", MAP, "m.extent[d] > uint64_t{1} << 32", "m.extent[d] >= uint64_t{1} << 32", MAPS
    ),
    Fault("a box of 0", MAP, "m.box[d] < 1", "false", MAPS),
    Fault("a box of 257", MAP, "m.box[d] > 256", "m.box[d] > 257", MAPS),
    Fault("strides of 8 bytes", MAP, "m.stride[d] % 16", "m.stride[d] % 8", MAPS),
    Fault("a stride of 2^40", MAP, "m.stride[d] >= uint64_t{1} << 40", "m.stride[d] > uint64_t{1} << 40", MAPS),
    Fault("lines that overlap", MAP, "m.stride[d] < inner", "false", MAPS),
    Fault("rows of 8 bytes", MAP, "row % 16", "row % 8", MAPS),
    Fault(
        "rows of two spans",
        MAP,
        "row > static_cast<uint64_t>(m.swizzle)",
        "row > 2 * static_cast<uint64_t>(m.swizzle)",
        MAPS,
    ),
    Fault("an address of 17 bits", MAP, "shared_address & 0x3ffff", "shared_address & 0x1ffff", MAPS),
    Fault("a leading offset of 13 bits", MAP, "leading >> 4 & 0x3fff", "leading >> 4 & 0x1fff", MAPS),
    Fault(
        "the leading offset in place of the stride", MAP, "uint64_t{[[stride]] >> 4", "leading", "wgmma_k_k_none_128"
    ),
    Fault("the stride one bit further", MAP, "0x3fff} << [[32]]", "33", "wgmma_fragment"),
    Fault(
        "the codes of 64 and 32 change places",
        MAP,
        "layout << 62",
        "(layout > 1 ? layout ^ 1 : layout) << 62",
        "wgmma_k_k_64_32",
    ),
    Fault("a step of half the bytes", MAP, "descriptor + (bytes >> 4)", "descriptor + (bytes >> 5)", MAPS),
    # ---- the arguments of the driver
    Fault("tf32 is not requested", ENCODE, "f.to_tf32", "false", "tma_load_tf32"),
    Fault("strides twice as long", ENCODE, "stride[d] = f.stride[d];", "stride[d] = 2 * f.stride[d];", "tma_load_2d"),
    Fault("extents one too long", ENCODE, "extent[d] = f.extent[d];", "extent[d] = f.extent[d] + 1;", "tma_load_1d"),
    Fault("strides from the first dimension on", ENCODE, "extent, [[stride + 1]], f.box", "stride", "tma_load_3d"),
    Fault("64 bytes are not requested", ENCODE, "f.swizzle == Swizzle::bytes64", "false", "tma_load_swizzle_64"),
    Fault("a map is kept by its address", TMA_WORDS, "!(entry.fields == f)", "entry.fields.address != f.address", MAPS),
    Fault("every map that is kept is right", TMA_WORDS, "!(entry.fields == f)", "entry.fields.rank == 0", MAPS),
    # ---- the driver and the figures, as the model reads them
    Fault("the driver takes strides of 8", DRIVER, "strides[i] % 16 != 0", "strides[i] % 8 != 0", MAPS),
    Fault("the driver needs a stride too many", DRIVER, "i + 1 < [[rank]]; ++i) {", "rank + 1", MAPS),
    Fault("the driver takes 257", DRIVER, "box[i] > 256", "box[i] > 257", MAPS),
    Fault("the driver takes addresses of 8", DRIVER, "address % 16 != 0", "address % 8 != 0", MAPS),
    Fault("the driver takes no extent of 2^32", DRIVER, "extents[i] > 4294967296", "extents[i] >= 4294967296", MAPS),
    Fault("the driver takes rows of 8", DRIVER, "inner % 16 != 0", "inner % 8 != 0", MAPS),
    Fault("the driver takes 96 in 64", DRIVER, "inner > 64", "inner > 96", MAPS),
    Fault("a map of the last extents", DRIVER, "extents[i] - 1", "extents[i] - 2", MAPS),
    Fault(
        "patterns of lines of 256", SWIZZLE, "address / 128 % lines", "address / 256 % lines", "tma_load_swizzle_128"
    ),
    Fault("patterns of half the pieces", SWIZZLE, "address / 16 % 8", "address / 16 % 4", "tma_store_swizzle_64"),
    Fault(
        "leading and stride change places",
        LAYOUT,
        "{field(0), [[field(16)]], field(32)",
        "field(32)",
        "wgmma_k_k_none_128",
    ),
    Fault("the start has bits of the next field", LAYOUT, "{[[field(0)]], field(16)", "field(1)", "wgmma_fragment"),
    Fault(
        "the second span is beside the first",
        LAYOUT,
        "[[chunk / pieces * leading]]",
        "chunk / pieces * 16",
        "wgmma_mn_mn_64_32",
    ),
    Fault("groups of 16 lines", LAYOUT, "[[line / 8 * stride]] + chunk", "line / 16 * stride", "wgmma_k_k_128_none"),
    Fault(
        "along m the offsets mean what they do along k",
        LAYOUT,
        "[[line / 8 * leading + chunk * stride]]",
        "line / 8 * stride + chunk * leading",
        "wgmma_mn_mn_none_128",
    ),
    Fault(
        "D's lower rows are the upper",
        LAYOUT,
        "Element wgmma_d(int lane, int i) { return {lane / 4 + [[i / 2 % 2 * 8]]",
        "i / 4 % 2 * 8",
        "wgmma_fragment",
    ),
    Fault(
        "A's registers by rows",
        LAYOUT,
        "Element wgmma_a(int lane, int i) { return {lane / 4 + [[i / 2 % 2 * 8]]",
        "i / 4 % 2 * 8",
        "wgmma_registers_bf16",
    ),
    # ---- warps, votes, barriers of a block
    Fault("a lane beyond the group is another's", WORDS, "first + (lane & (group - 1))", "first + lane % 32", "shfl"),
    Fault("up beyond the group", WORDS, "l - lanes >= first", "l - lanes >= 0", "shfl_up"),
    Fault("down beyond the group", WORDS, "l + lanes < first + group", "l + lanes < 32", "shfl_down"),
    Fault("xor beyond the group", WORDS, "(l ^ lanes) < first + group", "true", "shfl_xor"),
    Fault(
        "a lane gets its own",
        WORDS,
        "to.got = static_cast<const Lane*>(lanes[to.from])->mine;",
        "to.got = to.mine;",
        "wave of 32: shfl of 8 bytes",
    ),
    Fault(
        "lanes of a vote change places",
        WORDS,
        "[[LaneMask{static_cast<const Lane*>(lanes[l])->yes} << l]]",
        "LaneMask{static_cast<const Lane*>(lanes[l])->yes} << (l ^ 1)",
        "votes",
    ),
    Fault(
        "any is lane 0",
        WORDS,
        'model::vote(yes, GPUKERN_HERE("vote_any")) != 0',
        'model::vote(yes, GPUKERN_HERE("vote_any")) % 2 != 0',
        "votes",
    ),
    Fault(
        "all but lane 5",
        WORDS,
        'model::vote(yes, GPUKERN_HERE("vote_all")) == model::full_mask()',
        '(model::vote(yes, GPUKERN_HERE("vote_all")) | 32) == model::full_mask()',
        "votes",
    ),
    Fault(
        "syncwarp orders nothing",
        WORDS,
        'model::collective(mask & model::full_mask(), nullptr, GPUKERN_HERE("syncwarp"), [](void* const*) {}, true);',
        'model::collective(mask & model::full_mask(), nullptr, GPUKERN_HERE("syncwarp"), [](void* const*) {}, false);',
        "syncwarp",
    ),
    Fault(
        "syncthreads is nothing", WORDS, 'model::barrier(0, -1, true, GPUKERN_HERE("syncthreads"));', ";", "syncthreads"
    ),
    Fault(
        "a barrier is arrived at alone",
        BARRIERS,
        'model::named_barrier(id, threads, true, GPUKERN_HERE("barrier_sync"));',
        'model::named_barrier(id, threads, false, GPUKERN_HERE("barrier_sync"));',
        "named_barriers",
    ),
    Fault(
        "an arrival waits",
        BARRIERS,
        'model::named_barrier(id, threads, false, GPUKERN_HERE("barrier_arrive"));',
        'model::named_barrier(id, threads, true, GPUKERN_HERE("barrier_arrive"));',
        "barrier_arrive_goes_on",
    ),
    Fault(
        "sums are or'ed",
        WARPS,
        "static_cast<uint32_t>(x) + static_cast<uint32_t>(y)",
        "static_cast<uint32_t>(x) | static_cast<uint32_t>(y)",
        "reduce_unsigned",
    ),
    Fault("the least is the last", WARPS, "y < x ? y : x", "y", "reduce_signed"),
    Fault("the largest is the first", WARPS, "x < y ? y : x", "x", "reduce_masked"),
    Fault(
        "reductions begin with 0",
        WARPS,
        "all = first ? one : combine(all, one);",
        "all = combine(all, one);",
        "reduce_unsigned",
    ),
    Fault("every lane matches itself alone", WARPS, "LaneMask{1} << k", "LaneMask{1} << l", "match_any"),
    # ---- atomics, packets, conversions
    Fault("an addition is an exchange", WORDS, "model::Atomic::add", "model::Atomic::exchange", "atomic_add_unsigned"),
    Fault("the largest is the least", WORDS, "model::Atomic::max", "model::Atomic::min", "atomic_max_unsigned"),
    Fault("the least is the largest", WORDS, "model::Atomic::min", "model::Atomic::max", "atomic_min_int"),
    Fault(
        "an exchange is an addition", WORDS, "model::Atomic::exchange", "model::Atomic::add", "atomic_exchange_unsigned"
    ),
    Fault("cas stores nothing", ATOMICS, "old == compare ? [[value]]", "old", "atomic_cas_unsigned"),
    Fault("max keeps the old", ATOMICS, "old < value", "false", "atomic_max_wide"),
    Fault("min keeps the old", ATOMICS, "value < old", "false", "atomic_min_int"),
    Fault("atomics return the new", ATOMICS, "  return old;\n", "return now;", "atomic_returns_old"),
    Fault(
        "half a packet is loaded",
        WORDS,
        "std::memcpy(&packet, static_cast<const void*>(p), sizeof packet);",
        "std::memcpy(&packet, static_cast<const void*>(p), sizeof packet / 2), "
        "std::memset(reinterpret_cast<char*>(&packet) + sizeof packet / 2, 0, sizeof packet / 2);",
        "packets_16",
    ),
    Fault(
        "half a packet is stored",
        WORDS,
        "std::memcpy(static_cast<void*>(p), &packet, sizeof packet);",
        "std::memcpy(static_cast<void*>(p), &packet, sizeof packet / 2);",
        "packets_8",
    ),
    Fault("half's exponents are one too large", TYPES, "exponent + 112", "exponent + 113", "to_float"),
    Fault("half's subnormals are 0", TYPES, "if ([[fraction == 0]]) return", "true", "to_float"),
    Fault("half's infinity is a number", TYPES, "exponent == 31", "false", "to_float"),
    Fault("bfloat16 is cut", TYPES, "u + [[0x7fff]] + (u", "0", "from_float"),
    Fault("bfloat16's ties go up", TYPES, "0x7fff + [[(u >> 16 & 1)]]", "1", "from_float"),
    Fault("half's ties go up", TYPES, "[[(magnitude >> 13 & 1)]]", "1", "from_float"),
    Fault("half has no subnormals", TYPES, "[[model::bits_of(rounded) - model::bits_of(0.5f)]]", "0", "from_float"),
    Fault("half ends at 32768", TYPES, "magnitude >= 0x47800000", "magnitude >= 0x47000000", "from_float"),
    # ---- cp.async, ldmatrix, stmatrix, mma
    Fault(
        "a packet is always whole",
        COPIES,
        'model::copy_async(to, from, Bytes, valid, GPUKERN_HERE("cp_async"));',
        'model::copy_async(to, from, Bytes, Bytes, GPUKERN_HERE("cp_async"));',
        "cp_async_8",
    ),
    Fault(
        "nothing is filled with zeros",
        COPIES_CPP,
        "std::memset(to + c.valid, 0, c.bytes - c.valid);",
        ";",
        "cp_async_16",
    ),
    Fault(
        "half of what is valid is copied",
        COPIES_CPP,
        "std::memcpy(to, c.from, c.valid);",
        "std::memcpy(to, c.from, c.valid / 2);",
        "cp_async_4",
    ),
    Fault(
        "one group too many is under way",
        COPIES,
        'model::wait_for_copies(StillUnderWay, GPUKERN_HERE("cp_async_wait"));',
        'model::wait_for_copies(StillUnderWay + 1, GPUKERN_HERE("cp_async_wait"));',
        "cp_async_4",
    ),
    Fault(
        "groups are not committed",
        COPIES,
        'model::commit_copies(GPUKERN_HERE("cp_async_commit"));',
        ";",
        "cp_async_whole",
    ),
    Fault(
        "the youngest group is waited for",
        COPIES_CPP,
        "me.copy_groups.size()) > [[still_under_way]]",
        "2 * still_under_way",
        "cp_async_whole",
    ),
    Fault("ldmatrix is transposed", MATRICES, '[[false]], GPUKERN_HERE("ldmatrix"))', "true", "ldmatrix_x4"),
    Fault("ldmatrix_trans is not", MATRICES, '[[true]], GPUKERN_HERE("ldmatrix_trans"))', "false", "ldmatrix_x1_trans"),
    Fault("stmatrix is transposed", MATRICES, '[[false]], GPUKERN_HERE("stmatrix"))', "true", "stmatrix_x2"),
    Fault("stmatrix_trans is not", MATRICES, '[[true]], GPUKERN_HERE("stmatrix_trans"))', "false", "stmatrix_x4_trans"),
    Fault("matrices in the other order", MATRICES_CPP, "lanes[8 * [[j]] + at.row]", "(count - 1 - j)", "ldmatrix_x2"),
    Fault("a row the other way round", MATRICES_CPP, "[[2 * at.column]]", "2 * (7 - at.column)", "stmatrix_x1"),
    Fault(
        "a register has elements four apart",
        FRAGMENTS,
        "across = [[lane % 4 * 2 + half]]",
        "lane % 4 + half * 4",
        "ldmatrix_x1",
    ),
    Fault(
        "sums' lower rows are the upper",
        FRAGMENTS,
        "accumulator_m16n8(int lane, int i) { return {lane / 4 + [[i / 2 * 8]]",
        "i % 2 * 8",
        "mma_m16n8k16_f16",
    ),
    Fault(
        "A of 16 bits by columns first",
        FRAGMENTS,
        "[[i / 2 % 2 * 8]], lane % 4 * 2 + i % 2 + i / 4 * 8",
        "i / 4 * 8",
        "mma_m16n8k16_bf16",
    ),
    Fault(
        "B of 16 bits in pairs of rows",
        FRAGMENTS,
        "b(int lane, int i) { return {[[lane % 4 * 2 + i % 2 + i / 2 * 8]], lane / 4",
        "lane % 4 * 4 + i",
        "mma_m16n8k16_f16",
    ),
    Fault(
        "A of tf32: rows change places",
        FRAGMENTS,
        "elements_a = 4, elements_b = 2, elements_c = 4;\n"
        "  static constexpr Element a(int lane, int i) { return {lane / 4 + [[i % 2 * 8]]",
        "i / 2 * 8",
        "mma_m16n8k8_tf32",
    ),
    Fault(
        "B of tf32 in pairs",
        FRAGMENTS,
        "elements_b = 2, elements_c = 4;\n"
        "  static constexpr Element a(int lane, int i) { return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4}; }\n"
        "  static constexpr Element b(int lane, int i) { return {[[lane % 4 + i * 4]]",
        "lane % 4 * 2 + i",
        "mma_m16n8k8_tf32",
    ),
    Fault(
        "B of 8 bits in one run",
        FRAGMENTS,
        "[[lane % 4 * 4 + i % 4 + i / 4 * 16]], lane / 4",
        "lane % 4 * 8 + i",
        "mma_m16n8k32_s8",
    ),
    Fault(
        "A of 8 bits by columns first",
        FRAGMENTS,
        "[[i / 4 % 2 * 8]], lane % 4 * 4",
        "i / 8 * 8",
        "mma_m16n8k32_e4m3_e5m2",
    ),
    Fault(
        "D of double by columns",
        FRAGMENTS,
        "c(int lane, int i) { return {lane / 4, [[lane % 4 * 2 + i]]}",
        "lane % 4 + i * 4",
        "mma_m8n8k4_f64",
    ),
    Fault(
        "A of double transposed",
        FRAGMENTS,
        "a(int lane, int) { return {[[lane / 4]], lane % 4}",
        "lane % 4",
        "mma_m8n8k4_f64",
    ),
    Fault(
        "A of long double: rows by halves",
        FRAGMENTS,
        "k = 16, elements_a = 8, elements_b = 4, elements_c = 4;\n"
        "  static constexpr Element a(int lane, int i) { return {lane / 4 + [[i % 2 * 8]], lane % 4 + i / 2 * 4",
        "i / 4 * 8",
        "mma_m16n8k16_f64",
    ),
    Fault("tf32 keeps its low bits", MMA_CPP, "x.bits & 0xffffe000", "x.bits", "mma_m16n8k8_tf32 below (5000, 9)"),
    Fault("bf16 is f16", MMA, "model::Mma::bf16", "model::Mma::f16", "mma_m16n8k16_bf16"),
    Fault("e4m3's subnormals are normal", FLOAT8, "fraction + [[(exponent ? 8 : 0)]]", "8", "mma_m16n8k32_e4m3_e4m3"),
    Fault("e4m3's bias is 8", FLOAT8, "(exponent ? exponent : 1) - [[10]]", "11", "wgmma_e4m3_e4m3_16"),
    Fault("e5m2 is e4m3", FLOAT8, "if ([[e5m2]]) return", "false", "wgmma_e5m2_e5m2_64"),
    Fault("tf32 is cut", MMA, "(u + [[0x1000]])", "0", "round_to_tf32"),
    Fault("tf32's ties go down", MMA, "(u + [[0x1000]])", "0xfff", "round_to_tf32"),
]
