#include "written.h"

#include <utility>

namespace gpukern::model {
namespace {

enum : uint8_t { kWritten = 1, kContent = 2 };

bool is_written(const char* element, size_t size, size_t& last) {
  const std::vector<Buffer>& all = buffers();
  const auto has = [&](size_t i) { return i < all.size() && element >= all[i].begin && element + size <= all[i].end; };
  for (size_t tried = 0; !has(last); ++tried) {  // usually the same buffer as last time
    if (tried == all.size()) return false;
    last = tried;
  }
  const Buffer& b = all[last];
  for (size_t i = 0; i < size; ++i)
    if (!b.written || !(b.written.data()[element - b.begin + i] & kWritten)) return false;
  return true;
}

}  // namespace

struct Marks::Kept {
  int owners;
  std::vector<uint8_t> bytes;
};
Marks::Marks(const Marks& other) : kept_(other.kept_) {
  if (kept_) ++kept_->owners;
}
Marks& Marks::operator=(const Marks& other) {
  Marks copy(other);
  std::swap(kept_, copy.kept_);
  return *this;
}
Marks::~Marks() {
  if (kept_ && --kept_->owners == 0) delete kept_;
}
void Marks::make(size_t bytes, uint8_t value) {
  Marks made;
  made.kept_ = new Kept{1, std::vector<uint8_t>(bytes, value)};
  *this = made;
}
uint8_t* Marks::data() const { return kept_->bytes.data(); }

void remember_writes(Buffer& buffer, bool content) {
  buffer.written.make(buffer.end - buffer.begin, content ? uint8_t{kContent} : uint8_t{0});
}

size_t first_unwritten(const Buffer& buffer, size_t offset, size_t bytes) {
  const uint8_t* const written = buffer.written.data() + offset;
  size_t i = 0;
  while (i < bytes && written[i]) ++i;
  return i;
}

void note_write(Buffer& buffer, size_t offset, size_t bytes) {
  uint8_t* const written = buffer.written.data() + offset;
  for (size_t i = 0; i < bytes; ++i) written[i] |= kWritten;
}

int64_t count_unwritten(const char* start, int dims, const int64_t* shape, const int64_t* strides, size_t size,
                        int64_t* first) {
  std::vector<int64_t> at(dims);
  int64_t elements = 1, missing = 0;
  for (int d = 0; d < dims; ++d) elements *= shape[d];
  size_t last = 0;
  for (int64_t n = 0; n < elements; ++n) {
    const char* element = start;
    for (int d = 0; d < dims; ++d) element += at[d] * strides[d];
    if (!is_written(element, size, last) && missing++ == 0)
      for (int d = 0; d < dims; ++d) first[d] = at[d];
    for (int d = dims; d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
  }
  return missing;
}

}  // namespace gpukern::model
