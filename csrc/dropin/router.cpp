#include "dropin/router.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <tuple>
#include <type_traits>

#include "aliasing.h"
#include "dropin/family_forms.h"

namespace gpukern::dropin {
namespace {

// torch returns a replaced kernel as a SafeKernelFunction, which has only a boxed call: +0.1 us for mm, +0.5 for addmm.
// The typed call is in a private member, which C++ allows an explicit instantiation to name.
const c10::KernelFunction& kernel_of(const c10::SafeKernelFunction& safe);
template <auto Member> struct Reach {
  friend const c10::KernelFunction& kernel_of(const c10::SafeKernelFunction& safe) { return safe.*Member; }
};
template struct Reach<&c10::SafeKernelFunction::kernel_>;

// The kernel that a route replaced, callable while routes are switched by other threads.
//
// A counter has the number of calls in progress; a later switch frees a replaced kernel when the counter is 0.  This
// costs two uncontended increments per call, and does not leak however often routes are switched.
class Replaced {
 public:
  void set(c10::SafeKernelFunction kernel) {
    auto next = std::make_unique<c10::SafeKernelFunction>(std::move(kernel));
    current_.store(next.get());
    kept_.push_back(std::move(next));
    if (inside_.load() == 0) kept_.erase(kept_.begin(), kept_.end() - 1);
  }

  template <class Result, class... Args>
  Result call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Args... args) {
    struct Inside {
      std::atomic<int64_t>& count;
      explicit Inside(std::atomic<int64_t>& c) : count(c) { count.fetch_add(1); }
      ~Inside() { count.fetch_sub(1); }
    } inside(inside_);
    return kernel_of(*current_.load()).template call<Result, Args...>(op, keys, std::forward<Args>(args)...);
  }

