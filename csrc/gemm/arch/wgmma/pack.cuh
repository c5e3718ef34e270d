// The pass before the product, for operands that TMA cannot load or wgmma cannot transpose: a copy of them in lines
// along k (operands.h).  What lies along k is copied packet by packet; what does not is transposed through a tile of
// shared memory.
//
//     memory, along m:  x0 x1 .. x7 | x8 ..   one packet of 16 bytes a thread, at one k
//     shared memory:    line x, 128 bytes of k; the eight packets of a line change places by x / 8, so that neither
//                       the columns that are written nor the packets that are read meet a bank twice
//     the copy:         packets of k, 128 bytes a line
#pragma once
#include "../../../platform/gpu.h"
#include "operands.h"

namespace gpukern::gemm::wgmma {

constexpr int kPackets = kPackSpan / 16;  // of a line of a tile
// A thread has two packets of a tile, or one of 4-byte elements: more would not fit in registers at the same time.
template <class Word> constexpr int kPackThreads = sizeof(Word) == 1 ? 512 : 256;

struct Source {
  const void* from;
  void* to;
  Copy copy;
  int64_t k;
  int64_t batch, line, unit;  // strides of `from` in elements, from matrix to matrix, along lines and along k
  int64_t across, down;       // tiles along k, along lines
  int64_t tiles;
  bool along_k;  // or along lines
  bool packets;  // whole packets can be loaded as such
};

struct Packing {
  Source a, b;
};

// The offset of element k of a line in a tile.
template <class Word> GPUKERN_D int place_in_tile(int line, int k) {
  constexpr int each = 16 / sizeof(Word);
  return line * (kPackets * each) + ((k / each) ^ (line / each % kPackets)) * each + k % each;
}

// `left` of a packet's elements, `step` apart; zeros for the others.
template <class Word, int N>
GPUKERN_D Packet<Word, N> fetch_packet(const Word* from, int64_t step, int64_t left, bool whole) {
  if (whole && left >= N) return load_packet_once(reinterpret_cast<const Packet<Word, N>*>(from));
  Packet<Word, N> packet;
#pragma unroll
  for (int e = 0; e < N; ++e) packet.v[e] = e < left ? from[e * step] : Word{0};
  return packet;
}

template <class Word>
GPUKERN_KERNEL GPUKERN_BOUNDS(kPackThreads<Word>) pack_operands(GPUKERN_GRID_CONST const Packing w) {
  constexpr int each = 16 / sizeof(Word), side = kPackets * each;
  const bool second = blockIdx.x >= w.a.tiles;
  const Source& s = second ? w.b : w.a;
  const int64_t tile = blockIdx.x - (second ? w.a.tiles : 0), row = tile / s.across, matrix = row / s.down;
  const int64_t line0 = (row - matrix * s.down) * side, k0 = (tile - row * s.across) * side;
  const Word* const from = static_cast<const Word*>(s.from) + matrix * s.batch + line0 * s.line + k0 * s.unit;
  const int64_t packets = s.copy.pitch / each;  // of a line
  auto* const to = static_cast<Packet<Word, each>*>(s.to) + (matrix * s.copy.lines + line0) * packets + k0 / each;
  const int64_t lines = s.copy.lines - line0, ks = s.k - k0;  // what is left of them
  const auto store = [&](int line, int k, const Packet<Word, each>& packet) {
    if (line < lines && k < ks) store_packet(to + line * packets + k / each, packet);
  };
  // All of a thread's loads are issued before the first packet is used.
  constexpr int turns = side * kPackets / kPackThreads<Word>;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t step = s.along_k ? s.unit : s.line;
  Packet<Word, each> packet[turns];
#pragma unroll
  for (int t = 0; t < turns; ++t) {
    const int i = thread + t * kPackThreads<Word>, inner = i % kPackets * each, outer = i / kPackets;
    const int line = s.along_k ? outer : inner, k = s.along_k ? inner : outer;
    const int64_t left = s.along_k ? (line < lines ? ks - k : 0) : (k < ks ? lines - line : 0);
    packet[t] = fetch_packet<Word, each>(from + line * s.line + k * s.unit, step, left, s.packets);
  }
  Word* const shared = reinterpret_cast<Word*>(shared_memory());
#pragma unroll
  for (int t = 0; t < turns; ++t) {
    const int i = thread + t * kPackThreads<Word>, inner = i % kPackets * each, outer = i / kPackets;
    if (s.along_k) {
      store(outer, inner, packet[t]);
    } else {
#pragma unroll
      for (int e = 0; e < each; ++e) shared[place_in_tile<Word>(inner + e, outer)] = packet[t].v[e];
    }
  }
  if (s.along_k) return;
  syncthreads();
#pragma unroll
  for (int t = 0; t < turns; ++t) {
    const int i = thread + t * kPackThreads<Word>, line = i / kPackets, k = i % kPackets * each;
    store(line, k, load_packet(reinterpret_cast<const Packet<Word, each>*>(shared + place_in_tile<Word>(line, k))));
  }
}

template <class Word> int pack_words(const Problem& p, Data& data, Stream stream) {
  constexpr int size = sizeof(Word), side = kPackSpan / size;
  const auto source = [&](const void* from, void* to, const Copy& c, const Layout& l, bool along_k) {
    return Source{from,
                  to,
                  c,
                  p.k,
                  l.batch,
                  l.row,
                  l.column,
                  ceil_div(c.pitch, side),
                  ceil_div(c.lines, side),
                  pack_tiles(c, size),
                  along_k,
                  (along_k ? l.column : l.row) == 1 && l.align >= 16};
  };
  const Copy a = copy_of_a(p), b = copy_of_b(p);
  Word* const to = static_cast<Word*>(data.workspace);
  const Packing w{source(data.a, to, a, p.a, a_lies_along_k(p)),
                  source(data.b, to + a.elements(), b, transposed(p.b), b_lies_along_k(p))};
  if (a.matrices) data.a = w.a.to;
  if (b.matrices) data.b = w.b.to;
  const auto blocks = static_cast<unsigned>(w.a.tiles + w.b.tiles);
  return platform::launch(&pack_operands<Word>, dim3(blocks), dim3(kPackThreads<Word>), side * kPackSpan, stream, w);
}

// Copies what must be copied into data.workspace, A before B; `data` has the copies' addresses then.
inline int pack_by_size(const Problem& p, Data& data, Stream stream) {
  switch (bytes(p.type)) {
    case 1: return pack_words<uint8_t>(p, data, stream);
    case 2: return pack_words<uint16_t>(p, data, stream);
    default: return pack_words<uint32_t>(p, data, stream);
  }
}

}  // namespace gpukern::gemm::wgmma
