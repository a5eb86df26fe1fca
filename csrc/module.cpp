// The door from Python: buffers become pointers, what does not fit is refused, and the GIL is let go.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "buffers.hpp"
#include "plan.hpp"
#include "planning.hpp"

namespace thinnet {
namespace {

std::atomic<const Body*> chosen{bodies()[0]};

const Body& body() { return *chosen.load(std::memory_order_relaxed); }

std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const Body* const* b = bodies(); *b; ++b) found.emplace_back((*b)->name);
    return found;
}

void use(const std::string& name) {
    for (const Body* const* b = bodies(); *b; ++b) {
        if (name == (*b)->name) return chosen.store(*b);
    }
    refuse("this processor has no " + name);
}

// Work on fewer entries than this is over before another thread has taken the GIL.
constexpr std::int64_t WORTH_LETTING_GO = 1 << 13;

template <class F>
void without_gil(Range range, F work) {
    if (range.end - range.begin < WORTH_LETTING_GO) return work();
    nb::gil_scoped_release release;
    work();
}

Range range_of(std::int64_t begin, std::int64_t end, std::int64_t total) {
    if (end < 0) end = total;
    if (begin < 0 || begin > end || end > total) refuse("the range does not lie inside the array");
    return {begin, end};
}

// A threshold above all lanes drops them all.
std::uint32_t lanes_below(std::uint64_t threshold) {
    if (threshold > 65536) refuse("threshold: above 65536");
    return static_cast<std::uint32_t>(threshold);
}

Key key_of(std::uint64_t value, std::uint32_t step) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32), step};
}

std::int64_t whole(nb::handle number) { return nb::cast<std::int64_t>(number); }

// Where lanes lie: () (in the order of the entries), or (start, lane strides[, blocks]) with
// blocks = (shape, start, size, block, over, threshold).
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
        if (static_cast<int>(strides.size()) != axes) refuse("lanes: one stride an axis");
        if (parts.size() > 2) read(nb::cast<nb::tuple>(parts[2]));
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
            refuse("blocks: one number an axis");
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

// The plan of one array, or of three that have one shape.
bool plan_of(Plan& plan, const Where& where, const Buffer& x, const Buffer& out, const Buffer* other) {
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
    for (int a = 0; a < x.axes(); ++a) {
        append(plan, x.size(a), x.stride(a), out.stride(a), other ? other->stride(a) : 0, own[a]);
    }
    return finish(plan, item, other != nullptr);
}

void words(std::uint64_t value, std::uint32_t step, std::uint64_t block, nb::handle out) {
    const Buffer to(out, true);
    expect(to, "I", "out");
    const std::int64_t blocks = to.total() / 4;
    if (blocks * 4 != to.total()) refuse("out: four words a block");
    without_gil({0, to.total()}, [&] {
        body().words(key_of(value, step), block, blocks, reinterpret_cast<std::uint16_t*>(to.data()));
    });
}

void lanes(nb::handle out, std::uint64_t value, std::uint32_t step, nb::handle where, std::int64_t begin,
           std::int64_t end) {
    const Buffer to(out, true);
    expect(to, "H", "out");
    const Where from(value, step, where, to.axes());
    Plan plan;
    if (!plan_of(plan, from, to, to, nullptr)) refuse("out: not contiguous");
    const Range range = range_of(begin, end, plan.total);
    without_gil(range, [&] {
        body().lanes(from.source, plan, range, reinterpret_cast<std::uint16_t*>(to.data()));
    });
}

void mask(nb::handle out, std::uint64_t value, std::uint32_t step, nb::handle where, std::uint64_t threshold,
          std::int64_t begin, std::int64_t end) {
    const Buffer to(out, true);
    expect(to, "?", "out");
    const Where from(value, step, where, to.axes());
    Plan plan;
    if (!plan_of(plan, from, to, to, nullptr)) refuse("out: not contiguous");
    const Range range = range_of(begin, end, plan.total);
    without_gil(range, [&] {
        body().mask(from.source, plan, range, lanes_below(threshold), reinterpret_cast<std::uint8_t*>(to.data()));
    });
}

