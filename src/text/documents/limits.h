// What one document may take, so that a hostile one costs itself and nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "text/files/byte_stream.h"

namespace bgl::text {

struct ReadLimits {
  int64_t document_bytes = int64_t{16} << 20;  // of a page, a line, a record: unpacked, before decoding
  int64_t nodes = 500000;                      // elements, attributes and pieces of text of a page; about 200 bytes each
  int64_t depth = 1024;                        // elements inside one another
  double seconds = 30;                         // of a core, for one page; ordinary pages take milliseconds
  UnpackLimits unpack;
};

// Counts what a document takes. Not thread-safe: the clock is the thread's own, so that other work does not count.
class Budget {
 public:
  explicit Budget(const ReadLimits& limits);
  // One node more. False when too many, or too late; then so for ever.
  bool node() { return ++nodes_ <= limits_.nodes && (nodes_ % 1024 != 0 || in_time()); }
  // A step of work over nodes counted before.
  bool step() { return ++steps_ % 1024 != 0 ? !late_ : in_time(); }
  bool deep(int64_t depth) { return (depth_ = depth > depth_ ? depth : depth_) > limits_.depth; }
  // OK, or kResourceExhausted with the limit that was passed.
  Status status() const;

 private:
  bool in_time();

  const ReadLimits limits_;
  int64_t nodes_ = 0, steps_ = 0, depth_ = 0;
  int64_t end_ns_ = 0;
  bool late_ = false;
};

}  // namespace bgl::text
