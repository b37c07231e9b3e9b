#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace bgl {
namespace {

TEST(Metrics, TextIsPrometheusExposition) {
  Metrics all;
  all.counter("bgl_requests_total", "Requests.", {{"code", "500"}}).add();
  all.counter("bgl_requests_total", "Requests.", {{"code", "200"}}).add(2);
  all.gauge("bgl_queue_requests", "Waiting.").set(3);
  Histogram& wait = all.histogram("bgl_wait_seconds", "Wait.", {0.1, 1});
  wait.observe(0.05);
  wait.observe(5);
  EXPECT_EQ(all.text(),
            "# HELP bgl_queue_requests Waiting.\n"
            "# TYPE bgl_queue_requests gauge\n"
            "bgl_queue_requests 3\n"
            "# HELP bgl_requests_total Requests.\n"
            "# TYPE bgl_requests_total counter\n"
            "bgl_requests_total{code=\"200\"} 2\n"
            "bgl_requests_total{code=\"500\"} 1\n"
            "# HELP bgl_wait_seconds Wait.\n"
            "# TYPE bgl_wait_seconds histogram\n"
            "bgl_wait_seconds_count 2\n"
            "bgl_wait_seconds_sum 5.05\n"
            "bgl_wait_seconds_bucket{le=\"0.1\"} 1\n"
            "bgl_wait_seconds_bucket{le=\"1\"} 1\n"
            "bgl_wait_seconds_bucket{le=\"+Inf\"} 2\n");
}

TEST(Metrics, OneNameAndLabelsIsOneMetric) {
  Metrics all;
  Counter& first = all.counter("a_total", "A.");
  Counter& second = all.counter("a_total", "A.");
  EXPECT_EQ(&first, &second);
  first.add(2);
  EXPECT_EQ(second.value(), 2);
  EXPECT_DEATH(all.gauge("a_total", "A."), "metric a_total exists as another kind");
}

TEST(Metrics, AddsFromManyThreadsAreAllCounted) {
  Metrics all;
  Counter& counter = all.counter("a_total", "A.");
  Gauge& gauge = all.gauge("g", "G.");
  std::thread threads[4];
  for (auto& t : threads) {
    t = std::thread([&] {
      for (int i = 0; i < 1000; ++i) counter.add(), gauge.add(i % 2 ? 1 : -1);
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(counter.value(), 4000);
  EXPECT_EQ(gauge.value(), 0);
}

}  // namespace
}  // namespace bgl
