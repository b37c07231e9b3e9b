// The safetensors file format (Hugging Face), version as of 2023.
//
//   offset        size  content
//   0             8     N: length of the header, unsigned little-endian; at most 100,000,000
//   8             N     header: JSON object, begins with '{', may end with spaces
//                         "__metadata__": {string: string}             (optional)
//                         "<name>": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}
//   8 + N         ...   data; offsets count from here; tensors lie back to back without holes and end with the file
//
// dtypes: BOOL U8 I8 F8_E5M2 F8_E4M3 U16 I16 F16 BF16 U32 I32 F32 U64 I64 F64, little-endian, row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "text/files/mmap_file.h"

namespace bgl::text {

struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // borrowed: from the mapping when read, from the caller when written
};

// Bytes of one element of a safetensors dtype; 0 for a name the format does not have.
int64_t safetensors_dtype_bytes(const std::string& dtype);

class SafeTensors {
 public:
  // Maps and checks the whole header: sizes, JSON, dtype x shape == bytes, offsets back to back and ending with the file. Data
  // pages are not touched. Errors are kDataLoss and name file, tensor and offset.
  static Result<SafeTensors> open(const std::string& path);

  // The same checks on bytes that the caller keeps alive; `path` serves the messages.
  static Result<SafeTensors> parse(std::span<const std::byte> bytes, const std::string& path);

  // In the order of the data in the file. Views live as long as this object.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // nullptr when there is no tensor of this name.
  const TensorView* find(const std::string& name) const;
  Result<TensorView> get(const std::string& name) const;
  const std::string& path() const { return path_; }

 private:
  Status parse_all(std::span<const std::byte> bytes);
  MmapFile file_;
  std::string path_;
  std::vector<TensorView> tensors_;
  std::map<std::string, size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// What a file of these tensors begins with: the length and the header. The tensors' bytes follow in the same order.
Result<std::string> safetensors_header(const std::string& path, std::span<const TensorView> tensors,
                                       const std::map<std::string, std::string>& metadata = {});

// Writes `tensors` in the given order; the file appears whole or not at all. The header is padded with spaces so that the data
// begins at a multiple of 8, as the reference implementation does. Memory: the header and a 256 KiB buffer.
Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace bgl::text
