// Any processor: four blocks at a time in plain C++.
static constexpr int WIDTH = 4, SIDE_BY_SIDE = 1;

struct Wide {
    std::uint64_t v[WIDTH];
};

template <class F>
static inline Wide each(F f) {
    Wide r;
    for (int i = 0; i < WIDTH; ++i) r.v[i] = f(i);
    return r;
}
static inline Wide counters(std::uint64_t first) {
    return each([=](int i) { return first + static_cast<std::uint64_t>(i); });
}
static inline Wide spread(std::uint64_t value) {
    return each([=](int) { return value; });
}
static inline Wide multiply(const Wide& a, const Wide& b) {
    return each([&](int i) { return (a.v[i] & 0xFFFFFFFFu) * (b.v[i] & 0xFFFFFFFFu); });
}
static inline Wide swap(const Wide& a) {
    return each([&](int i) { return a.v[i] >> 32 | a.v[i] << 32; });
}
static inline Wide high(const Wide& a) {
    return each([&](int i) { return a.v[i] >> 32; });
}
static inline Wide mix(const Wide& a, const Wide& b, const Wide& c) {
    return each([&](int i) { return a.v[i] ^ b.v[i] ^ c.v[i]; });
}
// a ^ b ^ c in the low halves, a alone in the high ones.
static inline Wide mix_low(const Wide& a, const Wide& b, const Wide& c) {
    return each([&](int i) { return a.v[i] ^ ((b.v[i] ^ c.v[i]) & 0xFFFFFFFFu); });
}
// a: the first two words of each block; b: the other two.
static inline void store(const Wide& a, const Wide& b, std::uint16_t* out) {
    for (int i = 0; i < WIDTH; ++i) {
        for (int j = 0; j < 4; ++j) *out++ = static_cast<std::uint16_t>(a.v[i] >> (16 * j));
        for (int j = 0; j < 4; ++j) *out++ = static_cast<std::uint16_t>(b.v[i] >> (16 * j));
    }
}

// IEEE half precision by integers: subnormals are rescaled by a multiplication, specials keep their exponent.
static inline void widen16(const std::uint16_t* in, float* out) {
    const std::uint32_t body = static_cast<std::uint32_t>(*in & 0x7FFFu) << 13;
    const std::uint32_t sign = static_cast<std::uint32_t>(*in & 0x8000u) << 16;
    std::uint32_t bits;
    if (body >= 0x0F800000u) {
        bits = body | 0x7F800000u;
        if (body & 0x007FFFFFu) bits |= 0x00400000u;
    } else {
        float value;
        std::memcpy(&value, &body, 4);
        value *= 5.192296858534828e33f;  // 2**112, the difference of the two biases
        std::memcpy(&bits, &value, 4);
    }
    bits |= sign;
    std::memcpy(out, &bits, 4);
}
static inline void narrow16(const float* in, std::uint16_t* out) {
    std::uint32_t bits;
    std::memcpy(&bits, in, 4);
    const std::uint32_t sign = bits >> 16 & 0x8000u;
    std::uint32_t body = bits & 0x7FFFFFFFu, half;
    if (body > 0x7F800000u) {
        half = 0x7E00u | (body >> 13 & 0x03FFu);
    } else if (body >= 0x477FF000u) {
        half = 0x7C00u;  // rounds to infinity
    } else if (body < 0x38800000u) {
        float value;
        std::memcpy(&value, &body, 4);
        value += 0.5f;  // the sum's last place is the least subnormal half, so the adder rounds to even
        std::memcpy(&half, &value, 4);
        half -= 0x3F000000u;
    } else {
        half = (body + 0xC8000FFFu + (body >> 13 & 1u)) >> 13;
    }
    *out = static_cast<std::uint16_t>(half | sign);
}
// 16 bits to and from the upper halves of 32.
static inline void raise(const std::uint16_t* in, std::uint32_t* out) {
    *out = static_cast<std::uint32_t>(*in) << 16;
}
static inline void lower(const std::uint32_t* in, std::uint16_t* out) {
    *out = static_cast<std::uint16_t>(*in >> 16);
}
static constexpr int HALVES = 1;

#include "../bodies/bits.hpp"
