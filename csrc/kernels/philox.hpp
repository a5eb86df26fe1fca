// Philox4x32-10, WIDTH blocks at a time. Each 64-bit element carries one 32-bit word: the multiplication
// looks at its low half alone, so what the rounds leave above never has to be cleared.

static constexpr std::uint64_t M0 = 0xD2511F53u, M1 = 0xCD9E8D57u;
static constexpr std::uint32_t W0 = 0x9E3779B9u, W1 = 0xBB67AE85u;
static constexpr int ROUNDS = 10;
static constexpr int BLOCK = 8;  // lanes of a block
static constexpr int GROUP = WIDTH * BLOCK;

// Write the lanes of `blocks` blocks, rounded up to a multiple of WIDTH blocks.
static void philox(const Key& key, std::uint64_t block, std::int64_t blocks, std::uint16_t* out) {
    std::uint32_t k0[ROUNDS], k1[ROUNDS];
    for (int r = 0; r < ROUNDS; ++r) {
        k0[r] = key.low + static_cast<std::uint32_t>(r) * W0;
        k1[r] = key.high + static_cast<std::uint32_t>(r) * W1;
    }
    const Wide m0 = spread(M0), m1 = spread(M1), step = spread(key.step), zero = spread(0);
    for (std::int64_t done = 0; done < blocks; done += WIDTH, out += GROUP) {
        const Wide number = counters(block + static_cast<std::uint64_t>(done));
        Wide c0 = number, c1 = high(number), c2 = step, c3 = zero;
        for (int r = 0; r < ROUNDS; ++r) {
            const Wide p0 = multiply(c0, m0), p1 = multiply(c2, m1);
            c0 = mix(high(p1), c1, spread(k0[r]));
            c2 = mix(high(p0), c3, spread(k1[r]));
            c1 = p1;
            c3 = p0;
        }
        store(c0, c1, c2, c3, out);
    }
}
