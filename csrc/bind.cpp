// All registrations of the extension: the dispatcher's library, and Python's introspection.  No logic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "build_info.h"
#include "dropin/router.h"
#include "elementwise/elementwise.h"
#include "elementwise/functions.h"
#include "entry/dtype.h"
#include "entry/entry.h"
#include "gemm/gemm.h"
#include "gemm/introspect.h"
#include "gemm/ranking.h"
#include "gemm/registrar.h"
#include "lazy_views.h"
#include "platform/device.h"
#include "platform/device_name.h"

namespace elementwise = gpukern::elementwise;
namespace gemm = gpukern::gemm;

TORCH_LIBRARY(gpukern, m) {
  elementwise::define(m);
  gemm::add_ops(m, gemm::Key::schema);
}
TORCH_LIBRARY_IMPL(gpukern, CPU, m) {
  elementwise::implement(m);
  gemm::add_ops(m, gemm::Key::backend);
}
TORCH_LIBRARY_IMPL(gpukern, CUDA, m) {
  elementwise::implement(m);
  gemm::add_ops(m, gemm::Key::backend);
}
// All other tensors: sparse, quantised, on a device that nothing is built for.  torch's own ops serve them.
TORCH_LIBRARY_IMPL(gpukern, CompositeExplicitAutograd, m) {
  elementwise::implement(m);  // these kernels find that they do not serve the call
  gemm::add_ops(m, gemm::Key::elsewhere);
}
// Nested tensors have dispatch keys of their own, which CompositeExplicitAutograd does not include.
TORCH_LIBRARY_IMPL(gpukern, NestedTensorCPU, m) {
  elementwise::implement(m);
  gemm::add_ops(m, gemm::Key::elsewhere);
}
TORCH_LIBRARY_IMPL(gpukern, NestedTensorCUDA, m) {
  elementwise::implement(m);
  gemm::add_ops(m, gemm::Key::elsewhere);
}
TORCH_LIBRARY_IMPL(gpukern, Autograd, m) {
  elementwise::implement_autograd(m);
  gemm::add_ops(m, gemm::Key::autograd);
}
TORCH_LIBRARY_IMPL(gpukern, ADInplaceOrView, m) {
  elementwise::implement_inplace(m);
  gemm::add_ops(m, gemm::Key::inplace);
}
TORCH_LIBRARY_IMPL(gpukern, Negative, m) { gpukern::implement_negative(m); }
TORCH_LIBRARY_IMPL(gpukern, Conjugate, m) {
  gemm::add_ops(m, gemm::Key::conjugate);
  gpukern::implement_conjugate(m);  // the other ops
}
TORCH_LIBRARY_IMPL(gpukern, FuncTorchBatched, m) {
  elementwise::implement_batching(m);
  gemm::add_ops(m, gemm::Key::batching);
}
TORCH_LIBRARY_IMPL(gpukern, AutocastCPU, m) {
  elementwise::implement_autocast(m, c10::kCPU);
  gemm::implement_autocast(m, c10::kCPU);
}
TORCH_LIBRARY_IMPL(gpukern, AutocastCUDA, m) {
  elementwise::implement_autocast(m, c10::kCUDA);
  gemm::implement_autocast(m, c10::kCUDA);
}

namespace py = pybind11;
using py::operator""_a;

