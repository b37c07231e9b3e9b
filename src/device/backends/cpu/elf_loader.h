// Loads one ELF64 x86-64 relocatable object into this process, so that a compiled kernel needs no linker. The object may refer
// only to itself: an undefined symbol is refused by name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace bgl::device::cpu {

class LoadedObject {
 public:
  // An object whose bytes are wrong, cut short or need more than is supported gives null and says why in `error`.
  static std::unique_ptr<LoadedObject> load(std::string_view object, std::string& error);
  ~LoadedObject();
  LoadedObject(const LoadedObject&) = delete;
  LoadedObject& operator=(const LoadedObject&) = delete;

  // The address of a global function, or null.
  void* find(std::string_view name) const;

 private:
  LoadedObject() = default;
  struct Parser;
  char* base_ = nullptr;
  size_t bytes_ = 0;
  std::string names_;  // name NUL offset (8 bytes), repeated
};

}  // namespace bgl::device::cpu
