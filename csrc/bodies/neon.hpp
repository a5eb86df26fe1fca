// NEON of AArch64.

static constexpr int WIDTH = 2, SIDE_BY_SIDE = 4;

struct Wide {
    uint64x2_t v;
};

static inline Wide counters(std::uint64_t first) {
    return {vaddq_u64(vdupq_n_u64(first), vcombine_u64(vcreate_u64(0), vcreate_u64(1)))};
}
static inline Wide spread(std::uint64_t value) { return {vdupq_n_u64(value)}; }
static inline Wide multiply(Wide a, Wide b) { return {vmull_u32(vmovn_u64(a.v), vmovn_u64(b.v))}; }
static inline Wide swap(Wide a) { return {vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(a.v)))}; }
static inline Wide high(Wide a) { return {vshrq_n_u64(a.v, 32)}; }
static inline Wide mix(Wide a, Wide b, Wide c) { return {veorq_u64(veorq_u64(a.v, b.v), c.v)}; }

// a ^ b ^ c in the low halves, a alone in the high ones.
static inline Wide mix_low(Wide a, Wide b, Wide c) {
    return {vbslq_u64(vdupq_n_u64(0xFFFFFFFFu), mix(a, b, c).v, a.v)};
}
// a: the first two words of each block; b: the other two.
static inline void store(Wide a, Wide b, std::uint16_t* out) {
    vst1q_u16(out, vreinterpretq_u16_u64(vzip1q_u64(a.v, b.v)));
    vst1q_u16(out + 8, vreinterpretq_u16_u64(vzip2q_u64(a.v, b.v)));
}

static inline void widen16(const std::uint16_t* in, float* out) {
    vst1q_f32(out, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(in))));
}
static inline void narrow16(const float* in, std::uint16_t* out) {
    vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(in))));
}
// 16 bits to and from the upper halves of 32.
static inline void raise(const std::uint16_t* in, std::uint32_t* out) {
    vst1q_u32(out, vshll_n_u16(vld1_u16(in), 16));
}
static inline void lower(const std::uint32_t* in, std::uint16_t* out) {
    vst1_u16(out, vshrn_n_u32(vld1q_u32(in), 16));
}
static constexpr int HALVES = 4;

#include "../bodies/bits.hpp"
