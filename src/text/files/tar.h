// Tar archives as streams: reads ustar, GNU long names and pax headers (path and size); writes ustar with GNU long names.
//
// An archive is blocks of 512 bytes: a header, the file's bytes padded with zeros, and so on; two zero blocks end it. A header:
// name 0..99, size 124..135 (octal, or base 256 with the top bit set), checksum 148..155 (octal sum of the header's bytes, its
// own taken as blanks), type 156, magic 257..262, prefix of the name 345..499.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::text {

struct TarEntry {
  std::string name;
  int64_t bytes = 0;
  char type = '0';  // '0' a file, '5' a folder, others as tar has them
  bool is_file() const { return type == '0'; }
};

class TarReader {
 public:
  // `read` gives the next bytes, at most `limit` and at least one, or "" at the end of the stream. `where` names it in
  // messages.
  using Read = std::function<Result<std::string>(size_t limit)>;
  TarReader(Read read, std::string where) : read_(std::move(read)), where_(std::move(where)) {}

  // The next entry, past what of the last was not read; nullopt at the end. kDataLoss with the byte where the archive is cut or
  // not as written.
  Result<std::optional<TarEntry>> next();
  // After the end: what is wrong with it that next() lets pass, in words, or "". Reads to the end of the stream.
  Result<std::string> odd_end();
  // The bytes of the entry that next() returned, once.
  Result<std::string> content();

 private:
  Result<bool> fill();
  Result<std::string> take(int64_t bytes);
  Status skip(int64_t bytes);
  Status damaged(const std::string& what) const;
  // What a pax header says of the next entry.
  Status read_pax(std::string_view records, TarEntry& next, bool& has_size) const;

  Read read_;
  std::string where_;
  std::string ahead_;  // read; taken up to ahead_at_
  size_t ahead_at_ = 0;
  bool closed_ = false;  // by a block of zeros
  int64_t at_ = 0;    // taken
  int64_t left_ = 0;  // of the entry's bytes
  int64_t padding_ = 0;
};

// What stands before the bytes of the file. kInvalidArgument for a name with a zero byte, which tar cannot hold.
Result<std::string> tar_header(std::string_view name, int64_t bytes);
// What stands after them.
std::string tar_padding(int64_t bytes);
// What ends the archive.
std::string tar_end();

}  // namespace bgl::text
