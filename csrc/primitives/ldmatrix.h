// ldmatrix, from sm_80 on, and stmatrix, from sm_90 on: N matrices of 8 x 8 elements of 16 bits between shared memory
// and registers; lane 8 j + i names row i of matrix j.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/ldmatrix.h"
#else
#include "../platform/cuda/ldmatrix.h"
#endif
