// Lanes of any entries of a plan, a chunk at a time, in a buffer that stays in the first-level cache.

static constexpr std::int64_t CHUNK = 2048;

static inline std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// An array of a kernel's own.
template <class T>
struct Memory {
    T* at = nullptr;

    Memory() = default;
    ~Memory() { std::free(at); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    void allocate(std::int64_t count) {
        at = static_cast<T*>(std::malloc(static_cast<std::size_t>(count) * sizeof(T)));
        if (!at) throw std::bad_alloc();
    }
};

// The lanes of one interval, drawn when first asked for and kept for the next question.
class Drawn {
public:
    explicit Drawn(const Source& source) : schedule_(source.key) {}

    // Lanes from `lane` on, at least `count` of them; `ahead` lanes are drawn if that is more.
    const std::uint16_t* at(std::int64_t lane, std::int64_t count, std::int64_t ahead) {
        if (lane < first_ || lane - first_ + count > drawn_) {
            const std::uint64_t block = static_cast<std::uint64_t>(lane) / BLOCK;
            first_ = static_cast<std::int64_t>(block * BLOCK);
            const std::int64_t wanted = lane - first_ + (count > ahead ? count : ahead);
            const std::int64_t blocks = (wanted + BLOCK - 1) / BLOCK;
            philox(schedule_, block, blocks, buffer_);
            drawn_ = blocks * BLOCK;
        }
        return buffer_ + (lane - first_);
    }

private:
    Schedule schedule_;
    std::int64_t first_ = 0, drawn_ = 0;
    alignas(64) std::uint16_t buffer_[CHUNK + BLOCK + OVER];
};

// One plane of blocks: seeds as packed bits, grown by shifting and or-ing them together.
class Grown {
public:
    Grown(const Blocks& blocks, const Key& key) : blocks_(blocks), key_(key) {
        const int from = blocks.axes - blocks.over;
        rows_ = 1;
        for (int a = from; a < blocks.axes - 1; ++a) rows_ *= blocks.size[a] + blocks.block[a] - 1;
        const int last = blocks.axes - 1;
        width_ = blocks.size[last] + blocks.block[last] - 1;
        words_ = (width_ + 63) / 64;
        kept_.allocate(blocks.plane);
        bits_.allocate(rows_ * words_);
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
        const Source source{key_, 0, nullptr};
        Drawn lanes(source);
        const int last = blocks_.axes - 1;
        const bool whole = blocks_.shape[last] == width_;  // the next row's lanes follow at once
        for (std::int64_t row = 0; row < rows_; ++row) {
            std::int64_t lane = outer + blocks_.start[last], rest = row, step = blocks_.shape[last];
            for (int a = last - 1; a >= from; --a) {
                const std::int64_t rows = blocks_.size[a] + blocks_.block[a] - 1;
                lane += (blocks_.start[a] + rest % rows) * step;
                rest /= rows;
                step *= blocks_.shape[a];
            }
            std::uint64_t* bits = bits_.at + row * words_;
            for (std::int64_t i = 0; i < width_; i += 64) {
                const std::int64_t count = least(64, width_ - i);
                const std::uint16_t* drawn = lanes.at(lane + i, count, whole ? CHUNK : least(CHUNK, width_ - i));
                std::uint64_t word = 0;
                for (std::int64_t j = 0; j < count; ++j) {
                    word |= static_cast<std::uint64_t>(drawn[j] < blocks_.threshold) << j;
                }
                bits[i / 64] = word;
            }
        }
    }

    // Let every entry see the seeds of the block that begins at it, along one axis after another.
    void grow() {
        const int from = blocks_.axes - blocks_.over, last = blocks_.axes - 1;
        for (std::int64_t row = 0; row < rows_; ++row) along(bits_.at + row * words_, blocks_.block[last]);
        std::int64_t apart = words_;
        for (int a = last - 1; a >= from; --a) {
            const std::int64_t length = blocks_.size[a] + blocks_.block[a] - 1;
            for (std::int64_t begin = 0; begin < rows_ * words_; begin += length * apart) {
                across(bits_.at + begin, length, apart, blocks_.block[a]);
            }
            apart *= length;
        }
    }

    // Within a row: doubling shifts, bit i takes in bits i … i + block - 1.
    void along(std::uint64_t* row, std::int64_t block) const {
        for (std::int64_t have = 1; have < block;) {
            const std::int64_t shift = least(have, block - have), words = shift / 64, bits = shift % 64;
            for (std::int64_t i = 0; i < words_; ++i) {
                const std::uint64_t low = i + words < words_ ? row[i + words] : 0;
                const std::uint64_t up = i + words + 1 < words_ ? row[i + words + 1] : 0;
                row[i] |= bits ? low >> bits | up << (64 - bits) : low;
            }
            have += shift;
        }
    }

    // Between rows that lie `apart` words from each other, `length` of them.
    static void across(std::uint64_t* rows, std::int64_t length, std::int64_t apart, std::int64_t block) {
        for (std::int64_t have = 1; have < block;) {
            const std::int64_t shift = least(have, block - have);
            for (std::int64_t i = 0; i + shift < length; ++i) {
                for (std::int64_t j = 0; j < apart; ++j) rows[i * apart + j] |= rows[(i + shift) * apart + j];
            }
            have += shift;
        }
    }

