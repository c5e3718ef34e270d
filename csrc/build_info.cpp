#include "build_info.h"

#include <gpukern_built.h>

namespace gpukern {
const char* build_info_json() { return kBuildInfo; }
}  // namespace gpukern
