// One plane of blocks: seeds as packed bits, grown by shifting and or-ing them together.

class Grown {
public:
    Grown(const Blocks& blocks, const Source& source) : blocks_(blocks), lanes_(source) {
        const int from = blocks.axes - blocks.over, last = blocks.axes - 1;
        std::int64_t kept = 1;
        rows_ = 1;
        bool whole = blocks.shape[last] == length(last);
        for (int a = from; a < last; ++a) {
            whole = whole && blocks.shape[a] == length(a);
            rows_ *= length(a);
            kept *= blocks.size[a];
        }
        width_ = length(last);
        words_ = (width_ + 63) / 64;
        ahead_ = whole && rows_ * width_ <= CHUNK / 2 ? CHUNK : 0;
        kept_.allocate(blocks.plane + 64);  // the last 64 of a row may hang over
        bits_.allocate(rows_ * words_);
        lane_.allocate(rows_);
        bit_.allocate(kept);
        for (std::int64_t row = 0; row < rows_; ++row) {
            std::int64_t lane = blocks.start[last], rest = row, apart = blocks.shape[last];
            for (int a = last - 1; a >= from; --a) {
                lane += (blocks.start[a] + rest % length(a)) * apart;
                rest /= length(a);
                apart *= blocks.shape[a];
            }
            lane_.at[row] = lane;
        }
        for (std::int64_t row = 0; row < kept; ++row) {
            std::int64_t place = 0, rest = row, apart = words_;
            for (int a = last - 1; a >= from; --a) {
                place += rest % blocks.size[a] * apart;
                rest /= blocks.size[a];
                apart *= length(a);
            }
            bit_.at[row] = place;
        }
    }

    // Lanes (0 or 65535) of plane `number` of the window.
    const std::uint16_t* plane(std::int64_t number) {
        if (number != current_) {
            draw(number);
            grow();
            unpack();
            current_ = number;
        }
        return kept_.at;
    }

private:
    // Seeds along an axis: those of blocks that begin before the window are there too.
    std::int64_t length(int axis) const { return blocks_.size[axis] + blocks_.block[axis] - 1; }

    // Draw the seeds of one plane, row by row.
    void draw(std::int64_t number) {
        const int from = blocks_.axes - blocks_.over;
        std::int64_t outer = 0, stride = 1;
        for (int a = from; a < blocks_.axes; ++a) stride *= blocks_.shape[a];
        for (int a = from - 1; a >= 0; --a) {
            outer += (blocks_.start[a] + number % blocks_.size[a]) * stride;
            number /= blocks_.size[a];
            stride *= blocks_.shape[a];
        }
        const std::uint32_t threshold = blocks_.threshold;
        const std::int64_t width = width_, rows = rows_;
        const std::int64_t* lane = lane_.at;
        std::uint64_t* bits = bits_.at;
        for (std::int64_t row = 0; row < rows;) {
            // Rows whose lanes follow at once are drawn together.
            std::int64_t some = width < CHUNK ? least(rows - row, (CHUNK - 64) / width + 1) : 1;
            if (lane[row + some - 1] - lane[row] != (some - 1) * width) some = 1;
            const std::int64_t first = outer + lane[row];
            if (width <= 64) {
                const std::uint16_t* drawn = lanes_.at(first, (some - 1) * width + 64, ahead_);
                // Seeds behind a row's end are in no block that reaches an entry.
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

    // Let every entry see the seeds of the block that begins at it, along one axis after another.
    void grow() {
        const int from = blocks_.axes - blocks_.over, last = blocks_.axes - 1;
        along(blocks_.block[last]);
        std::int64_t apart = words_;
        for (int a = last - 1; a >= from; --a) {
            const std::int64_t count = length(a) * apart;
            for (std::int64_t begin = 0; begin < rows_ * words_; begin += count) {
                across(bits_.at + begin, count, apart, blocks_.block[a]);
            }
            apart = count;
        }
    }

    // Within rows: doubling shifts, bit i takes in bits i … i + block - 1.
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
            THINNET_LOOP  // what is read lies ahead of what is written
            for (std::int64_t i = 0; i < count - further; ++i) bits[i] |= bits[i + further];
            have += shift;
        }
    }

    // Write the entries of the window, without the seeds that lie beyond its ends.
    void unpack() {
        const std::int64_t width = blocks_.size[blocks_.axes - 1], plane = blocks_.plane;
        std::uint16_t* kept = kept_.at;
        const std::uint64_t* bits = bits_.at;
        const std::int64_t* place = bit_.at;
        for (std::int64_t begin = 0; begin < plane; begin += width, ++place) {
            for (std::int64_t i = 0; i < width; i += 64) unfold(bits[*place + i / 64], kept + begin + i);
        }
    }

    const Blocks& blocks_;
    Drawn lanes_;
    Memory<std::uint16_t> kept_;
    Memory<std::uint64_t> bits_;
    Memory<std::int64_t> lane_, bit_;  // of each row of seeds, and of entries: the first lane, the first word
    std::int64_t ahead_ = 0;  // how many lanes are worth drawing at once, where the next plane's follow
    std::int64_t rows_ = 0, width_ = 0, words_ = 0, current_ = -1;
};
