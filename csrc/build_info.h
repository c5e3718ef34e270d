// What this build compiled, as text: sources, compilers, flags, targets.
#pragma once

namespace gpukern {
const char* build_info_json();
}  // namespace gpukern
