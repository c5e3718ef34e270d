// Every family, for what reads the whole catalogue.
#pragma once
#include "../formulas/ops/activation.h"
#include "../formulas/ops/arithmetic.h"
#include "../formulas/ops/blend.h"
#include "../formulas/ops/compare.h"
#include "../formulas/ops/families.h"
#include "../formulas/ops/fused.h"
#include "../formulas/ops/math.h"
#include "../formulas/ops/rounding.h"
#include "../formulas/ops/transcendental.h"
