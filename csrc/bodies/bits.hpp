// Lanes to bits and back, 64 at a time, where no instruction does it.

// Which lanes are below a threshold of up to 65536, from the lowest bit on.
static inline std::uint64_t below(const std::uint16_t* lanes, std::uint32_t threshold) {
    std::uint8_t flags[64];
    for (int i = 0; i < 64; ++i) flags[i] = lanes[i] < threshold;
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) {
        // Eight flags are eight bytes; each step of the product moves one to its place in the highest byte.
        std::uint64_t eight = 0;
        for (int j = 0; j < 8; ++j) eight |= static_cast<std::uint64_t>(flags[8 * i + j]) << 8 * j;
        bits |= (eight * 0x0102040810204080u >> 56) << 8 * i;
    }
    return bits;
}

// The lanes (0 dropped, 65535 kept) that eight bits stand for.
struct Eight {
    std::uint16_t lanes[256][8];

    constexpr Eight() : lanes() {
        for (int bits = 0; bits < 256; ++bits) {
            for (int i = 0; i < 8; ++i) lanes[bits][i] = (bits >> i & 1) ? 0 : 0xFFFF;
        }
    }
};
static constexpr Eight EIGHT;

static inline void unfold(std::uint64_t bits, std::uint16_t* lanes) {
    for (int i = 0; i < 8; ++i) std::memcpy(lanes + 8 * i, EIGHT.lanes[bits >> 8 * i & 0xFF], sizeof EIGHT.lanes[0]);
}
