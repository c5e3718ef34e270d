// The Python functions of the catalogue: names, documentation, and torch's further parameter lists.
#include <string>

#include "functions.h"

namespace gpukern::elementwise {
namespace {

std::string document(const Op& op) {
  const std::string_view types[] = {"float16, bfloat16, float32, float64",
                                    "floating; integers and bool are computed in the default dtype",
                                    "floating and integers", "floating, integers and bool", "integers and bool"};
  std::string doc = op.spec->doc;
  doc += "\n\nShapes: any, broadcast as in torch.  Types: ";
  doc += types[static_cast<int>(op.spec->types)];
  doc += "; mixed types promote as in torch.  ";
  doc += op.spec->predicate        ? "The result is bool.\n"
         : op.spec->differentiable ? "Differentiable twice, in reverse and forward mode.\n"
                                   : "Not differentiable.\n";
  if (const std::string all = choices(op.spec->name); !all.empty() && all.find(',') != all.npos)
    doc += "Choices of the string argument: " + all + ".\n";
  if (op.spec->predicate || op.spec->types == Types::whole) return doc + "Exact.";
  doc += "16-bit results are at most " + std::to_string(op.spec->ulp) + " ulp from the correctly rounded value.";
  return doc;
}

std::vector<std::string> further_signatures(std::string_view name) {
  // torch's old order of arguments, which it still accepts but mentions in no message
  const std::string old = "|deprecated";
  if (name == "add" || name == "sub") return {"Tensor input, Scalar alpha, Tensor other, *, Tensor out=None)" + old};
  if (name == "addcmul" || name == "addcdiv")
    return {"Tensor input, Scalar value, Tensor tensor1, Tensor tensor2, *, Tensor out=None)" + old};
  if (name == "pow")
    return {"Tensor input, Scalar exponent, *, Tensor out=None", "Scalar input, Tensor exponent, *, Tensor out=None"};
  if (name == "pow_") return {"Tensor input, Scalar exponent"};
  if (name == "where")
    return {"Tensor condition, Scalar input, Tensor other, *, Tensor out=None",
            "Tensor condition, Tensor input, Scalar other, *, Tensor out=None",
            "Tensor condition, Scalar input, Scalar other, *, Tensor out=None"};
  if (name == "round") return {"Tensor input, *, int64_t decimals, Tensor out=None"};
  if (name == "round_") return {"Tensor input, *, int64_t decimals"};
  if (name == "lerp") return {"Tensor input, Tensor end, Scalar weight, *, Tensor out=None"};
  if (name == "lerp_") return {"Tensor input, Tensor end, Scalar weight"};
  if (name == "clamp_min" || name == "clamp_max")
    return {"Tensor input, Scalar " + std::string(name.substr(6)) + ", *, Tensor out=None"};
  if (name == "clamp_min_" || name == "clamp_max_") return {"Tensor input, Scalar " + std::string(name.substr(6, 3))};
  if (name == "div")  // the parser lists this one if no signature fits
    return {"Tensor input, Scalar other, *, c10::string_view? rounding_mode, Tensor out=None"};
  return {};
}

// These, and the lists with a number in place of one tensor.
std::vector<std::string> with_numbers(const Op& op, bool in_place) {
  std::vector<std::string> all = further_signatures(op.spec->name + std::string(in_place ? "_" : ""));
  const std::string args = op.spec->args;
  for (int k = in_place ? 1 : 0; k < op.spec->inputs; ++k) {
    if (!(op.spec->takes_number >> k & 1)) continue;
    size_t at = 0;
    for (int before = 0; before < k; ++before) at = args.find("Tensor ", at + 1);
    std::string list = args;
    list.replace(at, 6, "Scalar");
    all.push_back(in_place ? list : list + ", *, Tensor out=None");
  }
  return all;
}

// The parser takes a 0-dim tensor as a number, so signatures with tensor bounds come first, as in torch.
std::vector<std::string> signatures_before(std::string_view name) {
  if (name == "clamp") return {"Tensor input, Tensor? min=None, Tensor? max=None, *, Tensor out=None"};
  if (name == "clamp_") return {"Tensor input, Tensor? min=None, Tensor? max=None"};
  return {};
}

}  // namespace

std::vector<entry::Declaration> functions() {
  std::vector<entry::Declaration> all;
  std::string_view last;
  for (const Op& op : catalogue()) {
    const std::string name = op.spec->name;
    if (name == last || name == "clamp_tensor") continue;
    last = op.spec->name;
    all.push_back({name, document(op), op.spec->inplace_argument, with_numbers(op, false), signatures_before(name)});
    if (has_inplace(*op.spec))
      all.push_back({name + "_", "In-place form of " + name + "; returns input.", false, with_numbers(op, true),
                     signatures_before(name + "_")});
  }
  all.push_back(
      {"bias_act",
       "activation(input + bias), bias along dimension `dim`.\n\nShapes: input any, bias (input.size(dim),).  "
       "Choices of activation: " +
           choices("add_act") + ".",
       false,
       {},
       {}});
  return all;
}

}  // namespace gpukern::elementwise
