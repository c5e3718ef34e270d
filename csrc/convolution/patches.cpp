// The CPU loops of the convolution: the patches of an image as rows of a matrix (im2col), and the adjoint.
//
// An image is channels-last, (N, H, W, C), so a patch has `kernel width * C` contiguous numbers of one image line: one
// copy, with zeros outside of the image.  `gpukern/convolution.py` has the derivatives (each loop is the derivative of
// the other) and the same in tensor operations for other devices and types.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "../aliasing.h"
#include "../lazy_views.h"

namespace gpukern::convolution {
namespace {

using at::Tensor;

struct Geometry {
  int64_t kernel[2], stride[2], dilation[2], top, left;
  int64_t rows, columns;                   // patches down and across
  int64_t count, height, width, channels;  // the images

  // For each run of a patch, its contiguous numbers in one image line: calls inside(position in the patch, line,
  // column, length) for the part inside the image, and outside(position, length) for the rest.
  template <class Inside, class Outside> void runs(int64_t row, int64_t column, Inside inside, Outside outside) const {
    const int64_t across = dilation[1] == 1 ? kernel[1] : 1;  // pixels in a run
    for (int64_t i = 0; i < kernel[0]; ++i) {
      const int64_t line = row * stride[0] + i * dilation[0] - top;
      for (int64_t j = 0; j < kernel[1]; j += across) {
        const int64_t position = (i * kernel[1] + j) * channels, first = column * stride[1] + j * dilation[1] - left;
        const int64_t begin = std::clamp<int64_t>(-first, 0, across),
                      end = std::clamp<int64_t>(width - first, begin, across);
        if (line < 0 || line >= height || begin == end) {
          outside(position, across * channels);
          continue;
        }
        if (begin > 0) outside(position, begin * channels);
        inside(position + begin * channels, line, first + begin, (end - begin) * channels);
        if (end < across) outside(position + end * channels, (across - end) * channels);
      }
    }
  }
};

// numbers: kernel, stride, dilation, (top, left), (rows, columns): ten numbers, which Python computes once per layer.
Geometry geometry(at::IntArrayRef numbers, at::IntArrayRef image) {
  TORCH_CHECK(numbers.size() == 10 && image.size() == 4,
              "gpukern: a convolution's geometry is ten numbers and four extents");
  Geometry g{};
  for (int i = 0; i < 2; ++i) {
    g.kernel[i] = numbers[i];
    g.stride[i] = numbers[2 + i];
    g.dilation[i] = numbers[4 + i];
  }
  g.top = numbers[6], g.left = numbers[7], g.rows = numbers[8], g.columns = numbers[9];
  g.count = image[0], g.height = image[1], g.width = image[2], g.channels = image[3];
  return g;
}

template <class T> void gather_loop(const Geometry& g, const T* image, T* patches) {
  const int64_t size = g.kernel[0] * g.kernel[1] * g.channels, each = g.rows * g.columns;
  at::parallel_for(
      0, g.count * g.rows, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, size * g.columns)),
      [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
          const int64_t n = at / g.rows, row = at % g.rows;
          const T* source = image + n * g.height * g.width * g.channels;
          T* target = patches + (n * each + row * g.columns) * size;
          for (int64_t column = 0; column < g.columns; ++column, target += size) {
            g.runs(
                row, column,
                [&](int64_t position, int64_t line, int64_t first, int64_t length) {
                  std::memcpy(target + position, source + (line * g.width + first) * g.channels, length * sizeof(T));
                },
                [&](int64_t position, int64_t length) { std::memset(target + position, 0, length * sizeof(T)); });
          }
        }
      });
}

// Each thread takes whole images, so that no two threads add to the same number and the order of additions is fixed.
template <class T> void scatter_loop(const Geometry& g, const T* patches, T* image) {
  const int64_t size = g.kernel[0] * g.kernel[1] * g.channels, pixels = g.height * g.width * g.channels;
  at::parallel_for(0, g.count, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, size * g.rows * g.columns)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t n = begin; n < end; ++n) {
                       T* target = image + n * pixels;
                       std::memset(target, 0, pixels * sizeof(T));
                       const T* source = patches + n * g.rows * g.columns * size;
                       for (int64_t row = 0; row < g.rows; ++row)
                         for (int64_t column = 0; column < g.columns; ++column, source += size)
                           g.runs(
                               row, column,
                               [&](int64_t position, int64_t line, int64_t first, int64_t length) {
                                 T* to = target + (line * g.width + first) * g.channels;
                                 const T* from = source + position;
#pragma omp simd
                                 for (int64_t i = 0; i < length; ++i) to[i] += from[i];
                               },
                               [](int64_t, int64_t) {});
                     }
                   });
}

template <class F> void dispatch(const Tensor& t, F f) {
  if (t.scalar_type() == at::kFloat) f(float{});
  else if (t.scalar_type() == at::kDouble) f(double{});
  else TORCH_CHECK(false, "gpukern: the convolution's CPU loops take float32 and float64, not ", t.scalar_type());
}

// (N, H, W, C) -> (N * rows * columns, kernel height * kernel width * C), into `out`, dense and of that size.
void gather_out(const Tensor& image, at::IntArrayRef numbers, const Tensor& out) {
  const Geometry g = geometry(numbers, image.sizes());
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == image.scalar_type() &&
                  out.numel() == g.count * g.rows * g.columns * g.kernel[0] * g.kernel[1] * g.channels,
              "gpukern: out does not hold the patches of an image of ", image.sizes());
  Tensor dense = image.contiguous();
  if (may_overlap(dense, out)) dense = dense.clone();
  dispatch(dense,
           [&](auto t) { gather_loop(g, dense.const_data_ptr<decltype(t)>(), out.mutable_data_ptr<decltype(t)>()); });
}

Tensor gather(const Tensor& image, at::IntArrayRef numbers) {
  const Geometry g = geometry(numbers, image.sizes());
  Tensor patches = at::empty({g.count * g.rows * g.columns, g.kernel[0] * g.kernel[1] * g.channels}, image.options());
  gather_out(image, numbers, patches);
  return patches;
}

// (N * rows * columns, kernel height * kernel width * C) -> (N, H, W, C), `shape`
Tensor scatter(const Tensor& patches, at::IntArrayRef numbers, at::IntArrayRef shape) {
  const Geometry g = geometry(numbers, shape);
  TORCH_CHECK(patches.numel() == g.count * g.rows * g.columns * g.kernel[0] * g.kernel[1] * g.channels,
              "gpukern: these patches do not belong to an image of ", shape);
  const Tensor dense = patches.contiguous();
  Tensor image = at::empty(shape, patches.options());
  dispatch(dense, [&](auto t) {
    scatter_loop(g, dense.const_data_ptr<decltype(t)>(), image.mutable_data_ptr<decltype(t)>());
  });
  return image;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(gpukern, m) {
  m.def("gather_patches(Tensor image, int[] geometry) -> Tensor");
  m.def("gather_patches.out(Tensor image, int[] geometry, *, Tensor(a!) out) -> ()");
  m.def("scatter_patches(Tensor patches, int[] geometry, int[] shape) -> Tensor");
}
TORCH_LIBRARY_IMPL(gpukern, CPU, m) {
  m.impl("gather_patches", &gather);
  m.impl("gather_patches.out", &gather_out);
  m.impl("scatter_patches", &scatter);
}
TORCH_LIBRARY_IMPL(gpukern, Negative, m) { implement_negative(m); }
TORCH_LIBRARY_IMPL(gpukern, Conjugate, m) { implement_conjugate(m); }

}  // namespace gpukern::convolution
