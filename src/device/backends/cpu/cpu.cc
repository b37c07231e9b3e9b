// The cpu as a device. Memory is the host's, a queue does its work at once in the calling thread, and a launch is spread over
// the host's threads. Dialects: "llvm" where libLLVM 19 is installed, "c++" where a system compiler is, and always "tile",
// which the host interprets. BGL_CPU_ENGINE=llvm|c++|tile leaves only that one.
//
// A saved binary: one byte, 'E' for an ELF object or 'T' for tile text, then its bytes.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "device/backends/cpu/cxx_compiler.h"
#include "device/backends/cpu/elf_loader.h"
#include "device/backends/cpu/llvm_compiler.h"
#include "device/backends/cpu/probe.h"
#include "device/bgl_device.h"

using namespace bgl::device::cpu;

struct bgl_device {
  const bgl_host* host;
  Probe probe;
  std::string dialects;
};
struct bgl_memory {
  bgl_device* device;
  void* pointer;
  bool owned;
};
struct bgl_queue {
  bgl_device* device;
};
struct bgl_event {
  int64_t nanoseconds;
};
struct bgl_binary {
  using Entry = void (*)(const uint64_t* args, int64_t begin, int64_t end, int64_t pid1, int64_t pid2);
  bgl_device* device;
  char kind;
  std::string name, bytes;
  std::unique_ptr<LoadedObject> object;
  Entry entry = nullptr;
  std::atomic<float> program_ns{-1};  // what one program took lately; below 0: not yet known
};

