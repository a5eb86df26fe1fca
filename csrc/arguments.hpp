// Arguments of Python as the plain values that kernels take; an argument that does not fit is refused.
#pragma once

#include <limits>

#include "buffers.hpp"
#include "plan.hpp"
#include "planning.hpp"

namespace thinnet {

// A threshold above all lanes drops every entry.
inline std::uint32_t lanes_below(std::uint64_t threshold) {
    if (threshold > 65536) refuse("threshold: above 65536");
    return static_cast<std::uint32_t>(threshold);
}

inline Key key_of(std::uint64_t value, std::uint32_t step) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32), step};
}

inline std::int64_t whole(nb::handle number) { return nb::cast<std::int64_t>(number); }

// The placement of lanes: () for lanes in the order of the entries, or (start, lane strides, blocks), where blocks is
// None or (shape, start, size, block, over, threshold); `thinnet/_core/kernels/records.py` names these fields.
struct Where {
    Source source;
    Blocks blocks;
    nb::tuple strides;
    bool given = false;

    Where(std::uint64_t value, std::uint32_t step, nb::handle where, int axes) {
        source.key = key_of(value, step);
        const auto parts = nb::cast<nb::tuple>(where);
        if (parts.size() == 0) return;
        if (parts.size() != 2 && parts.size() != 3) refuse("lanes: (start, strides[, blocks])");
        given = true;
        source.start = whole(parts[0]);
        strides = nb::cast<nb::tuple>(parts[1]);
        if (source.start < 0) refuse("lanes: negative start");
        if (static_cast<int>(strides.size()) != axes) refuse("lanes: one stride for each axis is needed");
        if (parts.size() > 2 && !parts[2].is_none()) read(nb::cast<nb::tuple>(parts[2]));
    }

    std::int64_t stride(int axis) const { return whole(strides[static_cast<std::size_t>(axis)]); }

private:
    void read(const nb::tuple& parts) {
        if (parts.size() != 6) refuse("blocks: (shape, start, size, block, over, threshold)");
        const auto shape = nb::cast<nb::tuple>(parts[0]), start = nb::cast<nb::tuple>(parts[1]);
        const auto size = nb::cast<nb::tuple>(parts[2]), block = nb::cast<nb::tuple>(parts[3]);
        blocks.axes = static_cast<int>(shape.size());
        blocks.over = static_cast<int>(whole(parts[4]));
        blocks.threshold = lanes_below(nb::cast<std::uint64_t>(parts[5]));
        if (blocks.axes > MAX_AXES || blocks.over < 1 || blocks.over > blocks.axes ||
            start.size() != shape.size() || size.size() != shape.size() || block.size() != shape.size()) {
            refuse("blocks: one number for each axis is needed");
        }
        double seeds = 1;
        for (int a = 0; a < blocks.axes; ++a) {
            const auto at = static_cast<std::size_t>(a);
            blocks.shape[a] = whole(shape[at]);
            blocks.start[a] = whole(start[at]);
            blocks.size[a] = whole(size[at]);
            blocks.block[a] = whole(block[at]);
            constexpr std::int64_t most = std::int64_t{1} << 31;
            for (const std::int64_t size : {blocks.size[a], blocks.block[a]}) {
                if (size < 1 || size > most) refuse("blocks: sizes must be in [1, 2**31]");
            }
            if (a < blocks.axes - blocks.over) continue;
            // seeds and entries of one plane are held in memory
            seeds *= static_cast<double>(blocks.size[a] + blocks.block[a]);
            if (seeds > static_cast<double>(most) * 4) refuse("blocks: a plane is too large");
            blocks.plane *= blocks.size[a];
        }
        source.blocks = &blocks;
    }
};

