// The bodies that this processor can run.
#include "plan.hpp"

#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
#include <intrin.h>
#elif defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif

namespace thinnet {

namespace portable {
extern const Body BODY;
}
namespace avx2 {
extern const Body BODY;
}
namespace avx512 {
extern const Body BODY;
}
namespace neon {
extern const Body BODY;
}

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER) && !defined(__clang__)
// Bits of CPUID leaves 1 and 7, and of XCR0, the register of the state that the system saves.
static bool runs(bool wide) {
    int one[4], seven[4];
    __cpuidex(one, 1, 0);
    __cpuidex(seven, 7, 0);
    const bool saves = one[2] >> 27 & 1, f16c = one[2] >> 29 & 1, avx = one[2] >> 28 & 1;
    if (!saves || !f16c || !avx || !(seven[1] >> 5 & 1)) return false;
    const unsigned long long state = _xgetbv(0);
    if ((state & 0x6) != 0x6) return false;
    if (!wide) return true;
    const unsigned needed = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
    return (static_cast<unsigned>(seven[1]) & needed) == needed && (state & 0xE6) == 0xE6;
}
#else
// clang refuses __builtin_cpu_supports("f16c") up to version 16.
static bool converts_halves() {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool runs(bool wide) {
    __builtin_cpu_init();
    const bool narrow = __builtin_cpu_supports("avx2") && converts_halves();
    if (!wide || !narrow) return narrow;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif
#endif

const Body* const* bodies() {
    static const Body* found[4] = {};
    static const int count = [] {
        int n = 0;
#if defined(__x86_64__) || defined(_M_X64)
        if (runs(true)) found[n++] = &avx512::BODY;
        if (runs(false)) found[n++] = &avx2::BODY;
#elif defined(__aarch64__) || defined(_M_ARM64)
        found[n++] = &neon::BODY;
#endif
        found[n++] = &portable::BODY;
        return n;
    }();
    static_cast<void>(count);
    return found;
}

}  // namespace thinnet
