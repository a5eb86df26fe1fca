// The end of a dense layer: bias, activation and inverted dropout in one pass, forward and backward.
//
// The arithmetic is elementwise and rounds alike in every body. Backward needs y alone: divided by the gain, y is the
// activation, and the derivative is a function of it. The derivative of GELU needs z, which is saved instead.

template <class T>
struct Real;
template <>
struct Real<float> {
    using Bits = std::uint32_t;
    static constexpr int MANTISSA = 23, BIAS = 127, TERMS = 8;
    static constexpr float ROUNDER = 12582912.0f;  // 1.5 * 2**23: adding it rounds to a whole number
    static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
};
template <>
struct Real<double> {
    using Bits = std::uint64_t;
    static constexpr int MANTISSA = 52, BIAS = 1023, TERMS = 14;
    static constexpr double ROUNDER = 6755399441055744.0;
    static constexpr double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
};

// exp(x) - 1 for x in [-40, 88]: x = n ln 2 + r, Taylor's series in r, then 2**n * series + (2**n - 1).
template <class T>
static inline T expm1_of(T x) {
    using R = Real<T>;
    const T rounded = x * T(1.4426950408889634) + R::ROUNDER;
    const T n = rounded - R::ROUNDER;
    const T r = x - n * R::LN2_HIGH - n * R::LN2_LOW;
    T factorial = 1, series = 0;
    for (int k = 2; k <= R::TERMS; ++k) factorial *= T(k);
    for (int k = R::TERMS; k >= 1; --k) {
        series = series * r + T(1) / factorial;
        factorial /= T(k);
    }
    typename R::Bits bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    bits = (bits + R::BIAS) << R::MANTISSA;
    T scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return scale * (series * r) + (scale - T(1));
}

template <class T>
static inline T tanh_of(T x) {
    const T size = x < 0 ? -x : x;
    const T e = expm1_of<T>(size > T(20) ? T(40) : T(2) * size);
    const T t = e / (e + T(2));
    return x < 0 ? -t : t;
}

static constexpr double SELU_SCALE = 1.0507009873554804934, SELU_ALPHA = 1.6732632423543772848;
static constexpr double GELU_A = 0.7978845608028653559, GELU_B = 0.044715;

template <Activation A, class T>
static inline T activate(T x, T slope) {
    if constexpr (A == Activation::relu) return x <= 0 ? T(0) : x;
    if constexpr (A == Activation::leaky_relu) return x > 0 ? x : slope * x;
    if constexpr (A == Activation::sigmoid) return T(0.5) * (T(1) + tanh_of<T>(T(0.5) * x));
    if constexpr (A == Activation::tanh) return tanh_of<T>(x);
    if constexpr (A == Activation::selu) {
        const T low = x < T(-40) ? T(-40) : x > 0 ? T(0) : x;
        const T bent = T(SELU_ALPHA) * expm1_of<T>(low);
        return T(SELU_SCALE) * (x > 0 ? x : bent);
    }
    if constexpr (A == Activation::gelu) {
        return T(0.5) * x * (T(1) + tanh_of<T>(T(GELU_A) * (x + T(GELU_B) * x * x * x)));
    }
    return x;
}

// d times the derivative, from the activation a (GELU: from its argument).
template <Activation A, class T>
static inline T slope_times(T d, T a, T slope) {
    if constexpr (A == Activation::relu) return a > 0 ? d : T(0);
    if constexpr (A == Activation::leaky_relu) return a > 0 ? d : slope * d;
    if constexpr (A == Activation::sigmoid) return d * a * (T(1) - a);
    if constexpr (A == Activation::tanh) return d * (T(1) - a * a);
    if constexpr (A == Activation::selu) {
        const T bent = a + T(SELU_SCALE * SELU_ALPHA);
        return d * (a > 0 ? T(SELU_SCALE) : bent);
    }
    if constexpr (A == Activation::gelu) {
        const T t = tanh_of<T>(T(GELU_A) * (a + T(GELU_B) * a * a * a));
        const T inner = T(GELU_A) * (T(1) + T(3 * GELU_B) * a * a);
        return d * (T(0.5) * (T(1) + t) + T(0.5) * a * (T(1) - t * t) * inner);
    }
    return d;
}

// Call `f(row, column, count, lanes)` for pieces of rows; without dropout there are no lanes.
template <class F>
static inline void rows_of(const Source& source, const Dense& dense, Range rows, bool drawing, F f) {
    Drawn drawn(source);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        for (std::int64_t column = 0; column < dense.columns; column += CHUNK) {
            const std::int64_t count = least(CHUNK, dense.columns - column);
            const std::int64_t lane = source.start + row * dense.columns + column;
            const std::int64_t left = (rows.end - row) * dense.columns - column;
            f(row * dense.columns + column, column, count,
              drawing ? drawn.at(lane, count, least(CHUNK, left)) : nullptr);
        }
    }
}

