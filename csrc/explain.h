// What Python asks of selection: the choice for a described problem on a described device, with every refusal.
#pragma once
#include <pybind11/pybind11.h>

namespace gpukern {
void bind_explain(pybind11::module_& m);
}  // namespace gpukern
