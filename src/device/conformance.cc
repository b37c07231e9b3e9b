#include "device/conformance.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "device/conformance_kernels.h"

namespace bgl::device {
namespace {

// A check's verdict: empty when it passed.
using Verdict = std::string;
constexpr const char* kSkip = "skipped: ";

#define EXPECT_THAT(condition, ...) \
  if (!(condition)) return fmt::format(__VA_ARGS__)
#define EXPECT_OK(expression) \
  if (const Status bgl_s = (expression); !bgl_s.ok()) return bgl_s.message()

struct Suite {
  Device& device;
  const LanguageServices& services;
  const bgl_device_table& table = device.table();

  // `tile` in the first dialect that the plugin lists and the host can print.
  Result<Binary> build(const char* name, const char* tile, const std::string& dialect) const {
    if (dialect == "tile") return device.compile(dialect, name, tile);
    if (!services.lower) return make_status(Code::kUnimplemented, "the host lowers nothing");
    char* text = nullptr;
    uint64_t bytes = 0;
    if (services.lower(nullptr, tile, std::strlen(tile), dialect.c_str(), &device.description(), &text, &bytes) != BGL_OK) {
      return make_status(Code::kUnimplemented, "the host does not print the dialect '{}'", dialect);
    }
    const std::string printed(text, bytes);
    ::operator delete (text, std::align_val_t{64});
    return device.compile(dialect, name, printed);
  }
  Result<Binary> build(const char* name, const char* tile) const {
    Status last = make_status(Code::kUnimplemented, "the plugin lists no dialect");
    for (const std::string& dialect : device.dialects()) {
      auto binary = build(name, tile, dialect);
      if (binary.ok() || binary.status().code() != Code::kUnimplemented) return binary;
      last = binary.status();
    }
    return last;
  }
  template <typename T>
  Result<Memory> upload(const Queue& queue, const std::vector<T>& data) const {
    BGL_ASSIGN(Memory m, device.alloc(data.size() * sizeof(T)));
    BGL_TRY(device.write(queue, m, 0, data.data(), data.size() * sizeof(T)));
    BGL_TRY(device.wait(queue));  // `data` may be a temporary
    return m;
  }
  template <typename T>
  Status download(const Queue& queue, const Memory& m, std::vector<T>& data) const {
    BGL_TRY(device.read(queue, data.data(), m, 0, data.size() * sizeof(T)));
    return device.wait(queue);
  }
};

#define TAKE(name, expression)                                      \
  auto name##_result = (expression);                                \
  if (!name##_result.ok()) return name##_result.status().message(); \
  [[maybe_unused]] auto& name = *name##_result

Verdict describe_is_sane(Suite& s) {
  const bgl_description& d = s.device.description();
  EXPECT_THAT(d.name[0] && std::memchr(d.name, 0, sizeof d.name), "the name is empty or not ended");
  EXPECT_THAT(d.dialects[0], "it lists no dialect");
  EXPECT_THAT(d.vector_floats >= 1 && d.registers >= 1 && d.threads >= 1, "vector_floats {}, registers {}, threads {}",
              d.vector_floats, d.registers, d.threads);
  EXPECT_THAT(d.alignment >= 16 && (d.alignment & (d.alignment - 1)) == 0, "the alignment is {}", d.alignment);
  return {};
}
Verdict describe_respects_the_callers_size(Suite& s) {
  bgl_description d;
  std::memset(&d, 0x5a, sizeof d);
  d.size = offsetof(bgl_description, isa);  // a host of the first version might know no more
  EXPECT_OK(s.device.check(s.table.describe(s.device.handle(), &d), "describe"));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&d);
  for (size_t i = offsetof(bgl_description, isa); i < sizeof d; ++i)
    EXPECT_THAT(bytes[i] == 0x5a, "byte {} beyond the caller's size was written", i);
  return {};
}
Verdict a_wrong_index_is_refused(Suite& s) {
  const int32_t count = s.table.count ? s.table.count() : 1;
  EXPECT_THAT(count >= 1, "it counts {} devices", count);
  const auto other = Device::open(s.device.path(), s.services, count);
  EXPECT_THAT(!other.ok(), "device {} of {} opened", count, count);
  EXPECT_THAT(!other.status().message().empty(), "the refusal says nothing");
  return {};
}
Verdict memory_is_aligned_and_apart(Suite& s) {
  std::vector<Memory> held;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const uint64_t bytes : {0ull, 1ull, 63ull, 4096ull, 1ull << 20, 64ull << 20}) {
    TAKE(m, s.device.alloc(bytes));
    const uint64_t at = s.device.address(m);
    EXPECT_THAT(bytes == 0 || at % s.device.description().alignment == 0, "{} bytes lie at {:#x}", bytes, at);
    for (const auto& [low, high] : ranges) EXPECT_THAT(bytes == 0 || at >= high || at + bytes <= low, "two memories overlap");
    if (bytes) ranges.emplace_back(at, at + bytes);
    held.push_back(std::move(m));
  }
  return {};
}
Verdict impossible_memory_is_refused(Suite& s) {
  const auto m = s.device.alloc(1ull << 62);
  EXPECT_THAT(!m.ok(), "2^62 bytes were given");
  EXPECT_THAT(m.status().code() == Code::kResourceExhausted, "the refusal is '{}', not BGL_NO_MEMORY", m.status().to_string());
  return {};
}
Verdict bytes_survive_write_copy_read(Suite& s) {
  TAKE(queue, s.device.queue());
  std::vector<uint8_t> in(100'003), out(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 31 + i / 256);
  TAKE(a, s.upload(queue, in));
  TAKE(b, s.upload(queue, std::vector<uint8_t>(in.size())));
  EXPECT_OK(s.device.copy(queue, b, 7, a, 3, in.size() - 7));
  EXPECT_OK(s.download(queue, b, out));
  for (size_t i = 0; i < 7; ++i) EXPECT_THAT(out[i] == 0, "byte {} before the copy changed", i);
  for (size_t i = 7; i < out.size(); ++i) EXPECT_THAT(out[i] == in[i - 4], "byte {} of the copy is wrong", i);
  return {};
}
Verdict the_host_pointer_is_as_described(Suite& s) {
  TAKE(m, s.device.alloc(256));
  void* p = s.device.host_pointer(m);
  EXPECT_THAT((p != nullptr) == (s.device.description().host_visible != 0), "host_visible is {}, the pointer {}",
              s.device.description().host_visible, p ? "is there" : "is null");
  if (!p) return {};
  TAKE(queue, s.device.queue());
  std::memset(p, 0x3c, 256);
  std::vector<uint8_t> out(256);
  EXPECT_OK(s.download(queue, m, out));
  EXPECT_THAT(out[0] == 0x3c && out[255] == 0x3c, "what the host wrote is not read back");
  return {};
}
Verdict events_happen_and_tell_time(Suite& s) {
  TAKE(queue, s.device.queue());
  TAKE(first, s.device.record(queue));
  TAKE(m, s.upload(queue, std::vector<uint8_t>(1 << 20)));
  TAKE(second, s.device.record(queue));
  EXPECT_OK(s.device.wait(queue));
  EXPECT_THAT(s.table.event_query(first.get()) == BGL_OK && s.table.event_query(second.get()) == BGL_OK,
              "an event has not happened after the wait");
  int64_t ns = -1;
  EXPECT_OK(s.device.check(s.table.event_time(first.get(), second.get(), &ns), "event_time"));
  EXPECT_THAT(ns >= 0 && ns < 60'000'000'000, "{} ns between two events", ns);
  return {};
}
Verdict a_queue_waits_for_another(Suite& s) {
  TAKE(one, s.device.queue());
  TAKE(two, s.device.queue());
  std::vector<uint8_t> in(1 << 22, 0x77), out(in.size());
  TAKE(m, s.upload(one, in));
  TAKE(n, s.device.alloc(in.size()));
  EXPECT_OK(s.device.copy(one, n, 0, m, 0, in.size()));
  TAKE(event, s.device.record(one));
  EXPECT_OK(s.device.check(s.table.event_wait(two.get(), event.get()), "event_wait"));
  EXPECT_OK(s.device.read(two, out.data(), n, 0, out.size()));
  EXPECT_OK(s.device.wait(two));
  EXPECT_THAT(out == in, "the second queue read before the first had written");
  return {};
}
Verdict unknown_dialects_are_refused(Suite& s) {
  const auto b = s.device.compile("klingon", "k", "nuqneH");
  EXPECT_THAT(!b.ok() && b.status().code() == Code::kUnimplemented, "the refusal is '{}', not BGL_UNSUPPORTED",
              b.status().to_string());
  return {};
}
Verdict broken_text_is_refused_with_a_reason(Suite& s) {
  for (const std::string& dialect : s.device.dialects()) {
    if (dialect == "tile") continue;  // may be read as late as the launch
    const auto b = s.device.compile(dialect, "broken", "this is no program {");
    EXPECT_THAT(!b.ok(), "dialect {} took nonsense", dialect);
    EXPECT_THAT(b.status().message().size() > 30, "dialect {} refuses without a reason: {}", dialect, b.status().message());
  }
  return {};
}
Verdict every_program_runs_once(Suite& s, const std::string& dialect) {
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("count_programs", kCountPrograms, dialect));
  for (const auto& grid : {std::array<int64_t, 3>{1, 1, 1}, {0, 3, 1}, {7, 5, 3}, {1000, 1, 1}, {1, 1, 64}}) {
    const auto n = static_cast<size_t>(grid[0] * grid[1] * grid[2]);
    std::vector<int64_t> counts(n + 8);
    TAKE(m, s.upload(queue, counts));
    const uint64_t slots[] = {s.device.address(m), static_cast<uint64_t>(grid[0]), static_cast<uint64_t>(grid[1])};
    EXPECT_OK(s.device.launch(queue, binary, grid, slots));
    EXPECT_OK(s.download(queue, m, counts));
    for (size_t i = 0; i < counts.size(); ++i) {
      const int64_t want = i < n ? static_cast<int64_t>(i) + 1 : 0;
      EXPECT_THAT(counts[i] == want, "grid {} x {} x {}: element {} is {}, not {}", grid[0], grid[1], grid[2], i, counts[i],
                  want);
    }
  }
  return {};
}
Verdict every_dialect_runs(Suite& s) {
  for (const std::string& dialect : s.device.dialects()) {
    if (dialect != "tile" && !s.services.lower) return std::string(kSkip) + "the host lowers nothing";
    const Verdict v = every_program_runs_once(s, dialect);
    if (!v.empty()) return fmt::format("dialect {}: {}", dialect, v);
  }
  return {};
}
Verdict launches_see_what_came_before(Suite& s) {
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("count_programs", kCountPrograms));
  std::vector<int64_t> counts(64);
  TAKE(m, s.upload(queue, counts));
  const uint64_t slots[] = {s.device.address(m), 64, 1};
  for (int i = 0; i < 5; ++i) EXPECT_OK(s.device.launch(queue, binary, {64, 1, 1}, slots));
  EXPECT_OK(s.download(queue, m, counts));
  for (size_t i = 0; i < 64; ++i)
    EXPECT_THAT(counts[i] == 5 * static_cast<int64_t>(i + 1), "after five launches element {} is {}", i, counts[i]);
  return {};
}
Verdict arithmetic_is_ieee(Suite& s) {
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("arithmetic", kArithmetic));
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{1.5f, -0.0f, nan, 3e38f, 1e-45f, 16777216.0f, inf, 0.1f},
      y{2.5f, 0.0f, 1.0f, 3e38f, 0.5f, 1.0f, -inf, 0.2f};
  std::vector<float> out(7 * 8);
  TAKE(a, s.upload(queue, x));
  TAKE(b, s.upload(queue, y));
  TAKE(c, s.upload(queue, out));
  const float scale = 0.75f;
  uint32_t bits;
  std::memcpy(&bits, &scale, 4);
  const uint64_t slots[] = {s.device.address(a), s.device.address(b), s.device.address(c), bits};
  EXPECT_OK(s.device.launch(queue, binary, {1, 1, 1}, slots));
  EXPECT_OK(s.download(queue, c, out));
  const char* names[] = {"add", "mul", "div", "max", "min", "sqrt", "mul by an f32 parameter"};
  for (size_t i = 0; i < 8; ++i) {
    const float want[] = {x[i] + y[i],     x[i] * y[i], x[i] / y[i], y[i] > x[i] ? y[i] : x[i], y[i] < x[i] ? y[i] : x[i],
                          std::sqrt(x[i]), x[i] * scale};
    for (size_t op = 0; op < 7; ++op) {
      const float got = out[op * 8 + i];
      const bool same = std::isnan(want[op]) ? std::isnan(got) : got == want[op] && std::signbit(got) == std::signbit(want[op]);
      EXPECT_THAT(same, "{} of {} and {} is {}, not {}", names[op], x[i], y[i], got, want[op]);
    }
  }
  return {};
}
Verdict small_types_round_to_even(Suite& s) {
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("narrow", kNarrow));
  // 1 + 2^-8 is half way between two bf16, 1 + 2^-11 between two f16: both go down to 1; three halves go up.
  const std::vector<float> x{1.0f, 1.00390625f, 1.01171875f, 1.00048828125f, 1.00146484375f, 65520.0f, 1e-8f, -2.0f};
  const std::vector<uint16_t> bf16{0x3f80, 0x3f80, 0x3f82, 0x3f80, 0x3f80, 0x4780, 0x322c, 0xc000};
  const std::vector<uint16_t> f16{0x3c00, 0x3c04, 0x3c0c, 0x3c00, 0x3c02, 0x7c00, 0x0000, 0xc000};
  std::vector<uint16_t> got(16);
  TAKE(a, s.upload(queue, x));
  TAKE(c, s.upload(queue, got));
  const uint64_t slots[] = {s.device.address(a), s.device.address(c), s.device.address(c) + 16};
  EXPECT_OK(s.device.launch(queue, binary, {1, 1, 1}, slots));
  EXPECT_OK(s.download(queue, c, got));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_THAT(got[i] == bf16[i], "{} as bf16 is {:#06x}, not {:#06x}", x[i], got[i], bf16[i]);
    EXPECT_THAT(got[8 + i] == f16[i], "{} as f16 is {:#06x}, not {:#06x}", x[i], got[8 + i], f16[i]);
  }
  return {};
}
Verdict limits_are_kept(Suite& s) {
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("limited", kLimited));
  for (const int64_t n : {0, 1, 15, 16, 17, 100}) {
    std::vector<float> x(static_cast<size_t>(n) + 16, 9.0f), y(static_cast<size_t>(n) + 16, -1.0f);
    TAKE(a, s.upload(queue, x));
    TAKE(b, s.upload(queue, y));
    const uint64_t slots[] = {s.device.address(a), s.device.address(b), static_cast<uint64_t>(n)};
    EXPECT_OK(s.device.launch(queue, binary, {(n + 15) / 16, 1, 1}, slots));
    EXPECT_OK(s.download(queue, b, y));
    for (size_t i = 0; i < y.size(); ++i) {
      const float want = i < static_cast<size_t>(n) ? 18.0f : -1.0f;
      EXPECT_THAT(y[i] == want, "with a limit of {} element {} is {}, not {}", n, i, y[i], want);
    }
  }
  return {};
}
Verdict saved_binaries_load_again(Suite& s) {
  if (!s.table.save || !s.table.load) return std::string(kSkip) + "save and load are not offered";
  TAKE(queue, s.device.queue());
  TAKE(binary, s.build("count_programs", kCountPrograms));
  TAKE(bytes, s.device.save(binary));
  TAKE(again, s.device.load("count_programs", bytes));
  std::vector<int64_t> counts(10);
  TAKE(m, s.upload(queue, counts));
  const uint64_t slots[] = {s.device.address(m), 10, 1};
  EXPECT_OK(s.device.launch(queue, again, {10, 1, 1}, slots));
  EXPECT_OK(s.download(queue, m, counts));
  EXPECT_THAT(counts[9] == 10, "the loaded binary computes something else");
  for (const size_t n : {size_t{0}, size_t{1}, bytes.size() / 2}) {
    EXPECT_THAT(bytes[0] == 'T' || !s.device.load("count_programs", bytes.substr(0, n)).ok(),
                "the first {} bytes alone were loaded", n);
  }
  return {};
}
Verdict imported_memory_is_the_hosts(Suite& s) {
  if (!s.table.import) return std::string(kSkip) + "import is not offered";
  TAKE(queue, s.device.queue());
  alignas(64) char bytes[256] = {42};
  bgl_memory* raw = nullptr;
  EXPECT_OK(s.device.check(s.table.import(s.device.handle(), bytes, sizeof bytes, &raw), "import"));
  const Memory m(&s.table, raw);
  std::vector<uint8_t> out(256);
  EXPECT_OK(s.download(queue, m, out));
  EXPECT_THAT(out[0] == 42, "the imported memory holds something else");
  return {};
}
Verdict threads_work_side_by_side(Suite& s) {
  TAKE(binary, s.build("count_programs", kCountPrograms));
  std::vector<Verdict> verdicts(4);
  auto work = [&]() -> Verdict {
    for (int round = 0; round < 20; ++round) {
      TAKE(queue, s.device.queue());
      std::vector<int64_t> counts(500);
      TAKE(m, s.upload(queue, counts));
      const uint64_t slots[] = {s.device.address(m), 500, 1};
      EXPECT_OK(s.device.launch(queue, binary, {500, 1, 1}, slots));
      EXPECT_OK(s.download(queue, m, counts));
      for (size_t i = 0; i < 500; ++i) EXPECT_THAT(counts[i] == static_cast<int64_t>(i) + 1, "element {} is {}", i, counts[i]);
    }
    return {};
  };
  std::vector<std::thread> threads;
  for (Verdict& v : verdicts) threads.emplace_back([&v, &work] { v = work(); });
  for (std::thread& t : threads) t.join();
  for (const Verdict& v : verdicts) {
    if (!v.empty()) return v;
  }
  return {};
}

