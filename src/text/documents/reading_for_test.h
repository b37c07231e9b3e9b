// For tests: what a reader makes of bytes, as values.
#pragma once

#include <string>
#include <vector>

#include "text/documents/readers.h"

namespace bgl::text {

struct ReadResult {
  std::vector<Document> documents;
  std::vector<ReadFault> faults;
  Status status;
  // "rule: why" of the only fault.
  std::string fault() const { return faults.size() == 1 ? faults[0].rule + ": " + faults[0].why : "not one fault"; }
};

inline ReadResult read_bytes(const std::string& reader, const std::string& path, std::string_view bytes,
                             const ReadOptions& options = {}) {
  ReadResult out;
  ReadHandlers handlers;
  handlers.document = [&](Document&& d) -> Status {
    out.documents.push_back(std::move(d));
    return {};
  };
  handlers.fault = [&](ReadFault&& f) -> Status {
    out.faults.push_back(std::move(f));
    return {};
  };
  out.status = read_stream(reader, path, view_stream(bytes), options, handlers);
  return out;
}

}  // namespace bgl::text
