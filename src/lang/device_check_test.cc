// The conformance suite needs the language's printers, so its test stands here.
#include <gtest/gtest.h>

#include <cstdlib>

#include "device/conformance.h"
#include "lang/engine.h"

namespace bgl::lang {
namespace {

TEST(DeviceCheck, TheCpuPassesAll) {
  const auto results = device::check_device("cpu", language_services());
  ASSERT_TRUE(results.ok()) << results.status().to_string();
  EXPECT_GE(results->size(), 19u);
  for (const device::CheckResult& r : *results)
    EXPECT_EQ(r.outcome, device::CheckResult::Outcome::kPassed) << r.name << ": " << r.detail;
}

TEST(DeviceCheck, WithoutPrintersOnlyTileIsChecked) {
  device::LanguageServices services = language_services();
  services.lower = nullptr;
  const auto results = device::check_device("cpu", services);
  ASSERT_TRUE(results.ok());
  int skipped = 0;
  for (const device::CheckResult& r : *results) {
    EXPECT_NE(r.outcome, device::CheckResult::Outcome::kFailed) << r.name << ": " << r.detail;
    skipped += r.outcome == device::CheckResult::Outcome::kSkipped;
  }
  EXPECT_EQ(skipped, 1);
}

std::string failures(const char* fault) {
  setenv("BGL_FAULT_BASE", BGL_CPU_PLUGIN, 1);
  setenv("BGL_FAULT", fault, 1);
  const auto results = device::check_device(BGL_FAULTY_PLUGIN, language_services());
  unsetenv("BGL_FAULT_BASE");
  unsetenv("BGL_FAULT");
  if (!results.ok()) return results.status().message();
  std::string out;
  for (const device::CheckResult& r : *results) {
    if (r.outcome == device::CheckResult::Outcome::kFailed) out += (out.empty() ? "" : "; ") + r.name;
  }
  return out;
}

TEST(DeviceCheck, FindsTheFaultsOfAFaultyPlugin) {
  EXPECT_EQ(failures("none"), "");
  EXPECT_EQ(failures("copy"), "bytes survive write, copy, read; a queue waits for another");
  EXPECT_EQ(failures("alloc"), "impossible memory is refused");
  EXPECT_EQ(failures("launch"), "every dialect runs every program once; threads work side by side");
  EXPECT_EQ(failures("describe"), "describe respects the caller's size");
  EXPECT_NE(failures("compile").find("unknown dialects are refused; broken text is refused with a reason"), std::string::npos);
  EXPECT_EQ(failures("time"), "events happen and tell time");
  EXPECT_EQ(failures("missing"), std::string("device plugin ") + BGL_FAULTY_PLUGIN + " lacks the required function 'launch'");
  EXPECT_EQ(failures("version"),
            std::string("device plugin ") + BGL_FAULTY_PLUGIN + " has version 99 of the interface, this host 1");
}

}  // namespace
}  // namespace bgl::lang
