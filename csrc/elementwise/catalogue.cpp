#include "catalogue.h"

#include <ATen/Version.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>

#include "all_ops.h"

namespace gpukern::elementwise {
namespace {

template <class O> unsigned variant_bits() {
  unsigned bits = 0;
  for (int v = 0; v < kVariants; ++v) bits |= static_cast<unsigned>(has_variant<O>(v)) << v;
  return bits;
}

#define GPUKERN_SIZE(name) +name::Ops::size
static_assert((0 GPUKERN_FAMILIES(GPUKERN_SIZE)) <= kMaxOps, "more ops than kMaxOps (catalogue.h)");
#undef GPUKERN_SIZE

std::string key_of(const Spec& spec) { return *spec.choice ? std::string(spec.name) + "." + spec.choice : spec.name; }

template <class... Ops> void append(std::vector<Op>& all, int family, List<Ops...>) {
  int index = 0;
  ((all.push_back(Op{&Ops::spec,
                     key_of(Ops::spec),
                     static_cast<int>(all.size()),
                     family,
                     index++,
                     variant_bits<Ops>(),
                     Ops::spec.saves == Saves::result ? 1 : Ops::spec.inputs,
                     {saved_bits<Ops>(0), saved_bits<Ops>(1), saved_bits<Ops>(2)}})),
   ...);
}

}  // namespace

const std::vector<Op>& catalogue() {
  static const std::vector<Op> ops = [] {
    std::vector<Op> all;
    int family = 0;
#define GPUKERN_APPEND(name) append(all, family++, name::Ops{});
    GPUKERN_FAMILIES(GPUKERN_APPEND)
#undef GPUKERN_APPEND
    return all;
  }();
  return ops;
}

const char* family_name(int family) {
#define GPUKERN_NAME(name) #name,
  static const char* names[] = {GPUKERN_FAMILIES(GPUKERN_NAME)};
#undef GPUKERN_NAME
  return names[family];
}

const Op* find(std::string_view name, std::string_view choice) {
  static const auto firsts = [] {
    std::unordered_map<std::string_view, const Op*> all;
    for (const Op& op : catalogue()) all.emplace(op.spec->name, &op);  // keeps the first op of a name
    return all;
  }();
  const auto at = firsts.find(name);
  return at == firsts.end() ? nullptr : choice.empty() ? at->second : choice_of(*at->second, choice);
}

// The choices of a name are adjacent in their family's list.
const Op* choice_of(const Op& first, std::string_view choice) {
  const Op* const end = catalogue().data() + catalogue().size();
  const std::string_view name = first.spec->name;
  for (const Op* op = &first; op != end && name == op->spec->name; ++op)
    if (!choice.empty() && choice == op->spec->choice) return op;
  return nullptr;
}

const Op* find_key(std::string_view key) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const Op*> all;
    for (const Op& op : catalogue()) all.emplace(op.key, &op);
    return all;
  }();
  const auto at = index.find(key);
  return at == index.end() ? nullptr : at->second;
}

std::string choices(std::string_view name) {
  std::string all;
  for (const Op& op : catalogue())
    if (name == op.spec->name) all += (all.empty() ? "" : ", ") + std::string(op.spec->choice);
  return all;
}

namespace host {

#if !defined(__x86_64__)
#define GPUKERN_CAPABILITIES(C, f) C(f, DEFAULT)
#elif defined(GPUKERN_WITHOUT_AVX512)  // a build for sanitizers (build_rules.py)
#define GPUKERN_CAPABILITIES(C, f) C(f, DEFAULT) C(f, AVX2)
#else
#define GPUKERN_CAPABILITIES(C, f) C(f, DEFAULT) C(f, AVX2) C(f, AVX512)
#endif
#define GPUKERN_DECLARE(f, c) Loops loops_##f##_##c();
#define GPUKERN_DECLARE_FAMILY(f) GPUKERN_CAPABILITIES(GPUKERN_DECLARE, f)
GPUKERN_FAMILIES(GPUKERN_DECLARE_FAMILY)
#define GPUKERN_DECLARE_STAGE(f, c) const Stage& stage_##c();
GPUKERN_CAPABILITIES(GPUKERN_DECLARE_STAGE, all)

namespace {
#define GPUKERN_WORD(f, c) #c,
constexpr const char* kWords[] = {GPUKERN_CAPABILITIES(GPUKERN_WORD, all)};
constexpr int kLevels = static_cast<int>(std::size(kWords));

// The capability that torch uses, so that ATEN_CPU_CAPABILITY applies to both; at most the best that was compiled.
int level() {
  static const int l = [] {
    const std::string name = at::get_cpu_capability();
    return std::min(name.rfind("AVX512", 0) == 0 ? 2 : name.rfind("AVX2", 0) == 0 ? 1 : 0, kLevels - 1);
  }();
  return l;
}
}  // namespace

const char* capability() { return kWords[level()]; }

namespace {
Loops loops(const Op& op) {
  using Tables = Loops (*)();
#define GPUKERN_TABLE(f, c) &loops_##f##_##c,
#define GPUKERN_TABLES(f) {GPUKERN_CAPABILITIES(GPUKERN_TABLE, f)},
  static constexpr Tables tables[][kLevels] = {GPUKERN_FAMILIES(GPUKERN_TABLES)};
  return tables[op.family][level()]();
}
}  // namespace

Loop loop(const Op& op, int variant, Compute compute) {
  return loops(op).dense[(op.index * kVariants + variant) * kComputes + static_cast<int>(compute)];
}
Loop typed_loop(const Op& op, DType type) { return loops(op).typed[op.index * kStaged + static_cast<int>(type)]; }

const Stage& stage() {
  using Function = const Stage& (*)();
#define GPUKERN_STAGE(f, c) &stage_##c,
  static constexpr Function stages[] = {GPUKERN_CAPABILITIES(GPUKERN_STAGE, all)};
  static const Stage& s = stages[level()]();
  return s;
}

}  // namespace host
}  // namespace gpukern::elementwise
