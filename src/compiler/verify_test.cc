#include "compiler/verify.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/env.h"
#include "compiler/compile.h"
#include "compiler/graph_text.h"
#include "compiler/pipeline.h"
#include "ops/functions.h"

namespace bgl::compiler {
namespace {

using ops::Value;

Value zeros_leaf(const ops::Shape& shape) {
  const ops::TensorMeta meta{ops::DType::kF32, shape};
  return ops::make_leaf(meta, ops::Buffer::allocate(static_cast<size_t>(meta.bytes())));
}

// relu(x * 2 + x), a view of it, and a softmax of the view, from x[2, 3].
Graph small_graph() {
  ops::Label label("h.0");
  const Value x = zeros_leaf({2, 3});
  const Value y = ops::relu(ops::add(ops::mul(x, 2.0), x));
  return capture(pending_behind({ops::softmax(ops::transpose(y, 0, 1), -1)}));
}

int node_of(const Graph& g, const std::string& op) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].op && g.nodes[i].op->name == op) return static_cast<int>(i);
  }
  return -1;
}
GraphNode& node(Graph& g, const std::string& op) { return g.nodes[static_cast<size_t>(node_of(g, op))]; }

TEST(GraphText, SaysNodesAttributesPlacesAndGroups) {
  Graph g = small_graph();
  resolve_views(g);
  const auto groups = form_groups(g, true);
  EXPECT_EQ(graph_text(g, groups),
            "%0 = leaf 0 : float32[2, 3]\n"
            "%1 = scalar 0 : float32[]  # h.0\n"
            "%2 = expand(%1; 2, 3) : float32[2, 3] = view of %1, strides [0, 0], offset 0  # h.0\n"
            "%3 = mul(%0, %2) : float32[2, 3]  # group 0, h.0\n"
            "%4 = add(%3, %0) : float32[2, 3]  # group 0, h.0\n"
            "%5 = relu(%4) : float32[2, 3]  # group 0, h.0\n"
            "%6 = permute(%5; 1, 0) : float32[3, 2] = view of %5, strides [1, 3], offset 0  # h.0\n"
            "%7 = softmax(%6) : float32[3, 2]  # group 1, h.0\n"
            "return %7\n");
}

TEST(VerifyGraph, EveryPassLeavesAValidGraph) {
  Graph g = small_graph();
  EXPECT_EQ(verify(g).message(), "");
  eliminate_common(g);
  EXPECT_EQ(verify(g).message(), "");
  resolve_views(g);
  EXPECT_EQ(verify(g).message(), "");
  EXPECT_EQ(verify(g, form_groups(g, true)).message(), "");
  EXPECT_EQ(verify(g, form_groups(g, false)).message(), "");
}

TEST(VerifyGraph, NamesTheBrokenRule) {
  const auto broken = [](auto change) {
    Graph g = small_graph();
    change(g);
    return verify(g).message();
  };
  EXPECT_EQ(broken([](Graph& g) { node(g, "mul").inputs[0].node = node_of(g, "relu"); }),
            "%3 = mul: reads %5, which does not stand before it");
  EXPECT_EQ(broken([](Graph& g) { node(g, "mul").dead = true; }), "%4 = add: reads %3, which is dead");
  EXPECT_EQ(broken([](Graph& g) { node(g, "add").inputs[1].out = 1; }), "%4 = add: reads output 1 of %0, which has 1");
  EXPECT_EQ(broken([](Graph& g) {
              node(g, "add").outs[0].shape = {3, 2};
            }),
            "%4 = add: output 0 is float32[3, 2], its shape rule gives float32[2, 3]");
  EXPECT_EQ(broken([](Graph& g) { node(g, "add").outs[0].dtype = ops::DType::kBF16; }),
            "%4 = add: output 0 is bfloat16[2, 3], its shape rule gives float32[2, 3]");
  EXPECT_EQ(broken([](Graph& g) { node(g, "add").inputs.pop_back(); }), "%4 = add: reads 1 values, its source 2");
  EXPECT_EQ(broken([](Graph& g) { node(g, "add").op = ops::find_op("mul"); }), "%4 = mul: its source is add");
  EXPECT_EQ(broken([](Graph& g) { node(g, "permute").source = ops::transpose(ops::full({5, 7}, 1, ops::DType::kF32), 0, 1).node; }),
            "%6 = permute: output 0 is float32[3, 2], its source's float32[7, 5]");
  EXPECT_EQ(broken([](Graph& g) { node(g, "leaf").outs[0].shape = {6}; }),
            "%0 = leaf: says float32[6], its value is float32[2, 3]");
  EXPECT_EQ(broken([](Graph& g) { g.outputs[0].out = 2; }), "%7 = softmax: output 2 is returned, of 1");
  EXPECT_EQ(broken([](Graph& g) {
              g.outputs = {{node_of(g, "leaf"), 0}}, g.donated[0] = true;
            }),
            "%0 = leaf: is returned and donated");
  EXPECT_EQ(broken([](Graph& g) { node(g, "scalar").scalar = -1; }), "%1 = scalar: is no number of the graph");
  EXPECT_EQ(broken([](Graph& g) { node(g, "mul").scalar = 0; }), "%3 = scalar: is number 0 of the graph");
  EXPECT_EQ(broken([](Graph& g) { node(g, "leaf").scalar = 0; }), "%0 = leaf: is number 0 too");
  EXPECT_EQ(broken([](Graph& g) {
              g.outputs = {{node_of(g, "relu"), 0}};
            }),
            "%7 = softmax: computes what no result needs");
  EXPECT_EQ(broken([](Graph& g) { node(g, "softmax").inputs[0] = {node_of(g, "scalar"), 0}; }),
            "%7 = softmax: operand 0 is [], for its source it was [3, 2]");
}

