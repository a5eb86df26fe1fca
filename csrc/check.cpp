// Every body of this processor is compared with the portable one, to the bit, and the generator with the known
// answers of Salmon et al. (SC 2011). The program needs no Python, so an emulator runs it too.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "plan.hpp"
#include "planning.hpp"

namespace thinnet {
namespace {

int failures = 0;

void expect(bool holds, const char* body, const char* what, long long number) {
    if (holds) return;
    ++failures;
    std::printf("%s: %s differs (%lld)\n", body, what, number);
}

// Numbers of every kind, the same on every machine.
struct Numbers {
    std::uint64_t state = 88172645463325252ull;
    std::uint64_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    }
};

bool nan_bits(Type type, const unsigned char* at) {
    if (type == Type::f64) {
        double value;
        std::memcpy(&value, at, 8);
        return std::isnan(value);
    }
    if (type == Type::f32) {
        float value;
        std::memcpy(&value, at, 4);
        return std::isnan(value);
    }
    std::uint16_t bits;
    std::memcpy(&bits, at, 2);
    return (bits & 0x7FFF) > (type == Type::f16 ? 0x7C00 : 0x7F80);
}

// Equal to the bit, any NaN being like any other.
bool same(Type type, std::size_t item, const std::vector<unsigned char>& a, const std::vector<unsigned char>& b) {
    for (std::size_t i = 0; i < a.size(); i += item) {
        if (std::memcmp(&a[i], &b[i], item) != 0 && !(nan_bits(type, &a[i]) && nan_bits(type, &b[i]))) return false;
    }
    return true;
}

std::size_t size_of(Type type) {
    return type == Type::f64 ? 8 : type == Type::f32 ? 4 : 2;
}

// Bits of any kind at first, then numbers between -4 and 4.
std::vector<unsigned char> entries(Type type, std::int64_t count, Numbers& numbers) {
    const std::size_t item = size_of(type);
    std::vector<unsigned char> found(static_cast<std::size_t>(count) * item);
    for (std::size_t i = 0; i < found.size(); i += item) {
        const std::uint64_t bits = numbers.next();
        const double value = static_cast<double>(bits >> 40) / (1 << 21) - 4;
        const auto narrow = static_cast<float>(value);
        if (i < found.size() / 2 || item == 2) std::memcpy(&found[i], &bits, item);
        else if (type == Type::f64) std::memcpy(&found[i], &value, 8);
        else std::memcpy(&found[i], &narrow, 4);
    }
    return found;
}

void generator(const Body& body) {
    std::uint16_t lanes[16 * 8];
    body.words({0, 0, 0}, 0, 1, lanes);
    const std::uint32_t zeros[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    expect(std::memcmp(lanes, zeros, 16) == 0, body.name, "the known answer", 0);
}

void laws(const Body& body, const Body& portable, Type type, std::int64_t rows, std::int64_t columns) {
    const double factors[][4] = {{0, 0, 1.4, 0}, {0, 0, 2, 0}, {0.5, 1.25, -1, 0.3}, {0, 1, 1, 0}, {0, 0, 0, 0}};
    Numbers numbers;
    const std::size_t item = size_of(type);
    const auto x = entries(type, rows * columns, numbers), other = entries(type, rows * columns, numbers);
    std::vector<float> gains(65536);
    for (std::size_t i = 0; i < gains.size(); ++i) gains[i] = static_cast<float>(i % 5) - 1.7f;
    const std::int64_t starts[] = {0, 3, (std::int64_t{1} << 35) - 5, (std::int64_t{1} << 62) + 1};
    for (const std::int64_t start : starts) {
        for (const int sharing : {0, 1, 2, 3}) {  // none, along rows, along columns; lanes across memory
            const auto width = static_cast<std::int64_t>(item);
            const std::int64_t slow = sharing == 1 ? 0 : sharing == 0 ? columns : 1;
            Plan plan;
            append(plan, {rows, columns * width, columns * width, columns * width, slow});
            append(plan, {columns, width, width, width, sharing == 2 ? 0 : sharing == 3 ? rows : 1});
            finish(plan, width, true);
            const Source source{{1, 2, 3}, start, nullptr};
            auto a = x, b = x;
            for (const auto& f : factors) {
                for (const std::uint32_t threshold : {0u, 20000u, 65536u}) {
                    const TwoPoint law{threshold, {f[0], f[1]}, {f[2], f[3]}, 0.75};
                    for (const bool array : {false, true}) {
                        const char* third = array ? reinterpret_cast<const char*>(other.data()) : nullptr;
                        const auto* from = reinterpret_cast<const char*>(x.data());
                        const Range range{0, rows * columns};
                        body.two_point(source, plan, range, law, {type, from, third, reinterpret_cast<char*>(a.data())});
                        portable.two_point(source, plan, range, law, {type, from, third, reinterpret_cast<char*>(b.data())});
                        expect(same(type, item, a, b), body.name, "a two-point law", start);
                    }
                }
            }
            Arrays first{type, reinterpret_cast<const char*>(x.data()), nullptr, reinterpret_cast<char*>(a.data())};
            Arrays second = first;
            second.out = reinterpret_cast<char*>(b.data());
            for (const bool shifted : {false, true}) {
                first.other = second.other = shifted ? reinterpret_cast<const char*>(other.data()) : nullptr;
                const float* shifts = shifted ? gains.data() : nullptr;
                body.table(source, plan, {0, rows * columns}, gains.data(), shifts, first);
                portable.table(source, plan, {0, rows * columns}, gains.data(), shifts, second);
                expect(same(type, item, a, b), body.name, "a table law", start);
            }
        }
    }
}

// Arrays of rates, one for each column or for each row.
void rates(const Body& body, const Body& portable, Type type, std::int64_t rows, std::int64_t columns) {
    Numbers numbers;
    const std::size_t item = size_of(type);
    const auto width = static_cast<std::int64_t>(item);
    const auto x = entries(type, rows * columns, numbers), other = entries(type, rows * columns, numbers);
    const auto most = static_cast<std::size_t>(rows > columns ? rows : columns);
    std::vector<std::int32_t> thresholds(most);
    for (auto& threshold : thresholds) threshold = static_cast<std::int32_t>(numbers.next() % 65537);
    std::vector<double> wide[4];
    std::vector<float> narrow[4];
    for (int k = 0; k < 4; ++k) {
        for (std::size_t i = 0; i < most; ++i) {
            wide[k].push_back(static_cast<double>(numbers.next() % 5) - 2);
            narrow[k].push_back(static_cast<float>(wide[k].back()));
        }
    }
    for (const bool by_row : {false, true}) {
        for (const bool inverted : {false, true}) {
            Plan plan;
            append(plan, {rows, columns * width, columns * width, columns * width, columns, by_row ? 1 : 0});
            append(plan, {columns, width, width, width, 1, by_row ? 0 : 1});
            finish(plan, width, true);
            Rates given{thresholds.data(), {}};
            for (int k = 0; k < 4; ++k) {
                if (inverted && k != 2) continue;
                given.factors[k] = type == Type::f64 ? static_cast<const void*>(wide[k].data()) : narrow[k].data();
            }
            const Source source{{7, 8, 9}, 5, nullptr};
            auto a = x, b = x;
            const auto* from = reinterpret_cast<const char*>(x.data());
            const auto* third = reinterpret_cast<const char*>(other.data());
            const Range range{0, rows * columns};
            body.two_point_rates(source, plan, range, given, 0, {type, from, third, reinterpret_cast<char*>(a.data())});
            portable.two_point_rates(source, plan, range, given, 0, {type, from, third, reinterpret_cast<char*>(b.data())});
            expect(same(type, item, a, b), body.name, "arrays of rates", by_row);
        }
    }
}

// Masks of blocks: planes of one band, and planes that are cut into bands; parts of them are parts of the whole.
void blocks(const Body& body, const Body& portable) {
    for (const auto& [tall, wide] : {std::pair<std::int64_t, std::int64_t>{9, 11}, {700, 900}, {1, 600000}}) {
        Blocks blocks;
        blocks.axes = tall > 1 ? 3 : 2;
        blocks.over = blocks.axes - 1;
        const std::int64_t size[] = {2, tall > 1 ? tall : wide, wide}, block[] = {1, 7, 5};
        std::int64_t total = 1;
        for (int a = 0; a < blocks.axes; ++a) {
            blocks.size[a] = size[a];
            blocks.block[a] = block[a];
            blocks.start[a] = a;
            blocks.shape[a] = size[a] + block[a] - 1 + 2 * a;
            total *= size[a];
            if (a > 0) blocks.plane *= size[a];
        }
        blocks.threshold = 900;
        Plan plan;
        append(plan, {total, 1, 1, 0, 1});
        finish(plan, 1, false);
        const Source source{{10, 11, 12}, 0, &blocks};
        std::vector<std::uint8_t> a(static_cast<std::size_t>(total)), b(a.size());
        portable.mask(source, plan, {0, total}, 1, b.data());
        for (const std::int64_t step : {total, total / 3 + 1}) {
            for (std::int64_t begin = 0; begin < total; begin += step) {
                body.mask(source, plan, {begin, begin + step < total ? begin + step : total}, 1, a.data());
            }
            expect(a == b, body.name, "a mask of blocks", step);
        }
    }
    // The last lanes that there are: the sums must not overflow.
    Blocks last;
    last.axes = last.over = 1;
    last.shape[0] = (std::int64_t{1} << 62);
    last.start[0] = last.shape[0] - 70;
    last.size[0] = last.plane = 64;
    last.block[0] = 7;
    last.threshold = 20000;
    Plan plan;
    append(plan, {64, 1, 1, 0, 1});
    finish(plan, 1, false);
    std::uint8_t kept[64];
    body.mask({{1, 2, 3}, 0, &last}, plan, {0, 64}, 1, kept);
}

void folds(const Body& body, const Body& portable) {
    Numbers numbers;
    std::uint16_t lanes[8];
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t bits = numbers.next(), number = numbers.next();
        const Key key{static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32),
                      static_cast<std::uint32_t>(number >> 7)};
        body.words(key, number, 1, lanes);
        std::uint64_t first;
        std::memcpy(&first, lanes, 8);
        expect(body.fold(key, number, 0) == first, body.name, "the fold of a key under tag 0", i);
        expect(body.fold(key, number, 2) == portable.fold(key, number, 2), body.name, "the fold of a key", i);
    }
}

