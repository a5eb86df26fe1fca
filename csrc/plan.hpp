// What a kernel is told: where lanes come from, how the arrays lie, which entries are asked for.
// Plain values without a line of arithmetic on them, so that no body compiles a shared function.
#pragma once

#include <cstdint>

namespace thinnet {

constexpr int MAX_AXES = 66;  // NumPy's 64, and two of our own

// 64 bits of address and the step.
struct Key {
    std::uint32_t low, high, step;
};

// Seeds grown into blocks: an entry is dropped when one of the seeds from it to `block - 1` further on is.
// The last `over` axes are blocked; seeds lie on a grid that is larger by block - 1 along each.
struct Blocks {
    int axes = 0, over = 0;
    std::int64_t shape[MAX_AXES];  // of the global grid of seeds
    std::int64_t start[MAX_AXES];
    std::int64_t size[MAX_AXES];   // of the window of entries
    std::int64_t block[MAX_AXES];  // 1 along axes that are not blocked
    std::int64_t plane = 1;        // entries of the blocked axes together
    std::uint32_t threshold = 0;   // of the seeds
};

// Where lanes come from: a key; with blocks, entries get lane 0 (dropped) or 65535 (kept).
struct Source {
    Key key;
    std::int64_t start = 0;
    const Blocks* blocks = nullptr;
};

// Axes from the slowest to the fastest, neighbours merged where every array allows it. Strides of arrays
// are in bytes; a lane stride of 0 means that the axis shares its lanes. The last lane stride is 0 or 1.
struct Plan {
    int axes = 0;
    std::int64_t size[MAX_AXES];
    std::int64_t x[MAX_AXES], out[MAX_AXES], other[MAX_AXES], lane[MAX_AXES];
    std::int64_t total = 1;
    std::int64_t flat = 1;   // entries at the end over which every array is one run of memory
    bool dense = true;       // lanes that lie between those asked for are few: worth drawing ahead
};

struct Range {
    std::int64_t begin, end;
};

enum class Type : int { f16, bf16, f32, f64 };

// gain * x + shift * other; a term whose factor is 0 is left out.
struct Side {
    double gain, shift;
};

struct TwoPoint {
    std::uint32_t threshold;  // dropped where lane < threshold; up to 65536
    Side dropped, kept;
    double other;  // used where the array is absent
};

struct Arrays {
    Type type;
    const char* x;
    const char* other;  // or null
    char* out;
};

enum class Activation : int { identity, relu, leaky_relu, sigmoid, tanh, selu, gelu };

// One dense layer's end, rows of `columns` entries: bias, activation, inverted dropout.
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
    double rate, l2, shrink;  // shrink multiplies the weights first (1: not at all)
    double beta1, beta2, epsilon, correction;  // correction: 1 / sqrt(1 - beta2**t)
    std::int64_t decayed;  // how many of the first weights are shrunk and feel l2
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
    void (*table)(const Source&, const Plan&, Range, const float* gains, const float* shifts, const Arrays&);
    void (*dense_forward)(const Source&, const Dense&, Range rows, const void* bias, void* z, void* y);
    void (*dense_backward)(const Source&, const Dense&, Range rows, const void* saved, void* dy);
    void (*update)(const Update&, Range, void* w, const void* g, void* first, void* second);
};

// The bodies that this processor runs, best first; ends with null.
const Body* const* bodies();

}  // namespace thinnet