// The axes of an array from the greatest stride to the least; C order stays as it is.
inline void order_of(const Buffer& array, int* order) {
    const auto apart = [&](int axis) {
        return array.size(axis) == 1 ? 0 : array.stride(axis) < 0 ? -array.stride(axis) : array.stride(axis);
    };
    for (int a = 0; a < array.axes(); ++a) {
        int at = a;
        // axes of one entry have no order of their own
        for (; at > 0 && apart(a) > 0 && apart(order[at - 1]) < apart(a); --at) order[at] = order[at - 1];
        order[at] = a;
    }
}

// The plan of one array, or of three that have one shape; `rates` holds the strides of rates or is null.
inline bool plan_of(Plan& plan, const Where& where, const Buffer& x, const Buffer& out, const Buffer* other,
                    const std::int64_t* rates = nullptr) {
    const std::int64_t item = x.itemsize();
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::int64_t own[MAX_AXES];
    std::int64_t count = 1, last = where.source.start;  // the number of the last lane
    for (int a = x.axes() - 1; a >= 0; --a) {
        own[a] = where.given ? where.stride(a) : count;
        if (own[a] < 0) refuse("lanes: negative stride");
        if (x.size(a) > 1 && own[a] > 0) {
            if (x.size(a) - 1 > (most - last - 1) / own[a]) refuse("lanes: numbers must be below 2**63 - 1");
            last += (x.size(a) - 1) * own[a];
        }
        count *= x.size(a);
    }
    if (last == most) refuse("lanes: numbers must be below 2**63 - 1");
    int order[MAX_AXES];
    order_of(out, order);
    for (int n = 0; n < x.axes(); ++n) {
        const int a = order[n];
        append(plan, {x.size(a), x.stride(a), out.stride(a), other ? other->stride(a) : 0, own[a],
                      rates ? rates[a] : 0});
    }
    // tiles draw lanes one by one, without blocks and with one rate
    return finish(plan, item, other != nullptr) && (plan.crossed < 0 || (!where.source.blocks && !rates));
}

// The plan of arrays of one shape and dtype; false if a kernel cannot walk over their layout.
inline bool pair_of(Plan& plan, const Where& where, const Buffer& x, const Buffer& out, const Buffer* other,
                    const std::int64_t* rates = nullptr) {
    // an array in another byte order is copied by the caller
    if (!x.letter() || !out.letter() || (other && !other->letter())) return false;
    if (!x.same_shape(out) || (other && !x.same_shape(*other))) refuse("out: the shape of x is needed");
    if (type_of(x) != type_of(out) || (other && type_of(x) != type_of(*other))) {
        refuse("out: the dtype of x is needed");
    }
    if (x.axes() > MAX_AXES - 2) refuse("x: too many axes");
    if (!x.aligned() || !out.aligned() || (other && !other->aligned())) return false;
    return plan_of(plan, where, x, out, other, rates);
}

// Strides of an array of rates, contiguous, of as many axes as x: 0 along axes of one entry.
inline void rate_strides(const Buffer& thresholds, const Buffer& x, std::int64_t* strides) {
    if (thresholds.axes() != x.axes()) refuse("thresholds: one axis for each of x is needed");
    std::int64_t count = 1;
    for (int a = x.axes() - 1; a >= 0; --a) {
        const std::int64_t size = thresholds.size(a);
        if (size != 1 && size != x.size(a)) refuse("thresholds: they do not broadcast against x");
        strides[a] = size == 1 ? 0 : count;
        count *= size;
    }
}

// A contiguous array of the type of the computation and of the size of `like`.
inline const void* factor_of(const Buffer& factor, const Buffer& like, Type type) {
    expect(factor, type == Type::f64 ? "d" : "f", "factors");
    if (factor.total() != like.total()) refuse("factors: the size of thresholds is needed");
    return factor.data();
}

// The 65,536 factors of a table.
inline const float* factors_of(const Buffer& table, const char* name) {
    expect(table, "f", name);
    if (table.total() != 65536) refuse("gains, shifts: 65,536 entries are needed");
    return reinterpret_cast<const float*>(table.data());
}

}  // namespace thinnet
