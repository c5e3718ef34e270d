// The families of the catalogue.  A family is one header here and one translation unit a backend, so that a changed op
// recompiles one.  The build reads this list.
#pragma once
#define GPUKERN_FAMILIES(F) \
  F(arithmetic) F(math) F(activation) F(blend) F(fused) F(compare) F(rounding) F(transcendental)