template <Activation A, class T>
static void forward_in(const Source& source, const Dense& dense, Range rows, const T* bias, T* z, T* y) {
    const T slope = static_cast<T>(dense.slope), gain = static_cast<T>(dense.gain);
    const auto threshold = static_cast<std::int32_t>(dense.threshold);
    rows_of(source, dense, rows, threshold > 0,
            [&](std::int64_t at, std::int64_t column, std::int64_t count, const std::uint16_t* lanes) {
                const T* b = bias + column;
                T *from = z + at, *to = y + at;
                if (!lanes) {
                    THINNET_LOOP
                    for (std::int64_t i = 0; i < count; ++i) {
                        const T x = from[i] + b[i];
                        if (A == Activation::gelu) from[i] = x;
                        to[i] = activate<A, T>(x, slope);
                    }
                    return;
                }
                THINNET_LOOP
                for (std::int64_t i = 0; i < count; ++i) {
                    const T x = from[i] + b[i];
                    if (A == Activation::gelu) from[i] = x;
                    const T kept = scale(gain, activate<A, T>(x, slope));
                    to[i] = lanes[i] >= threshold ? kept : T(0);
                }
            });
}

template <Activation A, class T>
static void backward_in(const Source& source, const Dense& dense, Range rows, const T* saved, T* dy) {
    const T slope = static_cast<T>(dense.slope), gain = static_cast<T>(dense.gain);
    const T keep = dense.gain > 0 ? static_cast<T>(1 / dense.gain) : T(0);
    const auto threshold = static_cast<std::int32_t>(dense.threshold);
    // The derivative of a rectifier is 0 at a dropped entry, which is 0: no lanes are needed.
    const bool drawing = threshold > 0 && A != Activation::relu;
    rows_of(source, dense, rows, drawing,
            [&](std::int64_t at, std::int64_t, std::int64_t count, const std::uint16_t* lanes) {
                const T* from = saved + at;
                T* d = dy + at;
                if (!lanes) {
                    const T factor = threshold > 0 ? gain : T(1);
                    THINNET_LOOP
                    for (std::int64_t i = 0; i < count; ++i) d[i] = slope_times<A, T>(scale(factor, d[i]), from[i], slope);
                    return;
                }
                THINNET_LOOP
                for (std::int64_t i = 0; i < count; ++i) {
                    const T unscaled = scale(keep, from[i]);
                    const T a = A == Activation::gelu ? from[i] : unscaled;
                    const T kept = slope_times<A, T>(scale(gain, d[i]), a, slope);
                    d[i] = lanes[i] >= threshold ? kept : T(0);
                }
            });
}

#define THINNET_ACTIVATIONS(CALL)                                                       \
    switch (dense.activation) {                                                         \
        case Activation::relu: return CALL(Activation::relu);                           \
        case Activation::leaky_relu: return CALL(Activation::leaky_relu);               \
        case Activation::sigmoid: return CALL(Activation::sigmoid);                     \
        case Activation::tanh: return CALL(Activation::tanh);                           \
        case Activation::selu: return CALL(Activation::selu);                           \
        case Activation::gelu: return CALL(Activation::gelu);                           \
        default: return CALL(Activation::identity);                                     \
    }

template <class T>
static void forward_as(const Source& source, const Dense& dense, Range rows, const T* bias, T* z, T* y) {
#define THINNET_CALL(A) forward_in<A, T>(source, dense, rows, bias, z, y)
    THINNET_ACTIVATIONS(THINNET_CALL)
#undef THINNET_CALL
}

template <class T>
static void backward_as(const Source& source, const Dense& dense, Range rows, const T* saved, T* dy) {
#define THINNET_CALL(A) backward_in<A, T>(source, dense, rows, saved, dy)
    THINNET_ACTIVATIONS(THINNET_CALL)
#undef THINNET_CALL
}

static void dense_forward(const Source& source, const Dense& dense, Range rows, const void* bias, void* z,
                          void* y) {
    if (dense.type == Type::f64) {
        return forward_as(source, dense, rows, static_cast<const double*>(bias), static_cast<double*>(z),
                          static_cast<double*>(y));
    }
    forward_as(source, dense, rows, static_cast<const float*>(bias), static_cast<float*>(z),
               static_cast<float*>(y));
}

static void dense_backward(const Source& source, const Dense& dense, Range rows, const void* saved,
                           void* dy) {
    if (dense.type == Type::f64) {
        return backward_as(source, dense, rows, static_cast<const double*>(saved), static_cast<double*>(dy));
    }
    backward_as(source, dense, rows, static_cast<const float*>(saved), static_cast<float*>(dy));
}
