#include "lang/kernel.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>

#include "base/log.h"
#include "base/threads.h"
#include "device/binary_cache.h"
#include "device/device.h"
#include "lang/engine.h"
#include "lang/text.h"
#include "lang/verify.h"

namespace bgl::lang {
namespace {

// Part of the key of binaries on disk: raise it when a printer or the way of compiling changes what a kernel computes or how
// fast.
constexpr int kCompilerVersion = 2;

struct Runtime {
  Status status;
  std::unique_ptr<device::Device> device;
  device::Queue queue;
  MachineInfo machine;

  std::mutex mutex;
  std::condition_variable ready;
  struct Entry {
    bool done = false;
    Status status;
    std::unique_ptr<Kernel> kernel;
  };
  std::map<std::string, Entry> kernels;  // by canonical text
  KernelCounters counters;

  Runtime() { status = start(); }
  Status start();
  std::atomic<bool> said_fallback{false};
  Result<device::Binary> compile(const Function& fn, const std::string& text, std::string& used);
  Result<device::Binary> build(const Function& fn, const std::string& text);
};

Status Runtime::start() {
  BGL_ASSIGN(device, device::Device::open("cpu", language_services()));
  BGL_ASSIGN(queue, device->queue());
  const bgl_description& d = device->description();
  machine = {d.vector_floats, d.registers, d.threads, d.isa, d.fma != 0, {}};
  for (const std::string& dialect : device->dialects()) {
    if (machine.engine.empty() && has_printer(dialect)) machine.engine = dialect;
  }
  if (machine.engine.empty())
    return make_status(Code::kUnimplemented, "no way to run kernels: the cpu offers '{}'", d.dialects);
  log_info("kernels run by {} on {} ({} threads)", machine.engine, machine.isa, machine.threads);
  if (machine.engine == "c++")
    log_warn("kernels are compiled by the system's C++ compiler: slower to start; install libllvm19");
  if (machine.engine == "tile")
    log_warn("kernels are interpreted, about a thousand times slower: install libllvm19, or a C++ compiler");
  return {};
}

// Never destroyed: kernels may be launched until the very end of the process.
Runtime& runtime() {
  static Runtime& r = *new Runtime;
  return r;
}

double thread_cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// BGL_DUMP_KERNELS=FOLDER: what is compiled, as tile text with source lines and as the compiler gets it.
void dump(const Function& fn, const std::string& text, const std::string& dialect, const std::string& source) {
  const char* folder = std::getenv("BGL_DUMP_KERNELS");
  if (!folder || !*folder) return;
  const std::string base = fmt::format("{}/{}-{:016x}", folder, fn.name, std::hash<std::string>()(text));
  std::ofstream(base + ".tile") << to_text(fn, true);
  std::ofstream(base + (dialect == "llvm" ? ".ll" : dialect == "c++" ? ".cc" : ".txt")) << source;
}

// In the engine's dialect; where the device turns out to lack it (a library of the wrong version, say), in the next that it
// lists.
Result<device::Binary> Runtime::compile(const Function& fn, const std::string& text, std::string& used) {
  Status last;
  bool reached = false;
  for (const std::string& dialect : device->dialects()) {
    reached = reached || dialect == machine.engine;
    if (!reached || !has_printer(dialect)) continue;
    used = dialect;
    BGL_ASSIGN(const std::string source, print_for(dialect, fn, device->description()));
    dump(fn, text, dialect, source);
    auto binary = device->compile(dialect, fn.name, source);
    if (binary.ok() || binary.status().code() != Code::kUnimplemented) return binary;
    last = binary.status();
    if (!said_fallback.exchange(true)) log_warn("{}; trying its next dialect", last.message());
  }
  return last;
}

Result<device::Binary> Runtime::build(const Function& fn, const std::string& text) {
  const std::string key = fmt::format("{}\n{} {} {} {}\n{}", kCompilerVersion, device->description().name, machine.engine,
                                      machine.vector_floats, device->description().features, text);
  const device::BinaryCache& disk = device::BinaryCache::shared();
  if (const std::string bytes = disk.get(key); !bytes.empty()) {
    auto loaded = device->load(fn.name, bytes);
    if (loaded.ok()) {
      const std::lock_guard lock(mutex);
      ++counters.from_disk;
      return loaded;
    }
    log_warn("cached kernel {} does not load ({}): compiling again", fn.name, loaded.status().message());
  }
  const double start = thread_cpu_seconds();
  std::string used;
  BGL_ASSIGN(device::Binary binary, compile(fn, text, used));
  const double took = thread_cpu_seconds() - start;
  log_debug("compiled kernel {} in {:.1f} ms", fn.name, took * 1e3);
  // A stopgap of another engine is not kept under this one's key; and what is interpreted is printed quicker than read.
  if (used == machine.engine && used != "tile") {
    if (auto bytes = device->save(binary); bytes.ok() && !bytes->empty()) disk.put(key, *bytes);
  }
  const std::lock_guard lock(mutex);
  ++counters.compiled;
  counters.compile_cpu_seconds += took;
  counters.each.push_back(took);
  return binary;
}

}  // namespace

struct Kernel::State {
  std::string name;
  size_t parameters = 0;
  device::Binary binary;
};
Kernel::Kernel(std::unique_ptr<State> state) : state_(std::move(state)) {}
Kernel::~Kernel() = default;
const std::string& Kernel::name() const { return state_->name; }
size_t Kernel::parameter_count() const { return state_->parameters; }

Result<const Kernel*> compile_kernel(const Function& fn) {
  Runtime& r = runtime();
  BGL_TRY(r.status);
  BGL_TRY(verify(fn));
  const std::string text = to_text(fn);
  std::unique_lock lock(r.mutex);
  const auto [at, first] = r.kernels.try_emplace(text);
  Runtime::Entry& entry = at->second;
  if (first) {
    lock.unlock();
    auto binary = r.build(fn, text);
    lock.lock();
    if (binary.ok()) {
      entry.kernel = std::make_unique<Kernel>(
          std::make_unique<Kernel::State>(Kernel::State{fn.name, fn.params.size(), std::move(binary).value()}));
    } else {
      entry.status = binary.status();
    }
    entry.done = true;
    r.ready.notify_all();
  } else {
    r.ready.wait(lock, [&] { return entry.done; });
  }
  if (!entry.kernel) return entry.status;
  return static_cast<const Kernel*>(entry.kernel.get());
}

Status launch(const Kernel& kernel, std::array<int64_t, 3> grid, std::span<const uint64_t> slots) {
  const Kernel::State& k = *kernel.state_;
  if (slots.size() != k.parameters) {
    return invalid_argument("[kernel {}] has {} parameters, the launch gives {}", k.name, k.parameters, slots.size());
  }
  Runtime& r = runtime();
  return r.device->launch(r.queue, k.binary, grid, slots);
}

uint64_t slot(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return bits;
}

const MachineInfo& machine() {
  Runtime& r = runtime();
  if (!r.status.ok()) {
    static std::once_flag once;
    std::call_once(once, [&] { log_error("{}", r.status.message()); });
  }
  return r.machine;
}

KernelCounters kernel_counters() {
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  return r.counters;
}

}  // namespace bgl::lang
