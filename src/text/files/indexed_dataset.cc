#include "text/files/indexed_dataset.h"

#include <cstring>
#include <vector>

#include "text/files/atomic_file.h"

namespace bgl::text {
namespace {

constexpr char kIndexMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};
constexpr uint64_t kIndexHeaderBytes = 34;

// The arrays of an .idx file begin at offset 34, so their elements are not aligned.
template <typename T>
T load_at(const std::byte* base, int64_t index) {
  T value;
  std::memcpy(&value, base + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <typename T>
void widen(const std::byte* from, std::span<int32_t> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = load_at<T>(from, static_cast<int64_t>(i));
}

}  // namespace

int64_t token_type_bytes(TokenType type) {
  switch (type) {
    case TokenType::kU8:
    case TokenType::kI8:
      return 1;
    case TokenType::kI16:
    case TokenType::kU16:
      return 2;
    case TokenType::kI32:
      return 4;
    case TokenType::kI64:
      return 8;
  }
  return 0;
}

TokenType token_type_for(int64_t vocabulary) { return vocabulary < 65500 ? TokenType::kU16 : TokenType::kI32; }

Result<IndexedDataset> IndexedDataset::open(const std::string& prefix) {
  BGL_ASSIGN(MmapFile index, MmapFile::open(prefix + ".idx"));
  BGL_ASSIGN(MmapFile data, MmapFile::open(prefix + ".bin"));
  BGL_ASSIGN(IndexedDataset out, parse(index.bytes(), data.bytes(), prefix));
  out.index_file_ = std::move(index);
  out.data_file_ = std::move(data);
  return out;
}

Result<IndexedDataset> IndexedDataset::parse(std::span<const std::byte> index, std::span<const std::byte> data,
                                             const std::string& prefix) {
  IndexedDataset out;
  out.prefix_ = prefix;
  out.index_ = index;
  out.data_ = data;
  BGL_TRY(out.check());
  return out;
}

// Longer than a screen: one check per field, in the order of the layout above.
Status IndexedDataset::check() {
  const std::string path = prefix_ + ".idx";
  const std::span<const std::byte> bytes = index_;
  if (bytes.size() < kIndexHeaderBytes) {
    return data_loss("{}: {} bytes are too few for an index (header is {})", path, bytes.size(), kIndexHeaderBytes);
  }
  if (std::memcmp(bytes.data(), kIndexMagic, sizeof kIndexMagic) != 0) {
    return data_loss("{}: does not begin with MMIDIDX (at offset 0): not a Megatron index", path);
  }
  const uint64_t version = load_at<uint64_t>(bytes.data() + 9, 0);
  if (version != 1) return data_loss("{}: version {} (at offset 9), only 1 is known", path, version);
  const auto code = static_cast<uint8_t>(bytes[17]);
  type_ = static_cast<TokenType>(code);
  const int64_t width = token_type_bytes(type_);
  if (width == 0) return data_loss("{}: element type {} (at offset 17) holds no tokens", path, code);
  const uint64_t sequences = load_at<uint64_t>(bytes.data() + 18, 0);
  const uint64_t bounds = load_at<uint64_t>(bytes.data() + 26, 0);
  const uint64_t body = bytes.size() - kIndexHeaderBytes;
  if (sequences > body / 12 || bounds > body / 8 || sequences * 12 + bounds * 8 > body) {
    return data_loss("{}: {} sequences and {} document bounds do not fit in {} bytes", path, sequences, bounds, bytes.size());
  }
  const uint64_t rest = body - sequences * 12 - bounds * 8;
  if (rest != 0 && rest != sequences) {
    return data_loss("{}: {} bytes follow the document bounds (at offset {})", path, rest, bytes.size() - rest);
  }
  sequences_ = static_cast<int64_t>(sequences);
  lengths_ = bytes.data() + kIndexHeaderBytes;
  pointers_ = lengths_ + sequences * 4;
  bounds_ = pointers_ + sequences * 8;

  int64_t expected = 0;
  for (int64_t i = 0; i < sequences_; ++i) {
    const int32_t length = load_at<int32_t>(lengths_, i);
    if (length < 0) return data_loss("{}: sequence {} has length {}", path, i, length);
    if (const int64_t pointer = load_at<int64_t>(pointers_, i); pointer != expected) {
      return data_loss("{}: sequence {} points at byte {} of the data, but {} was expected", path, i, pointer, expected);
    }
    expected += length * width;
    if (static_cast<uint64_t>(expected) > data_.size()) break;  // said below; sums of lengths could overflow
  }
  if (static_cast<uint64_t>(expected) != data_.size()) {
    return data_loss("{}: the index describes {} bytes, but {} has {}", path, expected, data_path(), data_.size());
  }
  tokens_ = expected / width;
  documents_ = bounds == 0 ? 0 : static_cast<int64_t>(bounds) - 1;
  for (int64_t d = 0; d <= documents_ && bounds > 0; ++d) {
    const int64_t at = load_at<int64_t>(bounds_, d);
    const int64_t low = d == 0 ? 0 : load_at<int64_t>(bounds_, d - 1);
    if (at < low || at > sequences_ || (d == 0 && at != 0) || (d == documents_ && at != sequences_)) {
      return data_loss("{}: document bound {} is {}, outside the {} sequences or out of order", path, d, at, sequences_);
    }
  }
  return {};
}

int64_t IndexedDataset::length(int64_t i) const { return load_at<int32_t>(lengths_, i); }

int64_t IndexedDataset::position(int64_t i) const { return load_at<int64_t>(pointers_, i) / token_type_bytes(type_); }

int64_t IndexedDataset::document_begin(int64_t d) const { return load_at<int64_t>(bounds_, d); }

int64_t IndexedDataset::sequence_at(int64_t token) const {
  int64_t low = 0, high = sequences_;  // the last sequence whose position is <= token
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (position(middle) <= token ? low : high) = middle;
  }
  return low;
}

Status IndexedDataset::read(int64_t begin, std::span<int32_t> out) const {
  const int64_t count = static_cast<int64_t>(out.size());
  if (begin < 0 || begin > tokens_ || count > tokens_ - begin) {
    return invalid_argument("{}: tokens [{}, {}) asked, but it holds {}", data_path(), begin, begin + count, tokens_);
  }
  const std::byte* from = data_.data() + begin * token_type_bytes(type_);
  switch (type_) {
    case TokenType::kU8:
      widen<uint8_t>(from, out);
      break;
    case TokenType::kI8:
      widen<int8_t>(from, out);
      break;
    case TokenType::kI16:
      widen<int16_t>(from, out);
      break;
    case TokenType::kU16:
      widen<uint16_t>(from, out);
      break;
    case TokenType::kI32:
      widen<int32_t>(from, out);
      break;
    case TokenType::kI64:
      for (int64_t i = 0; i < count; ++i) {
        const int64_t value = load_at<int64_t>(from, i);
        if (value < INT32_MIN || value > INT32_MAX) {
          return data_loss("{}: element {} is {}, too large for a token", data_path(), begin + i, value);
        }
        out[static_cast<size_t>(i)] = static_cast<int32_t>(value);
      }
  }
  return {};
}

struct IndexedDatasetWriter::State {
  std::string prefix;
  TokenType type;
  AtomicFile data;
  std::vector<int32_t> lengths;
  int64_t tokens = 0;
  std::string buffer;
};

IndexedDatasetWriter::IndexedDatasetWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
IndexedDatasetWriter::IndexedDatasetWriter(IndexedDatasetWriter&&) noexcept = default;
IndexedDatasetWriter::~IndexedDatasetWriter() = default;

Result<IndexedDatasetWriter> IndexedDatasetWriter::create(const std::string& prefix, TokenType type) {
  if (type != TokenType::kU16 && type != TokenType::kI32) {
    return invalid_argument("{}: datasets are written with 16-bit unsigned or 32-bit tokens", prefix);
  }
  BGL_ASSIGN(AtomicFile data, AtomicFile::create(prefix + ".bin"));
  return IndexedDatasetWriter(std::unique_ptr<State>(new State{prefix, type, std::move(data), {}, 0, {}}));
}

Status IndexedDatasetWriter::add_document(std::span<const int32_t> tokens) {
  State& s = *state_;
  if (tokens.size() > INT32_MAX) {
    return invalid_argument("{}: document {} has {} tokens, over the format's 2^31-1", s.prefix, documents(), tokens.size());
  }
  s.buffer.clear();
  for (const int32_t token : tokens) {
    if (token < 0 || (s.type == TokenType::kU16 && token > UINT16_MAX)) {
      return invalid_argument("{}: document {} holds token {}, which does not fit the element type", s.prefix, documents(),
                              token);
    }
    const auto narrow = static_cast<uint16_t>(token);
    if (s.type == TokenType::kU16) {
      s.buffer.append(reinterpret_cast<const char*>(&narrow), 2);
    } else {
      s.buffer.append(reinterpret_cast<const char*>(&token), 4);
    }
  }
  BGL_TRY(s.data.write(s.buffer));
  s.lengths.push_back(static_cast<int32_t>(tokens.size()));
  s.tokens += static_cast<int64_t>(tokens.size());
  return {};
}

int64_t IndexedDatasetWriter::documents() const { return static_cast<int64_t>(state_->lengths.size()); }
int64_t IndexedDatasetWriter::tokens() const { return state_->tokens; }

Status IndexedDatasetWriter::finish() {
  State& s = *state_;
  BGL_TRY(s.data.commit());
  BGL_ASSIGN(AtomicFile index, AtomicFile::create(s.prefix + ".idx"));
  const auto put = [&](const auto& value) { return index.write(std::as_bytes(std::span(&value, 1))); };
  BGL_TRY(index.write(std::string_view(kIndexMagic, sizeof kIndexMagic)));
  BGL_TRY(put(uint64_t{1}));
  BGL_TRY(put(static_cast<uint8_t>(s.type)));
  BGL_TRY(put(static_cast<uint64_t>(s.lengths.size())));
  BGL_TRY(put(static_cast<uint64_t>(s.lengths.size() + 1)));
  BGL_TRY(index.write(std::as_bytes(std::span(s.lengths))));
  int64_t pointer = 0;
  for (const int32_t length : s.lengths) {
    BGL_TRY(put(pointer));
    pointer += length * token_type_bytes(s.type);
  }
  for (size_t d = 0; d <= s.lengths.size(); ++d) BGL_TRY(put(static_cast<int64_t>(d)));
  return index.commit();
}

}  // namespace bgl::text
