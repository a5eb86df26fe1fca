// AVX-512 (F, BW, DQ, VL) with F16C.

static constexpr int WIDTH = 8, SIDE_BY_SIDE = 4;

struct Wide {
    __m512i v;
};

// Numbers of blocks, in the order that lets the unpack instructions of `store` bring them into sequence.
static inline Wide counters(std::uint64_t first) {
    return {_mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(first)),
                             _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0))};
}
static inline Wide spread(std::uint64_t value) {
    return {_mm512_set1_epi64(static_cast<long long>(value))};
}
static inline Wide multiply(Wide a, Wide b) { return {_mm512_mul_epu32(a.v, b.v)}; }
static inline Wide swap(Wide a) { return {_mm512_shuffle_epi32(a.v, _MM_PERM_CDAB)}; }
static inline Wide high(Wide a) { return {_mm512_srli_epi64(a.v, 32)}; }
static inline Wide mix(Wide a, Wide b, Wide c) { return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0x96)}; }

// a ^ b ^ c in the low halves, a alone in the high ones.
static inline Wide mix_low(Wide a, Wide b, Wide c) {
    return {_mm512_mask_ternarylogic_epi32(a.v, 0x5555, b.v, c.v, 0x96)};
}
// a: the first two words of each block; b: the other two.
static inline void store(Wide a, Wide b, std::uint16_t* out) {
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(a.v, b.v));
    _mm512_storeu_si512(out + 32, _mm512_unpackhi_epi64(a.v, b.v));
}

static inline void widen16(const std::uint16_t* in, float* out) {
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in))));
}
static inline void narrow16(const float* in, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtps_ph(_mm512_loadu_ps(in), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// 16 bits to and from the upper halves of 32.
static inline void raise(const std::uint16_t* in, std::uint32_t* out) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)));
    _mm512_storeu_si512(out, _mm512_slli_epi32(wide, 16));
}
static inline void lower(const std::uint32_t* in, std::uint16_t* out) {
    const __m512i low = _mm512_srli_epi32(_mm512_loadu_si512(in), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(low));
}
static constexpr int HALVES = 16;

// Which of 64 lanes are below a threshold of up to 65536, from the lowest bit on.
static inline std::uint64_t below(const std::uint16_t* lanes, std::uint32_t threshold) {
    if (threshold > 0xFFFF) return ~std::uint64_t{0};
    const __m512i least = _mm512_set1_epi16(static_cast<short>(threshold));
    const std::uint64_t low = _mm512_cmplt_epu16_mask(_mm512_loadu_si512(lanes), least);
    const std::uint64_t up = _mm512_cmplt_epu16_mask(_mm512_loadu_si512(lanes + 32), least);
    return low | up << 32;
}
// The lanes (0 dropped, 65535 kept) that 64 bits stand for.
static inline void unfold(std::uint64_t bits, std::uint16_t* lanes) {
    _mm512_storeu_si512(lanes, _mm512_movm_epi16(static_cast<__mmask32>(~bits)));
    _mm512_storeu_si512(lanes + 32, _mm512_movm_epi16(static_cast<__mmask32>(~bits >> 32)));
}
