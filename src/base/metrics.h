// Figures of a running process for Prometheus: counters, gauges, histograms, and their text exposition. A metric is made once
// and kept; using it is a few atomic operations, from any thread. Names end with their unit (`_seconds`, `_bytes`, `_total`).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bgl {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  // `by` >= 0.
  void add(double by = 1);
  double value() const;

 private:
  friend class Metrics;
  explicit Counter(void* impl) : impl_(impl) {}
  void* impl_;
};

class Gauge {
 public:
  void set(double value);
  void add(double by);
  double value() const;

 private:
  friend class Metrics;
  explicit Gauge(void* impl) : impl_(impl) {}
  void* impl_;
};

class Histogram {
 public:
  void observe(double value);

 private:
  friend class Metrics;
  explicit Histogram(void* impl) : impl_(impl) {}
  void* impl_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The metric of this name and labels, made at the first call; the reference lives as long as this object. A wrong name, or
  // one name with two kinds, is our bug and aborts.
  Counter& counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `bounds`: upper bounds of the buckets, rising, without infinity.
  Histogram& histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                       const MetricLabels& labels = {});

  // Every metric, in Prometheus text format 0.0.4, sorted by name.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The content type of Metrics::text().
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// The metrics of this process.
Metrics& metrics();

}  // namespace bgl
