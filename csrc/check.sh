#!/usr/bin/env bash
# Check the kernels without Python: every body of this processor against the portable one, plain and under
# AddressSanitizer and UndefinedBehaviorSanitizer; NEON too if a cross-compiler and an emulator are installed.
# Then run the tests of the kernels with a sanitized module, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/check
python=${PYTHON:-.venv/bin/python}
flags=(-std=c++20 -Wall -Wextra -Wno-maybe-uninitialized -Wno-uninitialized -ffp-contract=off -fno-math-errno -fno-trapping-math)
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all -g)
rm -rf "$out"
mkdir -p "$out"

# compile NAME COMPILER FLAGS...: a program of all bodies, each with its own instruction set
compile() {
    local name=$1 compiler=$2
    shift 2
    local objects=()
    for body in csrc/bodies/*.cpp; do
        local isa=()
        case "$($compiler -dumpmachine):$body" in
            x86_64*avx2.cpp) isa=(-mavx2 -mf16c) ;;
            x86_64*avx512.cpp) isa=(-mavx512f -mavx512bw -mavx512dq -mavx512vl -mf16c) ;;
        esac
        objects+=("$out/$name-$(basename "$body").o")
        "$compiler" "${flags[@]}" "$@" "${isa[@]}" -c "$body" -o "${objects[-1]}" &
    done
    wait
    "$compiler" "${flags[@]}" "$@" csrc/check.cpp csrc/bodies.cpp "${objects[@]}" -o "$out/$name"
}

compile plain g++ -O3
"$out/plain"
compile sanitized g++ -O1 "${sanitizers[@]}"
"$out/sanitized"
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
    compile neon aarch64-linux-gnu-g++ -O3 -static
    qemu-aarch64 "$out/neon"
fi

"$python" -m venv "$out/env"
site=$("$out/env/bin/python" -c "import sysconfig; print(sysconfig.get_path('platlib'))")
"$python" -c "import sysconfig; print(sysconfig.get_path('platlib'))" >"$site/packages.pth"
"$out/env/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
    --config-settings=cmake.define.THINNET_SANITIZE="address;undefined" \
    --config-settings=build-dir="$out/cmake" .
# the interpreter is built without the sanitizer and frees its memory when it ends
LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0 THINNET_NUM_THREADS=2 \
    "$out/env/bin/python" -m pytest -q -n auto -p no:cacheprovider tests/core/kernels tests/core/random/test_key.py \
    tests/core/random/test_lanes.py tests/core/random/test_philox.py "$@"
