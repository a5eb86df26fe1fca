// Philox4x32-10, WIDTH blocks to a vector and SIDE_BY_SIDE vectors at a time, which hides the latency of the
// multiplication. Each 64-bit element carries one 32-bit word. The multiplication reads the low half alone, so the
// high half never has to be cleared.

static constexpr std::uint64_t M0 = 0xD2511F53u, M1 = 0xCD9E8D57u;
static constexpr std::uint32_t W0 = 0x9E3779B9u, W1 = 0xBB67AE85u;
static constexpr int ROUNDS = 10;
static constexpr int BLOCK = 8;  // lanes of a block

// The words of a key in every round.
struct Schedule {
    Wide k0[ROUNDS], k1[ROUNDS], step;

    explicit Schedule(const Key& key) : step(spread(key.step)) {
        for (int r = 0; r < ROUNDS; ++r) {
            k0[r] = spread(key.low + static_cast<std::uint32_t>(r) * W0);
            k1[r] = spread(key.high + static_cast<std::uint32_t>(r) * W1);
        }
    }
};

// The number of blocks, of `count` from `block` on, whose numbers have the same high word.
static inline std::int64_t alike(std::uint64_t block, std::int64_t count) {
    const auto left = static_cast<std::int64_t>((std::uint64_t{1} << 32) - (block & 0xFFFFFFFFu));
    return left < count ? left : count;
}

// Write the lanes of N * WIDTH blocks; `above` is the high word of the number of the first one. The compiler moves the
// constant part, most of the first two rounds, out of the loop of the caller.
template <int N>
static inline void some_blocks(const Schedule& key, Wide above, std::uint64_t block, std::uint16_t* out) {
    const Wide m0 = spread(M0), m1 = spread(M1);
    Wide c0[N], c1[N], c2[N], c3[N];
    for (int n = 0; n < N; ++n) {
        c0[n] = counters(block + static_cast<std::uint64_t>(n * WIDTH));
        c1[n] = above;
        c2[n] = key.step;
        c3[n] = spread(0);
    }
    for (int r = 0; r < ROUNDS - 1; ++r) {
        for (int n = 0; n < N; ++n) {
            const Wide p0 = multiply(c0[n], m0), p1 = multiply(c2[n], m1);
            c0[n] = mix(high(p1), c1[n], key.k0[r]);
            c2[n] = mix(high(p0), c3[n], key.k1[r]);
            c1[n] = p1;
            c3[n] = p0;
        }
    }
    for (int n = 0; n < N; ++n) {
        const Wide p0 = multiply(c0[n], m0), p1 = multiply(c2[n], m1);
        store(mix_low(swap(p1), c1[n], key.k0[ROUNDS - 1]), mix_low(swap(p0), c3[n], key.k1[ROUNDS - 1]),
              out + n * WIDTH * BLOCK);
    }
}

// Blocks are written in groups of this many lanes.
static constexpr int GROUP = WIDTH * BLOCK;

// Write the lanes of `blocks` blocks, and fewer than OVER lanes after them.
static constexpr int OVER = (SIDE_BY_SIDE + 1) * GROUP;  // of the last groups; one more where the high word changes

static void philox(const Schedule& key, std::uint64_t block, std::int64_t blocks, std::uint16_t* out) {
    const Schedule schedule = key;  // a copy that `out` cannot alias stays in registers
    while (blocks > 0) {
        const std::int64_t count = alike(block, blocks);
        const Wide above = spread(block >> 32);
        std::int64_t done = 0;
        // A single group waits for every multiplication, so two groups already run together.
        for (; count - done > WIDTH; done += SIDE_BY_SIDE * WIDTH) {
            some_blocks<SIDE_BY_SIDE>(schedule, above, block + static_cast<std::uint64_t>(done), out + done * BLOCK);
        }
        if (done < count) some_blocks<1>(schedule, above, block + static_cast<std::uint64_t>(done), out + done * BLOCK);
        // lanes of the last group beyond the count are overwritten
        out += count * BLOCK;
        block += static_cast<std::uint64_t>(count);
        blocks -= count;
    }
}

// Write exactly `blocks` blocks.
static void words(const Key& key, std::uint64_t block, std::int64_t blocks, std::uint16_t* out) {
    constexpr std::int64_t SOME = 256;
    alignas(64) std::uint16_t lanes[SOME * BLOCK + OVER];
    const Schedule schedule(key);
    for (; blocks > 0; blocks -= SOME, block += SOME, out += SOME * BLOCK) {
        const std::int64_t count = blocks < SOME ? blocks : SOME;
        philox(schedule, block, count, lanes);
        std::memcpy(out, lanes, static_cast<std::size_t>(count * BLOCK) * sizeof *out);
    }
}
