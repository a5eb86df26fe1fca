// Make a plan: neighbouring axes become one where every array allows it.
#pragma once

#include "plan.hpp"

namespace thinnet {

// Append an axis behind the present last one; axes of one entry are left out.
inline void append(Plan& plan, std::int64_t size, std::int64_t x, std::int64_t out, std::int64_t other,
                   std::int64_t lane) {
    plan.total *= size;
    if (size == 1) return;
    if (plan.axes > 0) {
        const int last = plan.axes - 1;
        if (plan.x[last] == x * size && plan.out[last] == out * size && plan.other[last] == other * size &&
            plan.lane[last] == lane * size) {
            plan.size[last] *= size;
            plan.x[last] = x;
            plan.out[last] = out;
            plan.other[last] = other;
            plan.lane[last] = lane;
            return;
        }
    }
    const int a = plan.axes++;
    plan.size[a] = size;
    plan.x[a] = x;
    plan.out[a] = out;
    plan.other[a] = other;
    plan.lane[a] = lane;
}

// Finish a plan whose axes are all appended. `item` is the size of an entry in bytes; `with_other` says
// whether there is a third array. False: the last axis does not lie in one run of memory.
inline bool finish(Plan& plan, std::int64_t item, bool with_other) {
    if (plan.axes == 0 || (plan.lane[plan.axes - 1] != 0 && plan.lane[plan.axes - 1] != 1)) {
        const int a = plan.axes++;
        plan.size[a] = 1;
        plan.x[a] = plan.out[a] = plan.other[a] = item;
        plan.lane[a] = 1;
    }
    plan.flat = 1;
    if (plan.total == 0) return true;  // there is nothing to walk over
    double drawn = 1, span = 1;
    bool running = true;
    for (int a = plan.axes - 1; a >= 0; --a) {
        const std::int64_t run = plan.flat * item;
        const bool fits = plan.size[a] == 1 || (plan.x[a] == run && plan.out[a] == run &&
                                                (!with_other || plan.other[a] == run));
        running = running && fits;
        if (running) plan.flat *= plan.size[a];
        if (plan.lane[a] != 0) {
            drawn *= static_cast<double>(plan.size[a]);
            span += static_cast<double>(plan.size[a] - 1) * static_cast<double>(plan.lane[a]);
        }
    }
    plan.dense = drawn * 4 >= span;
    // an axis of our own, one entry long, hides the one whose stride counts
    int last = plan.axes - 1;
    while (last > 0 && plan.size[last] == 1) --last;
    return plan.flat >= plan.size[last];
}

}  // namespace thinnet
