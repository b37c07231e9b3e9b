#include "prep/run.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "prep/internal/unit.h"
#include "sim/sim_env.h"
#include "storage/lake/lake.h"
#include "text/decompress.h"

namespace bgl::prep {
namespace {

std::string sentence(std::mt19937& random) {
  static const char* kWords[] = {"the",  "heart",  "muscle",  "pumps", "blood", "of",         "patients", "and",
                                 "to",   "vessel", "with",    "lungs", "wall",  "ultrasound", "image",    "shows",
                                 "left", "valve",  "chamber", "probe", "have",  "normal"};
  std::string out = "The ";
  for (int i = 0; i < 12; ++i) out += std::string(kWords[random() % 22]) + " ";
  return out + "scan.\n";
}
std::string page(uint32_t seed) {
  std::mt19937 random(seed);
  std::string out;
  for (int i = 0; i < 12; ++i) out += sentence(random);
  return out;
}

// 150 pages, some short, some twice, one nearly.
std::map<std::string, std::string> raw_files() {
  std::map<std::string, std::string> out;
  for (uint32_t i = 0; i < 150; ++i) out[fmt::format("med/pages/{:03}.txt", i)] = page(i < 140 ? i : i - 140);
  out["med/pages/short.txt"] = "Too short.";
  out["med/pages/near.txt"] = page(3) + "One more short sentence.\n";
  out["med/pages/notes.bin"] = "x";
  for (uint32_t i = 0; i < 20; ++i) out[fmt::format("gen/{}.txt", i)] = page(1000 + i);
  return out;
}

PrepConfig config_for_test() {
  const char* text =
      "[prep]\nheldout_share = 0.1\n"
      "[[source]]\nname = 'pages'\ndomain = 'medicine'\nlicence = 'CC0'\nmatch = ['med/pages/*.txt']\n"
      "filters = ['gopher_quality']\n"
      "[[source]]\nname = 'other'\ndomain = 'general'\nlicence = 'MIT'\nmatch = ['gen/**']\nfilters = ['gopher_words_min']\n";
  return parse_config(*Config::parse(text, "p.toml")).value();
}

void fill_lake(Env& env) {
  auto lake = storage::Lake::open(env, "/lake", {.write = true, .create = true});
  ASSERT_TRUE(lake.ok()) << lake.status().message();
  for (const auto& [path, bytes] : raw_files()) ASSERT_TRUE((*lake)->put(path, bytes).ok());
  ASSERT_TRUE((*lake)->commit().ok());
  ASSERT_TRUE((*lake)->close().ok());
}

// Every file below `dir` except the work folder and the lock.
std::map<std::string, std::string> tree(Env& env, const std::string& dir) {
  std::map<std::string, std::string> out;
  const auto walk = [&](const auto& self, const std::string& at) -> void {
    const std::vector<DirEntry> entries = env.list_dir(at).value();
    for (const DirEntry& e : entries) {
      if (e.name == "units" || e.name == "LOCK") continue;
      const std::string path = join_path(at, e.name);
      if (e.is_dir) {
        self(self, path);
      } else {
        out[path.substr(dir.size())] = env.read_file(path).value();
      }
    }
  };
  walk(walk, dir);
  return out;
}

TEST(PrepRun, KeepsDropsAndHoldsOut) {
  sim::SimEnv env(1);
  fill_lake(env);
  const Result<RunReport> report = run(env, config_for_test(), {"/lake", "/clean", {}});
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->documents_in, 172);
  const nlohmann::json summary = nlohmann::json::parse(*env.read_file("/clean/summary.json"));
  const nlohmann::json& medicine = summary["domains"]["medicine"];
  EXPECT_EQ(medicine["drops"]["gopher_words_min"], 1);
  EXPECT_EQ(medicine["drops"]["exact_duplicate"], 10);
  EXPECT_EQ(medicine["drops"].value("near_duplicate", 0) + medicine["drops"].value("near_duplicate_of_heldout", 0), 1);
  EXPECT_EQ(medicine["documents_kept"], 140);
  EXPECT_GT(medicine["heldout_documents"], 4);
  EXPECT_GE(summary["domains"]["general"]["heldout_documents"], 1);
  EXPECT_EQ(medicine["licences"], nlohmann::json({"CC0"}));
  const std::string drops = *env.read_file("/clean/drops.jsonl");
  EXPECT_NE(
      drops.find(R"({"id":"med/pages/short.txt","domain":"medicine","source":"pages","rule":"gopher_words_min","value":2})"),
      std::string::npos);
  const std::string lines = *text::decompress(*env.read_file("/clean/documents/other-00000.jsonl.zst"), "x");
  const nlohmann::json first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["id"], "gen/0.txt");
  EXPECT_EQ(first["licence"], "MIT");
  EXPECT_EQ(first["domain"], "general");
}

