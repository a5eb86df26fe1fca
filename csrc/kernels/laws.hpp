// Laws: a lane chooses the factors of an entry. Every law is a loop over one run of entries.

template <class S>
static void two_point_in(const Source& source, const Plan& plan, Range range, const TwoPoint& law,
                         const Arrays& arrays) {
    using Item = typename S::Item;
    using T = typename S::Real;
    const Factors<T> f{static_cast<T>(law.dropped.gain), static_cast<T>(law.dropped.shift),
                       static_cast<T>(law.kept.gain), static_cast<T>(law.kept.shift)};
    const auto threshold = static_cast<std::int32_t>(law.threshold);
    const int dropped = terms_of(law.dropped, arrays.type), kept = terms_of(law.kept, arrays.type);
    const auto constant = static_cast<T>(law.other);
    if (long_runs(plan)) {
        every_run<S>(source, plan, range, arrays, constant, [&](std::int32_t lane) {
            return lane >= threshold ? Pick<T>{kept, f.kept_gain, f.kept_shift}
                                     : Pick<T>{dropped, f.dropped_gain, f.dropped_shift};
        });
        return;
    }
    if (dropped == NONE && kept == GAIN) {
        const T gain = f.kept_gain;
        const auto inverted = [=](const std::uint16_t* lanes, const Item* x, const Item*, Item* out,
                                  std::int64_t count) { zero_or_scale<S>(gain, threshold, lanes, x, out, count); };
        every_entry<S>(source, plan, range, arrays, inverted);
        return;
    }
    const Chunk<T> loop = chunk_of<T>(dropped, kept);
    const auto computed = [=](const std::uint16_t* lanes, const T* x, const T* other, T* out, std::int64_t count) {
        loop(f, threshold, lanes, x, other, constant, out, count);
    };
    every_entry<S>(source, plan, range, arrays, Computed<S, decltype(computed)>{computed});
}

// The factors at place `rate` of arrays of rates.
template <class T>
static inline Factors<T> factors_at(const Rates& rates, std::int64_t rate) {
    const auto at = [&](int which) {
        return rates.factors[which] ? static_cast<const T*>(rates.factors[which])[rate] : T(0);
    };
    return {at(0), at(1), at(2), at(3)};
}

// A two-point law whose threshold and factors are arrays. A run of entries has one rate, or one for each entry.
template <class S>
static void two_point_rates_in(const Source& source, const Plan& plan, Range range, const Rates& rates,
                               double other, const Arrays& arrays) {
    using Item = typename S::Item;
    using T = typename S::Real;
    const auto constant = static_cast<T>(other);
    const bool own = plan.axes > 0 && plan.rate[plan.axes - 1] != 0, inverted = !rates.factors[0];
    std::int64_t rate = 0;
    const auto computed = [&](const std::uint16_t* lanes, const T* x, const T* other, T* out, std::int64_t count) {
        const std::int32_t* threshold = rates.threshold + rate;
        if (!own) {
            const Factors<T> f = factors_at<T>(rates, rate);
            const Chunk<T> loop = chunk_of<T>(terms_of(f.dropped_gain, f.dropped_shift),
                                              terms_of(f.kept_gain, f.kept_shift));
            loop(f, *threshold, lanes, x, other, constant, out, count);
        } else if (inverted) {
            const T* gains = static_cast<const T*>(rates.factors[2]) + rate;
            THINNET_LOOP
            for (std::int64_t i = 0; i < count; ++i) {
                const T product = scale(gains[i], x[i]);
                out[i] = lanes[i] >= threshold[i] && gains[i] != T(0) ? product : T(0);
            }
        } else {
            const T* f[4];
            for (int k = 0; k < 4; ++k) f[k] = static_cast<const T*>(rates.factors[k]) + rate;
            THINNET_LOOP
            for (std::int64_t i = 0; i < count; ++i) {
                const bool kept = lanes[i] >= threshold[i];
                const T gain = kept ? f[2][i] : f[0][i], shift = kept ? f[3][i] : f[1][i];
                out[i] = apply(gain, shift, x[i], other ? other[i] : constant);
            }
        }
    };
    const Computed<S, decltype(computed)> law{computed};
    Lanes lanes(source, plan);
    walk(plan, range, source.start, CHUNK, [&](Place& place, std::int64_t count) {
        const auto* x = reinterpret_cast<const Item*>(arrays.x + place.x);
        const auto* third = arrays.other ? reinterpret_cast<const Item*>(arrays.other + place.other) : nullptr;
        auto* out = reinterpret_cast<Item*>(arrays.out + place.out);
        rate = place.rate;
        prefetch(x, count * static_cast<std::int64_t>(sizeof(Item)));
        law(lanes.next(place, count), x, third, out, count);
    });
}

