// The law of every variant, y = gain * x + shift * other: the only file of the kernels that multiplies an entry
// by a gain. `thinnet/_core/apply.py` is its definition: a term whose factor is 0 is left out, the products are
// rounded one by one, and where both factors are 0, y is +0.

// The terms of gain * x + shift * other whose factor is not 0.
enum Terms : int { NONE, GAIN, SHIFT, BOTH };

template <class T>
static inline int terms_of(T gain, T shift) {
    return (gain != T(0) ? GAIN : NONE) | (shift != T(0) ? SHIFT : NONE);
}

// A factor that is 0 in the type of the computation is 0.
static inline int terms_of(const Side& side, Type type) {
    if (type == Type::f64) return terms_of(side.gain, side.shift);
    return terms_of(static_cast<float>(side.gain), static_cast<float>(side.shift));
}

// The terms are known when this is compiled.
template <int TERMS, class T>
static inline T apply(T gain, T shift, T x, T other) {
    if constexpr (TERMS == GAIN) return gain * x;
    if constexpr (TERMS == SHIFT) return shift * other;
    if constexpr (TERMS == BOTH) {
        const T first = gain * x, second = shift * other;
        return first + second;
    }
    return T(0);
}

// The factors of every entry may be 0.
template <class T>
static inline T apply(T gain, T shift, T x, T other) {
    const T first = apply<GAIN, T>(gain, shift, x, other);
    const T second = shift == T(0) ? T(0) : apply<SHIFT, T>(gain, shift, x, other);
    const T both = first + second;
    return gain == T(0) ? second : shift == T(0) ? first : both;
}

// A law without a second term.
template <class T>
static inline T scale(T gain, T x) {
    return apply<GAIN, T>(gain, T(0), x, T(0));
}

// Gains and shifts of the two sides of a law in the type of the computation.
template <class T>
struct Factors {
    T dropped_gain, dropped_shift, kept_gain, kept_shift;
};

template <class T>
using Chunk = void (*)(const Factors<T>&, std::int32_t threshold, const std::uint16_t* lanes, const T* x,
                       const T* other, T constant, T* out, std::int64_t count);

// `other` is an array, or null for `constant` at every entry.
template <class T, int DROPPED, int KEPT>
static void chunk(const Factors<T>& f, std::int32_t threshold, const std::uint16_t* lanes, const T* x,
                  const T* other, T constant, T* out, std::int64_t count) {
    const Factors<T> c = f;
    constexpr bool shifts = DROPPED >= SHIFT || KEPT >= SHIFT;
    if (shifts && other) {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T dropped = apply<DROPPED>(c.dropped_gain, c.dropped_shift, x[i], other[i]);
            const T kept = apply<KEPT>(c.kept_gain, c.kept_shift, x[i], other[i]);
            out[i] = lanes[i] >= threshold ? kept : dropped;
        }
    } else {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T dropped = apply<DROPPED>(c.dropped_gain, c.dropped_shift, x[i], constant);
            const T kept = apply<KEPT>(c.kept_gain, c.kept_shift, x[i], constant);
            out[i] = lanes[i] >= threshold ? kept : dropped;
        }
    }
}

template <class T>
static Chunk<T> chunk_of(int dropped, int kept) {
#define THINNET_ROW(D) {chunk<T, D, NONE>, chunk<T, D, GAIN>, chunk<T, D, SHIFT>, chunk<T, D, BOTH>}
    static constexpr Chunk<T> CHUNKS[4][4] = {THINNET_ROW(NONE), THINNET_ROW(GAIN), THINNET_ROW(SHIFT),
                                              THINNET_ROW(BOTH)};
#undef THINNET_ROW
    return CHUNKS[dropped][kept];
}

// One pair of factors for a run of entries, as on an axis whose entries share a lane.
template <class T, int TERMS>
static void run(T gain, T shift, const T* x, const T* other, T* out, std::int64_t count) {
    if constexpr (TERMS == NONE) {
        std::memset(out, 0, static_cast<std::size_t>(count) * sizeof(T));
    } else {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            out[i] = apply<TERMS>(gain, shift, x[i], TERMS >= SHIFT ? other[i] : T(0));
        }
    }
}

template <class T>
static void run_of(int terms, T gain, T shift, const T* x, const T* other, T* out, std::int64_t count) {
    switch (terms) {
        case NONE: return run<T, NONE>(gain, shift, x, other, out, count);
        case GAIN: return run<T, GAIN>(gain, shift, x, other, out, count);
        case SHIFT: return run<T, SHIFT>(gain, shift, x, other, out, count);
        default: return run<T, BOTH>(gain, shift, x, other, out, count);
    }
}

// Zero or scale, the law of most calls: 0 where lane < threshold, else gain * x.
template <class S>
static inline void zero_or_scale(typename S::Real gain, std::int32_t threshold, const std::uint16_t* lanes,
                                 const typename S::Item* x, typename S::Item* out, std::int64_t count) {
    if constexpr (S::type == Type::bf16) {
        // A NaN comes from x, whose lower 16 bits are 0: rounding cannot carry it over into a number.
        alignas(64) std::uint32_t wide[CHUNK];
        convert<raise>(x, wide, count);
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint32_t product = bits_of(scale(gain, float_of(wide[i])));
            const std::uint32_t even = product + (0x7FFFu + (product >> 16 & 1u));
            wide[i] = lanes[i] >= threshold ? even : 0u;
        }
        convert<lower>(wide, out, count);
    } else if constexpr (S::type == Type::f16) {
        alignas(64) float xs[CHUNK];
        widen(S::type, x, xs, count);
        zero_or_scale<F32>(gain, threshold, lanes, xs, xs, count);
        narrow(S::type, xs, out, count);
    } else {
        using T = typename S::Real;
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T product = scale(gain, x[i]);
            out[i] = lanes[i] >= threshold ? product : T(0);
        }
    }
}
