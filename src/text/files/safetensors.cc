#include "text/files/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "text/files/atomic_file.h"

namespace bgl::text {
namespace {

using nlohmann::json;
constexpr uint64_t kHeaderBytesMax = 100'000'000;

struct DtypeSize {
  const char* name;
  int64_t bytes;
};
constexpr DtypeSize kDtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                                 {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                                 {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};

// dtype x shape in bytes, or -1 when the dtype is unknown, a dimension is negative or the product overflows.
int64_t tensor_bytes(const std::string& dtype, std::span<const int64_t> shape) {
  int64_t bytes = safetensors_dtype_bytes(dtype);
  if (bytes == 0) return -1;
  for (const int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes)) return -1;
  }
  return bytes;
}

struct Entry {
  TensorView view;
  uint64_t begin = 0, end = 0;
};

bool as_u64(const json& value, uint64_t& out) {
  if (!value.is_number_unsigned()) return false;
  out = value.get<uint64_t>();
  return true;
}

// One header entry; `file` and the name only serve the messages.
Result<Entry> parse_entry(const std::string& file, const std::string& name, const json& value) {
  const auto bad = [&](const char* what) { return data_loss("{}: header of tensor '{}': {}", file, name, what); };
  if (!value.is_object()) return bad("not an object");
  if (value.size() != 3 || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets")) {
    return bad("needs exactly dtype, shape and data_offsets");
  }
  Entry entry;
  entry.view.name = name;
  if (!value["dtype"].is_string()) return bad("dtype is not a string");
  entry.view.dtype = value["dtype"].get<std::string>();
  if (safetensors_dtype_bytes(entry.view.dtype) == 0) {
    return data_loss("{}: header of tensor '{}': unknown dtype '{}'", file, name, entry.view.dtype);
  }
  if (!value["shape"].is_array()) return bad("shape is not an array");
  for (const json& dim : value["shape"]) {
    uint64_t n = 0;
    if (!as_u64(dim, n) || n > INT64_MAX) return bad("shape holds something other than whole numbers from 0");
    entry.view.shape.push_back(static_cast<int64_t>(n));
  }
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !as_u64(offsets[0], entry.begin) || !as_u64(offsets[1], entry.end)) {
    return bad("data_offsets is not a pair of whole numbers");
  }
  if (entry.begin > entry.end) return bad("data_offsets end before they begin");
  const int64_t bytes = tensor_bytes(entry.view.dtype, entry.view.shape);
  if (bytes < 0) return bad("shape overflows");
  if (static_cast<uint64_t>(bytes) != entry.end - entry.begin) {
    return data_loss("{}: tensor '{}': {} [{}] takes {} bytes, but data_offsets give {}", file, name, entry.view.dtype,
                     fmt::join(entry.view.shape, ","), bytes, entry.end - entry.begin);
  }
  return entry;
}

// JSON with duplicate keys is refused: two readers could each take another of the two tensors.
Result<json> parse_header(const std::string& file, std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const json::parser_callback_t watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  json header;
  try {
    header = json::parse(text.begin(), text.end(), watch);
  } catch (const json::parse_error& e) {
    return data_loss("{}: header is not JSON (at offset {})", file, 8 + e.byte);
  } catch (const json::out_of_range&) {
    return data_loss("{}: header holds a number beyond the range of a double", file);
  }
  if (!duplicate.empty()) return data_loss("{}: header names '{}' twice", file, duplicate);
  if (!header.is_object()) return data_loss("{}: header is not a JSON object (at offset 8)", file);
  return header;
}

// The header of a file to be written, after all checks. The text is joined by hand because an ordered JSON object looks keys up
// linearly, and a model of experts has 10^5 tensors.
Result<std::string> header_text(const std::string& path, std::span<const TensorView> tensors,
                                const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  std::set<std::string> names;
  uint64_t offset = 0;
  try {
    if (!metadata.empty()) text += "\"__metadata__\":" + json(metadata).dump();
    for (const TensorView& tensor : tensors) {
      if (tensor.name == "__metadata__") return invalid_argument("{}: a tensor may not be named __metadata__", path);
      if (!names.insert(tensor.name).second) return invalid_argument("{}: two tensors are named '{}'", path, tensor.name);
      const int64_t bytes = tensor_bytes(tensor.dtype, tensor.shape);
      if (bytes < 0 || static_cast<uint64_t>(bytes) != tensor.bytes.size()) {
        return invalid_argument("{}: tensor '{}' is given {} bytes for {} [{}]", path, tensor.name, tensor.bytes.size(),
                                tensor.dtype, fmt::join(tensor.shape, ","));
      }
      text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", text.size() > 1 ? "," : "",
                          json(tensor.name).dump(), tensor.dtype, fmt::join(tensor.shape, ","), offset,
                          offset + tensor.bytes.size());
      offset += tensor.bytes.size();
    }
  } catch (const json::type_error&) {
    return invalid_argument("{}: a tensor name or a metadata entry is not valid UTF-8", path);
  }
  return text + "}";
}

}  // namespace

