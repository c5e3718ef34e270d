// einsum: an equation becomes names of dimensions, and the operands are contracted two at a time.
//
// Each contraction sums all dimensions that nothing after it needs: a product (contract.cpp), or an elementwise product
// if nothing is summed.  torch serves malformed equations, single operands, and sums of integers, whose type it widens.
#include <ATen/ops/diagonal.h>
#include <ATen/ops/einsum.h>

#include <deque>

#include "../without_data.h"
#include "family.h"

namespace gpukern::gemm {
namespace {

// Names of dimensions: A..Z are 0..25, a..z 26..51, and those that an ellipsis stands for follow, counted from the left
// of the longest.
constexpr int64_t kLetters = 52, kEllipsis = -1;

bool has(const Labels& labels, int64_t label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

// The names in one operand's part, an ellipsis as one; nothing where it is not well formed.
std::optional<Labels> read(std::string_view text) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') continue;
    if (c == '.') {
      if (text.substr(i, 3) != "..." || has(labels, kEllipsis)) return std::nullopt;
      labels.push_back(kEllipsis);
      i += 2;
    } else if (c >= 'A' && c <= 'Z') {
      labels.push_back(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      labels.push_back(c - 'a' + 26);
    } else {
      return std::nullopt;
    }
  }
  return labels;
}

// Puts `count` names in the ellipsis' place, the last of the `widest`.
Labels spelled_out(const Labels& labels, int64_t count, int64_t widest) {
  Labels all;
  for (const int64_t label : labels) {
    if (label != kEllipsis) all.push_back(label);
    else
      for (int64_t d = widest - count; d < widest; ++d) all.push_back(kLetters + d);
  }
  return all;
}

struct Equation {
  std::vector<Labels> operands;
  Labels output;
};

std::optional<Equation> parse(std::string_view text, c10::ArrayRef<Tensor> tensors) {
  const size_t arrow = text.find("->");
  std::string_view rest = text.substr(0, arrow);
  Equation equation;
  int64_t widest = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t comma = rest.find(',');
    const bool last = i + 1 == tensors.size();
    if (last != (comma == rest.npos)) return std::nullopt;
    auto labels = read(rest.substr(0, comma));
    if (!labels) return std::nullopt;
    const bool open = has(*labels, kEllipsis);
    const int64_t unnamed = tensors[i].dim() - static_cast<int64_t>(labels->size()) + open;
    if (open ? unnamed < 0 : unnamed != 0) return std::nullopt;
    widest = std::max(widest, unnamed);
    equation.operands.push_back(std::move(*labels));
    if (!last) rest = rest.substr(comma + 1);
  }
  std::vector<int64_t> uses(kLetters, 0);
  for (size_t i = 0; i < tensors.size(); ++i) {
    Labels& labels = equation.operands[i];
    for (const int64_t label : labels)
      if (label != kEllipsis) ++uses[label];
    labels = spelled_out(labels, tensors[i].dim() - static_cast<int64_t>(labels.size()) + 1, widest);
  }
  if (arrow == text.npos) {  // what is named once, in order, after what is not named
    equation.output = spelled_out({kEllipsis}, widest, widest);
    for (int64_t label = 0; label < kLetters; ++label)
      if (uses[label] == 1) equation.output.push_back(label);
    return equation;
  }
  const auto output = read(text.substr(arrow + 2));
  if (!output) return std::nullopt;
  for (const int64_t label : *output)
    if (label != kEllipsis && (uses[label] == 0 || std::count(output->begin(), output->end(), label) > 1))
      return std::nullopt;
  equation.output = spelled_out(*output, widest, widest);
  return equation;
}

// A name that an operand has twice stands for its diagonal.
std::optional<Labelled> diagonals(Tensor t, const Labels& labels) {
  Labelled x{std::move(t), {}};
  for (const int64_t label : labels) {  // x.labels: the names of the dimensions done; the next one follows them
    const auto found = std::find(x.labels.begin(), x.labels.end(), label);
    if (found == x.labels.end()) {
      x.labels.push_back(label);
      continue;
    }
    const int64_t first = found - x.labels.begin(), second = static_cast<int64_t>(x.labels.size());
    if (x.tensor.sym_size(first) != x.tensor.sym_size(second)) return std::nullopt;
    x.tensor = at::diagonal(x.tensor, 0, first, second).movedim(-1, first);
  }
  return x;
}

// Whether the extents of each name are equal, except for ones, which broadcast.  For integers also whether some name
// would be summed in one operand alone: at::sum has a wider type for that.
bool fits(const std::deque<Labelled>& operands, const Labels& output) {
  const bool whole = !at::isFloatingType(operands[0].tensor.scalar_type());
  std::vector<std::pair<int64_t, c10::SymInt>> seen;
  std::vector<int64_t> count;
  for (const Labelled& x : operands) {
    for (size_t d = 0; d < x.labels.size(); ++d) {
      const c10::SymInt size = x.tensor.sym_size(static_cast<int64_t>(d));
      if (size == 1) continue;
      const int64_t label = x.labels[d];
      const auto known = std::find_if(seen.begin(), seen.end(), [&](const auto& s) { return s.first == label; });
      if (known == seen.end()) {
        seen.emplace_back(label, size);
        count.push_back(1);
      } else {
        if (known->second != size) return false;
        ++count[known - seen.begin()];
      }
    }
  }
  for (size_t i = 0; whole && i < seen.size(); ++i)
    if (count[i] == 1 && !has(output, seen[i].first)) return false;
  return true;
}

// Whether the path names two of what is left at each step.
bool is_path(at::IntArrayRef path, size_t operands) {
  if (path.size() != 2 * (operands - 1)) return false;
  for (size_t step = 0; step + 1 < operands; ++step) {
    const int64_t left = static_cast<int64_t>(operands - step), i = path[2 * step], j = path[2 * step + 1];
    if (i == j || i < 0 || j < 0 || i >= left || j >= left) return false;
  }
  return true;
}

}  // namespace

