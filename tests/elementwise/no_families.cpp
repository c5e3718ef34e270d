// Launchers of families that a library of faults does not compile: a definition elsewhere takes their place.
#include "elementwise/launch.h"

GPUKERN_ELEMENTWISE_BEGIN
#define GPUKERN_NO_FAMILY(family) \
  __attribute__((weak)) int launch_##family(const Call&, const Device&, Stream) { return -1; }
GPUKERN_FAMILIES(GPUKERN_NO_FAMILY)
#undef GPUKERN_NO_FAMILY
GPUKERN_ELEMENTWISE_END
