// XXH3 (https://xxhash.com), the one hash of the system: keys, checksums, cache names. Not for secrets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace bgl {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;
  // 32 lower-case hex digits, high half first, as `xxhsum -H2` prints.
  std::string hex() const;
};

uint64_t hash64(std::string_view bytes, uint64_t seed = 0);
Hash128 hash128(std::string_view bytes, uint64_t seed = 0);
// 16 lower-case hex digits.
std::string hex64(uint64_t value);
// hash128(bytes).hex().
std::string hash128_hex(std::string_view bytes);

// The same hashes (seed 0) of bytes that come in pieces.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::string_view bytes);
  // Of what came so far; more may follow.
  uint64_t digest64() const;
  Hash128 digest128() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bgl
