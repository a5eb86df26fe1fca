// Laws: what a lane does to an entry. Every law is a loop over one chunk; `walk` cuts an array into chunks.

// The factors of a two-point law in the type that is computed in.
template <class T>
struct Factors {
    T dropped_gain, dropped_shift, kept_gain, kept_shift;
};

// Which terms of gain * x + shift * other there are.
enum Terms : int { NONE, GAIN, SHIFT, BOTH };

static int terms(const Side& side, Type type) {
    // a factor that is 0 in the type computed in is 0
    const bool wide = type == Type::f64;
    const bool gain = wide ? side.gain != 0 : static_cast<float>(side.gain) != 0;
    const bool shift = wide ? side.shift != 0 : static_cast<float>(side.shift) != 0;
    return (gain ? GAIN : NONE) | (shift ? SHIFT : NONE);
}

template <int TERMS, class T>
static inline T side(T gain, T shift, T x, T other) {
    if constexpr (TERMS == GAIN) return gain * x;
    if constexpr (TERMS == SHIFT) return shift * other;
    if constexpr (TERMS == BOTH) {
        const T first = gain * x, second = shift * other;
        return first + second;
    }
    return T(0);
}

template <class T>
using Chunk = void (*)(const Factors<T>&, std::int32_t threshold, const std::uint16_t* lanes, const T* x,
                       const T* other, T constant, T* out, std::int64_t count);

// `other` is an array or, where there is none, `constant` for every entry.
template <class T, int DROPPED, int KEPT>
static void chunk(const Factors<T>& f, std::int32_t threshold, const std::uint16_t* lanes, const T* x,
                  const T* other, T constant, T* out, std::int64_t count) {
    const Factors<T> c = f;
    constexpr bool shifts = DROPPED >= SHIFT || KEPT >= SHIFT;
    if (shifts && other) {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T dropped = side<DROPPED>(c.dropped_gain, c.dropped_shift, x[i], other[i]);
            const T kept = side<KEPT>(c.kept_gain, c.kept_shift, x[i], other[i]);
            out[i] = lanes[i] >= threshold ? kept : dropped;
        }
    } else {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T dropped = side<DROPPED>(c.dropped_gain, c.dropped_shift, x[i], constant);
            const T kept = side<KEPT>(c.kept_gain, c.kept_shift, x[i], constant);
            out[i] = lanes[i] >= threshold ? kept : dropped;
        }
    }
}

