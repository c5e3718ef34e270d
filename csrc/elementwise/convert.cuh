// Conversions between memory and compute types, for device code: raw bits, parts of packets, and conversions.
//
// Loads are separate from conversions, so that all of a thread's loads are in flight before the first conversion waits.
#pragma once
#include <type_traits>

#include "../core/bits.h"
#include "../platform/gpu.h"
#include "plan.h"

GPUKERN_ELEMENTWISE_BEGIN

template <int Size> struct BitsOf;
template <> struct BitsOf<1> {
  using type = uint8_t;
};
template <> struct BitsOf<2> {
  using type = uint16_t;
};
template <> struct BitsOf<4> {
  using type = uint32_t;
};
template <> struct BitsOf<8> {
  using type = uint64_t;
};
template <int Size> using Bits = typename BitsOf<Size>::type;

// A packet of 16 bytes as four registers, whatever its elements are. An array of bytes would take a register per byte,
// in a kernel and in calls of the functions below.
using Words = Packet<uint32_t, kPacket / 4>;

// A packet whose address is not aligned, or that extends beyond its row: in parts of `width` bytes, or element by
// element.  Out of line: one in a thousand packets is such a packet, or the kernel is bound by memory anyway.
template <int Size, int E, int Piece = E>
GPUKERN_D void whole_pieces(Packet<Bits<Size>, E>& to, const Bits<Size>* from, int width) {
  using P = Packet<Bits<Size>, Piece>;
  if (Piece == 1 || width >= Piece * Size) {
#pragma unroll
    for (int j = 0; j < E; j += Piece) {
      const P piece = load_packet(reinterpret_cast<const P*>(from + j));
#pragma unroll
      for (int i = 0; i < Piece; ++i) to.v[j + i] = piece.v[i];
    }
  } else if constexpr (Piece > 1) {
    whole_pieces<Size, E, Piece / 2>(to, from, width);
  }
}
template <int Size, int E>
GPUKERN_D Packet<Bits<Size>, E> gather_pieces(const Bits<Size>* from, int width, int64_t position, int64_t length) {
  Packet<Bits<Size>, E> to;
  if (position >= 0 && position + E <= length) {
    whole_pieces<Size, E>(to, from, width);
  } else {
#pragma unroll
    for (int j = 0; j < E; ++j) to.v[j] = position + j >= 0 && position + j < length ? from[j] : Bits<Size>{};
  }
  return to;
}

// Packets of fewer bytes are returned as bytes.
template <int Bytes> using Kept = std::conditional_t<Bytes == kPacket, Words, Packet<uint8_t, Bytes>>;
template <int Size, int E>
GPUKERN_OUTLINE Kept<Size * E> read_pieces(const Bits<Size>* from, int width, int64_t position, int64_t length) {
  return bits_as<Kept<Size * E>>(gather_pieces<Size, E>(from, width, position, length));
}

template <int Size, int E, int Piece = E>
GPUKERN_D void whole_pieces(Bits<Size>* to, const Packet<Bits<Size>, E>& from, int width) {
  using P = Packet<Bits<Size>, Piece>;
  if (Piece == 1 || width >= Piece * Size) {
#pragma unroll
    for (int j = 0; j < E; j += Piece) {
      P piece;
#pragma unroll
      for (int i = 0; i < Piece; ++i) piece.v[i] = from.v[j + i];
      store_packet(reinterpret_cast<P*>(to + j), piece);
    }
  } else if constexpr (Piece > 1) {
    whole_pieces<Size, E, Piece / 2>(to, from, width);
  }
}
template <int Size>
GPUKERN_OUTLINE void write_pieces(Bits<Size>* to, Words words, int width, int64_t position, int64_t length) {
  constexpr int E = kPacket / Size;
  const auto from = bits_as<Packet<Bits<Size>, E>>(words);
  if (position >= 0 && position + E <= length) {
    whole_pieces<Size, E>(to, from, width);
  } else {
#pragma unroll
    for (int j = 0; j < E; ++j)
      if (position + j >= 0 && position + j < length) to[j] = from.v[j];
  }
}