TEST(VerifyGraph, NamesABrokenLayout) {
  const auto broken = [](auto change) {
    Graph g = small_graph();
    resolve_views(g);
    change(g, g.access[static_cast<size_t>(node_of(g, "permute"))][0]);
    return verify(g).message();
  };
  EXPECT_EQ(broken([](Graph&, Access& a) { a.layout.offset = 1; }),
            "%6 = permute: its elements 1 to 6 lie outside the 6 of %5");
  EXPECT_EQ(broken([](Graph&, Access& a) { a.layout.shape = {2, 3}; }), "%6 = permute: is [3, 2], its layout [2, 3]");
  EXPECT_EQ(broken([](Graph&, Access& a) { a.layout.strides.pop_back(); }), "%6 = permute: its layout has 2 sizes and 1 strides");
  EXPECT_EQ(broken([](Graph&, Access& a) { a.root.out = 1; }), "%6 = permute: lies in output 1 of %5, which has 1");
  EXPECT_EQ(broken([](Graph& g, Access& a) { a.root.node = node_of(g, "softmax"); }),
            "%6 = permute: lies in %7, which does not stand before it");
  EXPECT_EQ(broken([](Graph& g, Access&) {
              g.outputs = {{node_of(g, "permute"), 0}};
            }),
            "%6 = permute: is returned and lies in %5");
  EXPECT_EQ(broken([](Graph& g, Access&) { g.access[static_cast<size_t>(node_of(g, "relu"))][0].root.node = 0; }),
            "%5 = relu: is no view and lies in %0");
}

TEST(VerifyGroups, NamesTheBrokenRule) {
  const auto broken = [](auto change) {
    Graph g = small_graph();
    resolve_views(g);
    std::vector<Group> groups = form_groups(g, false);
    change(g, groups);
    return verify(g, groups).message();
  };
  EXPECT_EQ(broken([](Graph&, std::vector<Group>& s) { std::swap(s[0], s[1]); }),
            "group 0: %4 = add reads %3 of group 1, which runs later");
  EXPECT_EQ(broken([](Graph&, std::vector<Group>& s) { s.pop_back(); }), "%7 = softmax is in no group");
  EXPECT_EQ(broken([](Graph&, std::vector<Group>& s) { s.push_back(s[0]); }), "%3 = mul is in groups 0 and 4");
  EXPECT_EQ(broken([](Graph& g, std::vector<Group>& s) { s[0].nodes.push_back(node_of(g, "softmax")); }),
            "group 0 is elementwise and holds %7 = softmax");
  EXPECT_EQ(broken([](Graph&, std::vector<Group>& s) { s[0].elementwise = false; }), "group 0 is not elementwise and holds %3 = mul");
  EXPECT_EQ(broken([](Graph& g, std::vector<Group>& s) { s[0].nodes = {node_of(g, "leaf")}; }),
            "group 0 holds %0 = leaf, which computes nothing");
}

TEST(VerifyGroups, AKernelDoesNotReadItselfThroughAView) {
  const Value y = ops::relu(zeros_leaf({2, 2}));
  Graph g = capture(pending_behind({ops::add(y, ops::transpose(y, 0, 1))}));
  resolve_views(g);
  EXPECT_EQ(verify(g, form_groups(g, true)).message(), "");
  const std::vector<Group> one = {{{node_of(g, "relu"), node_of(g, "add")}, true}};
  EXPECT_EQ(verify(g, one).message(), "group 0: %3 = add reads its own %1 through a view");
}

// Sets an environment variable for one test.
class Setting {
 public:
  Setting(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

TEST(Pipeline, APassThatBreaksTheGraphIsNamed) {
  const Setting verify("BGL_VERIFY", "1");
  auto pipeline = Pipeline::create();
  PassState s{small_graph(), {}};
  const Status found = pipeline->run_pass("views", s, [&] { return node(s.graph, "mul").dead = true, Status(); });
  EXPECT_EQ(found.message(), "after pass views: %4 = add: reads %3, which is dead");
}

TEST(Pipeline, SkipsOptionalPassesAlone) {
  {
    const Setting skip("BGL_SKIP_PASS", "common,transpose,fuse");
    const auto apart = compile(small_graph(), {});
    ASSERT_TRUE(apart.ok());
    EXPECT_EQ((*apart)->steps.size(), 5u);  // mul, add, relu, and the softmax's row-major copy and kernel
  }
  EXPECT_EQ((*compile(small_graph(), {}))->steps.size(), 3u);
  const Setting skip("BGL_SKIP_PASS", "fuse,plan");
  EXPECT_EQ(compile(small_graph(), {}).status().message(),
            "BGL_SKIP_PASS: there is no optional pass 'plan': choose common, transpose, fuse");
}

TEST(Pipeline, DumpsTheGraphAfterEveryPassThatChangesIt) {
  const std::string dir = testing::TempDir() + "bgl_dump_graph";
  ASSERT_TRUE(real_env().remove_all(dir).ok());
  const Setting dump("BGL_DUMP_GRAPH", dir);
  ASSERT_TRUE(compile(small_graph(), {}).ok());
  std::string passes;
  const auto entries = real_env().list_dir(dir);
  ASSERT_TRUE(entries.ok());
  for (const DirEntry& e : *entries) passes += e.name.substr(e.name.find('-', 6)) + " ";
  EXPECT_EQ(passes, "-0-common.txt -2-views.txt -3-fuse.txt ");
  ASSERT_TRUE(real_env().remove_all(dir).ok());
}

}  // namespace
}  // namespace bgl::compiler
