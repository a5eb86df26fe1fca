// The arguments of a kernel: the source of lanes, the layout of the arrays, the range of entries.
// They are plain values without functions, so that no body compiles a shared function.
#pragma once

#include <cstdint>

namespace thinnet {

constexpr int MAX_AXES = 66;  // NumPy's 64, and two of our own

// 64 bits of address and the step.
struct Key {
    std::uint32_t low, high, step;
};

// Blocks: an entry is dropped if one of the seeds from its place to `block - 1` further on is below the threshold.
// The last `over` axes are blocked; the grid of seeds is larger than that of entries by block - 1 along each.
struct Blocks {
    int axes = 0, over = 0;
    std::int64_t shape[MAX_AXES];  // of the global grid of seeds
    std::int64_t start[MAX_AXES];
    std::int64_t size[MAX_AXES];   // of the window of entries
    std::int64_t block[MAX_AXES];  // 1 along axes that are not blocked
    std::int64_t plane = 1;        // entries of the blocked axes together
    std::uint32_t threshold = 0;   // of the seeds
};

// The source of lanes: a key; with blocks, entries get lane 0 (dropped) or 65535 (kept).
struct Source {
    Key key;
    std::int64_t start = 0;
    const Blocks* blocks = nullptr;
};

// Axes from the slowest to the fastest, neighbours merged where every array allows it. Strides of arrays
// are in bytes, those of lanes and of rates in entries; a lane stride of 0 means that the axis shares its lanes.
// The last lane stride is 0 or 1, unless `crossed` is set.
struct Plan {
    int axes = 0;
    std::int64_t size[MAX_AXES];
    std::int64_t x[MAX_AXES], out[MAX_AXES], other[MAX_AXES], lane[MAX_AXES], rate[MAX_AXES];
    std::int64_t total = 1;
    std::int64_t flat = 1;   // entries of the last axes over which every array is one run of memory
    bool dense = true;       // few unused lanes lie between the used ones, so drawing ahead pays off
    int crossed = -1;        // the axis of lane stride 1, where that is not the last axis
};

struct Range {
    std::int64_t begin, end;
};

enum class Type : int { f16, bf16, f32, f64 };

// The factors of gain * x + shift * other (kernels/apply.hpp).
struct Side {
    double gain, shift;
};

struct TwoPoint {
    std::uint32_t threshold;  // dropped where lane < threshold; up to 65536
    Side dropped, kept;
    double other;  // used where the array is absent
};

// Arrays of rates: a threshold and factors at each place of a contiguous array. The factors are in the type of the
// computation: dropped gain and shift, kept gain and shift; all but the third may be null, for 0.
struct Rates {
    const std::int32_t* threshold;
    const void* factors[4];
};

struct Arrays {
    Type type;
    const char* x;
    const char* other;  // or null
    char* out;
};

enum class Activation : int { identity, relu, leaky_relu, sigmoid, tanh, selu, gelu };

// The end of a dense layer, rows of `columns` entries: bias, activation, inverted dropout.
struct Dense {
    Type type;  // f32 or f64
    Activation activation;
    double slope;  // of the leaky rectifier
    std::uint32_t threshold;
    double gain;
    std::int64_t columns;
};

enum class Rule : int { sgd, momentum, nesterov, adam };

// One update of weights; `columns` and `max_norm` make it one of a matrix, column by column.
struct Update {
    Type type;
    Rule rule;
    double rate, l2, shrink;  // shrink multiplies the weights first
    double beta1, beta2, epsilon, correction;  // correction: 1 / sqrt(1 - beta2**t)
    std::int64_t decayed;  // the number of leading weights that shrink and l2 act on
    std::int64_t rows, columns;
    double max_norm;  // infinity: none
};

// The kernels of one instruction set.
struct Body {
    const char* name;
    void (*words)(const Key&, std::uint64_t block, std::int64_t blocks, std::uint16_t* out);
    void (*lanes)(const Source&, const Plan&, Range, std::uint16_t* out);
    void (*mask)(const Source&, const Plan&, Range, std::uint32_t threshold, std::uint8_t* out);
    void (*two_point)(const Source&, const Plan&, Range, const TwoPoint&, const Arrays&);
    void (*two_point_rates)(const Source&, const Plan&, Range, const Rates&, double other, const Arrays&);
    void (*table)(const Source&, const Plan&, Range, const float* gains, const float* shifts, const Arrays&);
    std::uint64_t (*fold)(const Key&, std::uint64_t number, std::uint32_t tag);
    void (*dense_forward)(const Source&, const Dense&, Range rows, const void* bias, void* z, void* y);
    void (*dense_backward)(const Source&, const Dense&, Range rows, const void* saved, void* dy);
    void (*update)(const Update&, Range, void* w, const void* g, void* first, void* second);
};

// The bodies that this processor runs, best first; ends with null.
const Body* const* bodies();

}  // namespace thinnet