// An element of any size, in the low bits.
GPUKERN_D uint64_t read_bits(const char* at, int size) {
  if (size == 4) return *reinterpret_cast<const uint32_t*>(at);
  if (size == 2) return *reinterpret_cast<const uint16_t*>(at);
  if (size == 8) return *reinterpret_cast<const uint64_t*>(at);
  return *reinterpret_cast<const uint8_t*>(at);
}
GPUKERN_D void write_bits(char* at, int size, uint64_t bits) {
  if (size == 4) *reinterpret_cast<uint32_t*>(at) = static_cast<uint32_t>(bits);
  else if (size == 2) *reinterpret_cast<uint16_t*>(at) = static_cast<uint16_t>(bits);
  else if (size == 8) *reinterpret_cast<uint64_t*>(at) = bits;
  else *reinterpret_cast<uint8_t*>(at) = static_cast<uint8_t>(bits);
}

// 16-bit floating types, selected by a flag that is uniform in the launch.
GPUKERN_D float half_to_float(uint16_t bits, bool brain) {
  return brain ? bits_as<float>(static_cast<uint32_t>(bits) << 16) : to_float(bits_as<half_t>(bits));
}
GPUKERN_D uint16_t float_to_half(float x, bool brain) {
  return brain ? bits_as<uint16_t>(from_float<bfloat16_t>(x)) : bits_as<uint16_t>(from_float<half_t>(x));
}

// An element of a type that is computed in V (plan.h, `native`).
template <class V, int Size> GPUKERN_D V decode_row(Bits<Size> bits, DType t) {
  if constexpr (std::is_same_v<V, float> && Size == 2) return half_to_float(bits, t == DType::bf16);
  else if constexpr (std::is_same_v<V, int64_t> && Size == 1)
    return t == DType::i8 ? V(static_cast<int8_t>(bits)) : t == DType::b8 ? V(bits != 0) : V(bits);
  else if constexpr (std::is_same_v<V, int64_t>) return static_cast<std::make_signed_t<Bits<Size>>>(bits);
  else return bits_as<V>(bits);
}
template <class V, int Size> GPUKERN_D Bits<Size> encode_row(V x, DType t) {
  if constexpr (std::is_same_v<V, float> && Size == 2) return float_to_half(x, t == DType::bf16);
  else if constexpr (std::is_same_v<V, int64_t> && Size == 1)
    return t == DType::b8 ? Bits<Size>(x != 0) : static_cast<Bits<Size>>(x);
  else if constexpr (std::is_same_v<V, int64_t>) return static_cast<Bits<Size>>(x);
  else return bits_as<Bits<Size>>(x);
}

// An element of any type.  Out of line: a call per element, because a switch in every kernel would double its code.
template <class V> GPUKERN_OUTLINE V decode(uint64_t bits, DType t) {
  switch (t) {
    case DType::f16:
    case DType::bf16: return static_cast<V>(half_to_float(static_cast<uint16_t>(bits), t == DType::bf16));
    case DType::f32: return static_cast<V>(bits_as<float>(static_cast<uint32_t>(bits)));
    case DType::f64: return static_cast<V>(bits_as<double>(bits));
    case DType::u8: return static_cast<V>(static_cast<uint8_t>(bits));
    case DType::i8: return static_cast<V>(static_cast<int8_t>(bits));
    case DType::i16: return static_cast<V>(static_cast<int16_t>(bits));
    case DType::i32: return static_cast<V>(static_cast<int32_t>(bits));
    case DType::i64: return static_cast<V>(static_cast<int64_t>(bits));
    default: return static_cast<V>(static_cast<uint8_t>(bits) != 0);
  }
}
template <class V> GPUKERN_OUTLINE uint64_t encode(V x, DType t) {
  switch (t) {
    case DType::f16:
    case DType::bf16: return float_to_half(static_cast<float>(x), t == DType::bf16);
    case DType::f32: return bits_as<uint32_t>(static_cast<float>(x));
    case DType::f64: return bits_as<uint64_t>(static_cast<double>(x));
    case DType::b8: return x != V(0);
    default: return static_cast<uint64_t>(static_cast<int64_t>(x));
  }
}

GPUKERN_ELEMENTWISE_END
