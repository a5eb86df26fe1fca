// Types of entries: 16-bit numbers are computed in float, and converted one chunk at a time.

// Apply a conversion of HALVES entries at a time to any number of them.
template <auto SOME, class FROM, class TO>
static inline void convert(const FROM* in, TO* out, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + HALVES <= count; i += HALVES) SOME(in + i, out + i);
    if (i < count) {
        const auto rest = static_cast<std::size_t>(count - i);
        FROM from[HALVES] = {};
        TO to[HALVES];
        std::memcpy(from, in + i, rest * sizeof(FROM));
        SOME(from, to);
        std::memcpy(out + i, to, rest * sizeof(TO));
    }
}

static inline std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
static inline float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

// Between 16-bit storage and float, at most a chunk at a time.
static void widen(Type type, const void* in, float* out, std::int64_t count) {
    const auto* bits = static_cast<const std::uint16_t*>(in);
    if (type == Type::f16) return convert<widen16>(bits, out, count);
    alignas(64) std::uint32_t wide[CHUNK];
    convert<raise>(bits, wide, count);
    std::memcpy(out, wide, static_cast<std::size_t>(count) * 4);
}
static void narrow(Type type, const float* in, void* out, std::int64_t count) {
    auto* bits = static_cast<std::uint16_t*>(out);
    if (type == Type::f16) return convert<narrow16>(in, bits, count);
    alignas(64) std::uint32_t rounded[CHUNK];
    THINNET_LOOP
    for (std::int64_t i = 0; i < count; ++i) {
        const std::uint32_t wide = bits_of(in[i]);
        const std::uint32_t even = wide + (0x7FFFu + (wide >> 16 & 1u));
        rounded[i] = (wide & 0x7FFFFFFFu) > 0x7F800000u ? wide | 0x00400000u : even;  // NaN stays NaN
    }
    convert<lower>(rounded, bits, count);
}

// The type of entries in memory, and that of the computation.
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