namespace {

// "cuda:1" is a present device; any other name describes a device, which then has no name from the runtime.
struct Named {
  gpukern::Device device;
  std::string name;
};
Named device_named(const std::string& name) {
  if (name.rfind("cuda", 0) != 0) return {gpukern::describe(name), ""};
  const int ordinal = name.size() > 5 ? std::stoi(name.substr(5)) : 0;
  return {gpukern::current_device(ordinal), gpukern::device_name(ordinal)};
}

py::dict describe_device(const std::string& name) {
  const Named found = device_named(name);
  const gpukern::Device& d = found.device;
  return py::dict("name"_a = found.name, "target"_a = gemm::target_text(d), "sm_count"_a = d.sm_count,
                  "shared_bytes"_a = d.shared_bytes, "l2_bytes"_a = d.l2_bytes, "wave"_a = d.wave);
}

gpukern::DType type_named(const std::string& name) {
  for (int t = 0; t < gpukern::kDTypes; ++t) {
    const auto type = static_cast<gpukern::DType>(t);
    if (type != gpukern::DType::b8 && name == gpukern::name(type)) return type;
  }
  throw py::value_error("gpukern has no matrix product of " + name);
}

using Layout = std::array<int64_t, 4>;  // row, column and batch stride in elements, alignment in bytes
gemm::Layout layout(const Layout& l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

py::dict explain(const std::string& type, const std::array<int64_t, 4>& extents, const std::vector<Layout>& layouts,
                 double alpha, double beta, bool addend, const std::string& activation, bool residual,
                 const std::string& device, const std::string& out, const std::string& precision, bool batch_invariant,
                 std::array<bool, 2> conjugated, const std::string& b_type, const std::array<int64_t, 7>& scales,
                 const std::string& derivative, std::array<bool, 2> scaled, bool summed, bool aux) {
  gemm::Problem p;
  p.scaling.a = {static_cast<int>(scales[0]), scales[1], scales[2]};
  p.scaling.b = {static_cast<int>(scales[3]), scales[4], scales[5]};
  p.scaling.fast = scales[6] != 0;
  if (!b_type.empty()) p.scaling.b_type = type_named(b_type);
  p.type = type_named(type);
  p.out = out.empty() ? p.type : type_named(out);
  p.precision = gemm::precision_of(precision);
  p.batch_invariant = batch_invariant;
  p.batch = extents[0];
  p.m = extents[1];
  p.n = extents[2];
  p.k = extents[3];
  gemm::Layout* const places[] = {&p.a, &p.b, &p.c, &p.d, &p.residual, &p.saved, &p.row_scale, &p.column_scale};
  for (size_t i = 0; i < layouts.size() && i < std::size(places); ++i) *places[i] = layout(layouts[i]);
  p.conjugate_a = conjugated[0];
  p.conjugate_b = conjugated[1];
  p.epilogue.alpha = alpha;
  p.epilogue.beta = beta;
  p.epilogue.whole_alpha = std::llround(alpha);
  p.epilogue.whole_beta = std::llround(beta);
  p.epilogue.addend = addend;
  p.epilogue.activation = gemm::activation_of(activation);
  p.epilogue.residual = residual;
  p.epilogue.row_scale = scaled[0];
  p.epilogue.column_scale = scaled[1];
  p.epilogue.derivative = gemm::activation_of(derivative);
  p.epilogue.sums = summed ? gemm::Sums::columns : gemm::Sums::none;
  p.epilogue.aux = aux;
  if (aux) p.aux = p.d;  // it is made as the result is
  const Named named = device_named(device);
  const gemm::Explanation e = gemm::explain(p, named.device, named.name);
  return py::dict("problem"_a = e.problem, "device"_a = e.device, "configuration"_a = e.configuration,
                  "would_run"_a = e.would_run, "refusals"_a = e.refusals, "cost"_a = e.cost, "splits"_a = e.splits,
                  "inside"_a = e.inside, "parts"_a = e.parts.count, "workspace"_a = e.workspace, "terms"_a = e.terms,
                  "tensor_cores"_a = e.tensor_cores, "parts_apart"_a = e.parts.apart, "apart"_a = e.apart,
                  "on_cpu"_a = e.on_cpu, "ranked"_a = e.ranked, "measurement"_a = e.measurement);
}

// Many selections at once.  Each problem is (type, out, precision, batch-invariant, batch, m, n, k, layout of A, layout
// of B, alignment), with layouts 0 row-major, 1 column-major, 2 without a unit stride.  The result for each is (index
// in gemm_configurations() or -1, ranges of k).
using Problems = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;
py::array_t<int64_t> choose(const std::string& device, const Problems& problems) {
  constexpr int kFacts = 11;
  if (problems.ndim() != 2 || problems.shape(1) != kFacts) throw py::value_error("a problem has 11 numbers");
  const gpukern::Device d = device_named(device).device;
  const gemm::Built all = gemm::built_for_all();
  const auto laid_out = [](int64_t how, int64_t rows, int64_t columns, int64_t align) {
    const int a = static_cast<int>(align);
    if (how == 0) return gemm::Layout{columns, 1, rows * columns, a};
    return how == 1 ? gemm::Layout{1, rows, rows * columns, a} : gemm::Layout{2 * columns, 2, 2 * rows * columns, a};
  };
  py::array_t<int64_t> found({problems.shape(0), py::ssize_t{2}});
  for (py::ssize_t i = 0; i < problems.shape(0); ++i) {
    const int64_t* x = problems.data(i, 0);
    gemm::Problem p;
    p.type = static_cast<gpukern::DType>(x[0]);
    p.out = static_cast<gpukern::DType>(x[1]);
    p.precision = static_cast<gemm::Precision>(x[2]);
    p.batch_invariant = x[3] != 0;
    p.batch = x[4], p.m = x[5], p.n = x[6], p.k = x[7];
    p.a = laid_out(x[8], p.m, p.k, x[10]);
    p.b = laid_out(x[9], p.k, p.n, x[10]);
    p.d = {p.n, 1, p.m * p.n, 16};
    const gemm::Choice c = gemm::select(p, d, all);
    int64_t place = c ? c.index : -1;
    for (int f = 0; f < c.folder; ++f) place += gemm::kFolders[f].count;
    found.mutable_at(i, 0) = place;
    found.mutable_at(i, 1) = c ? gemm::splits_of(c, p, d) : 0;
  }
  return found;
}

py::list gemm_configurations() {
  py::list all;
  for (const gemm::ConfigurationDescription& c : gemm::configurations()) {
    const gemm::Traits& t = c.traits;
    all.append(py::dict("name"_a = c.name, "folder"_a = c.folder, "source"_a = c.source, "types"_a = c.types,
                        "targets"_a = c.targets, "tile"_a = py::make_tuple(c.bm, c.bn, c.bk), "threads"_a = c.threads,
                        "shared_bytes"_a = c.shared, "lanes"_a = t.lanes, "precisions"_a = c.precisions,
                        "tensor_cores"_a = t.tensor_cores, "multiplier"_a = t.multiplier, "clock"_a = t.clock,
                        "vectors"_a = t.vectors, "tma"_a = t.tma, "overlaps"_a = t.overlaps,
                        "part_rows"_a = t.part_rows));
  }
  return all;
}

// (device, target, type, (m, n, k, batch), layout, configurations, the text for explain())
using Extents = std::tuple<int64_t, int64_t, int64_t, int64_t>;
using Measurement =
    std::tuple<std::string, std::string, std::string, Extents, std::string, std::vector<std::string>, std::string>;

void set_ranking(const std::vector<Measurement>& all) {
  std::vector<gemm::Measurement> table;
  for (const auto& [device, target, type, extents, layout, configurations, said] : all) {
    const auto [m, n, k, batch] = extents;
    table.push_back({device, target, type_named(type), m, n, k, batch, layout, configurations, said});
  }
  gemm::set_measurements(std::move(table));
}

std::vector<Measurement> ranking() {
  std::vector<Measurement> all;
  if (const gemm::Table* table = gemm::measured())
    for (const gemm::Measurement& m : table->all())
      all.emplace_back(m.device, m.target, gpukern::name(m.type), Extents{m.m, m.n, m.k, m.batch}, m.layout,
                       m.configurations, m.said);
  return all;
}

py::list catalogue() {
  py::list all;
  for (const elementwise::Description& d : elementwise::describe_catalogue())
    all.append(py::dict("name"_a = d.name, "family"_a = d.family, "args"_a = d.args, "doc"_a = d.doc,
                        "choice"_a = d.choice, "aten"_a = d.aten, "types"_a = d.types, "inputs"_a = d.inputs,
                        "scalars"_a = d.scalars, "ulp"_a = d.ulp, "grad_ulp"_a = d.grad_ulp,
                        "grad_ulp32"_a = d.grad_ulp32, "differentiable"_a = d.differentiable,
                        "saves_result"_a = d.saves_result, "predicate"_a = d.predicate, "in_place"_a = d.in_place,
                        "variants"_a = d.variants, "saved"_a = d.saved));
  return all;
}

std::vector<gpukern::entry::Declaration> declarations() {
  auto all = elementwise::functions();
  const auto products = gemm::functions();
  all.insert(all.end(), products.begin(), products.end());
  return all;
}

py::object functions() { return py::reinterpret_steal<py::dict>(gpukern::entry::make_functions(declarations())); }

py::dict signatures() {
  py::dict all;
  for (const auto& d : declarations()) all[py::str(d.name)] = gpukern::entry::signatures(d);
  return all;
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.def("build_info", &gpukern::build_info_json);
  m.def("functions", &functions);
  m.def("signatures", &signatures);
  m.def("takes", [](const std::string& signature, const py::tuple& args, const py::dict& kwargs) {
    return gpukern::entry::takes(signature, args.ptr(), kwargs.ptr());
  });
  m.def("describe_device", &describe_device);
  m.def("cpu_capability", &elementwise::host::capability);

  m.def("elementwise_catalogue", &catalogue);
  m.def("elementwise_dtype",
        [](const std::string& name, const std::string& choice, const py::tuple& operands, const py::tuple& numbers) {
          return py::reinterpret_steal<py::object>(
              gpukern::entry::elementwise_dtype(name, choice, operands.ptr(), numbers.ptr()));
        });
  m.def("stand_ins", [](const py::tuple& tensors) {
    return py::reinterpret_steal<py::object>(gpukern::entry::stand_ins(tensors.ptr()));
  });
  m.def("elementwise_counts", &elementwise::counts);
  m.def("elementwise_reset_counts", &elementwise::reset_counts);

  m.def("gemm_configurations", &gemm_configurations);
  m.def("gemm_explain", &explain, "type"_a, "extents"_a, "layouts"_a, "alpha"_a, "beta"_a, "addend"_a, "activation"_a,
        "residual"_a, "device"_a, "out"_a = "", "precision"_a = "strict", "batch_invariant"_a = false,
        "conjugated"_a = std::array<bool, 2>{}, "b_type"_a = "",
        "scales"_a = std::array<int64_t, 7>{1, 0, 0, 1, 0, 0, 0}, "derivative"_a = "none",
        "scaled"_a = std::array<bool, 2>{}, "summed"_a = false, "aux"_a = false);
  m.def("gemm_activations", [] {
    std::vector<std::string> all;
    for (int i = 0; i < gemm::kActivations; ++i) all.emplace_back(gemm::name(static_cast<gemm::Activation>(i)));
    return all;
  });
  m.def("gemm_choose", &choose);
  m.def("gemm_force", &gemm::set_force);
  m.def("gemm_forced", &gemm::forced);
  m.def("gemm_set_ranking", &set_ranking);
  m.def("gemm_ranking", &ranking);
  m.def("gemm_counts", &gemm::counts);
  m.def("gemm_reset_counts", &gemm::reset_counts);

  m.def("routable", &gpukern::dropin::routable);
  m.def("set_routes", &gpukern::dropin::set_routes);
  m.def("routes", &gpukern::dropin::routes);
  m.def("route_stats", [] {
    std::vector<std::tuple<std::string, int64_t, std::vector<std::pair<std::string, int64_t>>>> all;
    for (auto& c : gpukern::dropin::stats()) all.emplace_back(c.op, c.hits, c.fallbacks);
    return all;
  });
  m.def("reset_route_stats", &gpukern::dropin::reset_stats);
}
