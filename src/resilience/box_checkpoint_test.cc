#include "resilience/box_checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "sim/sim_env.h"

namespace bgl::resilience {
namespace {

std::vector<float> counting(size_t n) {
  std::vector<float> v(n);
  std::iota(v.begin(), v.end(), 0.0f);
  return v;
}
std::span<const std::byte> bytes_of(const std::vector<float>& v) { return std::as_bytes(std::span(v)); }

TEST(BoxCheckpoint, ATensorWrittenInHalvesLoadsAsAnyRectangle) {
  sim::SimEnv env(1);
  // w[4, 6] as two boxes side by side.
  const auto all = counting(24);
  std::vector<float> left, right;
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 6; ++c) (c < 2 ? left : right).push_back(all[static_cast<size_t>(r * 6 + c)]);
  }
  const std::vector<Box> boxes = {{"w", "F32", {4, 6}, {0, 0}, {4, 2}, bytes_of(left)}, {"w", "F32", {4, 6}, {0, 2}, {4, 4}, bytes_of(right)}};
  ASSERT_TRUE(write_step(env, "/ck", 5, boxes, R"({"x": 1})", 2).ok());
  const auto steps = list_steps(env, "/ck");
  ASSERT_EQ(steps.value().size(), 1u);
  const auto r = StepReader::open(env, steps.value()[0]);
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_EQ(r->step(), 5);
  EXPECT_EQ(r->state_json(), R"({"x":1})");
  std::vector<float> out(6);
  const Box middle{"w", "F32", {4, 6}, {1, 1}, {2, 3}, {}};
  ASSERT_TRUE(r->read(middle, std::as_writable_bytes(std::span(out))).ok());
  EXPECT_EQ(out, (std::vector<float>{7, 8, 9, 13, 14, 15}));
}

TEST(BoxCheckpoint, AGapIsAnError) {
  sim::SimEnv env(1);
  const auto half = counting(4);
  ASSERT_TRUE(write_step(env, "/ck", 1, std::vector<Box>{{"w", "F32", {8}, {0}, {4}, bytes_of(half)}}, "{}", 1).ok());
  const auto r = StepReader::open(env, "/ck/step-00000001");
  std::vector<float> out(8);
  EXPECT_EQ(r->read({"w", "F32", {8}, {0}, {8}, {}}, std::as_writable_bytes(std::span(out))).message(),
            "/ck/step-00000001: 4 of 8 elements of tensor 'w' are in no box");
}

TEST(BoxCheckpoint, AFlippedBitIsFoundAndNamed) {
  sim::SimEnv env(1);
  const auto w = counting(100);
  ASSERT_TRUE(write_step(env, "/ck", 1, std::vector<Box>{whole_box("w", "F32", {100}, bytes_of(w))}, "{}", 1).ok());
  const std::string path = "/ck/step-00000001/boxes-0.safetensors";
  std::string bytes = env.read_file(path).value();
  bytes[bytes.size() - 7] ^= 4;
  ASSERT_TRUE(env.write_file_atomic(path, bytes).ok());
  EXPECT_EQ(StepReader::open(env, "/ck/step-00000001")->verify().message(), path + ": the bytes of tensor 'w' do not match their checksum");
  std::string index = env.read_file("/ck/step-00000001/index.json").value();
  index[index.find("\"step\": 1") + 8] = '2';
  ASSERT_TRUE(env.write_file_atomic("/ck/step-00000001/index.json", index).ok());
  EXPECT_EQ(StepReader::open(env, "/ck/step-00000001").status().message(), "/ck/step-00000001/index.json: the index does not match its checksum");
}

// Every bit of every file: the header of the boxes, its padding and metadata, the index.
TEST(BoxCheckpoint, EveryFlippedBitIsFoundAndNamed) {
  sim::SimEnv env(1);
  const auto w = counting(5);
  ASSERT_TRUE(write_step(env, "/ck", 1, std::vector<Box>{whole_box("w", "F32", {5}, bytes_of(w))}, R"({"note": "x"})", 1).ok());
  const std::string dir = "/ck/step-00000001";
  ASSERT_TRUE(StepReader::open(env, dir)->verify().ok());
  for (const char* file : {"/boxes-0.safetensors", "/index.json"}) {
    const std::string path = dir + file;
    for (int64_t bit = 0; bit < 8 * env.stat(path)->size; ++bit) {
      const auto mask = static_cast<unsigned char>(1 << bit % 8);
      env.flip(path, bit / 8, mask);
      const auto reader = StepReader::open(env, dir);
      const Status checked = reader.ok() ? reader->verify() : reader.status();
      ASSERT_FALSE(checked.ok()) << path << " bit " << bit;
      ASSERT_EQ(checked.message().rfind(path, 0), 0u) << checked.message();
      std::vector<float> out(5);
      ASSERT_FALSE(reader.ok() && reader->read({"w", "F32", {5}, {0}, {5}, {}}, std::as_writable_bytes(std::span(out))).ok()) << path << " bit " << bit;
      env.flip(path, bit / 8, mask);
    }
  }
}

