#include "prep/decontaminate.h"

#include <gtest/gtest.h>

#include "prep/dedup.h"
#include "sim/sim_env.h"

namespace bgl::prep {
namespace {

const std::string kQuestion =
    "Which chamber of the heart receives oxygenated blood from the lungs before it is pumped into the aorta?";

Result<Evaluations> loaded(const std::string& lines, DecontaminateConfig config = {}) {
  sim::SimEnv env(1);
  EXPECT_TRUE(env.write_file_atomic("/eval.jsonl", lines).ok());
  config.against = {"/eval.jsonl"};
  return Evaluations::load(env, config);
}
std::string found(const Evaluations& e, const std::string& text) { return e.found_in(normalised_text(text)).value_or("none"); }

TEST(Decontaminate, ARunOfWordsInOtherDress) {
  DecontaminateConfig config;
  config.fields = {"question", "answer"};
  const Evaluations e = *loaded("{\"id\":\"q1\",\"question\":\"" + kQuestion + "\",\"answer\":\"the left atrium\"}\n", config);
  EXPECT_EQ(e.texts(), 1);
  EXPECT_EQ(e.too_short(), 1);
  EXPECT_EQ(
      found(e,
            "Quiz 7: which CHAMBER of the heart\nreceives oxygenated blood, from the lungs, before it \xE2\x80\x94 who knows?"),
      "q1");
  EXPECT_EQ(found(e, "which chamber of the heart receives oxygenated blood from the lungs"), "none") << "eleven words";
  EXPECT_EQ(found(e, "The left atrium is one of four."), "none");
  config.words = 11;
  EXPECT_EQ(found(*loaded("{\"question\":\"" + kQuestion + "\"}", config),
                  "which chamber of the heart receives oxygenated blood from the lungs"),
            "/eval.jsonl#1");
}

TEST(Decontaminate, AShortTextCountsWhole) {
  const Evaluations e = *loaded("{\"text\":\"Sound travels faster through bone than through fat.\"}\n");
  EXPECT_EQ(found(e, "It is said that sound travels faster through bone than through fat, always."), "/eval.jsonl#1");
  EXPECT_EQ(found(e, "sound travels faster through bone than through"), "none");
}

TEST(Decontaminate, ErrorsSayWhatToDo) {
  EXPECT_EQ(loaded("{\"question\":\"x\"}").status().message(),
            "decontaminate.against: /eval.jsonl: gives no text; decontaminate.fields names the fields of a line that are read");
  sim::SimEnv env(1);
  DecontaminateConfig config;
  config.against = {"/eval.parquet"};
  EXPECT_EQ(Evaluations::load(env, config).status().message(),
            "decontaminate.against: /eval.parquet: no reader for this kind of file; .jsonl and .txt are read");
  config.against = {"/none.txt"};
  EXPECT_EQ(Evaluations::load(env, config).status().code(), Code::kNotFound);
}

TEST(Decontaminate, FingerprintIsOfTheRuns) {
  const std::string line = "{\"text\":\"" + kQuestion + "\"}\n";
  EXPECT_EQ(loaded(line)->fingerprint(), loaded(line + line)->fingerprint());
  EXPECT_NE(loaded(line)->fingerprint(), loaded("{\"text\":\"And " + kQuestion + "\"}")->fingerprint());
}

}  // namespace
}  // namespace bgl::prep