// Two arrays of one shape and dtype, laid out so that a kernel can walk over them; false: they are not.
bool pair_of(Plan& plan, const Where& where, const Buffer& x, const Buffer& out, const Buffer* other) {
    // an array in another byte order is copied by the caller
    if (!x.letter() || !out.letter() || (other && !other->letter())) return false;
    if (!x.same_shape(out) || (other && !x.same_shape(*other))) refuse("out: the shape of x is needed");
    if (type_of(x) != type_of(out) || (other && type_of(x) != type_of(*other))) {
        refuse("out: the dtype of x is needed");
    }
    if (x.axes() > MAX_AXES - 2) refuse("x: too many axes");
    if (!x.aligned() || !out.aligned() || (other && !other->aligned())) return false;
    return plan_of(plan, where, x, out, other);
}

bool two_point(nb::handle x, nb::handle out, nb::handle other, std::uint64_t value, std::uint32_t step,
               nb::handle where, std::uint64_t threshold, double dropped_gain, double dropped_shift,
               double kept_gain, double kept_shift, std::int64_t begin, std::int64_t end) {
    const Buffer from(x, false), to(out, true);
    std::optional<Buffer> third;
    double scalar = 0;
    if (PyFloat_CheckExact(other.ptr())) {
        scalar = PyFloat_AsDouble(other.ptr());
    } else {
        third.emplace(other, false);
    }
    const Buffer* with = third ? &*third : nullptr;
    const Where at(value, step, where, from.axes());
    Plan plan;
    if (!pair_of(plan, at, from, to, with)) return false;
    const Range range = range_of(begin, end, plan.total);
    const TwoPoint law{lanes_below(threshold), {dropped_gain, dropped_shift}, {kept_gain, kept_shift}, scalar};
    const Arrays arrays{type_of(from), from.data(), with ? with->data() : nullptr, to.data()};
    without_gil(range, [&] { body().two_point(at.source, plan, range, law, arrays); });
    return true;
}

// A law without a second term on two runs of memory, for callers who have addresses and no buffers: reading
// a buffer takes longer than dropping a few hundred entries. They answer for `count` entries at both.
void two_point_at(std::uint64_t x, std::uint64_t out, std::int64_t count, int type, std::uint64_t value,
                  std::uint32_t step, std::uint64_t threshold, double dropped, double kept) {
    constexpr std::int64_t sizes[] = {2, 2, 4, 8};
    if (type < 0 || type > 3) refuse("type: 0 to 3 are float16, bfloat16, float32 and float64");
    if (count <= 0) return;
    Plan plan;
    append(plan, count, sizes[type], sizes[type], 0, 1);
    finish(plan, sizes[type], false);
    const Source source{key_of(value, step)};
    const TwoPoint law{lanes_below(threshold), {dropped, 0}, {kept, 0}, 0};
    const Arrays arrays{static_cast<Type>(type), reinterpret_cast<const char*>(x), nullptr,
                        reinterpret_cast<char*>(out)};
    const Range range{0, count};
    without_gil(range, [&] { body().two_point(source, plan, range, law, arrays); });
}

// The 65,536 factors of a table.
const float* factors_of(const Buffer& table, const char* name) {
    expect(table, "f", name);
    if (table.total() != 65536) refuse("gains, shifts: 65,536 entries are needed");
    return reinterpret_cast<const float*>(table.data());
}

// `other` and `shifts` are both None, or arrays.
bool table(nb::handle x, nb::handle out, nb::handle other, nb::handle gains, nb::handle shifts, std::uint64_t value, std::uint32_t step,
           nb::handle where, std::int64_t begin, std::int64_t end) {
    const Buffer from(x, false), to(out, true), factors(gains, false);
    const float* values = factors_of(factors, "gains");
    if (other.is_none() != shifts.is_none()) refuse("table: other and shifts come together");
    std::optional<Buffer> third, moves;
    if (!other.is_none()) {
        third.emplace(other, false);
        moves.emplace(shifts, false);
    }
    const Buffer* with = third ? &*third : nullptr;
    const float* added = moves ? factors_of(*moves, "shifts") : nullptr;
    const Where at(value, step, where, from.axes());
    Plan plan;
    if (!pair_of(plan, at, from, to, with)) return false;
    const Range range = range_of(begin, end, plan.total);
    const Arrays arrays{type_of(from), from.data(), with ? with->data() : nullptr, to.data()};
    without_gil(range, [&] { body().table(at.source, plan, range, values, added, arrays); });
    return true;
}

