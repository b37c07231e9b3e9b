#include "prep/run.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "prep/internal/unit.h"
#include "sim/sim_env.h"
#include "storage/lake/lake.h"
#include "text/files/decompress.h"

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

// All lines of a source's files of documents ("file") or drops ("drops").
std::string lines_of(Env& env, const nlohmann::json& summary, const std::string& source, const char* kind) {
  std::string out;
  for (const nlohmann::json& file : summary["files"]) {
    if (file["source"] == source) out += *text::decompress(*env.read_file("/clean/" + file[kind].get<std::string>()), "x");
  }
  return out;
}

Evaluations no_evaluations(Env& env) { return Evaluations::load(env, {}).value(); }

// The names that only one of two trees has, or that differ.
std::string differences(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  std::string out;
  for (const auto& [path, bytes] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second != bytes) out += path + " ";
  }
  for (const auto& [path, bytes] : b) out += a.count(path) ? "" : path + " is missing ";
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
  const std::string drops = lines_of(env, summary, "pages", "drops");
  EXPECT_NE(
      drops.find(R"({"domain":"medicine","source":"pages","id":"med/pages/short.txt","rule":"gopher_words_min","value":2})"),
      std::string::npos)
      << drops;
  std::istringstream each(drops);
  for (std::string line; std::getline(each, line);) EXPECT_TRUE(nlohmann::json::accept(line)) << "'" << line << "'";
  const std::string lines = lines_of(env, summary, "other", "file");
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
  EXPECT_EQ(report->units, 7);
  EXPECT_EQ(report->units_made, 2) << "those of the source whose threshold changed";
  for (const auto& [path, bytes] : before) {
    const bool others = path.find("/documents/other") == 0;
    EXPECT_FALSE(others && env.exists("/clean" + path)) << "documents of the earlier run are gone";
  }
  ASSERT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}}).ok());
  EXPECT_EQ(differences(tree(env, "/clean"), before), "");
}

TEST(PrepRun, KeepsWhatIsNotItsOwn) {
  sim::SimEnv env(1);
  fill_lake(env);
  ASSERT_TRUE(env.make_dirs("/mine/documents").ok());
  ASSERT_TRUE(env.write_file_atomic("/mine/documents/thesis.txt", "mine").ok());
  const Status refused = run(env, config_for_test(), {"/lake", "/mine", {}}).status();
  EXPECT_EQ(refused.message(), "/mine is not empty and holds no earlier result (documents is there): name a new or empty folder");
  EXPECT_TRUE(env.exists("/mine/documents/thesis.txt"));
  ASSERT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}}).ok());
  ASSERT_TRUE(env.write_file_atomic("/clean/documents/notes.txt", "mine").ok());
  PrepConfig changed = config_for_test();
  ASSERT_TRUE(changed.sources[1].rules.set_threshold("gopher_words_min", 10000).ok());
  ASSERT_TRUE(run(env, changed, {"/lake", "/clean", {}}).ok());
  EXPECT_TRUE(env.exists("/clean/documents/notes.txt"));
}

// A file of documents that has lost its end is written anew by the same command.
TEST(PrepRun, ARerunMendsWhatIsNotWhole) {
  sim::SimEnv env(1);
  fill_lake(env);
  ASSERT_TRUE(run(env, config_for_test(), {"/lake", "/clean", {}}).ok());
  const std::map<std::string, std::string> before = tree(env, "/clean");
  const std::string file = nlohmann::json::parse(*env.read_file("/clean/summary.json"))["files"][0]["file"];
  const std::string bytes = *env.read_file("/clean/" + file);
  ASSERT_TRUE(env.write_file_atomic("/clean/" + file, bytes.substr(0, bytes.size() - 9)).ok());
  EXPECT_FALSE(run(env, config_for_test(), {"/lake", "/clean", {}})->nothing_to_do);
  EXPECT_EQ(differences(tree(env, "/clean"), before), "");
}

