// Memory in 16-byte packets: the innermost dimension of every operand is dense or broadcast.
#pragma once
#include "convert.cuh"
#include "formulas.cuh"

GPUKERN_ELEMENTWISE_BEGIN

template <class K, class V> GPUKERN_D V compute(const V (&x)[K::inputs], const Plan& p) {
  V s[K::scalars + 1] = {};
#pragma unroll
  for (int k = 0; k < K::scalars; ++k) s[k] = scalar_of<V>(p, k);
  return K::run(static_cast<const V*>(x), static_cast<const V*>(s));
}

// The location of packet q: the position of its first element in its row, and the row of every operand.
template <int Operands> struct Spot {
  int64_t position;
  int64_t row[Operands];

  GPUKERN_D void find(const Plan& p, int64_t q, int each) {
#pragma unroll
    for (int k = 0; k < Operands; ++k) row[k] = 0;
    if (p.ndim == 1) {
      position = q * each - p.lead;
      return;
    }
    uint32_t rest = static_cast<uint32_t>(q), next = p.divide[0].quotient(rest);
    position = static_cast<int64_t>(rest - next * p.divide[0].divisor) * each - p.lead;
#pragma unroll 1
    for (int d = 1; d < p.ndim; ++d) {
      rest = next;
      next = p.divide[d].quotient(rest);
      const int64_t index = rest - next * p.divide[d].divisor;
#pragma unroll
      for (int k = 0; k < Operands; ++k) row[k] += index * p.part[k].stride[d];
    }
  }
};

// One element E times.
template <int Size, int E> GPUKERN_D Kept<Size * E> spread(Bits<Size> one) {
  if constexpr (Size * E == kPacket && Size < 8) {
    const uint32_t word = Size == 4 ? one : Size == 2 ? one * 0x10001u : one * 0x1010101u;
    return {word, word, word, word};
  } else {
    Packet<Bits<Size>, E> packet;
#pragma unroll
    for (int j = 0; j < E; ++j) packet.v[j] = one;
    return bits_as<Kept<Size * E>>(packet);
  }
}

// Loads E elements of one size from a row, with accesses as wide as the addresses allow; elements outside the row are
// 0.
template <int Size, int E>
GPUKERN_D Kept<Size * E> read(const Part& part, const char* row, int64_t position, int64_t length) {
  const auto* from = reinterpret_cast<const Bits<Size>*>(row) + position;
  const bool whole = position >= 0 && position + E <= length;
  if (part.width == 0) return spread<Size, E>(*reinterpret_cast<const Bits<Size>*>(row));
  if (whole && part.width == Size * E) {
    const auto* at = reinterpret_cast<const Kept<Size * E>*>(from);
    if (Size * E == kPacket && part.unaliased) return load_packet_once(at);
    return load_packet(at);
  }
  return read_pieces<Size, E>(from, part.width, position, length);
}

template <int Size>
GPUKERN_D void write(const Part& part, int64_t row, int64_t position, int64_t length, const Words& words) {
  auto* to = reinterpret_cast<Bits<Size>*>(part.data + row) + position;
  if (position >= 0 && position + kPacket / Size <= length && part.width == kPacket)
    store_packet(reinterpret_cast<Words*>(to), words);
  else write_pieces<Size>(to, words, part.width, position, length);
}

// Copies of a formula in the loop: they hide each other's latency, and for cheap formulas the loop's overhead.
template <class K> constexpr int formulas() { return K::Op::spec.linear ? 4 : 2; }

template <int Size> GPUKERN_D Bits<Size> element(const Words& from, int j) {
  if constexpr (Size == 8) return from.v[2 * j] | static_cast<uint64_t>(from.v[2 * j + 1]) << 32;
  else return static_cast<Bits<Size>>(from.v[j * Size / 4] >> (j * Size % 4 * 8));
}
template <int Size> GPUKERN_D void put_element(Words& to, int j, Bits<Size> bits) {
  if constexpr (Size == 8) {
    to.v[2 * j] = static_cast<uint32_t>(bits);
    to.v[2 * j + 1] = static_cast<uint32_t>(bits >> 32);
  } else if (j * Size % 4 == 0) {
    to.v[j * Size / 4] = bits;  // little endian: the first element in the low bits
  } else {
    to.v[j * Size / 4] |= static_cast<uint32_t>(bits) << (j * Size % 4 * 8);
  }
}
// Drops the first Step 32-bit words.
template <int Step> GPUKERN_D void shift(Words& packet) {
#pragma unroll
  for (int j = 0; j + Step < kPacket / 4; ++j) packet.v[j] = packet.v[j + Step];
}

