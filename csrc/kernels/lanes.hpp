// Lanes of the entries of a plan, one chunk at a time, in a buffer that stays in the first-level cache.

static constexpr std::int64_t CHUNK = 2048;

static inline std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Memory owned by a kernel.
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

// The lanes of one interval, drawn on first use and kept for the next call.
class Drawn {
public:
    explicit Drawn(const Source& source) : schedule_(source.key) {}

    // Lanes from `lane` on, at least `count` of them; `ahead` lanes are drawn if that is more.
    const std::uint16_t* at(std::int64_t lane, std::int64_t count, std::int64_t ahead) {
        const std::uint64_t offset = static_cast<std::uint64_t>(lane) - static_cast<std::uint64_t>(first_);
        if (offset > drawn_ || offset + static_cast<std::uint64_t>(count) > drawn_) {
            const std::uint64_t block = static_cast<std::uint64_t>(lane) / BLOCK;
            first_ = static_cast<std::int64_t>(block * BLOCK);
            const std::int64_t wanted = lane - first_ + (count > ahead ? count : ahead);
            const std::int64_t blocks = (wanted + BLOCK - 1) / BLOCK;
            philox(schedule_, block, blocks, buffer_);
            drawn_ = static_cast<std::uint64_t>(blocks * BLOCK);
        }
        return buffer_ + (lane - first_);
    }

private:
    Schedule schedule_;
    std::int64_t first_ = 0;
    std::uint64_t drawn_ = 0;
    alignas(64) std::uint16_t buffer_[CHUNK + BLOCK + OVER];
};

#include "blocks.hpp"

// The position of a walk over a plan: the place of an entry in every array.
struct Place {
    std::int64_t index[MAX_AXES];
    std::int64_t x, out, other, rate;
    std::uint64_t lane;  // past the end of an axis it may leave the range of signed numbers for a moment

    Place(const Plan& plan, std::int64_t entry, std::int64_t start)
        : x(0), out(0), other(0), rate(0), lane(static_cast<std::uint64_t>(start)) {
        for (int a = plan.axes - 1; a >= 0; --a) {
            index[a] = entry % plan.size[a];
            entry /= plan.size[a];
            x += index[a] * plan.x[a];
            out += index[a] * plan.out[a];
            other += index[a] * plan.other[a];
            rate += index[a] * plan.rate[a];
            lane += static_cast<std::uint64_t>(index[a]) * static_cast<std::uint64_t>(plan.lane[a]);
        }
    }

    std::int64_t number() const { return static_cast<std::int64_t>(lane); }

    // Advance along the last axis, at most to its end, and carry into the axes before it.
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
        rate += count * plan.rate[a];
        lane += static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(plan.lane[a]);
    }
};

// The lanes of entries in the order of a plan, from a key's bits or from blocks.
class Lanes {
public:
    Lanes(const Source& source, const Plan& plan)
        : source_(source), plan_(plan), drawn_(source), grown_(nullptr) {
        if (source.blocks) grown_ = new (room_) Grown(*source.blocks, source);
    }
    ~Lanes() {
        if (grown_) grown_->~Grown();
    }
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    // The lanes of `count` <= CHUNK entries from `place` on; advances `place` to the end of them.
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
    // Lanes from `lane` on; `count` is cut to those of one band of blocks.
    const std::uint16_t* some(std::int64_t lane, std::int64_t& count) {
        if (!grown_) return drawn_.at(lane, count, plan_.dense ? CHUNK : 0);
        const std::int64_t plane = source_.blocks->plane;
        return grown_->some(lane / plane, lane % plane, count);
    }

    const Source& source_;
    const Plan& plan_;
    Drawn drawn_;
    Grown* grown_;
    alignas(Grown) unsigned char room_[sizeof(Grown)];
    alignas(64) std::uint16_t filled_[CHUNK];
};
