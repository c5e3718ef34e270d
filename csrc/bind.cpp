// Every registration of the extension: the dispatcher's library, and what Python introspects.  No logic.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/library.h>

#include "build_info.h"
#include "dropin/router.h"
#include "elementwise/elementwise.h"
#include "elementwise/functions.h"
#include "entry/entry.h"

TORCH_LIBRARY(gpukern, m) { gpukern::elementwise::define(m); }

#define GPUKERN_IMPLEMENT(KEY, function, ...) \
  TORCH_LIBRARY_IMPL(gpukern, KEY, m) { gpukern::elementwise::function(m __VA_OPT__(, ) __VA_ARGS__); }
GPUKERN_IMPLEMENT(CPU, implement)
GPUKERN_IMPLEMENT(CUDA, implement)
GPUKERN_IMPLEMENT(Autograd, implement_autograd)
GPUKERN_IMPLEMENT(ADInplaceOrView, implement_inplace)
GPUKERN_IMPLEMENT(AutocastCPU, implement_autocast, c10::kCPU)
GPUKERN_IMPLEMENT(AutocastCUDA, implement_autocast, c10::kCUDA)

namespace py = pybind11;

PYBIND11_MODULE(_C, m) {
  m.def("build_info", &gpukern::build_info_json);

  m.def("functions", [] {
    return py::reinterpret_steal<py::dict>(gpukern::entry::make_functions(gpukern::elementwise::functions()));
  });
  m.def("elementwise_catalogue", [] {
    py::list all;
    for (const auto& d : gpukern::elementwise::describe_catalogue()) {
      using py::operator""_a;
      all.append(py::dict("name"_a = d.name, "family"_a = d.family, "args"_a = d.args, "doc"_a = d.doc,
                          "choice"_a = d.choice, "aten"_a = d.aten, "types"_a = d.types, "inputs"_a = d.inputs,
                          "scalars"_a = d.scalars, "ulp"_a = d.ulp, "differentiable"_a = d.differentiable,
                          "saves_result"_a = d.saves_result));
    }
    return all;
  });
  m.def("elementwise_counts", &gpukern::elementwise::counts);
  m.def("elementwise_reset_counts", &gpukern::elementwise::reset_counts);

  m.def("routable", &gpukern::dropin::routable);
  m.def("set_routes", &gpukern::dropin::set_routes);
  m.def("routes", &gpukern::dropin::routes);
  m.def("route_stats", [] {
    std::vector<std::tuple<std::string, int64_t, std::vector<std::pair<std::string, int64_t>>>> all;
    for (auto& c : gpukern::dropin::stats()) all.emplace_back(c.op, c.hits, c.fallbacks);
    return all;
  });
  m.def("reset_route_stats", &gpukern::dropin::reset_stats);

  m.def("cpu_capability", &gpukern::elementwise::host::capability);
}