namespace {

constexpr uint64_t kAlignment = 64;
// Threads that look out for the next launch cost less than a microsecond, those that sleep a few; a launch shorter than this stays in the
// calling thread.
constexpr float kWorthThreadsNs = 4'000;

thread_local std::string t_error;

bgl_status fail(bgl_status status, std::string text) { return t_error = std::move(text), status; }

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string choose_dialects() {
  const char* only = std::getenv("BGL_CPU_ENGINE");
  const std::string engine = only ? only : "";
  std::string out;
  auto offer = [&](const char* name, bool there) {
    if (there && (engine.empty() || engine == name)) out += out.empty() ? name : fmt::format(",{}", name);
  };
  offer("llvm", (engine.empty() || engine == "llvm") && llvm_present());
  offer("c++", (engine.empty() || engine == "c++") && cxx_present());
  if (out.empty() || engine.empty()) out += out.empty() ? "tile" : ",tile";
  return out;
}

bgl_status cpu_open(const bgl_host* host, int32_t index, bgl_device** out) {
  if (index != 0) return fail(BGL_INVALID, fmt::format("there is one cpu, index 0, not {}", index));
  std::string warning;
  *out = new bgl_device{host, probe_cpu(warning), choose_dialects()};
  if (!warning.empty()) host->log(host->context, 2, warning.c_str());
  return BGL_OK;
}
bgl_status cpu_close(bgl_device* device) {
  delete device;
  return BGL_OK;
}

void copy_text(char* to, size_t room, const std::string& text) { fmt::format_to_n(to, room - 1, "{}", text).out[0] = '\0'; }

bgl_status cpu_describe(bgl_device* device, bgl_description* out) {
  bgl_description d{};
  d.size = sizeof d;
  copy_text(d.name, sizeof d.name, "cpu");
  copy_text(d.isa, sizeof d.isa, device->probe.isa);
  copy_text(d.features, sizeof d.features, device->probe.features);
  copy_text(d.dialects, sizeof d.dialects, device->dialects);
  d.vector_floats = device->probe.vector_floats;
  d.registers = device->probe.registers;
  d.threads = device->host->threads;
  d.fma = device->probe.fma;
  d.f16c = device->probe.f16c;
  d.host_visible = 1;
  d.alignment = kAlignment;
  const uint64_t bytes = std::min<uint64_t>(out->size, sizeof d);
  if (bytes < sizeof d.size) return fail(BGL_INVALID, "describe: the size of the description is not set");
  std::memcpy(out, &d, bytes);
  out->size = bytes;
  return BGL_OK;
}
const char* cpu_last_error() { return t_error.c_str(); }

bgl_status cpu_alloc(bgl_device* device, uint64_t bytes, bgl_memory** out) {
  void* pointer = nullptr;
  if (bytes > 0) {
    pointer = bytes > uint64_t{1} << 62 ? nullptr : device->host->alloc(device->host->context, bytes, kAlignment);
    if (!pointer) return fail(BGL_NO_MEMORY, fmt::format("no {} bytes of host memory", bytes));
  }
  *out = new bgl_memory{device, pointer, true};
  return BGL_OK;
}
bgl_status cpu_import(bgl_device* device, void* host, uint64_t, bgl_memory** out) {
  *out = new bgl_memory{device, host, false};
  return BGL_OK;
}
bgl_status cpu_free(bgl_memory* memory) {
  if (memory->owned && memory->pointer) memory->device->host->free(memory->device->host->context, memory->pointer);
  delete memory;
  return BGL_OK;
}
uint64_t cpu_address(bgl_memory* memory) { return reinterpret_cast<uint64_t>(memory->pointer); }
void* cpu_host_pointer(bgl_memory* memory) { return memory->pointer; }

bgl_status cpu_copy(bgl_queue*, bgl_memory* to, uint64_t to_offset, bgl_memory* from, uint64_t from_offset, uint64_t bytes) {
  if (bytes) std::memmove(static_cast<char*>(to->pointer) + to_offset, static_cast<char*>(from->pointer) + from_offset, bytes);
  return BGL_OK;
}
bgl_status cpu_write(bgl_queue*, bgl_memory* to, uint64_t offset, const void* from, uint64_t bytes) {
  if (bytes) std::memcpy(static_cast<char*>(to->pointer) + offset, from, bytes);
  return BGL_OK;
}
bgl_status cpu_read(bgl_queue*, void* to, bgl_memory* from, uint64_t offset, uint64_t bytes) {
  if (bytes) std::memcpy(to, static_cast<char*>(from->pointer) + offset, bytes);
  return BGL_OK;
}

bgl_status cpu_queue_create(bgl_device* device, bgl_queue** out) {
  *out = new bgl_queue{device};
  return BGL_OK;
}
bgl_status cpu_queue_destroy(bgl_queue* queue) {
  delete queue;
  return BGL_OK;
}
bgl_status cpu_queue_wait(bgl_queue*) { return BGL_OK; }
bgl_status cpu_event_record(bgl_queue*, bgl_event** out) {
  *out = new bgl_event{now_ns()};
  return BGL_OK;
}
bgl_status cpu_event_query(bgl_event*) { return BGL_OK; }
bgl_status cpu_event_wait(bgl_queue*, bgl_event*) { return BGL_OK; }
bgl_status cpu_event_time(bgl_event* from, bgl_event* to, int64_t* nanoseconds) {
  *nanoseconds = to->nanoseconds - from->nanoseconds;
  return BGL_OK;
}
bgl_status cpu_event_destroy(bgl_event* event) {
  delete event;
  return BGL_OK;
}

bgl_status make_binary(bgl_device* device, char kind, const char* name, std::string bytes, bgl_binary** out) {
  auto binary = std::make_unique<bgl_binary>();
  binary->device = device, binary->kind = kind, binary->name = name, binary->bytes = std::move(bytes);
  if (kind == 'T' && !device->host->interpret) return fail(BGL_UNSUPPORTED, "the host offers no interpreter");
  if (kind == 'E') {
    std::string error;
    binary->object = LoadedObject::load(binary->bytes, error);
    if (!binary->object) return fail(BGL_FAILED, fmt::format("kernel {}: {}", name, error));
    binary->entry = reinterpret_cast<bgl_binary::Entry>(binary->object->find(name));
    if (!binary->entry) return fail(BGL_FAILED, fmt::format("the object does not define the kernel '{}'", name));
  }
  *out = binary.release();
  return BGL_OK;
}

bgl_status cpu_compile(bgl_device* device, const char* dialect, const char* name, const char* text, uint64_t bytes,
                       bgl_binary** out) {
  if (std::strcmp(dialect, "tile") == 0) return make_binary(device, 'T', name, std::string(text, bytes), out);
  std::string error, object;
  if (std::strcmp(dialect, "llvm") == 0) {
    if (!llvm_failure().empty()) return fail(BGL_UNSUPPORTED, llvm_failure());
    object = compile_llvm({text, bytes}, device->probe.features, error);
  } else if (std::strcmp(dialect, "c++") == 0) {
    object = compile_cxx({text, bytes}, device->probe.features, error);
  } else {
    return fail(BGL_UNSUPPORTED, fmt::format("the cpu compiles {}, not '{}'", device->dialects, dialect));
  }
  if (object.empty()) return fail(BGL_FAILED, fmt::format("kernel {}: {}", name, error));
  return make_binary(device, 'E', name, std::move(object), out);
}

struct Launch {
  bgl_binary* binary;
  const int64_t* grid;
  const uint64_t* slots;
  int32_t slot_count;
  std::atomic<bool> failed{false};
  char error[512] = {};
};

// Runs programs [begin, end) of the grid, in runs along pid0.
void run_programs(void* arg, int64_t begin, int64_t end) {
  auto& l = *static_cast<Launch*>(arg);
  const bgl_binary& b = *l.binary;
  if (b.kind == 'T') {
    const bgl_host* host = b.device->host;
    char error[sizeof l.error] = {};
    const bgl_status status = host->interpret(host->context, b.bytes.data(), b.bytes.size(), l.grid, begin, end, l.slots,
                                              l.slot_count, error, sizeof error);
    if (status != BGL_OK && !l.failed.exchange(true)) std::memcpy(l.error, error, sizeof error);
    return;
  }
  while (begin < end) {
    const int64_t row = begin / l.grid[0], first = begin % l.grid[0];
    const int64_t count = std::min(end - begin, l.grid[0] - first);
    b.entry(l.slots, first, first + count, row % l.grid[1], row / l.grid[1]);
    begin += count;
  }
}

bgl_status cpu_launch(bgl_queue* queue, bgl_binary* binary, const int64_t grid[3], const uint64_t* slots, int32_t slot_count) {
  const bgl_host* host = queue->device->host;
  if (grid[0] < 0 || grid[1] < 0 || grid[2] < 0) {
    return fail(BGL_INVALID, fmt::format("kernel {}: the grid is {} x {} x {}", binary->name, grid[0], grid[1], grid[2]));
  }
  const int64_t programs = grid[0] * grid[1] * grid[2];
  if (programs == 0) return BGL_OK;
  Launch launch{binary, grid, slots, slot_count};
  const float each = binary->program_ns.load(std::memory_order_relaxed);
  if (host->threads <= 1 || programs == 1) {
    run_programs(&launch, 0, programs);
  } else {
    const bool spread = each < 0 ? programs >= 8 : each * static_cast<float>(programs) > kWorthThreadsNs;
    const int64_t start = now_ns();
    if (spread) {
      // Pieces of a few microseconds at least, and enough of them that an unlucky thread holds nobody up for long.
      const int64_t share = std::max<int64_t>(1, programs / (int64_t{8} * host->threads));
      const auto least = static_cast<int64_t>(each > 0 ? std::min(2000.0f / std::max(each, 1.0f), 1e6f) : 1.0f);
      host->parallel_for(host->context, programs, std::max(share, std::min(least, programs / host->threads)), run_programs,
                         &launch);
    } else {
      run_programs(&launch, 0, programs);
    }
    const float took =
        static_cast<float>(now_ns() - start) / static_cast<float>(programs) * static_cast<float>(spread ? host->threads : 1);
    binary->program_ns.store(each < 0 ? took : 0.5f * (each + took), std::memory_order_relaxed);
  }
  if (launch.failed) return fail(BGL_FAILED, launch.error);
  return BGL_OK;
}
bgl_status cpu_binary_destroy(bgl_binary* binary) {
  delete binary;
  return BGL_OK;
}

bgl_status cpu_save(bgl_binary* binary, void* to, uint64_t* bytes) {
  const uint64_t need = binary->bytes.size() + 1;
  if (to) {
    if (*bytes < need) return fail(BGL_INVALID, fmt::format("save needs {} bytes, got {}", need, *bytes));
    static_cast<char*>(to)[0] = binary->kind;
    std::memcpy(static_cast<char*>(to) + 1, binary->bytes.data(), need - 1);
  }
  *bytes = need;
  return BGL_OK;
}
bgl_status cpu_load(bgl_device* device, const char* name, const void* from, uint64_t bytes, bgl_binary** out) {
  const char* p = static_cast<const char*>(from);
  if (bytes < 1 || (p[0] != 'E' && p[0] != 'T'))
    return fail(BGL_INVALID, fmt::format("kernel {}: not a binary of the cpu", name));
  return make_binary(device, p[0], name, std::string(p + 1, bytes - 1), out);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const bgl_device_table* bgl_device_entry(uint32_t host_version) {
  static const bgl_device_table table = [] {
    bgl_device_table t{};
    t.size = sizeof t;
    t.version = BGL_DEVICE_VERSION;
    t.name = "cpu";
    t.open = cpu_open, t.close = cpu_close, t.describe = cpu_describe, t.last_error = cpu_last_error;
    t.alloc = cpu_alloc, t.free = cpu_free, t.address = cpu_address, t.host_pointer = cpu_host_pointer;
    t.copy = cpu_copy, t.write = cpu_write, t.read = cpu_read;
    t.queue_create = cpu_queue_create, t.queue_destroy = cpu_queue_destroy, t.queue_wait = cpu_queue_wait;
    t.event_record = cpu_event_record, t.event_query = cpu_event_query, t.event_wait = cpu_event_wait;
    t.event_time = cpu_event_time, t.event_destroy = cpu_event_destroy;
    t.compile = cpu_compile, t.launch = cpu_launch, t.binary_destroy = cpu_binary_destroy;
    t.save = cpu_save, t.load = cpu_load, t.import = cpu_import;
    return t;
  }();
  return host_version == BGL_DEVICE_VERSION ? &table : nullptr;
}
