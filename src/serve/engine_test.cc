#include "serve/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "framework/random.h"
#include "lang/kernel.h"
#include "serve/page_pool.h"

namespace bgl::serve {
namespace {

std::unique_ptr<models::Model> tiny() {
  models::ModelConfig c;
  c.family = models::Family::kLlama;
  c.vocab = 60;
  c.context = 192;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.width = 32;
  c.head_width = 8;
  c.hidden = 64;
  c.activation = models::Activation::kSilu;
  framework::manual_seed(9);
  return models::make_model(c, models::Init::kTorch);
}

// Submits and waits for the tokens.
struct Pending {
  std::shared_ptr<std::promise<std::vector<int32_t>>> promise = std::make_shared<std::promise<std::vector<int32_t>>>();
  std::shared_ptr<std::vector<int32_t>> tokens = std::make_shared<std::vector<int32_t>>();
};
Pending submit(Engine& engine, Request r) {
  Pending p;
  r.on_event = [p](const Request::Event& e) {
    if (e.token >= 0) p.tokens->push_back(e.token);
    if (e.finish != Finish::kNone) p.promise->set_value(*p.tokens);
    return true;
  };
  const Status s = engine.submit(std::move(r));
  EXPECT_TRUE(s.ok()) << s.message();
  return p;
}
Request request(int i) {
  Request r;
  for (int k = 0; k < 1 + i * 5 % 90; ++k) r.prompt.push_back((i / 3 + k * k) % 60);
  r.max_tokens = 5 + i % 40;
  r.sampling = {i % 2 ? 0.0 : 1.0, 0.95, 0};
  r.seed = static_cast<uint64_t>(i);
  return r;
}

TEST(Engine, ABatchOf64GivesWhatEachRequestGivesAlone) {
  const auto model = tiny();
  const auto engine = Engine::create(*model, {});
  ASSERT_TRUE(engine.ok());
  std::vector<Pending> pending;
  for (int i = 0; i < 64; ++i) pending.push_back(submit(**engine, request(i)));
  std::vector<std::vector<int32_t>> together;
  for (Pending& p : pending) together.push_back(p.promise->get_future().get());
  const auto alone = Engine::create(*model, {.max_running = 1, .step_tokens = 7});
  for (int i = 0; i < 64; ++i) {
    Pending p = submit(**alone, request(i));
    EXPECT_EQ(p.promise->get_future().get(), together[static_cast<size_t>(i)]) << "request " << i;
  }
}

// Drawn at temperature 1, so that a change of a logit shows: a long prompt in pieces of any size, and found in the cache.
TEST(Engine, PiecesOfThePromptAndTheCacheChangeNothing) {
  const auto model = tiny();
  Request r = request(8);
  for (int k = 0; k < 150; ++k) r.prompt.push_back(k * k % 60);
  r.prompt.resize(150);
  r.max_tokens = 40;
  r.sampling = {1.0, 1.0, 0};
  std::vector<int32_t> first;
  for (const int64_t step_tokens : {256, 1, 7, 64, 100}) {
    const auto engine = Engine::create(*model, {.step_tokens = step_tokens});
    ASSERT_TRUE(engine.ok());
    for (int again = 0; again < 2; ++again) {
      const auto tokens = submit(**engine, r).promise->get_future().get();
      EXPECT_EQ(tokens.size(), 40u);
      if (first.empty()) first = tokens;
      EXPECT_EQ(tokens, first) << "pieces of " << step_tokens << (again ? ", from the cache" : "");
      EXPECT_EQ((*engine)->stats().cached_prompt_tokens, again * 128);
    }
  }
}

// Two adapters of other ranks, of numbers that change what is said.
std::unique_ptr<models::Model> tiny_with_adapters() {
  auto model = tiny();
  for (const auto& [name, linear] : model->adaptable()) {
    const int64_t in = linear->in_features(), out = linear->out_features();
    std::vector<float> a(static_cast<size_t>(6 * in)), b(static_cast<size_t>(6 * out));
    for (size_t i = static_cast<size_t>(in); i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 19) / 20 - 0.45F;
    for (size_t i = static_cast<size_t>(out); i < b.size(); ++i) b[i] = static_cast<float>(i * 53 % 23) - 11;
    linear->set_adapters({framework::Tensor::from_vector(a, {6, in}), framework::Tensor::from_vector(b, {6, out})});
  }
  model->set_adapters({{1, 2, 0.5}, {3, 3, 0.25}});
  return model;
}

TEST(Engine, RequestsOfSeveralAdaptersGiveWhatEachGivesAlone) {
  const auto model = tiny_with_adapters();
  const auto engine = Engine::create(*model, {});
  ASSERT_TRUE(engine.ok());
  const auto of = [](int i) {
    Request r = request(i / 3);
    r.adapter = i % 3;
    return r;
  };
  std::vector<Pending> pending;
  for (int i = 0; i < 60; ++i) pending.push_back(submit(**engine, of(i)));
  std::vector<std::vector<int32_t>> together;
  for (Pending& p : pending) together.push_back(p.promise->get_future().get());
  const auto base = tiny();
  const auto alone = Engine::create(*model, {.max_running = 1, .step_tokens = 7}), without = Engine::create(*base, {.max_running = 1});
  int differ = 0;
  for (int i = 0; i < 60; ++i) {
    Pending p = submit(**alone, of(i));
    EXPECT_EQ(p.promise->get_future().get(), together[static_cast<size_t>(i)]) << "request " << i;
    differ += together[static_cast<size_t>(i)] != together[static_cast<size_t>(i / 3 * 3)];
    if (i % 3 != 0) continue;
    Pending q = submit(**without, of(i));
    EXPECT_EQ(q.promise->get_future().get(), together[static_cast<size_t>(i)]) << "the base's own bits, request " << i;
  }
  EXPECT_GT(differ, 30) << "adapters change what is said";
  Request r = request(1);
  r.adapter = 3;
  r.on_event = [](const Request::Event&) { return true; };
  EXPECT_EQ((*alone)->submit(r).message(), "there is no adapter 3: the model has 2");
}

// The same long prompt for the base and both adapters: none finds the pages of another.
TEST(Engine, AdaptersShareNoPagesOfTheCache) {
  const auto model = tiny_with_adapters();
  const auto engine = Engine::create(*model, {});
  ASSERT_TRUE(engine.ok());
  Request r = request(1);
  r.prompt.assign(150, 3);
  std::vector<std::vector<int32_t>> first;
  for (int round = 0; round < 2; ++round) {
    for (int64_t adapter = 0; adapter < 3; ++adapter) {
      r.adapter = adapter;
      const auto tokens = submit(**engine, r).promise->get_future().get();
      if (round == 0) first.push_back(tokens);
      if (adapter > 0) {
        EXPECT_NE(tokens, first[0]);
      }
      EXPECT_EQ(tokens, first[static_cast<size_t>(adapter)]);
      EXPECT_EQ((*engine)->stats().cached_prompt_tokens, round * 128 * (adapter + 1)) << "round " << round << ", adapter " << adapter;
    }
  }
}

TEST(Engine, ManyLengthsOfPromptsCompileAHandfulOfKernels) {
  const auto model = tiny();
  model->requires_grad_(false);
  const auto kernels = [] { return lang::kernel_counters().compiled + lang::kernel_counters().from_disk; };
  int64_t first = 0;
  for (int64_t i = 0; i < 60; ++i) {
    const int64_t length = 1 + (63 + i * 7) % 180;
    const auto engine = Engine::create(*model, {.max_running = 1, .max_waiting = 1, .context = length + 2});
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    Request r;
    r.prompt.assign(static_cast<size_t>(length), static_cast<int32_t>(i));
    r.max_tokens = 2;
    EXPECT_EQ(submit(**engine, std::move(r)).promise->get_future().get().size(), 2u);
    if (i == 0) first = kernels();
  }
  EXPECT_LE(kernels() - first, 12);
}

TEST(Engine, AFullQueueRefusesAndSaysSo) {
  const auto model = tiny();
  const auto engine = Engine::create(*model, {.max_running = 1, .max_waiting = 2}).value().release();
  const std::unique_ptr<Engine> owner(engine);
  Status refused;
  std::vector<Pending> pending;
  for (int i = 0; i < 50 && refused.ok(); ++i) {
    Request r = request(3);
    r.max_tokens = 100;
    Pending p;
    r.on_event = [p](const Request::Event& e) {
      if (e.finish != Finish::kNone) p.promise->set_value({});
      return true;
    };
    refused = engine->submit(std::move(r));
    if (refused.ok()) pending.push_back(p);
  }
  EXPECT_EQ(refused.message(), "2 requests are waiting already");
  for (Pending& p : pending) p.promise->get_future().get();
  EXPECT_EQ(engine->stats().refused, 1);
}

TEST(Engine, WhatTheBatchHasAPlaceForDoesNotWait) {
  const auto model = tiny();
  const auto engine = Engine::create(*model, {.max_running = 3, .max_waiting = 0});
  ASSERT_TRUE(engine.ok());
  const auto promise = std::make_shared<std::promise<void>>();
  std::vector<Request> several(4, request(3));
  for (Request& r : several) r.on_event = [](const Request::Event&) { return true; };
  EXPECT_EQ((*engine)->submit(several).message(),
            "4 answers are asked for at once, but this server takes 3: 3 that run (--max-running) and 0 that wait (--max-waiting)");
  EXPECT_EQ((*engine)->submit(several).code(), Code::kInvalidArgument);
  several.resize(3);
  const auto left = std::make_shared<std::atomic<int>>(3);
  for (Request& r : several) {
    r.on_event = [promise, left](const Request::Event& e) {
      if (e.finish != Finish::kNone && --*left == 0) promise->set_value();
      return true;
    };
  }
  const Status s = (*engine)->submit(several);
  EXPECT_TRUE(s.ok()) << s.message();
  promise->get_future().get();
}

TEST(Engine, StopEndsWhatRunsAndWaitsWithAnError) {
  const auto model = tiny();
  const auto engine = Engine::create(*model, {.max_running = 1});
  ASSERT_TRUE(engine.ok());
  std::vector<std::string> errors;
  for (int i = 0; i < 3; ++i) {
    Request r = request(3);
    r.max_tokens = 150;
    r.on_event = [&](const Request::Event& e) {
      if (e.finish == Finish::kError) errors.push_back(e.error);
      return true;
    };
    ASSERT_TRUE((*engine)->submit(std::move(r)).ok());
  }
  (*engine)->stop();
  EXPECT_EQ(errors, std::vector<std::string>(3, "the server shut down before the answer was whole"));
  EXPECT_EQ((*engine)->submit(request(3)).message(), "the server is shutting down");
  EXPECT_TRUE((*engine)->drain(0));
}

TEST(Engine, WhatCannotFitIsRefused) {
  const auto model = tiny();
  const auto engine = Engine::create(*model, {});
  Request r = request(1);
  r.prompt = {1, 2, 3};
  r.max_tokens = 190;
  r.on_event = [](const Request::Event&) { return true; };
  EXPECT_EQ((*engine)->submit(r).message(), "this model's context is 192 tokens, but the prompt has 3 and max_tokens asks for 190 more");
  r.max_tokens = 1;
  r.prompt = {60};
  EXPECT_EQ((*engine)->submit(r).message(), "token 60 is outside the vocabulary of 60");
  r.prompt = {};
  EXPECT_EQ((*engine)->submit(r).message(), "the prompt is empty: it needs at least one token");
}

TEST(Engine, AShorterContextNeedsASmallerCache) {
  const auto model = tiny();
  const int64_t bytes = 2 * model->page_bytes();
  EXPECT_EQ(Engine::create(*model, {.cache_bytes = bytes}).status().message(),
            fmt::format("the KV cache may take {} bytes, but one request of 192 tokens needs 3 pages of {} bytes: allow it more, or a shorter context", bytes,
                        model->page_bytes()));
  EXPECT_EQ(Engine::create(*model, {.context = 193}).status().message(), "a context of 193 tokens was asked for, but this model was made for 192");
  const auto engine = Engine::create(*model, {.context = 100, .cache_bytes = bytes});
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  EXPECT_EQ((*engine)->context(), 100);
  Request r = request(1);
  r.prompt = {1, 2, 3};
  r.max_tokens = 98;
  EXPECT_EQ((*engine)->submit(r).message(), "this model's context is 100 tokens, but the prompt has 3 and max_tokens asks for 98 more");
}

TEST(PagePool, SharesBeginningsAndEvictsTheOldest) {
  PagePool pool(6);  // five pages
  std::vector<int32_t> a(128, 1), b(128, 2);
  std::vector<int64_t> pages = pool.take(2);
  pool.publish(a, 0, pages[0]);
  pool.publish(a, 1, pages[1]);
  EXPECT_EQ(pool.match(a), pages);
  EXPECT_TRUE(pool.match(b).empty());
  pool.release(pages);
  EXPECT_EQ(pool.available(), 3);  // the second holder still has them
  pool.release(pages);
  EXPECT_EQ(pool.available(), 5);
  EXPECT_EQ(pool.take(4).size(), 4u);  // one of the cached pages goes: the later one
  const auto left = pool.match(a);
  EXPECT_EQ(left, std::vector<int64_t>{pages[0]});
  EXPECT_TRUE(pool.take(1).empty());
}

}  // namespace
}  // namespace bgl::serve
