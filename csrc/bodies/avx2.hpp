// AVX2 with F16C.

static constexpr int WIDTH = 4, SIDE_BY_SIDE = 3;

struct Wide {
    __m256i v;
};

// Numbers of blocks, in the order that lets the unpack instructions of `store` bring them into sequence.
static inline Wide counters(std::uint64_t first) {
    return {_mm256_add_epi64(_mm256_set1_epi64x(static_cast<long long>(first)), _mm256_set_epi64x(3, 1, 2, 0))};
}
static inline Wide spread(std::uint64_t value) {
    return {_mm256_set1_epi64x(static_cast<long long>(value))};
}
static inline Wide multiply(Wide a, Wide b) { return {_mm256_mul_epu32(a.v, b.v)}; }
static inline Wide swap(Wide a) { return {_mm256_shuffle_epi32(a.v, 0xB1)}; }
static inline Wide high(Wide a) { return {_mm256_srli_epi64(a.v, 32)}; }
static inline Wide mix(Wide a, Wide b, Wide c) {
    return {_mm256_xor_si256(_mm256_xor_si256(a.v, b.v), c.v)};
}

// a ^ b ^ c in the low halves, a alone in the high ones.
static inline Wide mix_low(Wide a, Wide b, Wide c) {
    return {_mm256_blend_epi32(mix(a, b, c).v, a.v, 0xAA)};
}
// a: the first two words of each block; b: the other two.
static inline void store(Wide a, Wide b, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_unpacklo_epi64(a.v, b.v));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), _mm256_unpackhi_epi64(a.v, b.v));
}

static inline void widen16(const std::uint16_t* in, float* out) {
    _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in))));
}
static inline void narrow16(const float* in, std::uint16_t* out) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// 16 bits to and from the upper halves of 32.
static inline void raise(const std::uint16_t* in, std::uint32_t* out) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_slli_epi32(wide, 16));
}
static inline void lower(const std::uint32_t* in, std::uint16_t* out) {
    const __m256i low = _mm256_srli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(packed));
}
static constexpr int HALVES = 8;

#include "../bodies/bits.hpp"
