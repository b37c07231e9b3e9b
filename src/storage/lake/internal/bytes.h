// Little-endian integers in byte strings: what every file of the lake is made of.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bgl::storage {

static_assert(std::endian::native == std::endian::little, "the lake's files are little-endian and read by memcpy");

template <typename T>
void put_int(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

template <typename T>
void set_int(char* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

template <typename T>
T get_int(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// LEB128: seven bits a byte, low first.
inline void put_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}

// Takes a varint off the front of `in`; false when it is cut or longer than 64 bits.
inline bool take_varint(std::string_view& in, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in.empty()) return false;
    const auto byte = static_cast<unsigned char>(in[0]);
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

inline uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace bgl::storage
