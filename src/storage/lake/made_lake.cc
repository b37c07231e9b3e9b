#include "storage/lake/made_lake.h"

#include <algorithm>
#include <charconv>

#include "storage/lake/internal/log.h"
#include "storage/lake/internal/manifest.h"
#include "storage/lake/internal/names.h"
#include "storage/lake/internal/segment.h"

namespace bgl::storage {
namespace {

constexpr int64_t kFilesPerSegment = 8;
constexpr int64_t kRunsPerTier = 7;   // the next one would be merged with them
constexpr int64_t kRunsOfTier0 = 3;
constexpr int kTierBits = 3;  // eight runs become one

// Takes the one object that is written into it.
class OneObject final : public ObjectStore {
 public:
  class Writer final : public ObjectWriter {
   public:
    explicit Writer(std::string& bytes) : bytes_(bytes) {}
    Status append(std::string_view bytes) override {
      bytes_ += bytes;
      return {};
    }
    Status commit() override { return {}; }

   private:
    std::string& bytes_;
  };
  Result<std::unique_ptr<ObjectWriter>> create(const std::string&) override {
    bytes.clear();
    return std::unique_ptr<ObjectWriter>(std::make_unique<Writer>(bytes));
  }
  Result<std::string> get_range(const std::string&, int64_t, int64_t) override { return write_only(); }
  Result<int64_t> size(const std::string&) override { return write_only(); }
  Result<std::vector<ObjectInfo>> list(const std::string&) override { return write_only(); }
  Status remove(const std::string&) override { return write_only(); }
  Result<Versioned> read_manifest(const std::string&) override { return write_only(); }
  Result<std::string> swap_manifest(const std::string&, const std::string&, std::string_view) override { return write_only(); }
  std::string bytes;

 private:
  static Status write_only() { return make_status(Code::kUnimplemented, "write only"); }
};

class MadeFile final : public File {
 public:
  MadeFile(std::shared_ptr<const std::string> bytes, std::shared_ptr<MadeLakeReads> reads, bool is_names)
      : bytes_(std::move(bytes)), reads_(std::move(reads)), is_names_(is_names) {}
  Result<std::string> pread(int64_t offset, int64_t length) const override {
    ++(is_names_ ? reads_->names : reads_->segments);
    if (offset >= static_cast<int64_t>(bytes_->size())) return std::string();
    return bytes_->substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  }
  Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const override {
    BGL_ASSIGN(const std::string bytes, pread(offset, length));
    bytes.copy(out, bytes.size());
    return static_cast<int64_t>(bytes.size());
  }
  Result<int64_t> size() const override { return static_cast<int64_t>(bytes_->size()); }
  Status append(std::string_view) override { return read_only(); }
  Status write_at(int64_t, std::string_view) override { return read_only(); }
  Status sync() override { return read_only(); }
  Status truncate(int64_t) override { return read_only(); }
  Status close() override { return {}; }

 private:
  static Status read_only() { return invalid_argument("a made segment is open for reading only"); }
  std::shared_ptr<const std::string> bytes_;
  std::shared_ptr<MadeLakeReads> reads_;
  bool is_names_;
};

}  // namespace

// Files [first_file, first_file + files), cut by the leading bits of their hash into parts, of which those with files are
// segments.
struct MadeLake::Run {
  int64_t first_id = 0;
  int64_t tier = 0;
  int64_t first_file = 0;
  int64_t files = 0;
  std::vector<uint32_t> order;    // the files, counted from first_file, by part
  std::vector<uint32_t> begin;    // per segment, and one more: where its files begin in `order`
  std::vector<uint32_t> prefix;   // per segment

  int bits() const { return static_cast<int>(tier) * kTierBits; }
  int64_t segments() const { return static_cast<int64_t>(prefix.size()); }

  Run(int64_t id, int64_t t, int64_t from) : first_id(id), tier(t), first_file(from), files(kFilesPerSegment << (kTierBits * t)) {
    const size_t parts = size_t{1} << bits();
    std::vector<uint32_t> part(static_cast<size_t>(files)), at(parts + 1);
    for (int64_t i = 0; i < files; ++i) {
      const uint64_t high = path_key(path(first_file + i)).high;
      part[static_cast<size_t>(i)] = bits() == 0 ? 0 : static_cast<uint32_t>(high >> (64 - bits()));
      ++at[part[static_cast<size_t>(i)] + 1];
    }
    for (size_t p = 0; p < parts; ++p) at[p + 1] += at[p];
    for (size_t p = 0; p < parts; ++p) {
      if (at[p] == at[p + 1]) continue;
      begin.push_back(at[p]);
      prefix.push_back(static_cast<uint32_t>(p));
    }
    begin.push_back(static_cast<uint32_t>(files));
    order.resize(static_cast<size_t>(files));
    for (int64_t i = 0; i < files; ++i) order[at[part[static_cast<size_t>(i)]]++] = static_cast<uint32_t>(i);
  }

