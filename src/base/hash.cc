#include "base/hash.h"

#include <fmt/core.h>
#include <xxhash.h>

namespace bgl {

std::string Hash128::hex() const { return hex64(high) + hex64(low); }

uint64_t hash64(std::string_view bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

Hash128 hash128(std::string_view bytes, uint64_t seed) {
  const XXH128_hash_t h = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {h.high64, h.low64};
}

std::string hex64(uint64_t value) { return fmt::format("{:016x}", value); }

std::string hash128_hex(std::string_view bytes) { return hash128(bytes).hex(); }

// XXH3's running state is the same for both widths; the width is chosen by the digest.
struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_128bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::string_view bytes) { XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()); }
uint64_t Hasher::digest64() const { return XXH3_64bits_digest(state_->xxh); }

Hash128 Hasher::digest128() const {
  const XXH128_hash_t h = XXH3_128bits_digest(state_->xxh);
  return {h.high64, h.low64};
}

}  // namespace bgl
