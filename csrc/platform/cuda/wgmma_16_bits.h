// wgmma for nvcc: one instruction per function, for every width N.  PTX wants its N / 2 accumulators as a list of
// operands: each list below adds four to the previous one, and each width uses the list of its length.  This file has
// the 16-bit types; the types that are k-major only (tf32, float8, int8) are in wgmma_along_k.h.
#pragma once
#include "../../primitives/tensor_map.h"
#include "../gpu.h"

namespace gpukern {

template <class T, int N> struct Wgmma;

// clang-format off
#define GPUKERN_P4 "%0, %1, %2, %3"
#define GPUKERN_P8 GPUKERN_P4 ", %4, %5, %6, %7"
#define GPUKERN_P12 GPUKERN_P8 ", %8, %9, %10, %11"
#define GPUKERN_P16 GPUKERN_P12 ", %12, %13, %14, %15"
#define GPUKERN_P20 GPUKERN_P16 ", %16, %17, %18, %19"
#define GPUKERN_P24 GPUKERN_P20 ", %20, %21, %22, %23"
#define GPUKERN_P28 GPUKERN_P24 ", %24, %25, %26, %27"
#define GPUKERN_P32 GPUKERN_P28 ", %28, %29, %30, %31"
#define GPUKERN_P36 GPUKERN_P32 ", %32, %33, %34, %35"
#define GPUKERN_P40 GPUKERN_P36 ", %36, %37, %38, %39"
#define GPUKERN_P44 GPUKERN_P40 ", %40, %41, %42, %43"
#define GPUKERN_P48 GPUKERN_P44 ", %44, %45, %46, %47"
#define GPUKERN_P52 GPUKERN_P48 ", %48, %49, %50, %51"
#define GPUKERN_P56 GPUKERN_P52 ", %52, %53, %54, %55"
#define GPUKERN_P60 GPUKERN_P56 ", %56, %57, %58, %59"
#define GPUKERN_P64 GPUKERN_P60 ", %60, %61, %62, %63"
#define GPUKERN_P68 GPUKERN_P64 ", %64, %65, %66, %67"
#define GPUKERN_P72 GPUKERN_P68 ", %68, %69, %70, %71"
#define GPUKERN_P76 GPUKERN_P72 ", %72, %73, %74, %75"
#define GPUKERN_P80 GPUKERN_P76 ", %76, %77, %78, %79"
#define GPUKERN_P84 GPUKERN_P80 ", %80, %81, %82, %83"
#define GPUKERN_P88 GPUKERN_P84 ", %84, %85, %86, %87"
#define GPUKERN_P92 GPUKERN_P88 ", %88, %89, %90, %91"
#define GPUKERN_P96 GPUKERN_P92 ", %92, %93, %94, %95"
#define GPUKERN_P100 GPUKERN_P96 ", %96, %97, %98, %99"
#define GPUKERN_P104 GPUKERN_P100 ", %100, %101, %102, %103"
#define GPUKERN_P108 GPUKERN_P104 ", %104, %105, %106, %107"
#define GPUKERN_P112 GPUKERN_P108 ", %108, %109, %110, %111"
#define GPUKERN_P116 GPUKERN_P112 ", %112, %113, %114, %115"
#define GPUKERN_P120 GPUKERN_P116 ", %116, %117, %118, %119"
#define GPUKERN_P124 GPUKERN_P120 ", %120, %121, %122, %123"
#define GPUKERN_P128 GPUKERN_P124 ", %124, %125, %126, %127"
#define GPUKERN_D4(C) C(d[0]), C(d[1]), C(d[2]), C(d[3])
#define GPUKERN_D8(C) GPUKERN_D4(C), C(d[4]), C(d[5]), C(d[6]), C(d[7])
#define GPUKERN_D12(C) GPUKERN_D8(C), C(d[8]), C(d[9]), C(d[10]), C(d[11])
#define GPUKERN_D16(C) GPUKERN_D12(C), C(d[12]), C(d[13]), C(d[14]), C(d[15])
#define GPUKERN_D20(C) GPUKERN_D16(C), C(d[16]), C(d[17]), C(d[18]), C(d[19])
#define GPUKERN_D24(C) GPUKERN_D20(C), C(d[20]), C(d[21]), C(d[22]), C(d[23])
#define GPUKERN_D28(C) GPUKERN_D24(C), C(d[24]), C(d[25]), C(d[26]), C(d[27])
#define GPUKERN_D32(C) GPUKERN_D28(C), C(d[28]), C(d[29]), C(d[30]), C(d[31])
#define GPUKERN_D36(C) GPUKERN_D32(C), C(d[32]), C(d[33]), C(d[34]), C(d[35])
#define GPUKERN_D40(C) GPUKERN_D36(C), C(d[36]), C(d[37]), C(d[38]), C(d[39])
#define GPUKERN_D44(C) GPUKERN_D40(C), C(d[40]), C(d[41]), C(d[42]), C(d[43])
#define GPUKERN_D48(C) GPUKERN_D44(C), C(d[44]), C(d[45]), C(d[46]), C(d[47])
#define GPUKERN_D52(C) GPUKERN_D48(C), C(d[48]), C(d[49]), C(d[50]), C(d[51])
#define GPUKERN_D56(C) GPUKERN_D52(C), C(d[52]), C(d[53]), C(d[54]), C(d[55])
#define GPUKERN_D60(C) GPUKERN_D56(C), C(d[56]), C(d[57]), C(d[58]), C(d[59])
#define GPUKERN_D64(C) GPUKERN_D60(C), C(d[60]), C(d[61]), C(d[62]), C(d[63])
#define GPUKERN_D68(C) GPUKERN_D64(C), C(d[64]), C(d[65]), C(d[66]), C(d[67])
#define GPUKERN_D72(C) GPUKERN_D68(C), C(d[68]), C(d[69]), C(d[70]), C(d[71])
#define GPUKERN_D76(C) GPUKERN_D72(C), C(d[72]), C(d[73]), C(d[74]), C(d[75])
#define GPUKERN_D80(C) GPUKERN_D76(C), C(d[76]), C(d[77]), C(d[78]), C(d[79])
#define GPUKERN_D84(C) GPUKERN_D80(C), C(d[80]), C(d[81]), C(d[82]), C(d[83])
#define GPUKERN_D88(C) GPUKERN_D84(C), C(d[84]), C(d[85]), C(d[86]), C(d[87])
#define GPUKERN_D92(C) GPUKERN_D88(C), C(d[88]), C(d[89]), C(d[90]), C(d[91])
#define GPUKERN_D96(C) GPUKERN_D92(C), C(d[92]), C(d[93]), C(d[94]), C(d[95])
#define GPUKERN_D100(C) GPUKERN_D96(C), C(d[96]), C(d[97]), C(d[98]), C(d[99])
#define GPUKERN_D104(C) GPUKERN_D100(C), C(d[100]), C(d[101]), C(d[102]), C(d[103])
#define GPUKERN_D108(C) GPUKERN_D104(C), C(d[104]), C(d[105]), C(d[106]), C(d[107])
#define GPUKERN_D112(C) GPUKERN_D108(C), C(d[108]), C(d[109]), C(d[110]), C(d[111])
#define GPUKERN_D116(C) GPUKERN_D112(C), C(d[112]), C(d[113]), C(d[114]), C(d[115])
#define GPUKERN_D120(C) GPUKERN_D116(C), C(d[116]), C(d[117]), C(d[118]), C(d[119])
#define GPUKERN_D124(C) GPUKERN_D120(C), C(d[120]), C(d[121]), C(d[122]), C(d[123])
#define GPUKERN_D128(C) GPUKERN_D124(C), C(d[124]), C(d[125]), C(d[126]), C(d[127])
// clang-format on

// N, the number R of accumulators, the numbers of the operands behind them: the widths that every type has, and those
// that int8 lacks.
// clang-format off
#define GPUKERN_WGMMA_WIDTHS(DO)                  \
  DO(8, 4, 4, 5, 6, 7, 8, 9, 10)                  \
  DO(16, 8, 8, 9, 10, 11, 12, 13, 14)             \
  DO(24, 12, 12, 13, 14, 15, 16, 17, 18)          \
  DO(32, 16, 16, 17, 18, 19, 20, 21, 22)          \
  DO(48, 24, 24, 25, 26, 27, 28, 29, 30)          \
  DO(64, 32, 32, 33, 34, 35, 36, 37, 38)          \
  DO(80, 40, 40, 41, 42, 43, 44, 45, 46)          \
  DO(96, 48, 48, 49, 50, 51, 52, 53, 54)          \
  DO(112, 56, 56, 57, 58, 59, 60, 61, 62)         \
  DO(128, 64, 64, 65, 66, 67, 68, 69, 70)         \
  DO(144, 72, 72, 73, 74, 75, 76, 77, 78)         \
  DO(160, 80, 80, 81, 82, 83, 84, 85, 86)         \
  DO(176, 88, 88, 89, 90, 91, 92, 93, 94)         \
  DO(192, 96, 96, 97, 98, 99, 100, 101, 102)      \
  DO(208, 104, 104, 105, 106, 107, 108, 109, 110) \
  DO(224, 112, 112, 113, 114, 115, 116, 117, 118) \
  DO(240, 120, 120, 121, 122, 123, 124, 125, 126) \
  DO(256, 128, 128, 129, 130, 131, 132, 133, 134)
#define GPUKERN_WGMMA_ODD_WIDTHS(DO)              \
  DO(40, 20, 20, 21, 22, 23, 24, 25, 26)          \
  DO(56, 28, 28, 29, 30, 31, 32, 33, 34)          \
  DO(72, 36, 36, 37, 38, 39, 40, 41, 42)          \
  DO(88, 44, 44, 45, 46, 47, 48, 49, 50)          \
  DO(104, 52, 52, 53, 54, 55, 56, 57, 58)         \
  DO(120, 60, 60, 61, 62, 63, 64, 65, 66)         \
  DO(136, 68, 68, 69, 70, 71, 72, 73, 74)         \
  DO(152, 76, 76, 77, 78, 79, 80, 81, 82)         \
  DO(168, 84, 84, 85, 86, 87, 88, 89, 90)         \
  DO(184, 92, 92, 93, 94, 95, 96, 97, 98)         \
  DO(200, 100, 100, 101, 102, 103, 104, 105, 106) \
  DO(216, 108, 108, 109, 110, 111, 112, 113, 114) \
  DO(232, 116, 116, 117, 118, 119, 120, 121, 122) \
  DO(248, 124, 124, 125, 126, 127, 128, 129, 130)
// clang-format on

// T, its name in PTX, N, the number R of accumulators, the numbers of the operands behind them.  `accumulate`: scale-d.
#define GPUKERN_WGMMA_OF(T, WORD, N, R, O0, O1, O2, O3, O4, O5, O6)                                         \
  template <> struct Wgmma<T, N> {                                                                          \
    template <int TransposeA, int TransposeB>                                                               \
    static GPUKERN_D void shared(float (&d)[R], uint64_t a, uint64_t b, int accumulate) {                   \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #O2                                                 \
                   ", 0;\n"                                                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." WORD "." WORD " {" GPUKERN_P##R        \
                   "}, "                                                                                    \
                   "%" #O0 ", %" #O1 ", p, 1, 1, %" #O3 ", %" #O4 ";\n}"                                    \
                   : GPUKERN_D##R("+f")                                                                     \
                   : "l"(a), "l"(b), "r"(accumulate), "n"(TransposeA), "n"(TransposeB));                    \
    }                                                                                                       \
    template <int TransposeB>                                                                               \
    static GPUKERN_D void registers(float (&d)[R], const uint32_t (&a)[4], uint64_t b, int accumulate) {    \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #O5                                                 \
                   ", 0;\n"                                                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." WORD "." WORD " {" GPUKERN_P##R        \
                   "}, "                                                                                    \
                   "{%" #O0 ", %" #O1 ", %" #O2 ", %" #O3 "}, %" #O4 ", p, 1, 1, %" #O6 ";\n}"              \
                   : GPUKERN_D##R("+f")                                                                     \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(TransposeB)); \
    }                                                                                                       \
  };