TEST(PrepRun, ARerunDoesNothingAndAChangeRedoesOnlyItsUnits) {
  sim::SimEnv env(1);
  fill_lake(env);
  ASSERT_FALSE(run(env, config_for_test(), {"/lake", "/clean", {}})->nothing_to_do);
  EXPECT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}})->nothing_to_do);
  const std::map<std::string, std::string> before = tree(env, "/clean");
  PrepConfig changed = config_for_test();
  ASSERT_TRUE(changed.sources[1].rules.set_threshold("gopher_words_min", 10000).ok());
  const Result<RunReport> report = run(env, changed, {"/lake", "/clean", {}});
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->units, 4);
  EXPECT_EQ(report->units_made, 1);
  EXPECT_FALSE(env.exists("/clean/documents/other-00000.jsonl.zst")) << "documents of the earlier run are gone";
  ASSERT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}}).ok());
  EXPECT_EQ(tree(env, "/clean"), before);
}

TEST(PrepRun, AKilledRunGoesOnToTheSameBytes) {
  sim::SimEnv whole(1);
  fill_lake(whole);
  ASSERT_TRUE(run(whole, config_for_test(), {"/lake", "/clean", {}}).ok());
  const std::map<std::string, std::string> expected = tree(whole, "/clean");
  // Killed at every third change of the disk, by kill and by power cut.
  int stopped = 0;
  for (int64_t stop = 1; stop < 200; stop += 3) {
    sim::SimEnv env(static_cast<uint64_t>(stop));
    fill_lake(env);
    env.restart(sim::Crash::kKill);
    env.set_faults({.stop_at = stop});
    const Result<RunReport> first = run(env, config_for_test(), {"/lake", "/clean", {}});
    if (first.ok()) break;
    ++stopped;
    env.restart(stop % 2 ? sim::Crash::kKill : sim::Crash::kPowerCut);
    const Result<RunReport> second = run(env, config_for_test(), {"/lake", "/clean", {}});
    ASSERT_TRUE(second.ok()) << "stopped at " << stop << ": " << second.status().message();
    ASSERT_EQ(tree(env, "/clean"), expected) << "stopped at " << stop;
  }
  EXPECT_GT(stopped, 20);
}

TEST(PrepRun, ErrorsSayWhatToDo) {
  sim::SimEnv env(1);
  fill_lake(env);
  EXPECT_EQ(report_table(env, "/none").status().message(),
            "/none: no summary.json; run 'bgl prep CONFIG --in LAKE --out /none' first");
  PrepConfig config = config_for_test();
  config.sources[0].match = {"nowhere/*"};
  EXPECT_EQ(run(env, config, {"/lake", "/clean", {}}).status().message(), "source 'pages' matches no file (nowhere/*)");
  ASSERT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}}).ok());
  EXPECT_NE(report_table(env, "/clean")->find("medicine"), std::string::npos);
  // A flipped bit in a unit's summary is found, not learnt from.
  const auto files = open_files(env, "/lake").value();
  const std::vector<Unit> units = plan_units(config_for_test(), *files->list()).value();
  const std::string path = "/clean/units/" + units[0].key + ".sig";
  std::string bytes = *env.read_file(path);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  ASSERT_TRUE(env.write_file_atomic(path, bytes).ok());
  ASSERT_TRUE(env.remove("/clean/summary.json").ok());
  EXPECT_EQ(run(env, config_for_test(), {"/lake", "/clean", {}}).status().message(),
            path + ": damaged; remove it and run again");
}

}  // namespace
}  // namespace bgl::prep