int64_t safetensors_dtype_bytes(const std::string& dtype) {
  for (const DtypeSize& entry : kDtypes) {
    if (dtype == entry.name) return entry.bytes;
  }
  return 0;
}

Result<SafeTensors> SafeTensors::open(const std::string& path) {
  SafeTensors out;
  BGL_ASSIGN(out.file_, MmapFile::open(path));
  out.path_ = path;
  BGL_TRY(out.parse_all(out.file_.bytes()));
  return out;
}

Result<SafeTensors> SafeTensors::parse(std::span<const std::byte> bytes, const std::string& path) {
  SafeTensors out;
  out.path_ = path;
  BGL_TRY(out.parse_all(bytes));
  return out;
}

Status SafeTensors::parse_all(std::span<const std::byte> bytes) {
  const std::string& path = path_;
  if (bytes.size() < 8) return data_loss("{}: {} bytes are too few for a safetensors file", path, bytes.size());
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kHeaderBytesMax) {
    return data_loss("{}: header length {} at offset 0 is over the limit of {}", path, header_bytes, kHeaderBytesMax);
  }
  if (header_bytes > bytes.size() - 8) {
    return data_loss("{}: header of {} bytes at offset 8 passes the end of the file ({} bytes)", path, header_bytes,
                     bytes.size());
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  if (text.empty() || text[0] != '{') return data_loss("{}: header does not begin with '{{' (at offset 8)", path);
  BGL_ASSIGN(const json header, parse_header(path, text));

  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) return data_loss("{}: __metadata__ is not an object", path);
      for (const auto& [key, item] : value.items()) {
        if (!item.is_string()) return data_loss("{}: __metadata__ '{}' is not a string", path, key);
        metadata_[key] = item.get<std::string>();
      }
      continue;
    }
    BGL_ASSIGN(Entry entry, parse_entry(path, name, value));
    entries.push_back(std::move(entry));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
  uint64_t expected = 0;
  for (Entry& entry : entries) {
    if (entry.begin != expected) {
      return data_loss("{}: tensor '{}' begins at data offset {}, but {} was expected (a hole or an overlap)", path,
                       entry.view.name, entry.begin, expected);
    }
    if (entry.end > data.size()) {
      return data_loss("{}: tensor '{}' ends at data offset {}, but the file holds only {} bytes of data", path,
                       entry.view.name, entry.end, data.size());
    }
    expected = entry.end;
    entry.view.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    index_[entry.view.name] = tensors_.size();
    tensors_.push_back(std::move(entry.view));
  }
  if (expected != data.size()) {
    return data_loss("{}: {} bytes follow the last tensor (at file offset {})", path, data.size() - expected,
                     8 + header_bytes + expected);
  }
  return {};
}

const TensorView* SafeTensors::find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

Result<TensorView> SafeTensors::get(const std::string& name) const {
  if (const TensorView* view = find(name)) return *view;
  return not_found("{}: has no tensor '{}' (it has {} tensors)", path(), name, tensors_.size());
}

Result<std::string> safetensors_header(const std::string& path, std::span<const TensorView> tensors,
                                       const std::map<std::string, std::string>& metadata) {
  BGL_ASSIGN(std::string text, header_text(path, tensors, metadata));
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kHeaderBytesMax) {
    return invalid_argument("{}: the header would take {} bytes, over the limit of {}", path, text.size(), kHeaderBytesMax);
  }
  const uint64_t header_bytes = text.size();
  return std::string(reinterpret_cast<const char*>(&header_bytes), 8) + text;
}

Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata) {
  BGL_ASSIGN(const std::string header, safetensors_header(path, tensors, metadata));
  BGL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  BGL_TRY(file.write(header));
  for (const TensorView& tensor : tensors) BGL_TRY(file.write(tensor.bytes));
  return file.commit();
}

}  // namespace bgl::text