// Sources with the same settings that match the same files share units, which must not be made twice at once.
TEST(PrepRun, TwoSourcesOfTheSameFiles) {
  std::string toml;
  for (const char* name : {"a", "b", "c"}) toml += fmt::format("[[source]]\nname='{}'\ndomain='d'\nlicence='MIT'\nmatch=['**']\nfilters=[]\n", name);
  const PrepConfig config = parse_config(*Config::parse(toml, "p.toml")).value();
  for (uint32_t seed = 0; seed < 4; ++seed) {
    sim::SimEnv env(seed);
    fill_lake(env);
    const Result<RunReport> report = run(env, config, {"/lake", "/clean", {}});
    ASSERT_TRUE(report.ok()) << report.status().message();
    const nlohmann::json summary = nlohmann::json::parse(*env.read_file("/clean/summary.json"));
    EXPECT_EQ(summary["sources"]["a"]["documents_in"], summary["sources"]["c"]["documents_in"]);
  }
}

// One more file among many, in front, in the middle or at the end: its unit is made again, and of the clean documents only that
// unit's are written again.
TEST(PrepRun, AnAddedFileCostsItsUnit) {
  std::map<std::string, std::string> texts;
  for (uint32_t i = 0; i < 600; ++i) texts[fmt::format("gen/{:04}.txt", i * 10)] = page(i);
  const PrepConfig config = parse_config(*Config::parse("[[source]]\nname='a'\ndomain='d'\nlicence='MIT'\nmatch=['**']\n"
                                                        "filters=['gopher_words_min']\n",
                                                        "p.toml"))
                                .value();
  int64_t made = 0, runs = 0;
  for (const int added : {-1, 5, 2345, 2346, 5991}) {
    sim::SimEnv env(1);
    for (const auto& [path, text] : texts)
      ASSERT_TRUE(env.make_dirs("/in/gen").ok() && env.write_file_atomic("/in/" + path, text).ok());
    const Result<RunReport> before = run(env, config, {"/in", "/clean", {}});
    ASSERT_TRUE(before.ok());
    EXPECT_GT(before->units, 9);
    const std::map<std::string, std::string> old_tree = tree(env, "/clean");
    const std::string name = added < 0 ? "/in/gen/-.txt" : fmt::format("/in/gen/{:04}.txt", added);
    ASSERT_TRUE(env.write_file_atomic(name, page(5000 + static_cast<uint32_t>(added))).ok());
    const Result<RunReport> after = run(env, config, {"/in", "/clean", {}});
    ASSERT_TRUE(after.ok());
    EXPECT_LE(after->units_made, 2);
    made += after->units_made, ++runs;
    int changed = 0;
    for (const auto& [path, bytes] : tree(env, "/clean"))
      changed += path.find(".zst") != std::string::npos && old_tree.count(path) == 0;
    EXPECT_LE(changed, 2 * after->units_made) << "files of documents and of drops";
    // The same as a first run over all files.
    sim::SimEnv fresh(2);
    for (const auto& [path, text] : texts)
      ASSERT_TRUE(fresh.make_dirs("/in/gen").ok() && fresh.write_file_atomic("/in/" + path, text).ok());
    ASSERT_TRUE(fresh.write_file_atomic(name, page(5000 + static_cast<uint32_t>(added))).ok());
    ASSERT_TRUE(run(fresh, config, {"/in", "/clean", {}}).ok());
    EXPECT_EQ(differences(tree(env, "/clean"), tree(fresh, "/clean")), "");
  }
  EXPECT_LE(made, runs + 1) << "seldom the next unit too";
}