template <class S>
static void table_in(const Source& source, const Plan& plan, Range range, const float* gains, const float* shifts,
                     const Arrays& arrays) {
    using T = typename S::Real;
    if (long_runs(plan)) {
        every_run<S>(source, plan, range, arrays, T(0), [&](std::uint16_t lane) {
            const T gain = static_cast<T>(gains[lane]), shift = shifts ? static_cast<T>(shifts[lane]) : T(0);
            return Pick<T>{terms_of(gain, shift), gain, shift};
        });
        return;
    }
    const auto computed = [=](const std::uint16_t* lanes, const T* x, const T* other, T* out, std::int64_t count) {
        if (shifts) {
            for (std::int64_t i = 0; i < count; ++i) {
                out[i] = apply(static_cast<T>(gains[lanes[i]]), static_cast<T>(shifts[lanes[i]]), x[i], other[i]);
            }
            return;
        }
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T gain = static_cast<T>(gains[lanes[i]]);
            const T product = scale(gain, x[i]);
            out[i] = gain == T(0) ? T(0) : product;
        }
    };
    every_entry<S>(source, plan, range, arrays, Computed<S, decltype(computed)>{computed});
}

#define THINNET_TYPES(CALL)                  \
    switch (arrays.type) {                   \
        case Type::f16: return CALL(F16);    \
        case Type::bf16: return CALL(BF16);  \
        case Type::f32: return CALL(F32);    \
        default: return CALL(F64);           \
    }

static void two_point(const Source& source, const Plan& plan, Range range, const TwoPoint& law,
                      const Arrays& arrays) {
#define THINNET_CALL(S) two_point_in<S>(source, plan, range, law, arrays)
    THINNET_TYPES(THINNET_CALL)
#undef THINNET_CALL
}

static void two_point_rates(const Source& source, const Plan& plan, Range range, const Rates& rates, double other,
                            const Arrays& arrays) {
#define THINNET_CALL(S) two_point_rates_in<S>(source, plan, range, rates, other, arrays)
    THINNET_TYPES(THINNET_CALL)
#undef THINNET_CALL
}

// `shifts` may be null.
static void table(const Source& source, const Plan& plan, Range range, const float* gains, const float* shifts,
                  const Arrays& arrays) {
#define THINNET_CALL(S) table_in<S>(source, plan, range, gains, shifts, arrays)
    THINNET_TYPES(THINNET_CALL)
#undef THINNET_CALL
}

// Lanes and masks have contiguous outputs and no input array.
static void lanes(const Source& source, const Plan& plan, Range range, std::uint16_t* out) {
    Lanes drawn(source, plan);
    walk(plan, range, source.start, CHUNK, [&](Place& place, std::int64_t count) {
        char* to = reinterpret_cast<char*>(out) + place.out;
        std::memcpy(to, drawn.next(place, count), static_cast<std::size_t>(count) * sizeof *out);
    });
}

static void mask(const Source& source, const Plan& plan, Range range, std::uint32_t threshold,
                 std::uint8_t* out) {
    Lanes drawn(source, plan);
    const auto least_kept = static_cast<std::int32_t>(threshold);
    walk(plan, range, source.start, CHUNK, [&](Place& place, std::int64_t count) {
        std::uint8_t* kept = out + place.out;
        const std::uint16_t* lane = drawn.next(place, count);
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) kept[i] = lane[i] >= least_kept;
    });
}

// The first 64 bits of the block at a counter of 64 bits, the step of the key and a tag: the address of a folded key.
static std::uint64_t fold(const Key& key, std::uint64_t number, std::uint32_t tag) {
    std::uint32_t c[4] = {static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32), key.step, tag};
    std::uint32_t low = key.low, high = key.high;
    for (int r = 0; r < ROUNDS; ++r, low += W0, high += W1) {
        const std::uint64_t p0 = M0 * c[0], p1 = M1 * c[2];
        const std::uint32_t up0 = static_cast<std::uint32_t>(p0 >> 32), up1 = static_cast<std::uint32_t>(p1 >> 32);
        const std::uint32_t next[4] = {up1 ^ c[1] ^ low, static_cast<std::uint32_t>(p1), up0 ^ c[3] ^ high,
                                       static_cast<std::uint32_t>(p0)};
        std::memcpy(c, next, sizeof c);
    }
    return static_cast<std::uint64_t>(c[1]) << 32 | c[0];
}
