#include "fast.h"

namespace gpukern::entry {
namespace {
using T = const Tensor&;
using t = const std::optional<Tensor>&;
using S = const at::Scalar&;
using s = const std::optional<at::Scalar>&;
using C = std::string_view;
using c = std::optional<std::string_view>;
using I = int64_t;
template <class... A> std::unique_ptr<Fast> make(const std::string& op, bool has_out) {
  return std::make_unique<TypedFast<A...>>(op, has_out);
}
}  // namespace

std::unique_ptr<Fast> make_fast(const std::string& letters, const std::string& op, bool has_out) {
  using Make = std::unique_ptr<Fast> (*)(const std::string&, bool);
  static const std::pair<const char*, Make> known[] = {
      {"T", &make<T>},           {"TS", &make<T, S>},       {"TSS", &make<T, S, S>},   {"Tss", &make<T, s, s>},
      {"TC", &make<T, C>},       {"TT", &make<T, T>},       {"TTS", &make<T, T, S>},   {"TTC", &make<T, T, C>},
      {"TTc", &make<T, T, c>},   {"TTT", &make<T, T, T>},   {"TTTS", &make<T, T, T, S>}, {"TTTC", &make<T, T, T, C>},
      {"TTCI", &make<T, T, C, I>}, {"TTct", &make<T, T, c, t>}, {"TTtct", &make<T, T, t, c, t>},
      {"TTTSSct", &make<T, T, T, S, S, c, t>},              {"TTTSS", &make<T, T, T, S, S>},
  };
  for (const auto& [key, f] : known)
    if (letters == key) return f(op, has_out);
  return nullptr;
}

}  // namespace gpukern::entry
