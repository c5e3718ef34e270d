// The instructions of ../../primitives/ldmatrix.h.
#pragma once
#include "../gpu.h"

namespace gpukern {

#define GPUKERN_LDMATRIX(WORD, MODIFIER)                                                        \
  GPUKERN_D void WORD(uint32_t (&r)[1], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" MODIFIER ".shared.b16 {%0}, [%1];"             \
                 : "=r"(r[0])                                                                   \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }                                                                                             \
  GPUKERN_D void WORD(uint32_t (&r)[2], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" MODIFIER ".shared.b16 {%0, %1}, [%2];"         \
                 : "=r"(r[0]), "=r"(r[1])                                                       \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }                                                                                             \
  GPUKERN_D void WORD(uint32_t (&r)[4], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" MODIFIER ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                               \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }
GPUKERN_LDMATRIX(ldmatrix, "")
GPUKERN_LDMATRIX(ldmatrix_trans, ".trans")
#undef GPUKERN_LDMATRIX

#define GPUKERN_STMATRIX(WORD, MODIFIER)                                                                           \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[1]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x1" MODIFIER ".shared.b16 [%0], {%1};" ::"r"(address), "r"(r[0])      \
                 : "memory");                                                                                      \
  }                                                                                                                \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[2]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x2" MODIFIER ".shared.b16 [%0], {%1, %2};" ::"r"(address), "r"(r[0]), \
                 "r"(r[1])                                                                                         \
                 : "memory");                                                                                      \
  }                                                                                                                \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[4]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x4" MODIFIER ".shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),    \
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])                                                        \
                 : "memory");                                                                                      \
  }
GPUKERN_STMATRIX(stmatrix, "")
GPUKERN_STMATRIX(stmatrix_trans, ".trans")
#undef GPUKERN_STMATRIX

}  // namespace gpukern
