// A device as the host sees it: the C table of a plugin (bgl_device.h) behind owning handles and Status.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "device/bgl_device.h"

namespace bgl::device {

// What only lang/ can do for a plugin; null functions are not offered.
struct LanguageServices {
  decltype(bgl_host::lower) lower = nullptr;
  decltype(bgl_host::interpret) interpret = nullptr;
};

// A handle of the plugin, released by its own function. Move-only.
template <typename Handle, bgl_status (*bgl_device_table::*Release)(Handle*)>
class Owned {
 public:
  Owned() = default;
  Owned(const bgl_device_table* table, Handle* handle) : table_(table), handle_(handle) {}
  Owned(Owned&& other) noexcept : table_(other.table_), handle_(other.handle_) { other.handle_ = nullptr; }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(table_, other.table_), std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_) (table_->*Release)(handle_);
  }
  Handle* get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  const bgl_device_table* table_ = nullptr;
  Handle* handle_ = nullptr;
};
using Memory = Owned<bgl_memory, &bgl_device_table::free>;
using Queue = Owned<bgl_queue, &bgl_device_table::queue_destroy>;
using Event = Owned<bgl_event, &bgl_device_table::event_destroy>;
using Binary = Owned<bgl_binary, &bgl_device_table::binary_destroy>;

class Device {
 public:
  // Opens device `index` of a plugin: a path, or a name as "cpu", looked for as libbgl_<name>.so in the folders of
  // BGL_DEVICE_PATH, beside the executable and in the build's own folder. A plugin stays loaded for the life of the process.
  static Result<std::unique_ptr<Device>> open(const std::string& plugin, const LanguageServices& services = {}, int index = 0);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const bgl_description& description() const { return description_; }
  std::vector<std::string> dialects() const;
  const bgl_device_table& table() const { return *table_; }
  bgl_device* handle() const { return device_; }
  const std::string& path() const { return path_; }

  Result<Memory> alloc(uint64_t bytes);
  uint64_t address(const Memory& m) const { return table_->address(m.get()); }
  void* host_pointer(const Memory& m) const { return table_->host_pointer(m.get()); }
  Result<Queue> queue();
  Result<Event> record(const Queue& queue);
  Status wait(const Queue& queue);
  Status copy(const Queue& queue, const Memory& to, uint64_t to_offset, const Memory& from, uint64_t from_offset,
              uint64_t bytes);
  Status write(const Queue& queue, const Memory& to, uint64_t offset, const void* from, uint64_t bytes);
  Status read(const Queue& queue, void* to, const Memory& from, uint64_t offset, uint64_t bytes);

  Result<Binary> compile(const std::string& dialect, const std::string& name, std::string_view text);
  // An empty string when the plugin does not save binaries.
  Result<std::string> save(const Binary& binary);
  Result<Binary> load(const std::string& name, std::string_view bytes);
  Status launch(const Queue& queue, const Binary& binary, const std::array<int64_t, 3>& grid, std::span<const uint64_t> slots);

  // `status` as a Status, with the plugin's own words.
  Status check(bgl_status status, const char* what) const;

 private:
  Device() = default;
  std::string path_;
  const bgl_device_table* table_ = nullptr;
  std::unique_ptr<bgl_host> host_;
  bgl_device* device_ = nullptr;
  bgl_description description_{};
};

// Every folder searched for plugins, in order, and the plugins found there (first of a name wins), for `bgl device list`.
std::vector<std::string> plugin_folders();
struct FoundPlugin {
  std::string name, path;
};
std::vector<FoundPlugin> find_plugins();

}  // namespace bgl::device
