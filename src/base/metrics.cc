#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/status.h"

namespace bgl {

struct Metrics::State {
  // One kind's families by name and our handles by name and labels.
  template <typename Impl, typename Handle>
  struct MetricKind {
    std::map<std::string, std::unique_ptr<prometheus::Family<Impl>>> families;
    std::map<std::pair<std::string, MetricLabels>, std::unique_ptr<Handle>> handles;
  };
  std::mutex mutex;
  std::map<std::string, char> kind_of_name;
  MetricKind<prometheus::Counter, Counter> counters;
  MetricKind<prometheus::Gauge, Gauge> gauges;
  MetricKind<prometheus::Histogram, Histogram> histograms;

  template <typename Impl, typename Handle, typename Make, typename... Args>
  Handle& find_or_add(MetricKind<Impl, Handle>& kind, char letter, const std::string& name, const std::string& help,
                      const MetricLabels& labels, Make make, const Args&... args) {
    const std::lock_guard lock(mutex);
    const auto [known, is_new] = kind_of_name.emplace(name, letter);
    BGL_CHECK(known->second == letter, "metric {} exists as another kind", name);
    auto& handle = kind.handles[{name, labels}];
    if (!handle) {
      auto& family = kind.families[name];
      if (!family) family = std::make_unique<prometheus::Family<Impl>>(name, help, prometheus::Labels{});
      handle.reset(make(&family->Add(labels, args...)));
    }
    return *handle;
  }
};

void Counter::add(double by) { static_cast<prometheus::Counter*>(impl_)->Increment(by); }
double Counter::value() const { return static_cast<prometheus::Counter*>(impl_)->Value(); }
void Gauge::set(double value) { static_cast<prometheus::Gauge*>(impl_)->Set(value); }
void Gauge::add(double by) { static_cast<prometheus::Gauge*>(impl_)->Increment(by); }
double Gauge::value() const { return static_cast<prometheus::Gauge*>(impl_)->Value(); }
void Histogram::observe(double value) { static_cast<prometheus::Histogram*>(impl_)->Observe(value); }

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return state_->find_or_add(state_->counters, 'c', name, help, labels, [](void* impl) { return new Counter(impl); });
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return state_->find_or_add(state_->gauges, 'g', name, help, labels, [](void* impl) { return new Gauge(impl); });
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                              const MetricLabels& labels) {
  return state_->find_or_add(
      state_->histograms, 'h', name, help, labels, [](void* impl) { return new Histogram(impl); }, bounds);
}

std::string Metrics::text() const {
  std::vector<prometheus::MetricFamily> all;
  {
    const std::lock_guard lock(state_->mutex);
    const auto collect = [&all](const auto& kind) {
      for (const auto& [name, family] : kind.families) {
        for (auto& collected : family->Collect()) all.push_back(std::move(collected));
      }
    };
    collect(state_->counters);
    collect(state_->gauges);
    collect(state_->histograms);
  }
  // Families keep their metrics in a hash table: order them, so that two scrapes of one state are the same bytes.
  const auto label_order = [](const prometheus::ClientMetric& a, const prometheus::ClientMetric& b) {
    const auto key = [](const prometheus::ClientMetric& m) {
      std::vector<std::pair<std::string, std::string>> labels;
      for (const auto& l : m.label) labels.emplace_back(l.name, l.value);
      return labels;
    };
    return key(a) < key(b);
  };
  for (auto& family : all) std::sort(family.metric.begin(), family.metric.end(), label_order);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return prometheus::TextSerializer().Serialize(all);
}

Metrics& metrics() {
  static Metrics all;
  return all;
}

}  // namespace bgl