 private:
  std::atomic<const c10::SafeKernelFunction*> current_{nullptr};
  std::atomic<int64_t> inside_{0};
  std::vector<std::unique_ptr<c10::SafeKernelFunction>> kept_;  // guarded by the mutex of set_routes
};

struct Counters {
  std::atomic<int64_t> hits{0};
  std::array<std::atomic<int64_t>, kReasons> fallbacks{};
};

// True while a product of ours runs on this thread: if it calls torch's own op, that must not be routed to us again.
thread_local bool serving = false;
struct Serving {
  Serving() { serving = true; }
  ~Serving() { serving = false; }
};

// torch's own products would read values that they have already overwritten.  An operand in the storage of the result,
// which torch may resize, is copied first.  Numbers, and an addend that is the result itself, are passed as the same
// objects, because torch compares their addresses.
template <class Arg> struct ReadApart {
  Arg arg;
  Tensor copy = {};
  ReadApart(Arg argument, const Tensor& written, bool is_addend) : arg(argument) {
    if constexpr (std::is_same_v<Arg, const Tensor&>)
      if (!(is_addend && arg.is_same(written)) && gpukern::written_over(arg, written, /*resized=*/true))
        copy = arg.clone();
  }
  Arg get() const {
    if constexpr (std::is_same_v<Arg, const Tensor&>) return copy.defined() ? copy : arg;
    else return arg;
  }
};

// One form of one op for one dispatch key.
template <class Form, c10::DispatchKey Key, class Signature> struct Route;
template <class Form, c10::DispatchKey Key, class Result, class... Args> struct Route<Form, Key, Result(Args...)> {
  static inline Counters counters;
  static inline Replaced replaced;
  static const c10::OperatorHandle& op() {
    static const c10::OperatorHandle handle =
        c10::Dispatcher::singleton().findSchemaOrThrow(Form::aten, Form::overload);
    return handle;
  }

  static Result call(c10::DispatchKeySet keys, Args... args) {
    if (serving) return replaced.template call<Result, Args...>(op(), keys, args...);
    const Reason reason = Form::refuse(args...);
    if (reason == Reason::none) {
      counters.hits.fetch_add(1, std::memory_order_relaxed);
      const Serving now;
      return Form::run(args...);
    }
    counters.fallbacks[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
    if constexpr (std::is_same_v<Result, Tensor&>) {
      const auto all = std::tie(args...);
      const Tensor& written = std::get<Tensor&>(all);
      const void* addend = nullptr;
      if constexpr (requires { Form::keeps(written, written, written); })
        if (Form::keeps(written, std::get<1>(all), std::get<2>(all))) addend = &std::get<0>(all);
      return replaced.template call<Result, Args...>(op(), keys,
                                                     ReadApart<Args>(args, written, &args == addend).get()...);
    } else {
      return replaced.template call<Result, Args...>(op(), keys, args...);
    }
  }

  static std::unique_ptr<torch::Library> install() {
    if (!op().hasComputedKernelForDispatchKey(Key)) return nullptr;  // torch was built without this backend
    replaced.set(op().getComputedKernelForDispatchKey(Key));
    auto registration = std::make_unique<torch::Library>(torch::Library::IMPL, "aten", Key, __FILE__, __LINE__);
    registration->impl(Form::name, torch::CppFunction(TORCH_FN(call)));
    return registration;
  }
};

// A route without its types, for the table below.
struct Entry {
  const char* op;    // "mm"
  const char* form;  // "mm.out"
  std::unique_ptr<torch::Library> (*install)();
  Counters* counters;
  std::unique_ptr<torch::Library> registration = nullptr;  // alive while the route is on
};

template <class Form, c10::DispatchKey Key> Entry entry() {
  using R = Route<Form, Key, typename Form::Signature>;
  return {Form::op, Form::name, &R::install, &R::counters};
}
template <class... Forms> void add_entries(FormList<Forms...>, std::vector<Entry>& all) {
  (all.push_back(entry<Forms, c10::DispatchKey::CPU>()), ...);
  (all.push_back(entry<Forms, c10::DispatchKey::CUDA>()), ...);
}
std::vector<Entry>* every_entry() {
  auto* all = new std::vector<Entry>;
  add_entries(ProductForms{}, *all);
  add_entries(FamilyForms{}, *all);
  return all;
}

// Never destroyed: at the end of the process routes must not be removed from a dispatcher that no longer exists.
std::vector<Entry>& table() {
  static auto* all = every_entry();
  return *all;
}

std::mutex& switching() {
  static std::mutex mutex;
  return mutex;
}

// Suppresses torch's warning about overridden kernels, on this thread and while a route is registered.
struct Quiet : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

std::vector<std::string> routable() {
  std::vector<std::string> names;
  for (const Entry& e : table())
    if (std::find(names.begin(), names.end(), e.op) == names.end()) names.emplace_back(e.op);
  return names;
}

void set_routes(const std::vector<std::string>& ops) {
  const auto known = routable();
  for (const auto& op : ops) {
    if (std::find(known.begin(), known.end(), op) != known.end()) continue;
    std::string list;
    for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
    TORCH_CHECK_VALUE(false, "'", op, "' cannot be routed; gpukern routes ", list);
  }
  std::lock_guard lock(switching());
  Quiet quiet;
  c10::WarningUtils::WarningHandlerGuard guard(&quiet);
  for (Entry& e : table()) {
    const bool wanted = std::find(ops.begin(), ops.end(), e.op) != ops.end();
    if (!wanted) e.registration.reset();
    else if (!e.registration) e.registration = e.install();
  }
}

std::vector<std::string> routes() {
  std::lock_guard lock(switching());
  std::vector<std::string> names;
  for (const Entry& e : table())
    if (e.registration && std::find(names.begin(), names.end(), e.op) == names.end()) names.emplace_back(e.op);
  return names;
}

std::vector<Count> stats() {
  std::vector<Count> counts;
  for (const Entry& e : table()) {
    auto at = std::find_if(counts.begin(), counts.end(), [&](const Count& c) { return c.op == e.form; });
    if (at == counts.end()) at = counts.insert(at, Count{e.form, 0, {}});
    at->hits += e.counters->hits.load(std::memory_order_relaxed);
    for (size_t r = 0; r < kReasons; ++r) {
      const int64_t n = e.counters->fallbacks[r].load(std::memory_order_relaxed);
      if (!n) continue;
      const char* text = reason_text(static_cast<Reason>(r));
      auto known = std::find_if(at->fallbacks.begin(), at->fallbacks.end(), [&](auto& f) { return f.first == text; });
      if (known == at->fallbacks.end()) at->fallbacks.emplace_back(text, n);
      else known->second += n;
    }
  }
  counts.erase(
      std::remove_if(counts.begin(), counts.end(), [](const Count& c) { return c.hits == 0 && c.fallbacks.empty(); }),
      counts.end());
  return counts;
}

void reset_stats() {
  for (Entry& e : table()) {
    e.counters->hits.store(0, std::memory_order_relaxed);
    for (auto& n : e.counters->fallbacks) n.store(0, std::memory_order_relaxed);
  }
}

}  // namespace gpukern::dropin
