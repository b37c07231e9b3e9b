#include "prep/tokenize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "base/hash.h"
#include "prep/run.h"
#include "prep/train_tokenizer.h"
#include "text/files/atomic_file.h"
#include "text/files/indexed_dataset.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::prep {
namespace {

// A folder of raw texts, prepared; on the real disk, because datasets are mapped.
std::string prepared_folder(const char* name) {
  const std::string root = testing::TempDir() + "/bgl_prep_" + name + std::to_string(::getpid());
  Env& env = real_env();
  EXPECT_TRUE(env.remove_all(root).ok());
  for (const char* domain : {"general", "medicine"}) {
    EXPECT_TRUE(env.make_dirs(root + "/raw/" + domain).ok());
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (int k = 0; k < 40; ++k) text += fmt::format("{} word{} of page {} ", domain, (i * 131 + k * 17) % 97, i);
      EXPECT_TRUE(env.write_file_atomic(fmt::format("{}/raw/{}/{:02}.txt", root, domain, i), text).ok());
    }
  }
  std::string config = "[prep]\nheldout_share = 0.2\n[dedup]\nnear = false\n";
  for (const char* domain : {"general", "medicine"}) {
    config +=
        fmt::format("[[source]]\nname = '{0}'\ndomain = '{0}'\nlicence = 'L-{0}'\nmatch = ['{0}/*']\nfilters = []\n", domain);
  }
  const PrepConfig parsed = parse_config(*Config::parse(config, "p.toml")).value();
  const auto report = run(env, parsed, {root + "/raw", root + "/clean", {}});
  EXPECT_TRUE(report.ok()) << report.status().message();
  return root;
}

TEST(PrepTokenize, ShardsHoldEveryDocumentOnce) {
  const std::string root = prepared_folder("shards");
  Env& env = real_env();
  const auto trained = train_tokenizer(env, {.clean = root + "/clean", .out = root + "/tok", .vocab_size = 400});
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  EXPECT_GT(trained->documents, 30);
  EXPECT_TRUE(train_tokenizer(env, {.clean = root + "/clean", .out = root + "/tok", .vocab_size = 400})->nothing_to_do);

  const TokenizeOptions options{root + "/clean", root + "/tok", root + "/shards", {}};
  const auto report = tokenize(env, options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->documents, 60);
  EXPECT_TRUE(tokenize(env, options)->nothing_to_do);
  EXPECT_FALSE(env.exists(root + "/shards/" + kTokensWork));

  const Manifest manifest = read_manifest(env, root + "/shards").value();
  ASSERT_EQ(manifest.shards.size(), 4u);
  EXPECT_EQ(manifest.end_of_text, 0);
  EXPECT_EQ(manifest.vocab_size, trained->vocab_size);
  EXPECT_EQ(manifest.tokenizer_hash, hash128_hex(*env.read_file(root + "/shards/tokenizer.json")));
  const auto tokenizer = text::load_tokenizer(root + "/shards/tokenizer.json").value();
  EXPECT_EQ(tokenizer->special_id("<|assistant|>"), 2);
  for (const Shard& shard : manifest.shards) {
    const std::string prefix = root + "/shards/" + shard.prefix;
    const auto data = text::IndexedDataset::open(prefix);
    ASSERT_TRUE(data.ok()) << data.status().message();
    EXPECT_EQ(data->documents(), shard.documents);
    EXPECT_EQ(data->tokens(), shard.tokens);
    EXPECT_EQ(shard.bin_hash, hex64(hash64(*env.read_file(prefix + ".bin"))));
    EXPECT_EQ(shard.licences, std::vector<std::string>{"L-" + shard.domain});
    int64_t bytes = 0;
    for (int64_t d = 0; d < data->documents(); ++d) {
      std::vector<int32_t> ids(static_cast<size_t>(data->length(d)));
      ASSERT_TRUE(data->read(data->position(d), ids).ok());
      EXPECT_EQ(ids.back(), 0);
      ids.pop_back();
      const std::string text = tokenizer->decode(ids);
      EXPECT_EQ(text.rfind(shard.domain + " word", 0), 0u) << text.substr(0, 40);
      bytes += static_cast<int64_t>(text.size());
    }
    EXPECT_EQ(bytes, shard.text_bytes);
  }
  EXPECT_TRUE(env.remove_all(root).ok());
}

