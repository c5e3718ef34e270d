// A tile of an operand in shared memory: its layout, and how it is loaded.
//
// A line is contiguous in global memory: the k of one row (along k), or the rows of one k.  Lines are split into chunks
// of 16 bytes and swizzled: a chunk's position in its line is XORed with the line's number, so that the eight lines
// that one ldmatrix reads (or the four that scalar reads touch) lie in different banks:
//
//     line 0   c0 c1 c2 c3 ..        128-byte lines: chunk c of line l is at        c ^ (l & 7)
//     line 1   c1 c0 c3 c2 ..         64-byte lines:                                c ^ (l / 2 & 3)
//     line 2   c2 c3 c0 c1 ..
#pragma once
#include "../core/number.h"
#include "cp_async.h"

namespace gpukern::primitives {

// How an operand is loaded: by chunks of 16 bytes; by a cp.async for 4 bytes, or for an element of 8; or element by
// element through registers, if not even 4 bytes of neighbours are aligned.
enum class LoadMode : uint8_t { chunks, pieces, elements };

// An operand as the copies see it; strides in elements.
struct Source {
  int64_t line, unit;  // from one line to the next, and along a line
  LoadMode mode;
};

template <class T, int X, int BK, int Threads, bool AlongK> struct Tile {
  static constexpr int size = sizeof(T), each = 16 / size;  // elements a chunk
  static constexpr bool along_k = AlongK;
  static constexpr int lines = AlongK ? X : BK, line_bytes = (AlongK ? BK : X) * size, chunks = line_bytes / 16;
  static constexpr int bytes = lines * line_bytes;
  static constexpr int piece = size > 4 ? size : 4;
  // ldmatrix transposes 16-bit elements only; others are read one by one if lines do not run along k.
  static constexpr bool scalar = size == 8 || (size == 4 && !AlongK);
  static constexpr int period = scalar ? 4 : 8;                        // lines after which the swizzle repeats
  static constexpr int hop = Threads / chunks, packets = lines / hop;  // a thread's lines are `hop` apart
  static_assert(line_bytes % 32 == 0 && Threads % chunks == 0 && lines % hop == 0 && hop % period == 0);

  static GPUKERN_HD int turn_of(int line) {
    if constexpr (scalar && chunks < 8) return 0;  // multiply_add's narrow tile, which is read along one line
    else if constexpr (scalar) return line % 4 * 2;
    else if constexpr (chunks >= 8) return line % 8;
    else return line / (8 / chunks) % chunks;
  }
  // The offset of an element in bytes.
  static GPUKERN_HD uint32_t place(int line, int chunk) {
    return static_cast<uint32_t>(line * line_bytes + ((chunk ^ turn_of(line)) * 16));
  }
  static GPUKERN_HD uint32_t place_of(int x, int k) {
    const int line = AlongK ? x : k, along = (AlongK ? k : x) * size;
    return place(line, along / 16) + static_cast<uint32_t>(along % 16);
  }

  const char* at;    // this thread's first chunk of the next tile
  uint32_t to;       // and its offset in a tile
  int line, column;  // of its first element
  int x_left;        // lines or columns of the matrix from the tile's corner on

  GPUKERN_D void start(const T* corner, const Source& s, int64_t left) {
    const int thread = static_cast<int>(threadIdx.x);
    line = thread / chunks;
    column = thread % chunks * each;
    at = reinterpret_cast<const char*>(corner + line * s.line + column * s.unit);
    to = place(line, thread % chunks);
    x_left = left < X ? static_cast<int>(left) : X;
  }

  // How many elements from (line, column) on are inside the matrix.
  GPUKERN_D int there(int l, int c, int k_left) const {
    const int lines_left = AlongK ? x_left : k_left, columns_left = AlongK ? k_left : x_left;
    return l < lines_left ? columns_left - c : 0;
  }

  static GPUKERN_HD int bytes_of(int elements, int most) {
    return elements <= 0 ? 0 : elements * size < most ? elements * size : most;
  }

  // Issues the loads of the next tile; elements outside the matrix, or beyond k_left, become 0.
  GPUKERN_D void copy(char* tile, const Source& s, int k_left) {
    if (s.mode == LoadMode::chunks) {
      const uint32_t base = shared_address(tile) + to;
      const int64_t step = s.line * (hop * size);
#pragma unroll
      for (int i = 0; i < packets; ++i) {
        const int have = there(line + i * hop, column, k_left);
        cp_async<16>(base + i * hop * line_bytes, at + i * step, bytes_of(have, 16));
      }
    } else {
      copy_narrow(tile, s, k_left);
    }
    at += (AlongK ? s.unit : s.line) * (BK * size);
  }

  GPUKERN_D void copy_narrow(char* tile, const Source& s, int k_left) {
#pragma unroll 1
    for (int i = 0; i < packets; ++i) {
      const int have = there(line + i * hop, column, k_left);
      const char* const from = at + s.line * (i * hop * size);
      char* const chunk = tile + to + i * hop * line_bytes;
      if (s.mode == LoadMode::pieces) {
#pragma unroll
        for (int j = 0; j < 16 / piece; ++j) {
          cp_async<piece>(shared_address(chunk) + j * piece, from + s.unit * (j * piece),
                          bytes_of(have - j * piece / size, piece));
        }
      } else {
        Packet<T, each> packet;
#pragma unroll
        for (int j = 0; j < each; ++j)
          packet.v[j] = j < have ? *reinterpret_cast<const T*>(from + s.unit * (j * size)) : T{};
        store_packet(reinterpret_cast<Packet<T, each>*>(chunk), packet);
      }
    }
  }
};

// How an operand with these strides can be loaded.  unit: the stride along a line.
template <class T> LoadMode load_mode_of(int64_t unit, int align) {
  constexpr int size = sizeof(T);
  if (unit == 1 && align >= 16) return LoadMode::chunks;
  if (size >= 4 || (unit == 1 && align >= 4)) return LoadMode::pieces;
  return LoadMode::elements;
}

}  // namespace gpukern::primitives
