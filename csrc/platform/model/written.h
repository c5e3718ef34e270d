// Which bytes of a launch's results the kernels have written: kept in the buffers (memory.h) from the time they are
// named until others are, since a result may take several launches.
#pragma once
#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace gpukern::model {

// From now on what is written to the buffer is remembered.  content: it has some, which may be read before that.
void remember_writes(Buffer& buffer, bool content);

// The first of these bytes that is neither written nor content; `bytes` where there is none.
size_t first_unwritten(const Buffer& buffer, size_t offset, size_t bytes);
void note_write(Buffer& buffer, size_t offset, size_t bytes);

// Elements of `size` bytes, `strides` bytes apart in each dimension from `start` on: how many have a byte that no
// kernel has written since their buffers were named; what lies between them does not count.  `first`: the place of the
// first.
int64_t count_unwritten(const char* start, int dims, const int64_t* shape, const int64_t* strides, size_t size,
                        int64_t* first);

}  // namespace gpukern::model
