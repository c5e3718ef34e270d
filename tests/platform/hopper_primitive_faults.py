"""Faults of what sm_90a adds, as primitive_faults.py has them of the rest."""

from __future__ import annotations

from tests.platform.primitive_faults import WORD_FAULTS, Fault

MBARRIER, MBARRIER_CPP = "platform/model/mbarrier.h", "platform/model/mbarrier.cpp"
CLUSTER, CLUSTER_CPP = "platform/model/cluster.h", "platform/model/cluster.cpp"
TMA, TMA_CPP, REGISTERS_CPP = "platform/model/tma.h", "platform/model/tma.cpp", "platform/model/registers.cpp"
WGMMA, WGMMA_CPP = "platform/model/wgmma.h", "platform/model/wgmma.cpp"

FAULTS = [
    *WORD_FAULTS,
    # ---- mbarriers, fences, clusters
    Fault(
        "parities change places", MBARRIER_CPP, "(phase & 1) != parity", "(phase & 1) == parity", "mbarrier_try_wait"
    ),
    Fault(
        "a phase lacks an arrival", MBARRIER_CPP, "m.pending = m.count;", "m.pending = m.count - 1;", "mbarrier_arrive"
    ),
    Fault("bytes are not waited for", MBARRIER_CPP, "if (m.bytes) return;", ";", "tma_load_2d"),
    Fault(
        "bytes are counted twice",
        MBARRIER_CPP,
        "m.bytes += bytes;",
        "m.bytes += bytes > 0 ? 2 * bytes : bytes;",
        "tma_load_1d",
    ),
    Fault("whoever expects arrives", MBARRIER_CPP, "m.pending -= arrivals;", "m.pending -= 1;", "tma_load_3d"),
    Fault("a barrier stays", MBARRIER_CPP, "barriers.all.erase(address);", ";", "mbarrier_inval"),
    Fault("arrivals release nothing", MBARRIER_CPP, "if (arrivals) release(m.gathered);", ";", "mbarrier_arrive"),
    Fault("those who wait learn nothing", MBARRIER_CPP, "if (known) acquire(known);", ";", "mbarrier_arrive"),
    Fault("copies release nothing", MBARRIER_CPP, "m.gathered.add(nullptr, copy.id, copy.own);", ";", "tma_load_bytes"),
    Fault(
        "an arrival is none",
        MBARRIER,
        'model::mbarrier_arrive(barrier, [[1]], 0, false, GPUKERN_HERE("mbarrier_arrive"))',
        "0",
        "mbarrier_arrive",
    ),
    Fault(
        "a remote arrival is two",
        MBARRIER,
        'model::mbarrier_arrive(barrier, [[1]], 0, true, GPUKERN_HERE("mbarrier_arrive_cluster"))',
        "2",
        "mbarrier_arrive_cluster",
    ),
    Fault(
        "an arrival expects nothing",
        MBARRIER,
        '[[bytes]], false, GPUKERN_HERE("mbarrier_arrive_expect_tx")',
        "0",
        "tma_load_4d",
    ),
    Fault(
        "to expect is to arrive",
        MBARRIER,
        'model::mbarrier_arrive(barrier, [[0]], bytes, false, GPUKERN_HERE("mbarrier_expect_tx"))',
        "1",
        "tma_load_5d",
    ),
    Fault("barriers are not shown", MBARRIER_CPP, "m.fenced = true;", ";", "tma_load_1d"),
    Fault(
        "writes are not shown to copies",
        MBARRIER,
        "fence_proxy_async_shared() { [[model::fence_proxy_async();]] }",
        ";",
        "tma_store_1d",
    ),
    Fault(
        "the wider fence is none",
        MBARRIER,
        "void fence_proxy_async() { [[model::fence_proxy_async();]] }",
        ";",
        "bulk_groups",
    ),
    Fault(
        "every rank is 0", CLUSTER, "static_cast<uint32_t>(model::self().block->rank)", "0u", "cluster_rank_and_size"
    ),
    Fault(
        "a cluster is one block", CLUSTER, "static_cast<uint32_t>(model::cluster_size())", "1u", "cluster_rank_and_size"
    ),
    Fault(
        "mapa is the next block's",
        CLUSTER_CPP,
        "(address & 0xffffff) | static_cast<uint32_t>([[rank]]) << 24",
        "(rank + 1) % cluster_size()",
        "cluster_load",
    ),
    Fault(
        "16 bytes are read as 8",
        CLUSTER,
        "std::memcpy(static_cast<void*>(&v), from, sizeof(T));",
        "std::memcpy(static_cast<void*>(&v), from, sizeof(T) < 16 ? sizeof(T) : 8);",
        "cluster_load",
    ),
    Fault(
        "8 bytes are written as 4",
        CLUSTER,
        "std::memcpy(to, static_cast<const void*>(&v), sizeof(T));",
        "std::memcpy(to, static_cast<const void*>(&v), sizeof(T) == 8 ? 4 : sizeof(T));",
        "cluster_store",
    ),
    Fault(
        "the cluster's barrier releases nothing", CLUSTER_CPP, "if (releases) release(gathered_);", ";", "cluster_load"
    ),
    Fault(
        "those who wait for the cluster learn nothing", CLUSTER_CPP, "if (known) acquire(known);", ";", "cluster_store"
    ),
    Fault(
        "half of the cluster is enough",
        CLUSTER_CPP,
        "(present_ + ended_) < all",
        "(present_ + ended_) < all / 2",
        "cluster_load",
    ),
    # ---- TMA
    Fault("rows beyond the tensor are there", TMA_CPP, "x < extent(d)", "true", "tma_load_2d"),
    Fault("rows before the tensor are there", TMA_CPP, "x >= 0", "true", "tma_load_3d"),
    Fault("elements before the row are there", TMA_CPP, "std::max<int64_t>(0, -at[0])", "0", "tma_load_2d"),
    Fault("elements behind the row are there", TMA_CPP, "extent(0) - at[0]", "extent(0)", "tma_load_1d"),
    Fault("every stride is the first", TMA_CPP, "map.stride[d - 1]", "map.stride[0]", "tma_load_3d"),
    Fault("what lies outside is 1", TMA_CPP, "data(box.bytes(), [[0]])", "1", "tma_load_2d"),
    Fault("tf32 from TMA is cut", TMA_CPP, "bits + [[0xfff + (bits >> 13 & 1)]]", "0", "tma_load_tf32"),
    Fault("tf32 from TMA has a bit more", TMA_CPP, "& [[~0x1fffu]]", "~0xfffu", "tma_load_tf32"),
    Fault("boxes are not swizzled", TMA_CPP, "kSwizzles[map.swizzle]", "kSwizzles[0]", "tma_store_swizzle_128"),
    Fault("multicast to one", TMA_CPP, "if ([[mask >> rank & 1]]) ranks", "rank == own", "tma_load_multicast"),
    Fault(
        "half of the bytes are counted",
        TMA_CPP,
        "[[box->bytes()]], agent, box->place",
        "box->bytes() / 2",
        "tma_load_1d",
    ),
    Fault(
        "the last group is never waited for",
        TMA_CPP,
        "committed > static_cast<uint32_t>(left) ? [[committed - left]]",
        "committed - left - 1",
        "tma_store_1d",
    ),
    Fault(
        "a mask of one block", TMA, '[[blocks]], true, GPUKERN_HERE("tma_load_multicast")', "1", "tma_load_multicast"
    ),
    Fault(
        "a hint is a mask of one block",
        TMA,
        '[[blocks]], true, GPUKERN_HERE("tma_load_multicast_hint")',
        "1",
        "tma_load_multicast_hint",
    ),
    Fault(
        "stores are waited for one late", TMA, "model::bulk_wait_group([[N]], false", "N + 1", "bulk_stores_are_seen"
    ),
    Fault(
        "to be read is to be stored",
        TMA,
        'N, [[false]], GPUKERN_HERE("bulk_wait_group")',
        "true",
        "bulk_stores_are_seen",
    ),
    Fault("reads are waited for one late", TMA, "model::bulk_wait_group([[N]], true", "N + 1", "bulk_groups"),
    Fault(
        "stores are in no group",
        TMA,
        'model::bulk_commit_group(GPUKERN_HERE("bulk_commit_group"));',
        ";",
        "tma_store_2d",
    ),
    # ---- wgmma and the threads themselves
    Fault("B lies as A", WGMMA, "false, kTransposed<A>, [[kTransposed<B>]]", "kTransposed<A>", "wgmma_k_mn_32_64"),
    Fault(
        "accumulators always start from zero",
        WGMMA,
        "false, kTransposed<A>, kTransposed<B>, [[accumulate]]}",
        "false",
        "wgmma_accumulate",
    ),
    Fault(
        "sums are always added to",
        WGMMA,
        "false, kTransposed<A>, kTransposed<B>, [[accumulate]]}",
        "true",
        "wgmma_fragment",
    ),
    Fault(
        "A in registers starts from zero",
        WGMMA,
        "true, false, kTransposed<B>, [[accumulate]]}",
        "false",
        "wgmma_registers_bf16",
    ),
    Fault("sums along k always start from zero", WGMMA, "false, false, false, [[accumulate]]}", "false", "wgmma_s8_64"),
    Fault("tf32 of wgmma keeps its low bits", WGMMA_CPP, "word & ~0x1fffu", "word", "wgmma_tf32_16"),
    Fault(
        "int8 is unsigned",
        WGMMA_CPP,
        "static_cast<float>(static_cast<int8_t>(byte))",
        "static_cast<float>(byte)",
        "wgmma_s8_16",
    ),
    Fault(
        "every warp has the first rows", WGMMA_CPP, "load(a, p.kind_a, [[warp * kRows]], kRows", "0", "wgmma_fragment"
    ),
    Fault(
        "registers of A in the other order",
        WGMMA_CPP,
        "op.a_was[l][i / 2] >> [[i % 2 * 16]]",
        "(1 - i % 2) * 16",
        "wgmma_registers_f16",
    ),
    Fault("a group is waited for one late", WGMMA, "model::wgmma_wait_group([[G]]", "G + 1", "wgmma_fragment"),
    Fault(
        "products are not committed",
        WGMMA,
        'model::wgmma_commit_group(GPUKERN_HERE("wgmma_commit_group"));',
        ";",
        "wgmma_fragment",
    ),
    Fault("no fence", WGMMA, 'model::wgmma_fence(GPUKERN_HERE("wgmma_fence"));', ";", "wgmma_fragment"),
    Fault(
        "registers are not released",
        REGISTERS_CPP,
        "file.free -= wanted;",
        "file.free -= std::max(wanted, 0);",
        "setmaxnreg",
    ),
    Fault("everybody is elected", REGISTERS_CPP, "self().number % wave() == leader % wave()", "true", "elect_sync"),
]
