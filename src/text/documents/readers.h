// Files to documents: one document of plain text (light Markdown) per page, manual page, dictionary entry, JSON line or WARC
// record.
//
//   html      the main text of a page
//   markdown  Markdown without link targets, images, comments and front matter
//   text      plain text
//   man       a manual page in troff (man or mdoc macros)
//   dictd     a dictionary of the DICT project: PATH.index, with PATH.dict or PATH.dict.dz beside it
//   jsonl     a JSON object a line, with the text in one of its fields
//   warc      WARC 1.0 and 1.1: responses over HTTP, resources, and conversions (Common Crawl's WET)
//
// Every reader takes compressed bytes (.gz, .zst, .dz) and any encoding, and gives valid UTF-8. Bytes are read as a stream: the
// memory taken is that of one document, whatever the file's size.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/documents/limits.h"
#include "text/files/byte_stream.h"

namespace bgl::text {

struct Document {
  std::string id;  // the path, and "#n" where a file holds several; what the file itself calls the document, where it does
  std::string text;
  std::string title;   // may be empty
  std::string source;  // the path
  std::string url;     // where it was fetched, if the file says so
};

// A document, or a whole file, that gives no text, while its neighbours do.
struct ReadFault {
  std::string id;
  std::string rule;  // "over_limit", "unreadable", "http_status" or "media_type"
  std::string why;
};

// Content of another file by path, for readers that need two.
using FetchFile = std::function<Result<std::string>(const std::string& path)>;

struct ReadOptions {
  ReadLimits limits;
  std::string text_field = "text", id_field = "id", title_field = "title", url_field = "url";  // of jsonl
  FetchFile fetch;
};

struct ReadHandlers {
  // In the order of the file; an empty document is not given. A failure ends the reading and is returned.
  std::function<Status(Document&&)> document;
  std::function<Status(ReadFault&&)> fault;
};

std::span<const std::string_view> reader_names();
// The reader that the name of a file suggests ("x.html.gz" -> html, "x.1.gz" -> man); empty when none does.
std::string_view reader_for_path(std::string_view path);
// Damage and excess are faults; a failure is returned where nothing can be said of the file's content: the handlers failed, or
// the reader is not known. Messages name the path.
Status read_stream(const std::string& reader, const std::string& path, std::unique_ptr<ByteStream> bytes,
                   const ReadOptions& options, const ReadHandlers& handlers);

}  // namespace bgl::text
