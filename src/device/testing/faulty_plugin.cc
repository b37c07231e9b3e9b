// The cpu with one fault, chosen by BGL_FAULT, to see that the conformance suite finds it. BGL_FAULT_BASE is the cpu's plugin.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "device/bgl_device.h"

namespace {

bgl_device_table g_real, g_table;

bgl_status lossy_copy(bgl_queue* q, bgl_memory* to, uint64_t to_offset, bgl_memory* from, uint64_t from_offset,
                      uint64_t bytes) {
  return g_real.copy(q, to, to_offset, from, from_offset, bytes > 1 ? bytes - 1 : bytes);
}
bgl_status greedy_alloc(bgl_device* d, uint64_t bytes, bgl_memory** out) {
  return g_real.alloc(d, bytes > 1u << 30 ? 64 : bytes, out);
}
bgl_status short_launch(bgl_queue* q, bgl_binary* b, const int64_t grid[3], const uint64_t* slots, int32_t n) {
  const int64_t fewer[3] = {grid[0] > 100 ? grid[0] - 1 : grid[0], grid[1], grid[2]};
  return g_real.launch(q, b, fewer, slots, n);
}
bgl_status large_describe(bgl_device* d, bgl_description* out) {
  const uint64_t size = out->size;
  bgl_description all{};
  all.size = sizeof all;
  const bgl_status status = g_real.describe(d, &all);
  std::memcpy(out, &all, sizeof all);
  out->size = size;
  return status;
}
bgl_status any_dialect(bgl_device* d, const char*, const char* name, const char* text, uint64_t bytes, bgl_binary** out) {
  return g_real.compile(d, "tile", name, text, bytes, out);
}
bgl_status backward_time(bgl_event*, bgl_event*, int64_t* ns) { return *ns = -1, BGL_OK; }

}  // namespace

extern "C" __attribute__((visibility("default"))) const bgl_device_table* bgl_device_entry(uint32_t version) {
  const char* base = std::getenv("BGL_FAULT_BASE");
  const char* fault = std::getenv("BGL_FAULT");
  void* library = base ? dlopen(base, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library || !fault) return nullptr;
  g_real = *reinterpret_cast<bgl_device_entry_function>(dlsym(library, BGL_DEVICE_ENTRY))(version);
  g_table = g_real;
  const std::string f = fault;
  if (f == "copy") g_table.copy = lossy_copy;
  if (f == "alloc") g_table.alloc = greedy_alloc;
  if (f == "launch") g_table.launch = short_launch;
  if (f == "describe") g_table.describe = large_describe;
  if (f == "compile") g_table.compile = any_dialect;
  if (f == "time") g_table.event_time = backward_time;
  if (f == "missing") g_table.launch = nullptr;
  if (f == "version") g_table.version = 99;
  return &g_table;
}
