// Any manifest.json is another program's, or is refused with words, or names what is there: as it stands, and with the checksum that
// makes it look like ours.
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/testing/fuzz.h"
#include "sim/sim_env.h"
#include "text/files/sidecar.h"

using bgl::fuzz_failed;
using nlohmann::json;

namespace {

constexpr const char* kContent = "hello";

void check(bgl::Env& env, const std::string& manifest) {
  if (!env.write_file_atomic("/d/manifest.json", manifest).ok()) fuzz_failed("the manifest cannot be written");
  const auto sidecar = bgl::text::Sidecar::open(env, "/d");
  const auto report = bgl::text::verify_sidecar(env, "/d");
  for (const bgl::Status& s : {sidecar.status(), report.status()}) {
    if (!s.ok() && s.message().find("/d") == std::string::npos) fuzz_failed("an error that does not say where: " + s.message());
  }
  if (report.ok() && !sidecar.ok()) fuzz_failed("verified, and not to be opened");
  if (!sidecar.ok()) return;
  if (report.ok() != (sidecar->present() && sidecar->check_all().ok())) fuzz_failed("verify and check do not agree: " + report.status().message());
  const bool named = sidecar->names("a"), holds = sidecar->check("a").ok();
  if (named && holds && manifest.find(bgl::hash128_hex(kContent)) == std::string::npos) fuzz_failed("a checksum holds that is not there");
  bgl::fuzz_canary(named && holds && !sidecar->names("b/c"));
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  bgl::sim::SimEnv env(1);
  if (!env.make_dirs("/d/b").ok() || !env.write_file_atomic("/d/a", kContent).ok()) fuzz_failed("no files");
  check(env, text);
  json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return 0;
  j.erase("check");
  try {
    j["check"] = bgl::hash128_hex(j.dump());
    check(env, j.dump() + "\n");
  } catch (const json::exception&) {  // of text that is not UTF-8
  }
  return 0;
}
