// AVX-512 (F, BW, DQ, VL) with F16C.

static constexpr int WIDTH = 8;

struct Wide {
    __m512i v;
};

// Blocks in the order that lets the two unpack instructions of `store` bring them into sequence.
static inline Wide counters(std::uint64_t first) {
    return {_mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(first)),
                             _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0))};
}
static inline Wide spread(std::uint64_t value) {
    return {_mm512_set1_epi64(static_cast<long long>(value))};
}
static inline Wide multiply(Wide a, Wide b) { return {_mm512_mul_epu32(a.v, b.v)}; }
static inline Wide high(Wide a) { return {_mm512_srli_epi64(a.v, 32)}; }
static inline Wide mix(Wide a, Wide b, Wide c) { return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0x96)}; }

static inline __m512i join(Wide low, Wide above) {
    return _mm512_mask_blend_epi32(0xAAAA, low.v, _mm512_slli_epi64(above.v, 32));
}
static inline void store(Wide c0, Wide c1, Wide c2, Wide c3, std::uint16_t* out) {
    const __m512i a = join(c0, c1), b = join(c2, c3);
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(a, b));
    _mm512_storeu_si512(out + 32, _mm512_unpackhi_epi64(a, b));
}

static inline void widen16(const std::uint16_t* in, float* out) {
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in))));
}
static inline void narrow16(const float* in, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtps_ph(_mm512_loadu_ps(in), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static constexpr int HALVES = 16;
