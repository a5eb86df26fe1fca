// One update of weights in one pass: decay, moments, step, and the sums of squares for max-norm.

// The factors of an update in the type of the weights.
template <class T>
struct Step {
    T rate, l2, shrink, beta1, beta2, rest1, rest2, epsilon, correction;

    explicit Step(const Update& u)
        : rate(static_cast<T>(u.rate)), l2(static_cast<T>(u.l2)), shrink(static_cast<T>(u.shrink)),
          beta1(static_cast<T>(u.beta1)), beta2(static_cast<T>(u.beta2)),
          rest1(static_cast<T>(1 - u.beta1)), rest2(static_cast<T>(1 - u.beta2)),
          epsilon(static_cast<T>(u.epsilon)), correction(static_cast<T>(u.correction)) {}
};

static inline float root(float x) { return ::sqrtf(x); }
static inline double root(double x) { return ::sqrt(x); }

// Move `count` weights; `first` and `second` are the moments that the rule remembers.
template <Rule R, bool L2, bool SHRINK, class T>
static void move(const Step<T>& step, T* w, const T* g, T* first, T* second, std::int64_t count) {
    const Step<T> s = step;
    THINNET_LOOP
    for (std::int64_t i = 0; i < count; ++i) {
        T weight = w[i], slope = g[i];
        if constexpr (L2) slope = slope + weight * s.l2;
        if constexpr (SHRINK) weight = weight * s.shrink;
        T by;
        if constexpr (R == Rule::adam) {
            const T v = second[i] * s.beta2 + slope * slope * s.rest2;
            const T m = first[i] * s.beta1 + slope * s.rest1;
            second[i] = v;
            first[i] = m;
            by = m / (root(v) * s.correction + s.epsilon) * s.rate;
        } else if constexpr (R == Rule::sgd) {
            by = slope * s.rate;
        } else {
            const T velocity = first[i] * s.beta1 + slope;
            first[i] = velocity;
            by = (R == Rule::nesterov ? slope + velocity * s.beta1 : velocity) * s.rate;
        }
        w[i] = weight - by;
    }
}

template <class T>
using Move = void (*)(const Step<T>&, T*, const T*, T*, T*, std::int64_t);

template <Rule R, class T>
static Move<T> decaying(const Update& u) {
    if (u.l2 != 0) return u.shrink != 1 ? move<R, true, true, T> : move<R, true, false, T>;
    return u.shrink != 1 ? move<R, false, true, T> : move<R, false, false, T>;
}

template <class T>
static Move<T> move_of(const Update& u) {
    switch (u.rule) {
        case Rule::sgd: return decaying<Rule::sgd, T>(u);
        case Rule::momentum: return decaying<Rule::momentum, T>(u);
        case Rule::nesterov: return decaying<Rule::nesterov, T>(u);
        default: return decaying<Rule::adam, T>(u);
    }
}

// Columns of a matrix that are updated and measured together: their weights stay in the second-level
// cache until the lengths are known.
static constexpr std::int64_t PANEL_BYTES = 1 << 18, PANEL = 512;

template <class T>
static void update_in(const Update& u, Range range, T* w, const T* g, T* first, T* second) {
    const Step<T> step(u);
    const Move<T> move_some = move_of<T>(u);
    Update plain = u;
    plain.l2 = 0;
    plain.shrink = 1;
    const Move<T> move_rest = move_of<T>(plain);
    const auto move_range = [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t middle = u.decayed < begin ? begin : least(u.decayed, end);
        move_some(step, w + begin, g + begin, first + begin, second + begin, middle - begin);
        move_rest(step, w + middle, g + middle, first + middle, second + middle, end - middle);
    };
    if (u.columns == 0) return move_range(range.begin, range.end);
    const std::int64_t fits = PANEL_BYTES / static_cast<std::int64_t>(sizeof(T)) / (u.rows ? u.rows : 1);
    const std::int64_t panel = fits < 64 ? 64 : least(fits, PANEL);
    const T most = static_cast<T>(u.max_norm), tiny = std::numeric_limits<T>::min();
    T squares[PANEL];
    for (std::int64_t begin = range.begin; begin < range.end; begin += panel) {
        const std::int64_t count = least(panel, range.end - begin);
        for (std::int64_t i = 0; i < count; ++i) squares[i] = T(0);
        for (std::int64_t row = 0; row < u.rows; ++row) {
            const std::int64_t at = row * u.columns + begin;
            move_range(at, at + count);
            const T* here = w + at;
            THINNET_LOOP
            for (std::int64_t i = 0; i < count; ++i) {
                const T square = here[i] * here[i];
                squares[i] = squares[i] + square;
            }
        }
        bool longer = false;
        for (std::int64_t i = 0; i < count; ++i) {
            const T length = root(squares[i]);
            const T ratio = most / (length <= tiny ? tiny : length);
            squares[i] = ratio >= T(1) ? T(1) : ratio;  // NaN stays NaN
            longer = longer || !(squares[i] >= T(1));
        }
        for (std::int64_t row = 0; longer && row < u.rows; ++row) {
            T* here = w + row * u.columns + begin;
            THINNET_LOOP
            for (std::int64_t i = 0; i < count; ++i) here[i] = here[i] * squares[i];
        }
    }
}

static void update(const Update& u, Range range, void* w, const void* g, void* first, void* second) {
    if (u.type == Type::f64) {
        return update_in(u, range, static_cast<double*>(w), static_cast<const double*>(g),
                         static_cast<double*>(first), static_cast<double*>(second));
    }
    update_in(u, range, static_cast<float*>(w), static_cast<const float*>(g), static_cast<float*>(first),
              static_cast<float*>(second));
}
