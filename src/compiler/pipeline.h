// Every pass of the compiler runs through one Pipeline, so that each is timed, dumped, checked and, where it is optional,
// skipped in one place. The environment says what a developer wants to see:
//   BGL_DUMP_GRAPH=DIR            after each pass that changed something DIR/graph-N-I-PASS.txt: the graph (graph_text.h);
//                                 N counts graphs, I passes
//   BGL_VERIFY=1                  verify.h after each pass; debug builds always do
//   BGL_SKIP_PASS=NAME[,NAME]     optional passes that are left out, to see whether a fault goes away: common,
//                                 transpose, fuse
//   BGL_LOG=debug                 a line a graph with the time of every pass
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/passes.h"

namespace bgl::compiler {

// What passes work on.
struct PassState {
  Graph graph;
  std::vector<Group> groups;  // empty until they are formed
};

class Pipeline {
 public:
  // Reads the environment. Errors: BGL_SKIP_PASS names what is no optional pass.
  static Result<Pipeline> create();

  // Runs `pass`; or `instead`, where BGL_SKIP_PASS names it. Null: the pass is not optional. Errors: the pass's own; a rule of
  // verify.h that is broken afterwards, with the pass's name; a dump that cannot be written.
  Status run_pass(const char* name, const PassState& state, const std::function<Status()>& pass,
                  const std::function<void()>& instead = nullptr);

  // "common 0.12 ms, views 0.05 ms".
  std::string times_text() const;

 private:
  struct Time {
    std::string name;
    double seconds = 0;
  };
  Status dump(const char* name, const PassState& state);

  bool verify_ = false;
  std::string dump_folder_, dumped_;  // the text that was written last
  std::vector<std::string> skipped_;
  int64_t number_ = 0;  // of the graph in this process
  std::vector<Time> times_;
};

}  // namespace bgl::compiler
