// bf16 and f16 against f32, rounding to nearest even and keeping NaN quiet: the same bits as the printers' code and as F16C.
#pragma once

#include <cstdint>
#include <cstring>

namespace bgl::lang::internal {

inline uint32_t bits_of(float v) {
  uint32_t b;
  std::memcpy(&b, &v, 4);
  return b;
}
inline float float_of(uint32_t b) {
  float v;
  std::memcpy(&v, &b, 4);
  return v;
}

inline float from_bf16(uint16_t h) { return float_of(static_cast<uint32_t>(h) << 16); }
inline uint16_t to_bf16(float v) {
  const uint32_t b = bits_of(v);
  if (v != v) return static_cast<uint16_t>((b >> 16) | 0x40);
  return static_cast<uint16_t>((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}

inline float from_f16(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, size = h & 0x7fffu;
  uint32_t b;
  if (size < 0x400) {
    b = bits_of(static_cast<float>(size) * 0x1p-24f);
  } else if (size > 0x7c00) {
    b = ((size << 13) + (224u << 23)) | 0x400000;
  } else {
    b = (size << 13) + (size == 0x7c00 ? 224u << 23 : 112u << 23);
  }
  return float_of(b | sign);
}
inline uint16_t to_f16(float v) {
  const uint32_t b = bits_of(v), size = b & 0x7fffffff, sign = (b ^ size) >> 16;
  uint32_t h;
  if (size > 0x7f800000) {
    h = ((size >> 13) & 0x3ff) | 0x7e00;
  } else if (size >= 0x477ff000) {
    h = 0x7c00;
  } else if (size < 0x38800000) {
    h = bits_of(float_of(size) + 0.5f) - 0x3f000000;  // 0.5 has the unit of the smallest subnormal
  } else {
    h = (size - (112u << 23) + 0xfff + ((size >> 13) & 1)) >> 13;
  }
  return static_cast<uint16_t>(h | sign);
}

}  // namespace bgl::lang::internal
