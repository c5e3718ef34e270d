// Shadow memory: one cell per byte, stored once per line of 16 bytes while all its cells are equal.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

namespace gpukern::model {

// Cell: plain data, compared byte by byte.
template <class Cell> class Shadow {
 public:
  static constexpr size_t kLine = 16;  // the widest access of a thread, and the pieces of most copies

  // Sets every cell to Cell().  `first`: the position of the first byte in its line.
  void start(size_t bytes, size_t first = 0) {
    first_ = first % kLine;
    whole_.assign(lines(bytes), Cell());
    apart_.clear();
    apart_.resize(whole_.size());
  }
  // Keeps the cells and adds new ones.
  void grow(size_t bytes) {
    whole_.resize(lines(bytes));
    apart_.resize(whole_.size());
  }

  // Calls judge(cell, offset) for the bytes [offset, offset + bytes), once for equal cells of a line.  It may change
  // the cell, and does not return if it finds a fault.
  template <class Judge> void each(size_t offset, size_t bytes, const Judge& judge) {
    const size_t from = offset + first_, end = from + bytes;
    for (size_t at = from; at < end;) {
      const size_t line = at / kLine, next = std::min(end, (line + 1) * kLine);
      if (!apart_[line] && next - at == kLine) judge(whole_[line], at - first_);
      else each_apart(line, at, next, judge);
      at = next;
    }
  }

 private:
  size_t lines(size_t bytes) const { return (first_ + bytes + kLine - 1) / kLine; }

  template <class Judge> void each_apart(size_t line, size_t from, size_t end, const Judge& judge) {
    if (!apart_[line]) {
      apart_[line] = std::make_unique<Cell[]>(kLine);
      std::fill_n(apart_[line].get(), kLine, whole_[line]);
    }
    Cell* const cells = apart_[line].get() - line * kLine;
    Cell before;  // the last judged cell, before the change
    size_t judged = 0;
    for (size_t at = from; at < end; ++at) {
      if (at > from && std::memcmp(&cells[at], &before, sizeof before) == 0) {
        cells[at] = cells[at - 1];
        continue;
      }
      std::memcpy(&before, &cells[at], sizeof before);
      judge(cells[at], at - first_);
      ++judged;
    }
    if (judged == 1 && end - from == kLine) {
      std::memcpy(&whole_[line], &cells[from], sizeof before);
      apart_[line].reset();
    }
  }

  size_t first_ = 0;
  std::vector<Cell> whole_;                     // by line
  std::vector<std::unique_ptr<Cell[]>> apart_;  // the cells of a line, if they may differ
};

}  // namespace gpukern::model