Tensor einsum(std::string_view text, c10::ArrayRef<Tensor> tensors, at::OptionalIntArrayRef path) {
  const auto theirs = [&] {
    return call_torch_of_list([&](at::TensorList given) { return at::einsum(text, given, path); }, tensors);
  };
  if (tensors.size() < 2 || !together(tensors) || (path && !is_path(*path, tensors.size()))) return theirs();
  const auto equation = parse(text, tensors);
  if (!equation) return theirs();
  std::deque<Labelled> operands;
  for (size_t i = 0; i < tensors.size(); ++i) {
    auto x = diagonals(tensors[i], equation->operands[i]);
    if (!x) return theirs();
    operands.push_back(std::move(*x));
  }
  if (!fits(operands, equation->output)) return theirs();
  const auto taken = [&](int64_t k) {
    Labelled x = std::move(operands[k]);
    operands.erase(operands.begin() + k);
    return x;
  };
  for (size_t step = 0; operands.size() > 1; ++step) {
    int64_t i = path ? (*path)[2 * step] : 0, j = path ? (*path)[2 * step + 1] : 1;
    if (i > j) std::swap(i, j);
    Labelled y = taken(j), x = taken(i);
    Labels kept = equation->output;  // and the names of all later operands
    for (const Labelled& later : operands)
      for (const int64_t label : later.labels)
        if (!has(kept, label)) kept.push_back(label);
    Labelled product = contract(std::move(x), std::move(y), kept);
    if (path) operands.push_back(std::move(product));
    else operands.push_front(std::move(product));  // from left to right
  }
  const Labelled& last = operands[0];
  std::vector<int64_t> order;
  for (const int64_t label : equation->output)
    order.push_back(std::find(last.labels.begin(), last.labels.end(), label) - last.labels.begin());
  return last.tensor.permute(order);
}

}  // namespace gpukern::gemm
