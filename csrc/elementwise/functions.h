// The catalogue's functions, for entry/.
#pragma once
#include <vector>

#include "../entry/entry.h"
#include "elementwise.h"

namespace gpukern::elementwise {
std::vector<entry::Declaration> functions();
}