// A disk of every size: the new step is there, or the one before it.
TEST(BoxCheckpoint, AFullDiskLeavesTheStepBefore) {
  const auto w = counting(300);
  int full = 0;
  for (int64_t bytes = 100; bytes < 8000; bytes += 100) {
    sim::SimEnv env(2);
    const std::vector<Box> boxes = {whole_box("w", "F32", {300}, bytes_of(w))};
    ASSERT_TRUE(write_step(env, "/ck", 1, boxes, "{}", 2).ok());
    env.set_faults({.disk_bytes = bytes});
    const Status status = write_step(env, "/ck", 2, boxes, "{}", 2);
    full += !status.ok();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
      EXPECT_NE(status.message().find("/ck/step-00000002"), std::string::npos) << status.message();
    }
    const auto steps = list_steps(env, "/ck").value();
    ASSERT_EQ(steps.size(), status.ok() ? 2u : 1u);
    for (const std::string& step : steps) EXPECT_TRUE(StepReader::open(env, step)->verify().ok());
    // With room again the next step is written, and nothing lies about.
    env.set_faults({});
    ASSERT_TRUE(write_step(env, "/ck", 3, boxes, "{}", 1).ok());
    EXPECT_EQ(env.list_dir("/ck")->size(), 1u);
  }
  EXPECT_GT(full, 10);
}

// The process stops at every operation of writing step 2, with a power cut: step 1 or step 2 is there, whole.
TEST(BoxCheckpoint, APowerCutAtAnyOperationLeavesACompleteStep) {
  const auto one = counting(3000), two = counting(4000);
  int64_t operations = 1000;
  for (int64_t stop = 1; stop <= operations; ++stop) {
    sim::SimEnv env(static_cast<uint64_t>(stop));
    ASSERT_TRUE(write_step(env, "/ck", 1, std::vector<Box>{whole_box("w", "F32", {3000}, bytes_of(one))}, "{}", 1).ok());
    const int64_t before = env.operations();
    env.set_faults({.stop_at = before + stop});
    const bool written = write_step(env, "/ck", 2, std::vector<Box>{whole_box("w", "F32", {4000}, bytes_of(two))}, "{}", 1).ok();
    if (written) operations = env.operations() - before;
    env.restart(sim::Crash::kPowerCut);
    int64_t newest = 0;
    const auto steps = list_steps(env, "/ck").value();
    for (const std::string& dir : steps) {
      if (!env.exists(dir + "/index.json")) continue;
      const auto r = StepReader::open(env, dir);
      ASSERT_TRUE(r.ok()) << "stop " << stop << ": " << r.status().message();
      ASSERT_TRUE(r->verify().ok()) << "stop " << stop << ": " << r->verify().message();
      newest = std::max(newest, r->step());
    }
    ASSERT_GE(newest, written ? 2 : 1) << "stop " << stop;
  }
  EXPECT_LT(operations, 1000);
}

// The same at every operation of writing the one step there is again: the old or the new step-1 is there, whole.
TEST(BoxCheckpoint, AStepWrittenAgainIsNeverAbsent) {
  const auto one = counting(3000), two = counting(4000);
  for (const auto crash : {sim::Crash::kKill, sim::Crash::kPowerCut}) {
    int64_t operations = 1000;
    for (int64_t stop = 1; stop <= operations; ++stop) {
      sim::SimEnv env(static_cast<uint64_t>(stop));
      ASSERT_TRUE(write_step(env, "/ck", 1, std::vector<Box>{whole_box("w", "F32", {3000}, bytes_of(one))}, "{}", 1).ok());
      const int64_t before = env.operations();
      env.set_faults({.stop_at = before + stop});
      const bool written = write_step(env, "/ck", 1, std::vector<Box>{whole_box("w", "F32", {4000}, bytes_of(two))}, "{}", 1).ok();
      if (written) operations = env.operations() - before;
      env.restart(crash);
      const auto steps = list_steps(env, "/ck").value();
      ASSERT_FALSE(steps.empty()) << "stop " << stop;
      const auto r = StepReader::open(env, steps[0]);
      ASSERT_TRUE(r.ok()) << "stop " << stop << ": " << r.status().message();
      ASSERT_TRUE(r->verify().ok()) << "stop " << stop << ": " << r->verify().message();
      if (written) {
        ASSERT_EQ(r->boxes()[0].shape[0], 4000);
      }
      // The next step is written over whatever was left.
      ASSERT_TRUE(write_step(env, "/ck", 2, std::vector<Box>{whole_box("w", "F32", {3000}, bytes_of(one))}, "{}", 1).ok());
      ASSERT_EQ(env.list_dir("/ck").value().size(), 1u);  // and nothing lies about
    }
    EXPECT_LT(operations, 1000);
  }
}

