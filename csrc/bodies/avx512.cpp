#if defined(__x86_64__) || defined(_M_X64)
#include "../plan.hpp"

#include <immintrin.h>

#define THINNET_BODY avx512
#define THINNET_NAME "avx512"
#define THINNET_SIMD "../bodies/avx512.hpp"
#include "../kernels/body.hpp"
#endif