#define GPUKERN_WGMMA(...)                          \
  GPUKERN_WGMMA_OF(bfloat16_t, "bf16", __VA_ARGS__) \
  GPUKERN_WGMMA_OF(half_t, "f16", __VA_ARGS__)
GPUKERN_WGMMA_WIDTHS(GPUKERN_WGMMA)
GPUKERN_WGMMA_ODD_WIDTHS(GPUKERN_WGMMA)

// The lists above stay defined for wgmma_along_k.h.
#undef GPUKERN_WGMMA
#undef GPUKERN_WGMMA_OF

// d (64 x N of a warpgroup) = a b, plus d if `accumulate`.  A thread's d[i] is row 16 w + l / 4 + 8 (i / 2 % 2),
// column 8 (i / 4) + 2 (l % 4) + i % 2, for warp w of the warpgroup and lane l.
template <class T, int N, Major A, Major B>
GPUKERN_D void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
  Wgmma<T, N>::template shared<static_cast<int>(A), static_cast<int>(B)>(d, a, b, accumulate);
}
// A in registers, laid out as d for columns 0..15: a[0] is row l / 4, a[1] 8 rows on, a[2] and a[3] 8 columns on.
template <class T, int N, Major B>
GPUKERN_D void wgmma(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  Wgmma<T, N>::template registers<static_cast<int>(B)>(d, a, b, accumulate);
}
// Required before the first wgmma, and whenever threads have touched registers that the next one uses.
GPUKERN_D void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Keeps the compiler from moving accesses to these registers across this point.
template <int R> GPUKERN_D void wgmma_fence_operand(float (&d)[R]) {
  for (int i = 0; i < R; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
template <int R> GPUKERN_D void wgmma_fence_operand(uint32_t (&d)[R]) {
  for (int i = 0; i < R; ++i) asm volatile("" : "+r"(d[i])::"memory");
}
GPUKERN_D void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most G groups are in flight; the registers and operands of the others may then be touched.
template <int G> GPUKERN_D void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(G) : "memory");
}

}  // namespace gpukern
