#include "../plan.hpp"

#define THINNET_BODY portable
#define THINNET_NAME "portable"
#define THINNET_SIMD "../bodies/portable.hpp"
#include "../kernels/body.hpp"