constexpr struct {
  const char* name;
  Verdict (*run)(Suite&);
} kChecks[] = {
    {"describe is sane", describe_is_sane},
    {"describe respects the caller's size", describe_respects_the_callers_size},
    {"a wrong index is refused", a_wrong_index_is_refused},
    {"memory is aligned and apart", memory_is_aligned_and_apart},
    {"impossible memory is refused", impossible_memory_is_refused},
    {"bytes survive write, copy, read", bytes_survive_write_copy_read},
    {"the host pointer is as described", the_host_pointer_is_as_described},
    {"events happen and tell time", events_happen_and_tell_time},
    {"a queue waits for another", a_queue_waits_for_another},
    {"unknown dialects are refused", unknown_dialects_are_refused},
    {"broken text is refused with a reason", broken_text_is_refused_with_a_reason},
    {"every dialect runs every program once", every_dialect_runs},
    {"launches see what came before", launches_see_what_came_before},
    {"arithmetic is IEEE", arithmetic_is_ieee},
    {"small types round to even", small_types_round_to_even},
    {"limits are kept", limits_are_kept},
    {"saved binaries load again", saved_binaries_load_again},
    {"imported memory is the host's", imported_memory_is_the_hosts},
    {"threads work side by side", threads_work_side_by_side},
};

}  // namespace

Result<std::vector<CheckResult>> check_device(const std::string& plugin, const LanguageServices& services) {
  BGL_ASSIGN(const std::unique_ptr<Device> device, Device::open(plugin, services));
  std::vector<CheckResult> out;
  for (const auto& check : kChecks) {
    Suite suite{*device, services};
    const Verdict v = check.run(suite);
    const bool skipped = v.starts_with(kSkip);
    out.push_back({check.name,
                   v.empty() ? CheckResult::Outcome::kPassed
                   : skipped ? CheckResult::Outcome::kSkipped
                             : CheckResult::Outcome::kFailed,
                   skipped ? v.substr(std::strlen(kSkip)) : v});
  }
  return out;
}

}  // namespace bgl::device
