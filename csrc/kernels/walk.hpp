// Apply a law to the entries of a plan: cut an array into runs, draw their lanes, call the law on each run.

// Prefetch entries. While lanes are computed no entry is loaded, and the hardware prefetcher loses the stream: without
// this, arrays larger than the caches take more than twice as long.
static inline void prefetch(const void* x, std::int64_t bytes) {
    for (std::int64_t i = 0; i < bytes; i += 64) THINNET_PREFETCH(static_cast<const char*>(x) + i);
}
static constexpr std::int64_t AHEAD = 1024;  // bytes

// Cut a range into pieces that are runs of memory in every array, at most `most` entries each.
// `step` receives the place of a piece and its length, and advances the place to the end of the piece.
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

// A long run that shares one lane needs one comparison.
static constexpr std::int64_t LONG = 64;

static inline bool long_runs(const Plan& plan) {
    const int last = plan.axes - 1;
    return plan.axes && plan.lane[last] == 0 && plan.size[last] >= LONG && plan.flat >= plan.size[last];
}

// The terms and the factors of one run.
template <class T>
struct Pick {
    int terms;
    T gain, shift;
};

// Apply a law run by run, one lane for each run; `pick(lane)` returns the factors of the run.
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

// A law on entries in memory, made of a law on the type of the computation: `law(lanes, x, other, out, count)`, where
// other may be null and count is at most CHUNK; x and out may be one array.
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

// Apply a law to a run of consecutive lanes, which are drawn where they are used: while the loads and stores of one
// group wait for memory, the blocks of the next group are computed.
template <class Item, class F>
static void stream(const Schedule& given, const F& law, std::int64_t lane, const Item* x, const Item* other,
                   Item* out, std::int64_t count) {
    const Schedule key = given;  // a copy that `out` cannot alias stays in registers
    constexpr std::int64_t DRAWN = SIDE_BY_SIDE * GROUP, BYTES = DRAWN * static_cast<std::int64_t>(sizeof *x);
    alignas(64) std::uint16_t lanes[DRAWN];
    std::uint64_t block = static_cast<std::uint64_t>(lane) / BLOCK;
    std::int64_t skipped = lane % BLOCK;  // lanes of the first block before the run
    while (count > 0) {
        const Wide above = spread(block >> 32);
        std::int64_t left = least(count, alike(block, (skipped + count + BLOCK - 1) / BLOCK) * BLOCK - skipped);
        count -= left;
        while (left > 0) {
            const bool many = skipped + left > GROUP;
            prefetch(reinterpret_cast<const char*>(x) + AHEAD, BYTES);
            if (other) prefetch(reinterpret_cast<const char*>(other) + AHEAD, BYTES);
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

// Runs of this length or longer are streamed; shorter ones share drawn lanes.
static constexpr std::int64_t STREAMED = 256;

// Arrays whose fastest axis in memory is not that of the lanes, such as arrays in Fortran order. Lanes of a tile are
// drawn along their own axis and transposed, so that the law runs along memory. Threads share the fastest axis: a
// border of the range is mapped to it in proportion.
template <class S, class F>
static void every_tile(const Source& source, const Plan& plan, Range range, const Arrays& arrays, const F& law) {
    using Item = typename S::Item;
    constexpr std::int64_t TALL = 128, WIDE = 128, PITCH = WIDE + 16;  // the pitch spreads rows over cache sets
    const int fast = plan.axes - 1, across = plan.crossed;
    Plan rest;  // all other axes
    for (int a = 0; a < fast; ++a) {
        if (a == across) continue;
        const int b = rest.axes++;
        rest.size[b] = plan.size[a];
        rest.x[b] = plan.x[a];
        rest.out[b] = plan.out[a];
        rest.other[b] = plan.other[a];
        rest.lane[b] = plan.lane[a];
        rest.rate[b] = 0;
        rest.total *= plan.size[a];
    }
    const std::int64_t before = rest.total * plan.size[across], end = range.end / before;
    const Schedule key(source.key);
    alignas(64) std::uint16_t drawn[TALL + 2 * BLOCK + OVER], turned[TALL * PITCH];
    const auto tile = [&](const Place& place, std::int64_t row, std::int64_t rows, std::int64_t entry,
                          std::int64_t entries) {
        for (std::int64_t j = 0; j < entries; ++j) {
            const auto lane = place.lane + static_cast<std::uint64_t>((entry + j) * plan.lane[fast] + row);
            const auto skipped = static_cast<std::int64_t>(lane % BLOCK);
            philox(key, lane / BLOCK, (skipped + rows + BLOCK - 1) / BLOCK, drawn);
            for (std::int64_t i = 0; i < rows; ++i) turned[i * PITCH + j] = drawn[skipped + i];
        }
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t along = row + i, at = entry * static_cast<std::int64_t>(sizeof(Item));
            const char* other = arrays.other ? arrays.other + place.other + along * plan.other[across] + at : nullptr;
            law(turned + i * PITCH, reinterpret_cast<const Item*>(arrays.x + place.x + along * plan.x[across] + at),
                reinterpret_cast<const Item*>(other),
                reinterpret_cast<Item*>(arrays.out + place.out + along * plan.out[across] + at), entries);
        }
    };
    for (std::int64_t number = 0; number < rest.total; ++number) {
        const Place place(rest, number, source.start);
        for (std::int64_t entry = range.begin / before; entry < end; entry += WIDE) {
            for (std::int64_t row = 0; row < plan.size[across]; row += TALL) {
                tile(place, row, least(TALL, plan.size[across] - row), entry, least(WIDE, end - entry));
            }
        }
    }
}

// Apply a law to all entries of a range.
template <class S, class F>
static void every_entry(const Source& source, const Plan& plan, Range range, const Arrays& arrays, const F& law) {
    using Item = typename S::Item;
    const auto there = [&](const Place& place) {
        return arrays.other ? reinterpret_cast<const Item*>(arrays.other + place.other) : nullptr;
    };
    if (plan.total == 0) return;
    if (plan.crossed >= 0) return every_tile<S>(source, plan, range, arrays, law);
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
        prefetch(x, count * static_cast<std::int64_t>(sizeof(Item)));
        law(lanes.next(place, count), x, other, out, count);
    });
}

