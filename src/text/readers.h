// Files to documents: one document of plain text (light Markdown) per page, manual page, dictionary entry or JSON line.
//
//   html      the main text of a page
//   markdown  Markdown without link targets, images, comments and front matter
//   text      plain text
//   man       a manual page in troff (man or mdoc macros)
//   dictd     a dictionary of the DICT project: PATH.index, with PATH.dict or PATH.dict.dz beside it
//   jsonl     a JSON object a line with "text" and, if there, "id" and "title"
//
// Every reader takes compressed bytes (.gz, .zst, .dz) and any encoding, and gives valid UTF-8.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::text {

struct Document {
  std::string id;  // unique: the path, and "#n" where a file holds several
  std::string text;
  std::string title;   // may be empty
  std::string source;  // the path
};

// Content of another file by path, for readers that need two.
using FetchFile = std::function<Result<std::string>(const std::string& path)>;

std::span<const std::string_view> reader_names();
// The reader that the name of a file suggests ("x.html.gz" -> html, "x.1.gz" -> man); empty when none does.
std::string_view reader_for_path(std::string_view path);
// Errors name the path. Documents come in the order of the file; an empty one is not returned.
Result<std::vector<Document>> read_documents(const std::string& reader, const std::string& path, std::string_view bytes,
                                             const FetchFile& fetch = {});

}  // namespace bgl::text
