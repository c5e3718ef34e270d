// Which bytes of results the kernels have written.  The buffers (memory.h) keep the marks until other buffers are
// named, because a result may take several launches.
#pragma once
#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace gpukern::model {

// Records writes to the buffer from now on.  content: it has values that may be read before.
void remember_writes(Buffer& buffer, bool content);

// The first of these bytes that is neither written nor content; `bytes` if there is none.
size_t first_unwritten(const Buffer& buffer, size_t offset, size_t bytes);
void note_write(Buffer& buffer, size_t offset, size_t bytes);

// The number of elements (of `size` bytes, `strides` bytes apart in each dimension from `start` on) with a byte that no
// kernel has written since the buffers were named; bytes between elements do not count.  `first`: the index of the
// first one.
int64_t count_unwritten(const char* start, int dims, const int64_t* shape, const int64_t* strides, size_t size,
                        int64_t* first);

}  // namespace gpukern::model
