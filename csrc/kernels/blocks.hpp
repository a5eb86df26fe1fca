// Blocks of one band of a plane: seeds as packed bits, grown by shifting and or-ing them together.
//
// A plane is the product of the blocked axes. A large one is cut into bands along its first axis, so that threads
// share its work and the bits stay in the cache; neighbouring bands draw block - 1 rows of seeds twice.
class Grown {
public:
    Grown(const Blocks& blocks, const Source& source)
        : blocks_(blocks), lanes_(source), first_(blocks.axes - blocks.over), last_(blocks.axes - 1) {
        inner_ = blocks.plane / blocks.size[first_];
        tall_ = blocks.size[first_];
        if (blocks.plane > 2 * BAND) {
            const std::int64_t wanted = BAND / inner_, least_tall = 8 * blocks.block[first_];
            tall_ = least(tall_, wanted > least_tall ? wanted : least_tall);
        }
        begin(0);
        bool whole = blocks.shape[last_] == width_;
        std::int64_t kept = 1;
        for (int a = first_; a < last_; ++a) {
            whole = whole && blocks.shape[a] == seeds(a);
            kept *= entries(a);
        }
        ahead_ = whole && rows_ * width_ <= CHUNK / 2 ? CHUNK : 0;
        kept_.allocate(tall_ * inner_ + 64);  // the last 64 of a row may exceed it
        bits_.allocate(rows_ * words_);
        lane_.allocate(rows_);
        bit_.allocate(kept);
        for (std::int64_t row = 0; row < rows_; ++row) {
            std::uint64_t lane = bits(blocks.start[last_]), apart = bits(blocks.shape[last_]);
            std::int64_t rest = row;
            for (int a = last_ - 1; a >= first_; --a) {
                lane += (bits(blocks.start[a]) + bits(rest % seeds(a))) * apart;
                rest /= seeds(a);
                apart *= bits(blocks.shape[a]);
            }
            lane_.at[row] = lane;
        }
        for (std::int64_t row = 0; row < kept; ++row) {
            std::int64_t place = 0, rest = row, apart = words_;
            for (int a = last_ - 1; a >= first_; --a) {
                place += rest % entries(a) * apart;
                rest /= entries(a);
                apart *= seeds(a);
            }
            bit_.at[row] = place;
        }
    }

    // Lanes (0 or 65535) from entry `at` of plane `number` of the window; `count` is cut to those of the band.
    const std::uint16_t* some(std::int64_t number, std::int64_t at, std::int64_t& count) {
        const std::int64_t band = at / (tall_ * inner_), offset = at - band * tall_ * inner_;
        if (number != plane_ || band != band_) {
            begin(band);
            draw(number);
            grow();
            unpack();
            plane_ = number;
        }
        count = least(count, now_ * inner_ - offset);
        return kept_.at + offset;
    }

private:
    static constexpr std::int64_t BAND = 1 << 17;  // entries

    static std::uint64_t bits(std::int64_t number) { return static_cast<std::uint64_t>(number); }

    // Entries and seeds of the present band along an axis; blocks that begin before the window have seeds too.
    std::int64_t entries(int axis) const { return axis == first_ ? now_ : blocks_.size[axis]; }
    std::int64_t seeds(int axis) const { return entries(axis) + blocks_.block[axis] - 1; }

    // Set the extents of a band; the last one may be shorter.
    void begin(std::int64_t band) {
        band_ = band;
        now_ = least(tall_, blocks_.size[first_] - band * tall_);
        width_ = seeds(last_);
        words_ = (width_ + 63) / 64;
        rows_ = 1;
        for (int a = first_; a < last_; ++a) rows_ *= seeds(a);
    }

