#include "device/device.h"

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <sstream>

#include "base/log.h"
#include "base/threads.h"

namespace bgl::device {
namespace {

void host_parallel_for(void*, int64_t n, int64_t grain, void (*body)(void*, int64_t, int64_t), void* arg) {
  thread_pool().parallel_for(n, grain, [body, arg](int64_t begin, int64_t end) { body(arg, begin, end); });
}
void host_log(void*, int32_t level, const char* message) {
  if (log_enabled(static_cast<LogLevel>(level))) log_message(static_cast<LogLevel>(level), message);
}
void* host_alloc(void*, uint64_t bytes, uint64_t alignment) {
  if (bytes >> 47) return nullptr;  // more than a process can address
  return ::operator new (bytes, std::align_val_t{alignment < 64 ? 64 : alignment}, std::nothrow);
}
void host_free(void*, void* pointer) { ::operator delete (pointer, std::align_val_t{64}); }

std::string executable_folder() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return ".";
  const std::string text(path, static_cast<size_t>(n));
  return text.substr(0, text.rfind('/'));
}

// The members that every plugin has to give.
const char* missing_member(const bgl_device_table& t) {
#define BGL_NEED(member) \
  if (!t.member) return #member;
  BGL_NEED(open)
  BGL_NEED(close) BGL_NEED(describe) BGL_NEED(last_error) BGL_NEED(alloc) BGL_NEED(free) BGL_NEED(address)
      BGL_NEED(host_pointer) BGL_NEED(copy) BGL_NEED(write) BGL_NEED(read) BGL_NEED(queue_create) BGL_NEED(queue_destroy)
          BGL_NEED(queue_wait) BGL_NEED(event_record) BGL_NEED(event_query) BGL_NEED(event_wait) BGL_NEED(event_time)
              BGL_NEED(event_destroy) BGL_NEED(compile) BGL_NEED(launch) BGL_NEED(binary_destroy)
#undef BGL_NEED
                  return nullptr;
}

// The plugin's table, completed with nulls where the plugin is older than this host.
Result<const bgl_device_table*> load_table(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return not_found("device plugin {}: {}", path, dlerror());
  const auto entry = reinterpret_cast<bgl_device_entry_function>(dlsym(library, BGL_DEVICE_ENTRY));
  if (!entry) return invalid_argument("{} is no device plugin: it does not export " BGL_DEVICE_ENTRY, path);
  const bgl_device_table* theirs = entry(BGL_DEVICE_VERSION);
  if (!theirs) return invalid_argument("device plugin {} does not serve version {} of the interface", path, BGL_DEVICE_VERSION);
  if (theirs->version != BGL_DEVICE_VERSION) {
    return invalid_argument("device plugin {} has version {} of the interface, this host {}", path, theirs->version,
                            BGL_DEVICE_VERSION);
  }
  if (theirs->size < offsetof(bgl_device_table, save)) {
    return invalid_argument("device plugin {}: its table has {} bytes, at least {} are required", path, theirs->size,
                            offsetof(bgl_device_table, save));
  }
  auto ours = std::make_unique<bgl_device_table>();
  std::memcpy(ours.get(), theirs, std::min<size_t>(theirs->size, sizeof *ours));
  if (const char* name = missing_member(*ours))
    return invalid_argument("device plugin {} lacks the required function '{}'", path, name);
  // Tables live as long as the plugins, which are never unloaded: handles may be released at the very end of the process.
  static std::mutex mutex;
  static auto& tables = *new std::vector<std::unique_ptr<bgl_device_table>>;
  const std::lock_guard lock(mutex);
  return static_cast<const bgl_device_table*>(tables.emplace_back(std::move(ours)).get());
}

Result<std::string> find_plugin(const std::string& plugin) {
  if (plugin.find('/') != std::string::npos) return plugin;
  std::string looked;
  for (const std::string& folder : plugin_folders()) {
    const std::string path = folder + "/libbgl_" + plugin + ".so";
    if (access(path.c_str(), R_OK) == 0) return path;
    looked += (looked.empty() ? "" : ", ") + folder;
  }
  return not_found("no device plugin libbgl_{}.so in {}; set BGL_DEVICE_PATH to its folder", plugin, looked);
}

}  // namespace

std::vector<std::string> plugin_folders() {
  std::vector<std::string> out;
  if (const char* text = std::getenv("BGL_DEVICE_PATH")) {
    std::stringstream list(text);
    for (std::string folder; std::getline(list, folder, ':');) {
      if (!folder.empty()) out.push_back(folder);
    }
  }
  out.push_back(executable_folder());
  out.push_back(executable_folder() + "/../lib/bagualu");
  out.emplace_back(BGL_BUILD_PLUGIN_FOLDER);
  return out;
}

