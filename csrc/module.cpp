// The module thinnet._native: arguments are checked, the GIL is released, and a kernel runs.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"

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

// Work on fewer entries ends before another thread can take the GIL.
constexpr std::int64_t WORTH_RELEASING = 1 << 13;

template <class F>
void without_gil(Range range, F work) {
    if (range.end - range.begin < WORTH_RELEASING) return work();
    nb::gil_scoped_release release;
    work();
}

Range range_of(std::int64_t begin, std::int64_t end, std::int64_t total) {
    if (end < 0) end = total;
    if (begin < 0 || begin > end || end > total) refuse("the range does not lie inside the array");
    return {begin, end};
}

void words(std::uint64_t value, std::uint32_t step, std::uint64_t block, Array out) {
    const Buffer to(out, true);
    expect(to, "I", "out");
    const std::int64_t blocks = to.total() / 4;
    if (blocks * 4 != to.total()) refuse("out: four words a block");
    without_gil({0, to.total()}, [&] {
        body().words(key_of(value, step), block, blocks, reinterpret_cast<std::uint16_t*>(to.data()));
    });
}

void lanes(Array out, std::uint64_t value, std::uint32_t step, Placement where, std::int64_t begin,
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

void mask(Array out, std::uint64_t value, std::uint32_t step, Placement where, std::uint64_t threshold,
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

bool two_point(Array x, Array out, ArrayOrFloat other, std::uint64_t value, std::uint32_t step,
               Placement where, std::uint64_t threshold, double dropped_gain, double dropped_shift,
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

// Arrays of rates. `dropped_gain`, `dropped_shift` and `kept_shift` are all None, for 0, or all arrays.
bool two_point_rates(Array x, Array out, ArrayOrFloat other, std::uint64_t value, std::uint32_t step, Placement where,
                     Array thresholds, Array dropped_gain, Array dropped_shift, Array kept_gain, Array kept_shift,
                     std::int64_t begin, std::int64_t end) {
    const Buffer from(x, false), to(out, true), below(thresholds, false);
    if (!from.letter()) return false;  // another byte order
    const Type type = type_of(from);
    expect(below, "i", "thresholds");
    std::int64_t strides[MAX_AXES];
    if (from.axes() > MAX_AXES - 2) refuse("x: too many axes");
    rate_strides(below, from, strides);
    std::optional<Buffer> third, factors[4];
    double scalar = 0;
    if (PyFloat_CheckExact(other.ptr())) {
        scalar = PyFloat_AsDouble(other.ptr());
    } else {
        third.emplace(other, false);
    }
    Rates rates{reinterpret_cast<const std::int32_t*>(below.data()), {}};
    const nb::handle given[4] = {dropped_gain, dropped_shift, kept_gain, kept_shift};
    for (int k = 0; k < 4; ++k) {
        if (given[k].is_none() != (dropped_gain.is_none() && k != 2)) refuse("factors: all but kept_gain come together");
        if (given[k].is_none()) continue;
        factors[k].emplace(given[k], false);
        rates.factors[k] = factor_of(*factors[k], below, type);
    }
    const Buffer* with = third ? &*third : nullptr;
    const Where at(value, step, where, from.axes());
    Plan plan;
    if (!pair_of(plan, at, from, to, with, strides)) return false;
    const Range range = range_of(begin, end, plan.total);
    const Arrays arrays{type, from.data(), with ? with->data() : nullptr, to.data()};
    without_gil(range, [&] { body().two_point_rates(at.source, plan, range, rates, scalar, arrays); });
    return true;
}

std::uint64_t fold(std::uint64_t value, std::uint32_t step, std::uint64_t number, std::uint32_t tag) {
    return body().fold(key_of(value, step), number, tag);
}

// A law without a second term on two runs of memory, for callers that have addresses and no buffers: reading a buffer
// takes longer than dropping a few hundred entries. The caller guarantees `count` entries at both addresses.
void two_point_at(std::uint64_t x, std::uint64_t out, std::int64_t count, int type, std::uint64_t value,
                  std::uint32_t step, std::uint64_t threshold, double dropped, double kept) {
    constexpr std::int64_t sizes[] = {2, 2, 4, 8};
    if (type < 0 || type > 3) refuse("type: 0 to 3 are float16, bfloat16, float32 and float64");
    if (count <= 0) return;
    Plan plan;
    append(plan, {count, sizes[type], sizes[type], 0, 1});
    finish(plan, sizes[type], false);
    const Source source{key_of(value, step)};
    const TwoPoint law{lanes_below(threshold), {dropped, 0}, {kept, 0}, 0};
    const Arrays arrays{static_cast<Type>(type), reinterpret_cast<const char*>(x), nullptr,
                        reinterpret_cast<char*>(out)};
    const Range range{0, count};
    without_gil(range, [&] { body().two_point(source, plan, range, law, arrays); });
}

// `other` and `shifts` are both None, or arrays.
bool table(Array x, Array out, Array other, Array gains, Array shifts, std::uint64_t value, std::uint32_t step,
           Placement where, std::int64_t begin, std::int64_t end) {
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

void dense_forward(Array z, Array y, Array bias, std::uint64_t value, std::uint32_t step,
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

void dense_backward(Array saved, Array dy, std::uint64_t value, std::uint32_t step, int activation,
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

void update(Array w, Array g, Array first, Array second, int rule, double rate, double l2,
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

// The arguments that functions share.
#define THINNET_KEY "key"_a, "step"_a
#define THINNET_RANGE "begin"_a, "end"_a
#define THINNET_DENSE "activation"_a, "slope"_a, "threshold"_a, "gain"_a

NB_MODULE(_native, m) {
    using namespace nb::literals;
    m.doc() = "Compiled kernels of thinnet; thinnet._core calls them and defines each of them in NumPy.";
    m.def("bodies", &names, "Return the names of the instruction sets that this processor runs, best first.");
    m.def("body", [] { return std::string(body().name); }, "Return the name of the instruction set in use.");
    m.def("use", &use, "name"_a, "Use another instruction set from now on, in all threads.");
    m.def("words", &words, THINNET_KEY, "block"_a, "out"_a,
          "Write the words of consecutive blocks, from number `block` on, to `out`: uint32, four for each block.");
    m.def("fold", &fold, THINNET_KEY, "number"_a, "tag"_a,
          "Return the first 64 bits of the block at counter (number, step, tag): the value of a folded key.");
    m.def("lanes", &lanes, "out"_a, THINNET_KEY, "where"_a, THINNET_RANGE,
          "Write lanes to `out`, uint16, for entries begin to end; end = -1 means all.");
    m.def("mask", &mask, "out"_a, THINNET_KEY, "where"_a, "threshold"_a, THINNET_RANGE,
          "Write `lane >= threshold` to `out`, bool.");
    m.def("two_point", &two_point, "x"_a, "out"_a, "other"_a, THINNET_KEY, "where"_a, "threshold"_a,
          "dropped_gain"_a, "dropped_shift"_a, "kept_gain"_a, "kept_shift"_a, THINNET_RANGE,
          "Write a two-point law of x to `out`; `other` is a float or an array of the shape and dtype of x.\n\n"
          "Returns False, and writes nothing, if the layout of an array does not fit.");
    m.def("two_point_rates", &two_point_rates, "x"_a, "out"_a, "other"_a, THINNET_KEY, "where"_a, "thresholds"_a,
          "dropped_gain"_a.none(), "dropped_shift"_a.none(), "kept_gain"_a, "kept_shift"_a.none(), THINNET_RANGE,
          "Write a two-point law whose thresholds (int32) and factors are contiguous arrays of one shape.\n\n"
          "The shape has the axes of x, some of one entry. None stands for factors that are all 0.\n"
          "Returns False, and writes nothing, if the layout of an array does not fit.");
    m.def("two_point_at", &two_point_at, "x"_a, "out"_a, "count"_a, "type"_a, THINNET_KEY, "threshold"_a,
          "dropped_gain"_a, "kept_gain"_a,
          "Write a two-point law without shifts of `count` entries at address x to address `out`.\n\n"
          "Types 0 to 3 are float16, bfloat16, float32 and float64.");
    m.def("table", &table, "x"_a, "out"_a, "other"_a.none(), "gains"_a, "shifts"_a.none(), THINNET_KEY, "where"_a,
          THINNET_RANGE,
          "Write `gains[lane] * x + shifts[lane] * other` to `out`; `other` and `shifts` may both be None.\n\n"
          "Returns False, and writes nothing, if the layout of an array does not fit.");
    m.def("dense_forward", &dense_forward, "z"_a, "y"_a, "bias"_a, THINNET_KEY, THINNET_DENSE, THINNET_RANGE,
          "Write `dropout(activation(z + bias))` to y for rows begin to end; GELU writes z + bias to z too.");
    m.def("dense_backward", &dense_backward, "saved"_a, "dy"_a, THINNET_KEY, THINNET_DENSE, THINNET_RANGE,
          "Turn the gradient of y into that of z in place; `saved` is y, or z + bias for GELU.");
    m.def("update", &update, "w"_a, "g"_a, "first"_a, "second"_a, "rule"_a, "rate"_a, "l2"_a, "shrink"_a, "beta1"_a,
          "beta2"_a, "epsilon"_a, "correction"_a, "decayed"_a, "columns"_a, "max_norm"_a, THINNET_RANGE,
          "Update weights in place; rules 0 to 3 are SGD, momentum, Nesterov's and Adam.");
}

}  // namespace thinnet
