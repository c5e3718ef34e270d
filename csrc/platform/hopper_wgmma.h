// wgmma for nvcc: one instruction a function, for every width N.  Its accumulators are N / 2 operands, which PTX wants
// written out: the lists below grow by one row of four a step, and each width takes the list that ends at its own.
// Other types (m64nNk8 tf32, k32 fp8 and s8) are further structs of the same form, when their rows come.
#pragma once
#include "gpu.h"
#include "tensor_map.h"

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
#define GPUKERN_D4 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define GPUKERN_D8 GPUKERN_D4, "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
#define GPUKERN_D12 GPUKERN_D8, "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])
#define GPUKERN_D16 GPUKERN_D12, "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define GPUKERN_D20 GPUKERN_D16, "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19])
#define GPUKERN_D24 GPUKERN_D20, "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23])
#define GPUKERN_D28 GPUKERN_D24, "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27])
#define GPUKERN_D32 GPUKERN_D28, "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define GPUKERN_D36 GPUKERN_D32, "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35])
#define GPUKERN_D40 GPUKERN_D36, "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39])
#define GPUKERN_D44 GPUKERN_D40, "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43])
#define GPUKERN_D48 GPUKERN_D44, "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
#define GPUKERN_D52 GPUKERN_D48, "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51])
#define GPUKERN_D56 GPUKERN_D52, "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55])
#define GPUKERN_D60 GPUKERN_D56, "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59])
#define GPUKERN_D64 GPUKERN_D60, "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
#define GPUKERN_D68 GPUKERN_D64, "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67])
#define GPUKERN_D72 GPUKERN_D68, "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71])
#define GPUKERN_D76 GPUKERN_D72, "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75])
#define GPUKERN_D80 GPUKERN_D76, "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79])
#define GPUKERN_D84 GPUKERN_D80, "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83])
#define GPUKERN_D88 GPUKERN_D84, "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87])
#define GPUKERN_D92 GPUKERN_D88, "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91])
#define GPUKERN_D96 GPUKERN_D92, "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define GPUKERN_D100 GPUKERN_D96, "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99])
#define GPUKERN_D104 GPUKERN_D100, "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103])
#define GPUKERN_D108 GPUKERN_D104, "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107])
#define GPUKERN_D112 GPUKERN_D108, "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111])
#define GPUKERN_D116 GPUKERN_D112, "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115])
#define GPUKERN_D120 GPUKERN_D116, "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119])
#define GPUKERN_D124 GPUKERN_D120, "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123])
#define GPUKERN_D128 GPUKERN_D124, "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])
// clang-format on

// T, its word in PTX, N, the number R of accumulators; %R .. the operands behind them.  `accumulate` is scale-d.
#define GPUKERN_WGMMA_OF(T, WORD, N, R, O0, O1, O2, O3, O4, O5, O6)                                         \
  template <> struct Wgmma<T, N> {                                                                          \
    template <int TransposeA, int TransposeB>                                                               \
    static GPUKERN_D void shared(float (&d)[R], uint64_t a, uint64_t b, int accumulate) {                   \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #O2                                                 \
                   ", 0;\n"                                                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." WORD "." WORD " {" GPUKERN_P##R        \
                   "}, "                                                                                    \
                   "%" #O0 ", %" #O1 ", p, 1, 1, %" #O3 ", %" #O4 ";\n}"                                    \
                   : GPUKERN_D##R                                                                           \
                   : "l"(a), "l"(b), "r"(accumulate), "n"(TransposeA), "n"(TransposeB));                    \
    }                                                                                                       \
    template <int TransposeB>                                                                               \
    static GPUKERN_D void registers(float (&d)[R], const uint32_t (&a)[4], uint64_t b, int accumulate) {    \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #O5                                                 \
                   ", 0;\n"                                                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." WORD "." WORD " {" GPUKERN_P##R        \
                   "}, "                                                                                    \
                   "{%" #O0 ", %" #O1 ", %" #O2 ", %" #O3 "}, %" #O4 ", p, 1, 1, %" #O6 ";\n}"              \
                   : GPUKERN_D##R                                                                           \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(TransposeB)); \
    }                                                                                                       \
  };
#define GPUKERN_WGMMA(...)                          \
  GPUKERN_WGMMA_OF(bfloat16_t, "bf16", __VA_ARGS__) \
  GPUKERN_WGMMA_OF(half_t, "f16", __VA_ARGS__)