    // Draw the seeds of one band, row by row.
    void draw(std::int64_t number) {
        std::uint64_t outer = 0, stride = 1;
        for (int a = last_; a > first_; --a) stride *= bits(blocks_.shape[a]);
        outer = bits(band_) * bits(tall_) * stride;
        stride *= bits(blocks_.shape[first_]);
        for (int a = first_ - 1; a >= 0; --a) {
            outer += (bits(blocks_.start[a]) + bits(number % blocks_.size[a])) * stride;
            number /= blocks_.size[a];
            stride *= bits(blocks_.shape[a]);
        }
        const std::uint32_t threshold = blocks_.threshold;
        const std::int64_t width = width_, rows = rows_;
        const std::uint64_t* lane = lane_.at;
        std::uint64_t* bits = bits_.at;
        for (std::int64_t row = 0; row < rows;) {
            // Rows whose lanes are consecutive are drawn together.
            std::int64_t some = width < CHUNK ? least(rows - row, (CHUNK - 64) / width + 1) : 1;
            if (lane[row + some - 1] - lane[row] != static_cast<std::uint64_t>((some - 1) * width)) some = 1;
            const auto first = static_cast<std::int64_t>(outer + lane[row]);
            if (width <= 64) {
                const std::uint16_t* drawn = lanes_.at(first, (some - 1) * width + 64, ahead_);
                // Seeds beyond the end of a row are in no block that reaches an entry.
                for (std::int64_t i = 0; i < some; ++i) bits[i] = below(drawn + i * width, threshold);
                bits += some;
            } else {
                for (std::int64_t i = 0; i < some * width; i += width) {
                    for (std::int64_t j = 0; j < width; j += 64) {
                        const std::int64_t left = least(CHUNK, some * width - i - j);
                        *bits++ = below(lanes_.at(first + i + j, 64, ahead_ ? ahead_ : left), threshold);
                    }
                }
            }
            row += some;
        }
    }

    // Set the bit of every entry that has a seed in the block from it on, along one axis after another.
    void grow() {
        along(blocks_.block[last_]);
        std::int64_t apart = words_;
        for (int a = last_ - 1; a >= first_; --a) {
            const std::int64_t count = seeds(a) * apart;
            for (std::int64_t begin = 0; begin < rows_ * words_; begin += count) {
                across(bits_.at + begin, count, apart, blocks_.block[a]);
            }
            apart = count;
        }
    }

    // Within rows: shifts that double; bit i becomes the union of bits i … i + block - 1.
    void along(std::int64_t block) {
        std::uint64_t* bits = bits_.at;
        const std::int64_t many = rows_ * words_, in_row = words_;
        for (std::int64_t have = 1; have < block;) {
            const std::int64_t shift = least(have, block - have), words = shift / 64, rest = shift % 64;
            have += shift;
            if (in_row == 1 && shift < 64) {
                THINNET_LOOP
                for (std::int64_t i = 0; i < many; ++i) bits[i] |= bits[i] >> rest;
                continue;
            }
            for (std::uint64_t* row = bits; row < bits + many; row += in_row) {
                for (std::int64_t i = 0; i < in_row; ++i) {
                    const std::uint64_t low = i + words < in_row ? row[i + words] : 0;
                    const std::uint64_t up = i + words + 1 < in_row ? row[i + words + 1] : 0;
                    row[i] |= rest ? low >> rest | up << (64 - rest) : low;
                }
            }
        }
    }

    // Between rows that lie `apart` words from each other, `count` words in all.
    static void across(std::uint64_t* bits, std::int64_t count, std::int64_t apart, std::int64_t block) {
        for (std::int64_t have = 1; have < block;) {
            const std::int64_t shift = least(have, block - have), further = shift * apart;
            THINNET_LOOP  // reads are ahead of writes
            for (std::int64_t i = 0; i < count - further; ++i) bits[i] |= bits[i + further];
            have += shift;
        }
    }

    // Write the lanes of the entries, without the seeds beyond the ends of the window.
    void unpack() {
        const std::int64_t width = entries(last_), count = now_ * inner_;
        std::uint16_t* kept = kept_.at;
        const std::uint64_t* bits = bits_.at;
        const std::int64_t* place = bit_.at;
        for (std::int64_t begin = 0; begin < count; begin += width, ++place) {
            for (std::int64_t i = 0; i < width; i += 64) unfold(bits[*place + i / 64], kept + begin + i);
        }
    }

    const Blocks& blocks_;
    Drawn lanes_;
    const int first_, last_;  // of the blocked axes
    Memory<std::uint16_t> kept_;
    Memory<std::uint64_t> bits_, lane_;  // the seeds; the first lane of each row of them
    Memory<std::int64_t> bit_;           // the first word of each row of entries
    std::int64_t ahead_ = 0;             // the number of lanes to draw at once if those of the next plane follow
    std::int64_t inner_ = 1, tall_ = 1;                          // entries of a row of a band, and its rows
    std::int64_t rows_ = 0, width_ = 0, words_ = 0, now_ = 0;   // of the present band
    std::int64_t plane_ = -1, band_ = -1;
};