    // Write the entries of the window, without the seeds that lie beyond its ends.
    void unpack() {
        const int from = blocks_.axes - blocks_.over, last = blocks_.axes - 1;
        const std::int64_t width = blocks_.size[last];
        for (std::int64_t row = 0; row * width < blocks_.plane; ++row) {
            std::int64_t at = 0, rest = row, apart = 1;
            for (int a = last - 1; a >= from; --a) {
                at += rest % blocks_.size[a] * apart;
                rest /= blocks_.size[a];
                apart *= blocks_.size[a] + blocks_.block[a] - 1;
            }
            const std::uint64_t* bits = bits_.at + at * words_;
            for (std::int64_t i = 0; i < width; ++i) {
                const bool dropped = bits[i / 64] >> (i % 64) & 1;
                kept_.at[row * width + i] = dropped ? 0 : 0xFFFF;
            }
        }
    }

    const Blocks& blocks_;
    Key key_;
    Memory<std::uint16_t> kept_;
    Memory<std::uint64_t> bits_;
    std::int64_t rows_ = 0, width_ = 0, words_ = 0, current_ = -1;
};

// Where the walk over a plan stands: the place of an entry in every array.
struct Place {
    std::int64_t index[MAX_AXES];
    std::int64_t x, out, other;
    std::uint64_t lane;  // behind the end of an axis it may leave the range of signed numbers for a moment

    Place(const Plan& plan, std::int64_t entry, std::int64_t start)
        : x(0), out(0), other(0), lane(static_cast<std::uint64_t>(start)) {
        for (int a = plan.axes - 1; a >= 0; --a) {
            index[a] = entry % plan.size[a];
            entry /= plan.size[a];
            x += index[a] * plan.x[a];
            out += index[a] * plan.out[a];
            other += index[a] * plan.other[a];
            lane += static_cast<std::uint64_t>(index[a]) * static_cast<std::uint64_t>(plan.lane[a]);
        }
    }

    std::int64_t number() const { return static_cast<std::int64_t>(lane); }

    // Move on along the last axis, at most to its end, and carry into those before.
    void advance(const Plan& plan, std::int64_t count) {
        for (int a = plan.axes - 1; a >= 0; --a) {
            move(plan, a, count);
            if (index[a] < plan.size[a]) return;
            move(plan, a, -plan.size[a]);
            count = 1;
        }
    }

private:
    void move(const Plan& plan, int a, std::int64_t count) {
        index[a] += count;
        x += count * plan.x[a];
        out += count * plan.out[a];
        other += count * plan.other[a];
        lane += static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(plan.lane[a]);
    }
};

// The lanes of entries in the order of a plan, from a key's bits or from blocks.
class Lanes {
public:
    Lanes(const Source& source, const Plan& plan)
        : source_(source), plan_(plan), drawn_(source), grown_(nullptr) {
        if (source.blocks) grown_ = new (room_) Grown(*source.blocks, source.key);
    }
    ~Lanes() {
        if (grown_) grown_->~Grown();
    }
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    // The lanes of `count` <= CHUNK entries, the first of which is at `place`; moves on behind them.
    const std::uint16_t* next(Place& place, std::int64_t count) {
        if (!grown_ && plan_.axes == 1 && plan_.lane[0] == 1) {
            const std::uint16_t* run = drawn_.at(place.number(), count, count);
            place.advance(plan_, count);
            return run;
        }
        const int last = plan_.axes - 1;
        for (std::int64_t done = 0; done < count;) {
            std::int64_t run = least(plan_.size[last] - place.index[last], count - done);
            if (plan_.lane[last] == 0) {
                const std::uint16_t lane = one(place.number());
                for (std::int64_t i = 0; i < run; ++i) filled_[done + i] = lane;
            } else {
                const std::uint16_t* from = some(place.number(), run);
                std::memcpy(filled_ + done, from, static_cast<std::size_t>(run) * sizeof *from);
            }
            place.advance(plan_, run);
            done += run;
        }
        return filled_;
    }

    // The lane with a number.
    std::uint16_t one(std::int64_t lane) {
        std::int64_t count = 1;
        return *some(lane, count);
    }

private:
    // Lanes from `lane` on; `count` is cut to what lies in one plane of blocks.
    const std::uint16_t* some(std::int64_t lane, std::int64_t& count) {
        if (!grown_) return drawn_.at(lane, count, plan_.dense ? CHUNK : 0);
        const std::int64_t plane = source_.blocks->plane, at = lane % plane;
        count = least(count, plane - at);
        return grown_->plane(lane / plane) + at;
    }

    const Source& source_;
    const Plan& plan_;
    Drawn drawn_;
    Grown* grown_;
    alignas(Grown) unsigned char room_[sizeof(Grown)];
    alignas(64) std::uint16_t filled_[CHUNK];
};