// 3 ranks write by rows, 2 read by columns, and back: the bytes stay.
TEST(BoxCheckpoint, ManyRanksInOneLayoutLoadIntoAnother) {
  sim::SimEnv env(1);
  const int64_t rows = 7, columns = 5;
  const auto all = counting(static_cast<size_t>(rows * columns));
  ASSERT_TRUE(begin_step(env, "/ck", 3).ok());
  const std::vector<int64_t> cuts = {0, 3, 5, 7};  // uneven shards
  for (int64_t rank = 0; rank < 3; ++rank) {
    const int64_t first = cuts[static_cast<size_t>(rank)], count = cuts[static_cast<size_t>(rank) + 1] - first;
    const auto part = std::as_bytes(std::span(all).subspan(static_cast<size_t>(first * columns), static_cast<size_t>(count * columns)));
    ASSERT_TRUE(write_boxes(env, "/ck", 3, rank, std::vector<Box>{{"w", "F32", {rows, columns}, {first, 0}, {count, columns}, part}}).ok());
    EXPECT_EQ(list_steps(env, "/ck").value().size(), 0u);
  }
  ASSERT_TRUE(commit_step(env, "/ck", 3, 3, "{}", 1).ok());
  const auto r = StepReader::open(env, "/ck/step-00000003");
  ASSERT_TRUE(r.ok()) << r.status().message();
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {2, 3}}) {
    std::vector<float> out(static_cast<size_t>(rows * count));
    ASSERT_TRUE(r->read({"w", "F32", {rows, columns}, {0, first}, {rows, count}, {}}, std::as_writable_bytes(std::span(out))).ok());
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < count; ++k) ASSERT_EQ(out[static_cast<size_t>(i * count + k)], static_cast<float>(i * columns + first + k));
    }
  }
  EXPECT_EQ(env.list_dir("/ck/step-00000003").value().size(), 4u);  // three files of boxes and the index
}

TEST(BoxCheckpoint, WrongBoxesAreRefusedAndAMissingRankIsNamed) {
  sim::SimEnv env(1);
  const auto w = counting(8);
  const auto box = [&](int64_t offset, int64_t extent, int64_t shape) {
    return Box{"w", "F32", {shape}, {offset}, {extent}, std::as_bytes(std::span(w)).subspan(0, static_cast<size_t>(extent) * 4)};
  };
  EXPECT_EQ(write_step(env, "/ck", 1, std::vector<Box>{box(5, 4, 8)}, "{}", 1).message(),
            "/ck/step-00000001.partial/boxes-0.safetensors: box [4] at [5] of tensor 'w' is not inside its shape [8]");
  ASSERT_TRUE(begin_step(env, "/ck", 1).ok());
  ASSERT_TRUE(write_boxes(env, "/ck", 1, 0, std::vector<Box>{box(0, 4, 8)}).ok());
  EXPECT_EQ(commit_step(env, "/ck", 1, 2, "{}", 1).message(),
            "cannot open /ck/step-00000001.partial/boxes-1.json: No such file or directory");
  ASSERT_TRUE(write_boxes(env, "/ck", 1, 1, std::vector<Box>{box(3, 4, 8)}).ok());
  EXPECT_EQ(commit_step(env, "/ck", 1, 2, "{}", 1).message(),
            "/ck/step-00000001.partial: two boxes of tensor 'w' hold the same elements");
  ASSERT_TRUE(write_boxes(env, "/ck", 1, 1, std::vector<Box>{box(4, 4, 9)}).ok());
  EXPECT_EQ(commit_step(env, "/ck", 1, 2, "{}", 1).message(),
            "/ck/step-00000001.partial: tensor 'w' has boxes of different dtype or shape");
  EXPECT_EQ(list_steps(env, "/ck").value().size(), 0u);
}

TEST(BoxCheckpoint, OldStepsGo) {
  sim::SimEnv env(1);
  const auto w = counting(4);
  for (int64_t step = 1; step <= 4; ++step) ASSERT_TRUE(write_step(env, "/ck", step, std::vector<Box>{whole_box("w", "F32", {4}, bytes_of(w))}, "{}", 2).ok());
  EXPECT_EQ(list_steps(env, "/ck").value(), (std::vector<std::string>{"/ck/step-00000004", "/ck/step-00000003"}));
}

}  // namespace
}  // namespace bgl::resilience
