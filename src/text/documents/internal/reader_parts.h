// The readers behind read_stream() that find several documents in one file.
#pragma once

#include <string>
#include <string_view>

#include "text/documents/readers.h"

namespace bgl::text {

// What a reader works on: one file, its limits, and where its documents go.
struct Reading {
  const std::string& path;
  const ReadOptions& options;
  const ReadHandlers& handlers;

  // Kinds of one document: what `reader` makes of unpacked bytes. `charset`: what a server said of them, or empty.
  Status page(const std::string& reader, std::string_view bytes, const std::string& charset, Document document) const;
  Status fault(const std::string& id, const char* rule, const std::string& why) const;
  // Damage or excess: a fault of what could not be read. Another failure is returned.
  Status stream_fault(const std::string& id, const Status& why) const;
};

// Unpacked bytes each.
Status read_jsonl(const Reading& reading, ByteStream& bytes);
Status read_warc(const Reading& reading, ByteStream& bytes);
// `index`: the unpacked .index file.
Status read_dictd(const Reading& reading, std::string_view index);

// "chunked" of HTTP/1.1 (RFC 9112, 7.1) undone; bytes that are not so framed are returned as they are, as some archives keep
// the header and undo the framing.
std::string undo_chunked(std::string_view body);

}  // namespace bgl::text
