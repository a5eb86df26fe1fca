// Make a plan: neighbouring axes become one where every array allows it.
#pragma once

#include "plan.hpp"

namespace thinnet {

// One axis: its size, the strides of the arrays in bytes, those of lanes and of rates in entries.
struct Axis {
    std::int64_t size, x, out, other, lane, rate = 0;
};

// Append an axis after the present last one; axes of one entry are left out.
inline void append(Plan& plan, const Axis& axis) {
    plan.total *= axis.size;
    if (axis.size == 1) return;
    int a = plan.axes - 1;
    const bool merged = a >= 0 && plan.x[a] == axis.x * axis.size && plan.out[a] == axis.out * axis.size &&
                        plan.other[a] == axis.other * axis.size && plan.lane[a] == axis.lane * axis.size &&
                        plan.rate[a] == axis.rate * axis.size;
    if (!merged) a = plan.axes++;
    plan.size[a] = merged ? plan.size[a] * axis.size : axis.size;
    plan.x[a] = axis.x;
    plan.out[a] = axis.out;
    plan.other[a] = axis.other;
    plan.lane[a] = axis.lane;
    plan.rate[a] = axis.rate;
}

// The axis of lane stride 1, if the last one has another stride and is long enough for tiles; -1: no such axis.
inline int crossed_axis(const Plan& plan) {
    constexpr std::int64_t WORTHWHILE = 16;
    const int last = plan.axes - 1;
    if (last < 1 || plan.lane[last] < 2 || plan.size[last] < WORTHWHILE) return -1;
    for (int a = 0; a < last; ++a) {
        if (plan.lane[a] == 1) return a;
    }
    return -1;
}

// Finish a plan whose axes are all appended. `item` is the size of an entry in bytes; `with_other` is true if there is
// a third array. Returns false if the last axis is no run of memory.
inline bool finish(Plan& plan, std::int64_t item, bool with_other) {
    plan.crossed = crossed_axis(plan);
    if (plan.axes == 0 || (plan.crossed < 0 && plan.lane[plan.axes - 1] != 0 && plan.lane[plan.axes - 1] != 1)) {
        // The added axis counts rates as the one before it: a run has one rate, or one for each entry.
        const bool rated = plan.axes > 0 && plan.rate[plan.axes - 1] != 0;
        const int a = plan.axes++;
        plan.size[a] = 1;
        plan.x[a] = plan.out[a] = plan.other[a] = item;
        plan.lane[a] = 1;
        plan.rate[a] = rated ? 1 : 0;
    }
    plan.flat = 1;
    if (plan.total == 0) return true;  // there are no entries
    double drawn = 1, span = 1;
    bool running = true;
    const bool rated = plan.rate[plan.axes - 1] != 0;
    for (int a = plan.axes - 1; a >= 0; --a) {
        const std::int64_t run = plan.flat * item;
        const bool fits = plan.size[a] == 1 || (plan.x[a] == run && plan.out[a] == run &&
                                                (!with_other || plan.other[a] == run) &&
                                                plan.rate[a] == (rated ? plan.flat : 0));
        running = running && fits;
        if (running) plan.flat *= plan.size[a];
        if (plan.lane[a] != 0) {
            drawn *= static_cast<double>(plan.size[a]);
            span += static_cast<double>(plan.size[a] - 1) * static_cast<double>(plan.lane[a]);
        }
    }
    plan.dense = drawn * 4 >= span;
    // an added axis of one entry hides the one whose stride counts
    int last = plan.axes - 1;
    while (last > 0 && plan.size[last] == 1) --last;
    return plan.flat >= plan.size[last];
}

}  // namespace thinnet
