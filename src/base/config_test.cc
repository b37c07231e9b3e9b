#include "base/config.h"

#include <gtest/gtest.h>

namespace bgl {
namespace {

TEST(Config, DefaultsFileAndSetsInThatOrder) {
  const std::vector<std::string> sets = {"train.lr=0.5", "data.text=/a/b c", "data.number=12"};
  Config c = *Config::parse("top = 1\n[train]\nsteps = 5\nlr = 1e-3\n[data]\nmix=[0.5, 1]\n", "x.toml", sets);
  EXPECT_EQ(c.get("train.steps", 1), 5);
  EXPECT_EQ(c.get("train.lr", 0.1), 0.5);
  EXPECT_EQ(c.get("train.batch", 12), 12);
  EXPECT_EQ(c.get("data.text", ""), "/a/b c");
  EXPECT_EQ(c.get("data.number", ""), "12");
  EXPECT_EQ(c.get_numbers("data.mix"), (std::vector<double>{0.5, 1}));
  EXPECT_EQ(c.get("top", 0), 1);
  EXPECT_TRUE(c.finish().ok()) << c.finish().message();
  Config again = *Config::parse(c.resolved(), "resolved.toml");
  EXPECT_EQ(again.get("train.lr", 0.0), 0.5);
  EXPECT_EQ(again.get("train.batch", 0), 12);
  EXPECT_EQ(again.get("data.text", ""), "/a/b c");
}

TEST(Config, UnknownKeySuggestsTheNearest) {
  Config c = *Config::parse("[train]\nstep = 5\n", "x.toml");
  c.get("train.steps", 1);
  c.get("train.batch", 1);
  EXPECT_EQ(c.finish().message(), "x.toml:2: unknown key 'train.step' (did you mean 'train.steps'?)");
}

TEST(Config, AKeyOfAnotherChoiceIsNotCalledUnknown) {
  const auto finish = [](const char* text) {
    Config c = *Config::parse(text, "x.toml");
    c.get("optimizer.clip", 1.0);
    c.only_for("optimizer.beta1", "adamw");
    c.only_for("lora.", "bgl tune");
    return std::string(c.finish().message());
  };
  EXPECT_EQ(finish("[optimizer]\nbeta1 = 0.5\n"), "x.toml:2: key 'optimizer.beta1' is only for adamw");
  EXPECT_EQ(finish("[lora]\nrank = 8\n"), "x.toml:2: key 'lora.rank' is only for bgl tune");
  EXPECT_EQ(finish("[optimizer]\nclap = 1\n"), "x.toml:2: unknown key 'optimizer.clap' (did you mean 'optimizer.clip'?)");
  EXPECT_EQ(finish("lora = 1\n"), "x.toml:1: unknown key 'lora'");
}

TEST(Config, WrongTypesRangesAndSyntaxAreNamed) {
  Config c = *Config::parse("[train]\nsteps = \"five\"\n", "x.toml");
  c.get("train.steps", 1);
  EXPECT_EQ(c.finish().message(), "x.toml:2: key 'train.steps': expected a whole number, got \"five\"");
  const std::vector<std::string> sets = {"p=3"};
  Config d = *Config::parse("", "y.toml", sets);
  d.get_in("p", 0.5, 0.0, 1.0);
  EXPECT_EQ(d.finish().message(), "--set: key 'p': 3 is outside [0, 1]");
  EXPECT_EQ(Config::parse("a = [1,\n", "z.toml").status().code(), Code::kInvalidArgument);
}

TEST(Config, ArraysOfTablesKeepTheirOrder) {
  Config c = *Config::parse("[[source]]\nname='a'\n[[source]]\nname='b'\n", "x.toml");
  EXPECT_EQ(c.table_count("source"), 2);
  EXPECT_EQ(c.get("source.1.name", ""), "b");
  EXPECT_EQ(c.get("source.0.name", ""), "a");
  EXPECT_TRUE(c.finish().ok());
  EXPECT_EQ(Config::parse(c.resolved(), "r.toml")->table_count("source"), 2);
}

}  // namespace
}  // namespace bgl
