#include "explain.h"

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "gemm/introspect.h"
#include "platform/device.h"

namespace py = pybind11;

namespace gpukern {
namespace {

gemm::Type type_of(std::string_view name) {
  for (int t = 0; t < gemm::kTypes; ++t)
    if (name == gemm::name(static_cast<gemm::Type>(t))) return static_cast<gemm::Type>(t);
  throw std::invalid_argument("no product takes " + std::string(name));
}

gemm::Activation activation_of(std::string_view name) {
  std::string known;
  for (int a = 0; a < gemm::kActivations; ++a) {
    const char* text = gemm::name(static_cast<gemm::Activation>(a));
    if (name == text) return static_cast<gemm::Activation>(a);
    known += std::string(a ? ", " : "") + text;
  }
  throw std::invalid_argument("unknown activation '" + std::string(name) + "'; choose one of " + known);
}

// (row stride, column stride, batch stride, alignment in bytes)
gemm::Layout layout_of(const std::array<int64_t, 4>& l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

// "sm_90a", "gfx942", "cpu", or "cuda:0" for the device that is there.
Device device_of(const std::string& name) {
  constexpr std::string_view here = "cuda:";
  return std::string_view(name).starts_with(here) ? current_device(std::stoi(name.substr(here.size())))
                                                  : describe(name);
}

py::dict explain(const std::string& type, std::array<int64_t, 4> extents,
                 const std::array<std::array<int64_t, 4>, 5>& layouts, double alpha, double beta, bool addend,
                 const std::string& activation, bool residual, const std::string& device) {
  gemm::Problem p;
  p.type = type_of(type);
  p.batch = extents[0], p.m = extents[1], p.n = extents[2], p.k = extents[3];
  p.a = layout_of(layouts[0]), p.b = layout_of(layouts[1]), p.c = layout_of(layouts[2]);
  p.d = layout_of(layouts[3]), p.residual = layout_of(layouts[4]);
  p.epilogue.alpha = alpha, p.epilogue.beta = beta;
  p.epilogue.whole_alpha = static_cast<int64_t>(alpha), p.epilogue.whole_beta = static_cast<int64_t>(beta);
  p.epilogue.addend = addend;
  p.epilogue.activation = activation_of(activation);
  p.epilogue.residual = residual;
  const gemm::Explanation e = gemm::explain(p, device_of(device));
  using py::operator""_a;
  return py::dict("row"_a = e.row, "would_run"_a = e.would_run, "refusals"_a = e.refusals, "problem"_a = e.problem,
                  "device"_a = e.device);
}

}  // namespace

void bind_explain(py::module_& m) {
  using py::operator""_a;
  m.def("gemm_rows", [] {
    py::list all;
    for (const auto& r : gemm::rows())
      all.append(py::dict("name"_a = r.name, "folder"_a = r.folder, "row"_a = r.row, "types"_a = r.types,
                          "targets"_a = r.targets, "tile"_a = py::make_tuple(r.bm, r.bn, r.bk),
                          "per_thread"_a = py::make_tuple(r.tm, r.tn), "threads"_a = r.threads,
                          "shared_bytes"_a = r.shared));
    return all;
  });
  m.def("gemm_explain", &explain);
  m.def("gemm_counts", &gemm::counts);
  m.def("gemm_reset_counts", &gemm::reset_counts);
  m.def("gemm_force", &gemm::set_force);
  m.def("gemm_forced", &gemm::forced);
  m.def("check_device", [](const std::string& name) { device_of(name); });
}

}  // namespace gpukern
