#if defined(__aarch64__) || defined(_M_ARM64)
#include "../plan.hpp"

#include <arm_neon.h>

#define THINNET_BODY neon
#define THINNET_NAME "neon"
#define THINNET_SIMD "../bodies/neon.hpp"
#include "../kernels/body.hpp"
#endif