TEST(PrepTokenize, TheSameBytesWhateverRanBefore) {
  const std::string root = prepared_folder("again");
  Env& env = real_env();
  ASSERT_TRUE(train_tokenizer(env, {.clean = root + "/clean", .out = root + "/tok", .vocab_size = 300}).ok());
  ASSERT_TRUE(tokenize(env, {root + "/clean", root + "/tok", root + "/a", {}}).ok());
  // A killed run has left its work and no manifest.
  ASSERT_TRUE(env.make_dirs(root + "/b/" + kTokensWork).ok());
  ASSERT_TRUE(env.write_file_atomic(root + "/b/LOCK", "").ok());
  ASSERT_TRUE(env.write_file_atomic(root + "/b/" + kTokensWork + "/torn.bin", "x").ok());
  ASSERT_TRUE(tokenize(env, {root + "/clean", root + "/tok", root + "/b", {}}).ok());
  for (const char* file :
       {"/manifest.json", "/tokenizer.json", "/medicine/train.bin", "/medicine/train.idx", "/general/heldout.bin"}) {
    EXPECT_EQ(*env.read_file(root + "/a" + file), *env.read_file(root + "/b" + file)) << file;
  }
  EXPECT_TRUE(env.remove_all(root).ok());
}

// A folder of others' files is not taken, a domain that is gone takes its shards with it, and a file of CLEAN that was emptied is seen.
TEST(PrepTokenize, KeepsWhatIsNotItsOwn) {
  const std::string root = prepared_folder("own");
  Env& env = real_env();
  ASSERT_TRUE(train_tokenizer(env, {.clean = root + "/clean", .out = root + "/tok", .vocab_size = 300}).ok());
  for (const char* taken : {"/clean", "/tok"}) {
    const auto refused = tokenize(env, {root + "/clean", root + "/tok", root + taken, {}});
    EXPECT_EQ(refused.status().code(), Code::kInvalidArgument) << taken;
  }
  ASSERT_TRUE(tokenize(env, {root + "/clean", root + "/tok", root + "/shards", {}}).ok());
  const std::string summary = *env.read_file(root + "/clean/summary.json");
  nlohmann::json less = nlohmann::json::parse(summary);
  less["key"] = "other";
  std::erase_if(less["files"].get_ref<nlohmann::json::array_t&>(), [](const auto& file) { return file["source"] == "general"; });
  ASSERT_TRUE(env.write_file_atomic(root + "/clean/summary.json", less.dump()).ok());
  ASSERT_TRUE(env.exists(root + "/shards/general/train.bin"));
  ASSERT_TRUE(tokenize(env, {root + "/clean", root + "/tok", root + "/shards", {}}).ok());
  EXPECT_FALSE(env.exists(root + "/shards/general/train.bin"));
  EXPECT_TRUE(env.exists(root + "/shards/medicine/train.bin"));

  const std::string file = less["files"][0]["file"];
  ASSERT_TRUE(env.write_file_atomic(root + "/clean/" + file, "").ok());
  const auto trained = train_tokenizer(env, {.clean = root + "/clean", .out = root + "/tok2", .vocab_size = 300});
  EXPECT_NE(trained.status().message().find("remove the file and run 'bgl prep' again"), std::string::npos) << trained.status().message();
  EXPECT_TRUE(env.remove_all(root).ok());
}

TEST(PrepTokenize, MissingInputsAreNamed) {
  Env& env = real_env();
  EXPECT_EQ(read_manifest(env, "/no").status().message(),
            "/no: no manifest.json; run 'bgl prep tokenize CLEAN --tokenizer TOK --out /no' first");
  EXPECT_EQ(train_tokenizer(env, {.clean = "/no", .out = "/tmp/never"}).status().message(),
            "/no: no summary.json; run 'bgl prep CONFIG --in LAKE --out /no' first");
}

}  // namespace
}  // namespace bgl::prep