std::vector<FoundPlugin> find_plugins() {
  std::vector<FoundPlugin> out;
  for (const std::string& folder : plugin_folders()) {
    DIR* dir = opendir(folder.c_str());
    if (!dir) continue;
    std::vector<std::string> files;
    while (const dirent* entry = readdir(dir)) files.emplace_back(entry->d_name);
    closedir(dir);
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      if (!file.starts_with("libbgl_") || !file.ends_with(".so")) continue;
      const std::string name = file.substr(7, file.size() - 10);
      if (std::none_of(out.begin(), out.end(), [&](const FoundPlugin& p) { return p.name == name; }))
        out.push_back({name, folder + "/" + file});
    }
  }
  return out;
}

Result<std::unique_ptr<Device>> Device::open(const std::string& plugin, const LanguageServices& services, int index) {
  std::unique_ptr<Device> d(new Device);
  BGL_ASSIGN(d->path_, find_plugin(plugin));
  BGL_ASSIGN(d->table_, load_table(d->path_));
  d->host_ = std::make_unique<bgl_host>();
  *d->host_ = {sizeof(bgl_host), BGL_DEVICE_VERSION, thread_pool().threads(), nullptr,           host_parallel_for, host_log,
               host_alloc,       host_free,          services.lower,          services.interpret};
  BGL_TRY(d->check(d->table_->open(d->host_.get(), index, &d->device_), "open"));
  d->description_.size = sizeof(bgl_description);
  BGL_TRY(d->check(d->table_->describe(d->device_, &d->description_), "describe"));
  return d;
}

Device::~Device() {
  if (device_) table_->close(device_);
}

std::vector<std::string> Device::dialects() const {
  std::vector<std::string> out;
  std::stringstream list(description_.dialects);
  for (std::string one; std::getline(list, one, ',');) out.push_back(one);
  return out;
}

Status Device::check(bgl_status status, const char* what) const {
  if (status == BGL_OK) return {};
  const Code code = status == BGL_INVALID       ? Code::kInvalidArgument
                    : status == BGL_NO_MEMORY   ? Code::kResourceExhausted
                    : status == BGL_UNSUPPORTED ? Code::kUnimplemented
                    : status == BGL_LOST        ? Code::kUnavailable
                                                : Code::kInternal;
  return make_status(code, "device {}: {}: {}", table_->name, what, table_->last_error());
}

Result<Memory> Device::alloc(uint64_t bytes) {
  bgl_memory* m = nullptr;
  BGL_TRY(check(table_->alloc(device_, bytes, &m), "alloc"));
  return Memory(table_, m);
}
Result<Queue> Device::queue() {
  bgl_queue* q = nullptr;
  BGL_TRY(check(table_->queue_create(device_, &q), "queue"));
  return Queue(table_, q);
}
Result<Event> Device::record(const Queue& queue) {
  bgl_event* e = nullptr;
  BGL_TRY(check(table_->event_record(queue.get(), &e), "event"));
  return Event(table_, e);
}
Status Device::wait(const Queue& queue) { return check(table_->queue_wait(queue.get()), "wait"); }
Status Device::copy(const Queue& queue, const Memory& to, uint64_t to_offset, const Memory& from, uint64_t from_offset,
                    uint64_t bytes) {
  return check(table_->copy(queue.get(), to.get(), to_offset, from.get(), from_offset, bytes), "copy");
}
Status Device::write(const Queue& queue, const Memory& to, uint64_t offset, const void* from, uint64_t bytes) {
  return check(table_->write(queue.get(), to.get(), offset, from, bytes), "write");
}
Status Device::read(const Queue& queue, void* to, const Memory& from, uint64_t offset, uint64_t bytes) {
  return check(table_->read(queue.get(), to, from.get(), offset, bytes), "read");
}

Result<Binary> Device::compile(const std::string& dialect, const std::string& name, std::string_view text) {
  bgl_binary* b = nullptr;
  BGL_TRY(check(table_->compile(device_, dialect.c_str(), name.c_str(), text.data(), text.size(), &b), "compile"));
  return Binary(table_, b);
}
Result<std::string> Device::save(const Binary& binary) {
  if (!table_->save) return std::string();
  uint64_t bytes = 0;
  BGL_TRY(check(table_->save(binary.get(), nullptr, &bytes), "save"));
  std::string out(bytes, '\0');
  BGL_TRY(check(table_->save(binary.get(), out.data(), &bytes), "save"));
  return out;
}
Result<Binary> Device::load(const std::string& name, std::string_view bytes) {
  if (!table_->load) return make_status(Code::kUnimplemented, "device {} loads no binaries", table_->name);
  bgl_binary* b = nullptr;
  BGL_TRY(check(table_->load(device_, name.c_str(), bytes.data(), bytes.size(), &b), "load"));
  return Binary(table_, b);
}
Status Device::launch(const Queue& queue, const Binary& binary, const std::array<int64_t, 3>& grid,
                      std::span<const uint64_t> slots) {
  return check(table_->launch(queue.get(), binary.get(), grid.data(), slots.data(), static_cast<int32_t>(slots.size())),
               "launch");
}

}  // namespace bgl::device