GPUKERN_WGMMA(8, 4, 4, 5, 6, 7, 8, 9, 10)
GPUKERN_WGMMA(16, 8, 8, 9, 10, 11, 12, 13, 14)
GPUKERN_WGMMA(24, 12, 12, 13, 14, 15, 16, 17, 18)
GPUKERN_WGMMA(32, 16, 16, 17, 18, 19, 20, 21, 22)
GPUKERN_WGMMA(40, 20, 20, 21, 22, 23, 24, 25, 26)
GPUKERN_WGMMA(48, 24, 24, 25, 26, 27, 28, 29, 30)
GPUKERN_WGMMA(56, 28, 28, 29, 30, 31, 32, 33, 34)
GPUKERN_WGMMA(64, 32, 32, 33, 34, 35, 36, 37, 38)
GPUKERN_WGMMA(72, 36, 36, 37, 38, 39, 40, 41, 42)
GPUKERN_WGMMA(80, 40, 40, 41, 42, 43, 44, 45, 46)
GPUKERN_WGMMA(88, 44, 44, 45, 46, 47, 48, 49, 50)
GPUKERN_WGMMA(96, 48, 48, 49, 50, 51, 52, 53, 54)
GPUKERN_WGMMA(104, 52, 52, 53, 54, 55, 56, 57, 58)
GPUKERN_WGMMA(112, 56, 56, 57, 58, 59, 60, 61, 62)
GPUKERN_WGMMA(120, 60, 60, 61, 62, 63, 64, 65, 66)
GPUKERN_WGMMA(128, 64, 64, 65, 66, 67, 68, 69, 70)
GPUKERN_WGMMA(136, 68, 68, 69, 70, 71, 72, 73, 74)
GPUKERN_WGMMA(144, 72, 72, 73, 74, 75, 76, 77, 78)
GPUKERN_WGMMA(152, 76, 76, 77, 78, 79, 80, 81, 82)
GPUKERN_WGMMA(160, 80, 80, 81, 82, 83, 84, 85, 86)
GPUKERN_WGMMA(168, 84, 84, 85, 86, 87, 88, 89, 90)
GPUKERN_WGMMA(176, 88, 88, 89, 90, 91, 92, 93, 94)
GPUKERN_WGMMA(184, 92, 92, 93, 94, 95, 96, 97, 98)
GPUKERN_WGMMA(192, 96, 96, 97, 98, 99, 100, 101, 102)
GPUKERN_WGMMA(200, 100, 100, 101, 102, 103, 104, 105, 106)
GPUKERN_WGMMA(208, 104, 104, 105, 106, 107, 108, 109, 110)
GPUKERN_WGMMA(216, 108, 108, 109, 110, 111, 112, 113, 114)
GPUKERN_WGMMA(224, 112, 112, 113, 114, 115, 116, 117, 118)
GPUKERN_WGMMA(232, 116, 116, 117, 118, 119, 120, 121, 122)
GPUKERN_WGMMA(240, 120, 120, 121, 122, 123, 124, 125, 126)
GPUKERN_WGMMA(248, 124, 124, 125, 126, 127, 128, 129, 130)
GPUKERN_WGMMA(256, 128, 128, 129, 130, 131, 132, 133, 134)

// The lists stay defined: an #undef for each would say nothing.
#undef GPUKERN_WGMMA
#undef GPUKERN_WGMMA_OF

// d (64 x N of a warpgroup) = a b, plus d where `accumulate`.  A thread's d[i] is row 16 w + l / 4 + 8 (i / 2 % 2),
// column 8 (i / 4) + 2 (l % 4) + i % 2, for warp w of the warpgroup and lane l.
template <class T, int N, Major A, Major B>
GPUKERN_D void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
  Wgmma<T, N>::template shared<static_cast<int>(A), static_cast<int>(B)>(d, a, b, accumulate);
}
// A from registers: as in d, for columns 0..15: a[0] row l / 4, a[1] 8 rows further, a[2] and a[3] 8 columns further.
template <class T, int N, Major B>
GPUKERN_D void wgmma(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  Wgmma<T, N>::template registers<static_cast<int>(B)>(d, a, b, accumulate);
}
// Before the first wgmma, and wherever threads have touched registers that the next one uses.
GPUKERN_D void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Keeps the compiler from moving what threads do to these registers to the other side of what comes next.
template <int R> GPUKERN_D void wgmma_fence_operand(float (&d)[R]) {
  for (int i = 0; i < R; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
GPUKERN_D void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most G groups are under way; only then may their registers and operands be touched.
template <int G> GPUKERN_D void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(G) : "memory");
}

}  // namespace gpukern