void layers(const Body& body, const Body& portable, Type type, std::int64_t rows, std::int64_t columns) {
    Numbers numbers;
    const std::size_t item = size_of(type);
    const auto z = entries(type, rows * columns, numbers), dy = entries(type, rows * columns, numbers);
    const auto bias = entries(type, columns, numbers);
    const Source source{{4, 5, 6}, 0, nullptr};
    for (int activation = 0; activation <= static_cast<int>(Activation::gelu); ++activation) {
        for (const std::uint32_t threshold : {0u, 30000u}) {
            const Dense dense{type, static_cast<Activation>(activation), 0.1, threshold, 1.75, columns};
            auto a = z, b = z, da = dy, db = dy, ya = z, yb = z;
            body.dense_forward(source, dense, {0, rows}, bias.data(), a.data(), ya.data());
            portable.dense_forward(source, dense, {0, rows}, bias.data(), b.data(), yb.data());
            expect(same(type, item, ya, yb), body.name, "the end of a dense layer", activation);
            body.dense_backward(source, dense, {0, rows}, ya.data(), da.data());
            portable.dense_backward(source, dense, {0, rows}, ya.data(), db.data());
            expect(same(type, item, da, db), body.name, "its backward", activation);
        }
    }
    for (int rule = 0; rule <= static_cast<int>(Rule::adam); ++rule) {
        for (const std::int64_t limited : {std::int64_t{0}, columns}) {
            const Update u{type, static_cast<Rule>(rule), 0.1, 0.01, 0.99, 0.9, 0.99, 1e-8, 1.5, rows * columns / 2,
                           rows, limited, limited ? 2.0 : HUGE_VAL};
            auto wa = z, wb = z, ma = dy, mb = dy, va = dy, vb = dy;
            const Range range{0, limited ? columns : rows * columns};
            body.update(u, range, wa.data(), dy.data(), ma.data(), va.data());
            portable.update(u, range, wb.data(), dy.data(), mb.data(), vb.data());
            expect(same(type, item, wa, wb) && same(type, item, ma, mb), body.name, "an update", rule);
        }
    }
}

}  // namespace
}  // namespace thinnet

int main() {
    using namespace thinnet;
    const Body* const* all = bodies();
    const Body* portable = all[0];
    for (const Body* const* body = all; *body; ++body) portable = *body;
    for (const Body* const* body = all; *body; ++body) {
        generator(**body);
        folds(**body, *portable);
        blocks(**body, *portable);
        for (const Type type : {Type::f16, Type::bf16, Type::f32, Type::f64}) {
            for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 7}, {70, 130}, {2, 5000}}) {
                laws(**body, *portable, type, rows, columns);
                rates(**body, *portable, type, rows, columns);
                if (type == Type::f32 || type == Type::f64) layers(**body, *portable, type, rows, columns);
            }
        }
        std::printf("%s: %s\n", (*body)->name, failures ? "differs" : "as the portable one");
    }
    return failures ? 1 : 0;
}
