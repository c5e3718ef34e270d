// Faults of host code that the sanitizers must report, each in a call that is sound with `planted` 0 and wrong with 1.
// Compiled with the flags of the sanitized build; test_sanitizers.py makes the calls.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

extern "C" {

#define GPUKERN_FAULT __attribute__((visibility("default"), noinline)) int64_t

// `data`: the storage of a tensor of `n` elements, which torch allocated.
GPUKERN_FAULT read_past_a_storage(float* data, int64_t n, int planted) {
  float sum = 0;
  for (int64_t i = 0; i < n + planted; ++i) sum += data[i];
  return sum > 0;
}

GPUKERN_FAULT write_past_a_storage(float* data, int64_t n, int planted) {
  for (int64_t i = 0; i < n + planted; ++i) data[i] = 1;
  return 0;
}

GPUKERN_FAULT use_after_free(float*, int64_t n, int planted) {
  auto owner = std::make_unique<std::vector<int64_t>>(n, 1);
  int64_t* first = owner->data();
  if (planted) owner.reset();
  return *static_cast<volatile int64_t*>(first);
}

GPUKERN_FAULT free_twice(float*, int64_t n, int planted) {
  void* volatile block = std::malloc(n);
  std::free(block);
  if (planted) std::free(block);
  return 0;
}

GPUKERN_FAULT write_past_a_block_on_the_stack(float*, int64_t, int planted) {
  char block[64];
  volatile std::size_t length = sizeof(block) + planted;
  std::memset(block, 1, length);
  return *static_cast<volatile char*>(block);
}

GPUKERN_FAULT use_after_scope(float*, int64_t n, int planted) {
  volatile int64_t outer = n;
  volatile int64_t* last = &outer;
  {
    volatile int64_t inner = n;
    if (planted) last = &inner;
  }
  return *last;
}

GPUKERN_FAULT signed_overflow(float*, int64_t n, int planted) {
  return std::numeric_limits<int64_t>::max() - n + (n + planted);
}

GPUKERN_FAULT shift_out_of_range(float*, int64_t, int planted) { return int32_t{1} << (31 + planted); }

GPUKERN_FAULT division_by_zero(float*, int64_t n, int planted) { return n / (1 - planted); }

GPUKERN_FAULT index_past_an_array(float*, int64_t, int planted) {
  std::array<int64_t, 4> extents{1, 2, 3, 4};
  volatile std::size_t index = 3 + planted;
  return extents[index];
}

GPUKERN_FAULT index_past_a_plain_array(float*, int64_t, int planted) {
  static const int64_t extents[4] = {1, 2, 3, 4};
  volatile std::size_t index = 3 + planted;
  return extents[index];
}

// The memory is the vector's, so only the assertion of libstdc++ sees it.
GPUKERN_FAULT index_past_a_vector(float*, int64_t n, int planted) {
  std::vector<int64_t> extents;
  extents.reserve(n + 1);
  extents.resize(n, 1);
  return extents[n - 1 + planted];
}

GPUKERN_FAULT bool_that_is_neither(float*, int64_t, int planted) {
  const char byte = static_cast<char>(1 + planted);
  bool flag;
  std::memcpy(&flag, &byte, 1);
  return flag ? 1 : 0;
}

}  // extern "C"
