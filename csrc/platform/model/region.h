// Memory with an unmapped page before it and one behind it, so that an access beyond either end is stopped.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace gpukern::model {

struct Region {
  static constexpr size_t kPage = 4096;
  char* map = nullptr;
  size_t mapped = 0;

  char* reserve(size_t bytes) {
    const size_t wanted = (bytes + kPage - 1) / kPage * kPage + 2 * kPage;
    if (mapped < wanted) {
      release();
      map = static_cast<char*>(
          mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      if (map == MAP_FAILED) std::abort();
      mapped = wanted;
      mprotect(map, kPage, PROT_NONE);
      mprotect(map + mapped - kPage, kPage, PROT_NONE);
    }
    return map + kPage;
  }
  const char* end() const { return map + mapped - kPage; }
  void release() {
    if (mapped) munmap(map, mapped);
    mapped = 0;
  }
  Region() = default;
  Region(Region&& other) noexcept : map(other.map), mapped(std::exchange(other.mapped, 0)) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { release(); }
};

}  // namespace gpukern::model