// The same where all lanes are one: a shared axis.
template <class T, int TERMS>
static void run(T gain, T shift, const T* x, const T* other, T* out, std::int64_t count) {
    if constexpr (TERMS == NONE) {
        std::memset(out, 0, static_cast<std::size_t>(count) * sizeof(T));
    } else {
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            out[i] = side<TERMS>(gain, shift, x[i], TERMS >= SHIFT ? other[i] : T(0));
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

// Ask for entries that are needed soon. While lanes are computed nothing is loaded, and the processor's own
// prefetching loses the track: without this, arrays beyond the caches take more than twice as long.
static inline void ask_for(const void* x, std::int64_t bytes) {
    for (std::int64_t i = 0; i < bytes; i += 64) THINNET_PREFETCH(static_cast<const char*>(x) + i);
}
static constexpr std::int64_t AHEAD = 1024;  // bytes

// Cut a range into pieces that are runs of memory in every array, at most `most` entries each.
// `step` gets the place of a piece and its length, and moves the place on behind it.
template <class F>
static inline void walk(const Plan& plan, Range range, std::int64_t start, std::int64_t most, F step) {
    if (range.begin >= range.end) return;  // and some axis may be empty
    Place place(plan, range.begin, start);
    for (std::int64_t at = range.begin; at < range.end;) {
        const std::int64_t in_run = plan.flat - at % plan.flat;
        const std::int64_t count = least(least(in_run, range.end - at), most);
        step(place, count);
        at += count;
    }
}

// Long runs under one lane need no lanes of their own, and no comparison for each entry.
static constexpr std::int64_t LONG = 64;

static inline bool long_runs(const Plan& plan) {
    const int last = plan.axes - 1;
    return plan.axes && plan.lane[last] == 0 && plan.size[last] >= LONG && plan.flat >= plan.size[last];
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

// How entries lie in memory, and the type that they are computed in.
template <Type TYPE, class ITEM, class REAL>
struct Stored {
    static constexpr Type type = TYPE;
    using Item = ITEM;
    using Real = REAL;
};
using F16 = Stored<Type::f16, std::uint16_t, float>;
using BF16 = Stored<Type::bf16, std::uint16_t, float>;
using F32 = Stored<Type::f32, float, float>;
using F64 = Stored<Type::f64, double, double>;

// What a law does to the entries of one run.
template <class T>
struct Pick {
    int terms;
    T gain, shift;
};

// Apply a law run by run, one lane a run: `pick(lane)` says what is done to it.
template <class S, class F>
static void every_run(const Source& source, const Plan& plan, Range range, const Arrays& arrays,
                      typename S::Real constant, const F& pick) {
    using T = typename S::Real;
    Plan inner = plan;
    inner.flat = plan.size[plan.axes - 1];
    Lanes lanes(source, inner);
    alignas(64) T others[CHUNK];
    for (std::int64_t i = 0; i < CHUNK; ++i) others[i] = constant;
    walk(inner, range, source.start, CHUNK, [&](Place& place, std::int64_t count) {
        const char* x = arrays.x + place.x;
        const char* other = arrays.other ? arrays.other + place.other : nullptr;
        char* out = arrays.out + place.out;
        const Pick<T> p = pick(lanes.one(place.number()));
        place.advance(inner, count);
        if constexpr (sizeof(typename S::Item) == 2) {
            alignas(64) T xs[CHUNK];
            if (p.terms == NONE) {
                std::memset(out, 0, static_cast<std::size_t>(count) * 2);
                return;
            }
            widen(S::type, x, xs, count);
            if (other) widen(S::type, other, others, count);
            run_of<T>(p.terms, p.gain, p.shift, xs, others, xs, count);
            narrow(S::type, xs, out, count);
        } else {
            run_of<T>(p.terms, p.gain, p.shift, reinterpret_cast<const T*>(x),
                      other ? reinterpret_cast<const T*>(other) : others, reinterpret_cast<T*>(out), count);
        }
    });
}

// Zero or multiply, the law of most calls: 0 where lane < threshold, else gain * x.
template <class S>
static inline void zero_or_scale(typename S::Real gain, std::int32_t threshold, const std::uint16_t* lanes,
                                 const typename S::Item* x, typename S::Item* out, std::int64_t count) {
    if constexpr (S::type == Type::bf16) {
        // A NaN comes from x, whose bits below bfloat16's are 0: rounding cannot carry it over into a number.
        alignas(64) std::uint32_t wide[CHUNK];
        convert<raise>(x, wide, count);
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint32_t product = bits_of(gain * float_of(wide[i]));
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
            const T product = gain * x[i];
            out[i] = lanes[i] >= threshold ? product : T(0);
        }
    }
}

// A law on what is stored, by one on the type that is computed in: `law(lanes, x, other, out, count)`, other null
// where there is none, at most CHUNK entries; x and out may be one array.
template <class S, class F>
struct Computed {
    F law;

    using Item = typename S::Item;
    void operator()(const std::uint16_t* lanes, const Item* x, const Item* other, Item* out,
                    std::int64_t count) const {
        if constexpr (sizeof(Item) == sizeof(typename S::Real)) {
            law(lanes, x, other, out, count);
        } else {
            alignas(64) float xs[CHUNK];
            alignas(64) float others[CHUNK];
            widen(S::type, x, xs, count);
            if (other) widen(S::type, other, others, count);
            law(lanes, xs, other ? others : nullptr, xs, count);
            narrow(S::type, xs, out, count);
        }
    }
};

// Apply a law to a run whose lanes follow one another, drawn right where they are used: while the loads and
// stores of one group wait for memory, the next group's blocks are computed.
template <class Item, class F>
static void stream(const Schedule& given, const F& law, std::int64_t lane, const Item* x, const Item* other,
                   Item* out, std::int64_t count) {
    const Schedule key = given;  // a copy that `out` cannot alias stays in registers
    constexpr std::int64_t DRAWN = SIDE_BY_SIDE * GROUP, BYTES = DRAWN * static_cast<std::int64_t>(sizeof *x);
    alignas(64) std::uint16_t lanes[DRAWN];
    std::uint64_t block = static_cast<std::uint64_t>(lane) / BLOCK;
    std::int64_t skipped = lane % BLOCK;  // lanes of the first block that come before the run
    while (count > 0) {
        const Wide above = spread(block >> 32);
        std::int64_t left = least(count, alike(block, (skipped + count + BLOCK - 1) / BLOCK) * BLOCK - skipped);
        count -= left;
        while (left > 0) {
            const bool many = skipped + left > GROUP;
            ask_for(reinterpret_cast<const char*>(x) + AHEAD, BYTES);
            if (other) ask_for(reinterpret_cast<const char*>(other) + AHEAD, BYTES);
            if (many) some_blocks<SIDE_BY_SIDE>(key, above, block, lanes);
            if (!many) some_blocks<1>(key, above, block, lanes);
            const std::int64_t some = least((many ? DRAWN : GROUP) - skipped, left);
            if (some == DRAWN) {
                law(lanes, x, other, out, DRAWN);  // a loop of known length
            } else {
                law(lanes + skipped, x, other, out, some);
            }
            block += static_cast<std::uint64_t>((skipped + some) / BLOCK);
            skipped = 0;
            left -= some;
            x += some;
            if (other) other += some;
            out += some;
        }
    }
}

// Runs at least as long as this are streamed; shorter ones share what is drawn.
static constexpr std::int64_t STREAMED = 256;

// Apply a law to all entries of a range.
template <class S, class F>
static void every_entry(const Source& source, const Plan& plan, Range range, const Arrays& arrays, const F& law) {
    using Item = typename S::Item;
    const auto there = [&](const Place& place) {
        return arrays.other ? reinterpret_cast<const Item*>(arrays.other + place.other) : nullptr;
    };
    const int last = plan.axes - 1;
    const bool streaming = !source.blocks && plan.lane[last] == 1 && plan.flat >= plan.size[last] &&
                           (plan.size[last] >= STREAMED || plan.axes == 1);
    if (streaming) {
        Plan rows = plan;
        rows.flat = plan.size[last];
        const Schedule key(source.key);
        walk(rows, range, source.start, plan.size[last], [&](Place& place, std::int64_t count) {
            stream(key, law, place.number(), reinterpret_cast<const Item*>(arrays.x + place.x), there(place),
                   reinterpret_cast<Item*>(arrays.out + place.out), count);
            place.advance(rows, count);
        });
        return;
    }
    Lanes lanes(source, plan);
    walk(plan, range, source.start, CHUNK, [&](Place& place, std::int64_t count) {
        const auto* x = reinterpret_cast<const Item*>(arrays.x + place.x);
        const auto* other = there(place);
        auto* out = reinterpret_cast<Item*>(arrays.out + place.out);
        ask_for(x, count * static_cast<std::int64_t>(sizeof(Item)));
        law(lanes.next(place, count), x, other, out, count);
    });
}

template <class S>
static void two_point_in(const Source& source, const Plan& plan, Range range, const TwoPoint& law,
                         const Arrays& arrays) {
    using Item = typename S::Item;
    using T = typename S::Real;
    const Factors<T> f{static_cast<T>(law.dropped.gain), static_cast<T>(law.dropped.shift),
                       static_cast<T>(law.kept.gain), static_cast<T>(law.kept.shift)};
    const auto threshold = static_cast<std::int32_t>(law.threshold);
    const int dropped = terms(law.dropped, arrays.type), kept = terms(law.kept, arrays.type);
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
        const auto law = [=](const std::uint16_t* lanes, const Item* x, const Item*, Item* out, std::int64_t count) {
            zero_or_scale<S>(gain, threshold, lanes, x, out, count);
        };
        every_entry<S>(source, plan, range, arrays, law);
        return;
    }
    const Chunk<T> loop = chunk_of<T>(dropped, kept);
    const auto computed = [=](const std::uint16_t* lanes, const T* x, const T* other, T* out, std::int64_t count) {
        loop(f, threshold, lanes, x, other, constant, out, count);
    };
    every_entry<S>(source, plan, range, arrays, Computed<S, decltype(computed)>{computed});
}

template <class S>
static void table_in(const Source& source, const Plan& plan, Range range, const float* gains, const float* shifts,
                     const Arrays& arrays) {
    using T = typename S::Real;
    if (long_runs(plan)) {
        every_run<S>(source, plan, range, arrays, T(0), [&](std::uint16_t lane) {
            const T gain = static_cast<T>(gains[lane]), shift = shifts ? static_cast<T>(shifts[lane]) : T(0);
            return Pick<T>{(gain != T(0) ? GAIN : NONE) | (shift != T(0) ? SHIFT : NONE), gain, shift};
        });
        return;
    }
    const auto computed = [=](const std::uint16_t* lanes, const T* x, const T* other, T* out, std::int64_t count) {
        if (shifts) {
            for (std::int64_t i = 0; i < count; ++i) {
                const T gain = static_cast<T>(gains[lanes[i]]), shift = static_cast<T>(shifts[lanes[i]]);
                const T first = gain * x[i], second = shift == T(0) ? T(0) : shift * other[i];
                const T both = first + second;
                out[i] = gain == T(0) ? second : shift == T(0) ? first : both;
            }
            return;
        }
        THINNET_LOOP
        for (std::int64_t i = 0; i < count; ++i) {
            const T gain = static_cast<T>(gains[lanes[i]]);
            const T product = gain * x[i];
            out[i] = gain == T(0) ? T(0) : product;
        }
    };
    every_entry<S>(source, plan, range, arrays, Computed<S, decltype(computed)>{computed});
}

static void two_point(const Source& source, const Plan& plan, Range range, const TwoPoint& law,
                      const Arrays& arrays) {
    switch (arrays.type) {
        case Type::f16: return two_point_in<F16>(source, plan, range, law, arrays);
        case Type::bf16: return two_point_in<BF16>(source, plan, range, law, arrays);
        case Type::f32: return two_point_in<F32>(source, plan, range, law, arrays);
        default: return two_point_in<F64>(source, plan, range, law, arrays);
    }
}

// `shifts` may be null.
static void table(const Source& source, const Plan& plan, Range range, const float* gains, const float* shifts,
                  const Arrays& arrays) {
    switch (arrays.type) {
        case Type::f16: return table_in<F16>(source, plan, range, gains, shifts, arrays);
        case Type::bf16: return table_in<BF16>(source, plan, range, gains, shifts, arrays);
        case Type::f32: return table_in<F32>(source, plan, range, gains, shifts, arrays);
        default: return table_in<F64>(source, plan, range, gains, shifts, arrays);
    }
}

// What decides, without an array that it is done to: the outputs are contiguous.
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
