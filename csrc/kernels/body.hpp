// All kernels for one instruction set. The file that includes this one has included plan.hpp and defines
// THINNET_BODY (a namespace) and THINNET_SIMD (the header of its vectors).
//
// Each body is compiled with its own flags. The linker merges functions of one name into one copy, which might hold
// instructions that another processor lacks. So every function is static, in a namespace of its own, and no inline
// function of the standard library is called.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#if defined(__clang__)
#define THINNET_LOOP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define THINNET_LOOP _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define THINNET_LOOP __pragma(loop(ivdep))
#else
#define THINNET_LOOP
#endif

#if defined(__GNUC__) || defined(__clang__)
#define THINNET_PREFETCH(address) __builtin_prefetch(address)
#else
#define THINNET_PREFETCH(address) static_cast<void>(address)
#endif

namespace thinnet {
namespace THINNET_BODY {

#include THINNET_SIMD

#include "philox.hpp"

#include "lanes.hpp"

#include "halves.hpp"

#include "apply.hpp"

#include "walk.hpp"

#include "laws.hpp"

#include "dense.hpp"

#include "update.hpp"

extern const Body BODY;
const Body BODY = {THINNET_NAME, words, lanes, mask, two_point, two_point_rates, table, fold,
                   dense_forward, dense_backward, update};

}  // namespace THINNET_BODY
}  // namespace thinnet