// Evaluates one formula over the packets in[], which it overwrites.
template <class K, class V, int Size, int N> GPUKERN_D Words packet_of(Words (&in)[N], const Plan& p) {
  constexpr unsigned condition = Conditions<K>::bits;
  constexpr int E = kPacket / Size, least = Size < 4 ? 4 / Size : 1;  // the elements of a 32-bit word
  constexpr int step = min_of(E, formulas<K>() < least ? least : formulas<K>()), words = step * Size / 4;
  Words out;
  // A loop over a few copies of the formula: shifting the next elements into place costs less than more code.
#pragma unroll 1
  for (int done = 0; done < E; done += step) {
    Words results;
#pragma unroll
    for (int j = 0; j < step; ++j) {
      V x[N];
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const Bits<Size> bits = element<Size>(in[k], j);
        x[k] = (condition >> k & 1) ? V(bits != 0 ? 1 : 0) : decode_row<V, Size>(bits, p.part[0].dtype);
      }
      put_element<Size>(results, j, encode_row<V, Size>(compute<K, V>(x, p), p.part[0].dtype));
    }
    shift<words>(out);
#pragma unroll
    for (int j = 0; j < words; ++j) out.v[kPacket / 4 - words + j] = results.v[j];
#pragma unroll
    for (int k = 0; k < N; ++k) shift<words>(in[k]);
  }
  return out;
}

// The formula of a packet kernel: K, or the one of the family's formulas with N operands that the plan names.
template <class K> struct Own {
  static constexpr int inputs = K::inputs;
  static constexpr unsigned condition = Conditions<K>::bits;
  template <class V, int Size> static GPUKERN_D Words run(Words (&in)[inputs], const Plan& p) {
    return packet_of<K, V, Size>(in, p);
  }
};
template <class L, int N> struct Shared {
  static constexpr int inputs = N;
  static constexpr unsigned condition = 0;

  // Binary search for the formula: every thread of a launch takes the same branch.
  template <class V, int Size, int Low, int High> static GPUKERN_D Words choose(Words (&in)[N], const Plan& p) {
    if constexpr (High - Low == 1) {
      return packet_of<typename Numbered<L, V, N, true, Low>::type, V, Size>(in, p);
    } else {
      constexpr int middle = (Low + High) / 2;
      return p.formula < middle ? choose<V, Size, Low, middle>(in, p) : choose<V, Size, middle, High>(in, p);
    }
  }
  template <class V, int Size> static GPUKERN_D Words run(Words (&in)[N], const Plan& p) {
    return choose<V, Size, 0, kFormulas<L, V, N, true>.count>(in, p);
  }
};

template <class F, class V, int Size> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads, 2) rows(GPUKERN_GRID_CONST const Plan p) {
  constexpr int E = kPacket / Size, U = packets_for(F::inputs), N = F::inputs;
  constexpr unsigned condition = F::condition;
  const int64_t first = int64_t{blockIdx.x} * (int64_t{blockDim.x} * p.unroll) + threadIdx.x;
  const int64_t length = p.shape[0];

  Spot<N + 1> spot[U];
  Words in[U][N];
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const int64_t q = first + u * int64_t{blockDim.x};
    if (u >= p.unroll || q >= p.count) continue;
    spot[u].find(p, q, E);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const Part& part = p.part[k + 1];
      const char* row = part.data + spot[u].row[k + 1];
      if (Size > 1 && (condition >> k & 1)) {  // one byte per element, widened to the other operands' packet
        const auto bytes = read<1, E>(part, row, spot[u].position, length);
#pragma unroll
        for (int j = 0; j < E; ++j) put_element<Size>(in[u][k], j, bytes.v[j]);
      } else {
        in[u][k] = read<Size, E>(part, row, spot[u].position, length);
      }
    }
  }
  const Plan& later = argument(p);  // for fields that are read only from here on
#pragma unroll 1
  for (int u = 0; u < p.unroll; ++u) {
    const int64_t q = first + u * int64_t{blockDim.x};
    if (q >= p.count) break;
    const Words out = F::template run<V, Size>(in[0], later);
    write<Size>(p.part[0], spot[0].row[0], spot[0].position, length, out);
#pragma unroll
    for (int next = 1; next < U; ++next) {
      spot[next - 1] = spot[next];
#pragma unroll
      for (int k = 0; k < N; ++k) in[next - 1][k] = in[next][k];
    }
  }
}

GPUKERN_ELEMENTWISE_END