Type real(const Buffer& buffer, const char* name) {
    expect(buffer, "fd", name);
    return type_of(buffer);
}

Dense dense_of(const Buffer& rows, int activation, double slope, std::uint64_t threshold, double gain) {
    if (rows.axes() != 2) refuse("rows: two axes are needed");
    if (activation < 0 || activation > static_cast<int>(Activation::gelu)) refuse("no such activation");
    return {real(rows, "rows"), static_cast<Activation>(activation), slope, lanes_below(threshold), gain, rows.size(1)};
}

void dense_forward(nb::handle z, nb::handle y, nb::handle bias, std::uint64_t value, std::uint32_t step,
                   int activation, double slope, std::uint64_t threshold, double gain, std::int64_t begin,
                   std::int64_t end) {
    const Buffer from(z, true), to(y, true), added(bias, false);
    const Dense dense = dense_of(from, activation, slope, threshold, gain);
    if (real(to, "y") != dense.type || real(added, "bias") != dense.type) refuse("y, bias: the dtype of z is needed");
    if (!from.same_shape(to) || added.total() != dense.columns) refuse("y, bias: the shape of z is needed");
    const Range rows = range_of(begin, end, from.size(0));
    const Source source{key_of(value, step), 0, nullptr};
    without_gil({0, (rows.end - rows.begin) * dense.columns}, [&] {
        body().dense_forward(source, dense, rows, added.data(), from.data(), to.data());
    });
}

void dense_backward(nb::handle saved, nb::handle dy, std::uint64_t value, std::uint32_t step, int activation,
                    double slope, std::uint64_t threshold, double gain, std::int64_t begin, std::int64_t end) {
    const Buffer from(saved, false), to(dy, true);
    const Dense dense = dense_of(from, activation, slope, threshold, gain);
    if (real(to, "dy") != dense.type || !from.same_shape(to)) refuse("dy: the shape and dtype of y are needed");
    const Range rows = range_of(begin, end, from.size(0));
    const Source source{key_of(value, step), 0, nullptr};
    without_gil({0, (rows.end - rows.begin) * dense.columns}, [&] {
        body().dense_backward(source, dense, rows, from.data(), to.data());
    });
}

void update(nb::handle w, nb::handle g, nb::handle first, nb::handle second, int rule, double rate, double l2,
            double shrink, double beta1, double beta2, double epsilon, double correction, std::int64_t decayed,
            std::int64_t columns, double max_norm, std::int64_t begin, std::int64_t end) {
    const Buffer weights(w, true), slopes(g, false), one(first, true), two(second, true);
    const Type type = real(weights, "w");
    for (const Buffer* buffer : {&slopes, &one, &two}) {
        if (real(*buffer, "g, moments") != type || buffer->total() != weights.total()) {
            refuse("g, moments: the size and dtype of w are needed");
        }
    }
    if (rule < 0 || rule > static_cast<int>(Rule::adam)) refuse("no such rule");
    const std::int64_t total = weights.total();
    if (columns < 0 || columns > total || (columns > 0 && total % columns)) refuse("columns: they do not divide w");
    const Update u{type,    static_cast<Rule>(rule), rate,       l2,
                   shrink,  beta1,                   beta2,      epsilon,
                   correction, decayed,              columns ? total / columns : 1, columns, max_norm};
    const Range range = range_of(begin, end, columns ? columns : total);
    without_gil({0, (range.end - range.begin) * u.rows}, [&] {
        body().update(u, range, weights.data(), slopes.data(), one.data(), two.data());
    });
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Compiled kernels; thinnet._core.kernels is their door.";
    m.def("bodies", &names, "Names of the instruction sets that this processor has a body for, best first.");
    m.def("body", [] { return std::string(body().name); }, "Name of the one in use.");
    m.def("use", &use, "Use another.");
    m.def("words", &words);
    m.def("lanes", &lanes);
    m.def("mask", &mask);
    m.def("two_point", &two_point);
    m.def("two_point_at", &two_point_at);
    m.def("table", &table, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg(), nb::arg());
    m.def("dense_forward", &dense_forward);
    m.def("dense_backward", &dense_backward);
    m.def("update", &update);
}

}  // namespace thinnet
