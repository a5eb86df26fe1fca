// Arrays of Python as pointers, shapes and strides, by the buffer protocol.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>

#include "plan.hpp"

namespace thinnet {

namespace nb = nanobind;

// Arguments whose types the stub states: an object with a buffer, such an object or a float, and a placement of lanes.
struct Array : nb::handle {};
struct ArrayOrFloat : nb::handle {};
struct Placement : nb::handle {};

// A buffer, held for the lifetime of this object.
class Buffer {
public:
    Buffer(nb::handle object, bool writable) {
        if (PyObject_GetBuffer(object.ptr(), &view_, writable ? PyBUF_RECORDS : PyBUF_RECORDS_RO) != 0) {
            throw nb::python_error();
        }
    }
    ~Buffer() { PyBuffer_Release(&view_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    char* data() const { return static_cast<char*>(view_.buf); }
    int axes() const { return view_.ndim; }
    std::int64_t size(int axis) const { return view_.shape[axis]; }
    std::int64_t stride(int axis) const { return view_.strides[axis]; }
    std::int64_t itemsize() const { return view_.itemsize; }

    std::int64_t total() const {
        std::int64_t count = 1;
        for (int a = 0; a < axes(); ++a) count *= size(a);
        return count;
    }
    // One letter of the struct module, in the machine's own order; 0 for anything else.
    char letter() const {
        const char* format = view_.format;
        if (!format) return 'B';
        if (*format == '@' || *format == '=') ++format;
        return format[0] && !format[1] ? format[0] : 0;
    }
    bool same_shape(const Buffer& other) const {
        if (axes() != other.axes()) return false;
        for (int a = 0; a < axes(); ++a) {
            if (size(a) != other.size(a)) return false;
        }
        return true;
    }
    bool contiguous() const { return PyBuffer_IsContiguous(&view_, 'C') != 0; }
    bool aligned() const {
        const auto mask = static_cast<std::uintptr_t>(itemsize() - 1);
        auto bits = reinterpret_cast<std::uintptr_t>(view_.buf);
        for (int a = 0; a < axes(); ++a) bits |= static_cast<std::uintptr_t>(stride(a));
        return (bits & mask) == 0;
    }

private:
    Py_buffer view_;
};

[[noreturn]] inline void refuse(const std::string& why) { throw nb::value_error(why.c_str()); }

// A contiguous array of one of the letters, or an error that names it.
inline void expect(const Buffer& buffer, const char* letters, const char* name) {
    if (std::string(letters).find(buffer.letter()) == std::string::npos || !buffer.letter()) {
        refuse(std::string(name) + ": wrong dtype");
    }
    if (!buffer.contiguous() || !buffer.aligned()) refuse(std::string(name) + ": not contiguous");
}

inline Type type_of(const Buffer& buffer) {
    switch (buffer.letter()) {
        case 'e': return Type::f16;
        case 'H': return Type::bf16;
        case 'f': return Type::f32;
        case 'd': return Type::f64;
        default: refuse("x: dtype must be float16, float32, float64, or uint16 for the bits of bfloat16");
    }
}

}  // namespace thinnet

namespace nanobind::detail {

#define THINNET_CASTER(TYPE, NAME)                                             \
    template <>                                                                \
    struct type_caster<TYPE> {                                                 \
        NB_TYPE_CASTER(TYPE, const_name(NAME))                                 \
        bool from_python(handle source, std::uint8_t, cleanup_list*) noexcept { \
            value = TYPE{source};                                              \
            return true;                                                       \
        }                                                                      \
    };

THINNET_CASTER(thinnet::Array, "numpy.typing.NDArray[typing.Any]")
THINNET_CASTER(thinnet::ArrayOrFloat, "float | numpy.typing.NDArray[typing.Any]")
THINNET_CASTER(thinnet::Placement, "tuple[()] | thinnet._core.kernels.records.Placement")
#undef THINNET_CASTER

}  // namespace nanobind::detail