  Result<std::string> segment(int64_t n, SegmentRow& row) const {
    std::vector<std::pair<Hash128, int64_t>> keys;
    for (uint32_t i = begin[static_cast<size_t>(n)]; i < begin[static_cast<size_t>(n) + 1]; ++i) {
      const int64_t file = first_file + order[i];
      keys.emplace_back(path_key(path(file)), file);
    }
    std::sort(keys.begin(), keys.end());
    const auto count = static_cast<int64_t>(keys.size());
    OneObject store;
    BGL_ASSIGN(auto writer, SegmentWriter::create(store, {.id = first_id + n,
                                                          .prefix_bits = bits(),
                                                          .prefix = prefix[static_cast<size_t>(n)],
                                                          .expected_files = count,
                                                          .expected_bytes = count * 128}));
    for (const auto& [key, file] : keys) {
      const std::string name = path(file), bytes = content(file);
      BGL_TRY(writer->add(key, {name, static_cast<int64_t>(bytes.size()), hash128(bytes)}, bytes));
    }
    BGL_ASSIGN(row, writer->finish({}, 0));
    row.run = first_id;
    row.tier = tier;
    return std::move(store.bytes);
  }

  Result<std::string> names(int64_t n, SegmentRow& row) const {
    OneObject store;
    BGL_ASSIGN(auto writer, NamesWriter::create(store, first_id + n));
    for (int64_t i = files * n / segments(); i < files * (n + 1) / segments(); ++i) {
      const std::string bytes = content(first_file + i);
      BGL_TRY(writer->add({path(first_file + i), static_cast<int64_t>(bytes.size()), hash128(bytes), false}));
    }
    BGL_TRY(writer->finish(row));
    return std::move(store.bytes);
  }
};

MadeLake::MadeLake(Env& under, std::string dir)
    : under_(under), dir_(std::move(dir)), reads_(std::make_shared<MadeLakeReads>()) {}
MadeLake::~MadeLake() = default;

std::string MadeLake::path(int64_t i) { return fmt::format("{:06}/{:04}", i / 10000, i % 10000); }

std::string MadeLake::content(int64_t i) { return fmt::format("the content of file {} of a lake whose segments are made when read", i); }

Result<std::unique_ptr<MadeLake>> MadeLake::create(Env& under, const std::string& dir, int64_t segments) {
  std::unique_ptr<MadeLake> lake(new MadeLake(under, dir));
  BGL_TRY(under.make_dirs(dir));
  int64_t top = 0;
  while ((int64_t{2} << (kTierBits * top)) <= segments) ++top;
  std::vector<SegmentRow> rows;
  int64_t next_id = 2;
  for (int64_t tier = top; tier >= 0; --tier) {
    for (int64_t r = 0; r < (tier == 0 ? kRunsOfTier0 : kRunsPerTier); ++r) {
      // The upper tiers as far as the number allows, the lowest always.
      const int64_t size = int64_t{1} << (kTierBits * tier);
      if (tier > 0 && lake->segments_ + size + kRunsOfTier0 > segments) break;
      lake->runs_.push_back(std::make_unique<Run>(next_id, tier, lake->files_));
      const Run& run = *lake->runs_.back();
      for (int64_t n = 0; n < run.segments(); ++n) {
        SegmentRow& row = rows.emplace_back();
        BGL_TRY(run.segment(n, row).status());
        BGL_TRY(run.names(n, row).status());
      }
      next_id += run.segments();
      lake->files_ += run.files;
      lake->segments_ += run.segments();
    }
  }
  BGL_TRY(Log::create(under, dir, 1));
  BGL_TRY(under.write_file_atomic(join_path(dir, "MANIFEST"), write_manifest({.next_id = next_id, .log_id = 1}, rows)));
  return lake;
}

std::shared_ptr<const std::string> MadeLake::make(const std::string& path) {
  if (parent_path(path) != dir_) return nullptr;
  const std::string name = base_name(path);
  const bool is_names = name.starts_with("names-");
  if (!is_names && !name.starts_with("segment-")) return nullptr;
  int64_t id = 0;
  const char* digits = name.data() + name.find('-') + 1;
  std::from_chars(digits, name.data() + name.size(), id);
  if (name != (is_names ? names_key(id) : segment_key(id))) return nullptr;
  const std::lock_guard lock(mutex_);
  if (removed_.count(path)) return nullptr;
  for (const auto& run : runs_) {
    if (id < run->first_id || id >= run->first_id + run->segments()) continue;
    SegmentRow row;
    auto bytes = is_names ? run->names(id - run->first_id, row) : run->segment(id - run->first_id, row);
    return bytes.ok() ? std::make_shared<const std::string>(std::move(bytes).value()) : nullptr;
  }
  return nullptr;
}

Result<std::unique_ptr<File>> MadeLake::open(const std::string& path, OpenMode mode) {
  auto bytes = mode == OpenMode::kRead ? make(path) : nullptr;
  if (!bytes) return under_.open(path, mode);
  const bool is_names = base_name(path).starts_with("names-");
  if (!is_names) {
    const std::lock_guard lock(mutex_);
    reads_->touched += touched_.insert(path).second;
  }
  return std::unique_ptr<File>(std::make_unique<MadeFile>(std::move(bytes), reads_, is_names));
}

Status MadeLake::remove(const std::string& path) {
  if (!make(path)) return under_.remove(path);
  const std::lock_guard lock(mutex_);
  removed_.insert(path);
  return {};
}

Result<std::vector<DirEntry>> MadeLake::list_dir(const std::string& path) {
  BGL_ASSIGN(auto entries, under_.list_dir(path));
  if (path != dir_) return entries;
  const std::lock_guard lock(mutex_);
  for (const auto& run : runs_) {
    for (int64_t id = run->first_id; id < run->first_id + run->segments(); ++id) {
      for (const std::string& name : {segment_key(id), names_key(id)}) {
        if (!removed_.count(join_path(dir_, name))) entries.push_back({name, false});
      }
    }
  }
  std::sort(entries.begin(), entries.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace bgl::storage
