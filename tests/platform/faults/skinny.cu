// The kernels of csrc/gemm/arch/skinny, as they are and with one fault each, behind one C function, under the model.
// skinny_faults.h is made by test_skinny_faults.py: the folder's own text, once a fault, in a namespace of its own.
#include <string>

#include "gemm/emit.cuh"
#include "gemm/refusals.h"
#include "gemm/split/split.cu"
#include "platform/device.h"
#include "platform/model/memory.h"
#include "primitives/rotate.h"

#include GPUKERN_FAULTS_HEADER

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

// Returns "" or the model's message.  buffers: a, b, c, d and their bytes; layouts: of the same, row, column and batch
// stride and alignment; extents: batch, m, n, k; schedule: order, seed, wave.
GPUKERN_EXPORT const char* run_variant(int variant, char* const* buffers, const int64_t* bytes, const int64_t* layouts,
                                       const int64_t* extents, const int* schedule, int64_t margin) {
  using namespace gpukern;
  model::settings() = {static_cast<model::Order>(schedule[0]), static_cast<uint32_t>(schedule[1]), schedule[2], true,
                       false};
  model::buffers().clear();
  static constexpr const char* names[] = {"a", "b", "c", "d"};
  for (int i = 0; i < 4; ++i) {
    char* const begin = buffers[i];
    model::buffers().push_back({names[i], begin, begin + bytes[i], begin - margin, begin + bytes[i] + margin, i == 3});
  }
  gemm::Problem p;
  p.batch = extents[0];
  p.m = extents[1];
  p.n = extents[2];
  p.k = extents[3];
  gemm::Layout* const all[] = {&p.a, &p.b, &p.c, &p.d};
  for (int i = 0; i < 4; ++i, layouts += 4)
    *all[i] = {layouts[0], layouts[1], layouts[2], static_cast<int>(layouts[3])};
  const gemm::Data data{buffers[0], buffers[1], buffers[2], nullptr, buffers[3]};
  int error = -1;
#define GPUKERN_VARIANT(number, space, index, form, id)                                                \
  if (variant == number)                                                                               \
    error = gemm::space::run(&gemm::space::by_##form<gemm::space::id, float>, gemm::space::Form::form, \
                             gemm::space::kConfigurations[index], p, data, nullptr);
  GPUKERN_VARIANTS(GPUKERN_VARIANT)
#undef GPUKERN_VARIANT
  model::buffers().clear();
  return error < 0 ? "no such variant" : error ? model::last_error().c_str() : "";
}
