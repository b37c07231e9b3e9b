// The folder that a command of preparation writes into, removes stale files from, and must therefore own.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"

namespace bgl::prep {

// Makes and locks `dir`: a new or empty folder, one that holds an earlier result, or one in which a run that was stopped left
// nothing but files and folders of the names `ours`. kInvalidArgument for any other; kAlreadyExists while another process writes it.
Result<std::unique_ptr<FileLock>> take_output_folder(Env& env, const std::string& dir, bool has_result,
                                                     std::initializer_list<std::string_view> ours);

}  // namespace bgl::prep