TEST(PrepRun, MasksDecontaminatesAndKeepsSamples) {
  sim::SimEnv env(1);
  ASSERT_TRUE(env.make_dirs("/in").ok());
  const std::string question = "What does a transducer of five megahertz show of the wall of the left chamber in short axis";
  ASSERT_TRUE(env.write_file_atomic("/eval.jsonl", "{\"id\":\"q7\",\"question\":\"" + question + "?\"}\n").ok());
  std::string lines;
  const auto line = [&](const std::string& id, const std::string& text) {
    lines += nlohmann::json({{"key", id}, {"body", text}, {"link", "http://a.org/" + id}}).dump() + "\n";
  };
  line("mail", page(1) + "Write to anna@uni.de or bob@uni.de.");
  line("card", page(2) + "Paid with 4111 1111 1111 1111.");
  line("test", page(3) + question + ".");
  line("short", "Too short.");
  line("plain", page(4));
  lines += "broken\n";
  ASSERT_TRUE(env.write_file_atomic("/in/a.jsonl", lines).ok());
  const PrepConfig config =
      parse_config(
          *Config::parse("[prep]\nheldout_share=0\n[personal_data]\nmail='mask'\n[decontaminate]\nagainst=['/eval.jsonl']\n"
                         "fields=['question']\n[[source]]\nname='a'\ndomain='d'\nlicence='MIT'\nmatch=['*.jsonl']\n"
                         "text_field='body'\nid_field='key'\nurl_field='link'\nfilters=['gopher_words_min']\n"
                         "[source.personal_data]\ncard='drop'\n",
                         "p.toml"))
          .value();
  const Result<RunReport> report = run(env, config, {"/in", "/clean", {}});
  ASSERT_TRUE(report.ok()) << report.status().message();
  const nlohmann::json summary = nlohmann::json::parse(*env.read_file("/clean/summary.json"));
  EXPECT_EQ(summary["total"]["drops"],
            nlohmann::json({{"contaminated", 1}, {"gopher_words_min", 1}, {"personal_card", 1}, {"unreadable", 1}}));
  EXPECT_EQ(summary["total"]["masked"], nlohmann::json({{"mail", 2}}));
  EXPECT_EQ(summary["total"]["documents_in"], 6);
  const std::string kept = lines_of(env, summary, "a", "file");
  EXPECT_NE(kept.find("Write to name@example.com or name@example.com."), std::string::npos);
  EXPECT_NE(kept.find("\"url\":\"http://a.org/plain\""), std::string::npos);
  const std::string drops = lines_of(env, summary, "a", "drops");
  EXPECT_NE(drops.find(R"("id":"test","rule":"contaminated","value":"q7"})"), std::string::npos) << drops;
  std::map<std::string, size_t> samples;
  const nlohmann::json all = nlohmann::json::parse(*env.read_file("/clean/samples.json"));
  for (const nlohmann::json& s : all) samples[s["rule"]] = s["documents"].size();
  EXPECT_EQ(samples, (std::map<std::string, size_t>{
                         {"", 2}, {"contaminated", 1}, {"gopher_words_min", 1}, {"personal_card", 1}, {"unreadable", 1}}));
  const std::string html = *report_page(env, "/clean");
  EXPECT_NE(html.find("a: contaminated (1 dropped)"), std::string::npos);
  EXPECT_NE(html.find("test   [&quot;q7&quot;]\n\nThe "), std::string::npos);
  EXPECT_NE(html.find("short   [2]\n\nToo short."), std::string::npos);
  EXPECT_NE(html.find("<b>Kept</b>\n<pre>"), std::string::npos);
  EXPECT_NE(report_table(env, "/clean")->find("masked\n  mail "), std::string::npos);
  // Another evaluation set makes another result.
  ASSERT_TRUE(env.write_file_atomic("/eval.jsonl", "{\"question\":\"" + question + " view?\"}\n").ok());
  EXPECT_EQ(run(env, config, {"/in", "/clean", {}})->units_made, 1);
}

TEST(PrepRun, AKilledRunGoesOnToTheSameBytes) {
  sim::SimEnv whole(1);
  fill_lake(whole);
  ASSERT_TRUE(run(whole, config_for_test(), {"/lake", "/clean", {}}).ok());
  const std::map<std::string, std::string> expected = tree(whole, "/clean");
  // Killed at every third change of the disk, by kill and by power cut.
  int stopped = 0;
  for (int64_t stop = 1; stop < 900; stop += 5) {
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
    ASSERT_EQ(differences(tree(env, "/clean"), expected), "") << "stopped at " << stop;
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
  const std::vector<Unit> units = plan_units(config_for_test(), no_evaluations(env), *files->list()).value();
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
