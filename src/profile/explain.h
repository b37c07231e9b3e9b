// A profile told to a person: tables, one JSON object, an HTML page.
#pragma once

#include <string>

#include "profile/memory_curve.h"
#include "profile/profile.h"
#include "profile/roofline.h"
#include "report/table.h"

namespace bgl::profile {

// The `top` kernels by time, one row for the others, and the time outside kernels.
report::Table kernel_table(const Analysis& analysis, const lang::Rates& rates, size_t top);
// The `top` largest values that are alive at the peak.
report::Table peak_table(const MemoryCurve& curve, size_t top);
// "A step takes 12.3 ms, ..." : a few lines.
std::string summary_text(const Profile& profile, const Analysis& analysis, const MemoryCurve& curve);
// {step: {...}, kernels: [...], memory: {...}} with plain numbers: seconds, flops, bytes.
std::string explanation_json(const Profile& profile, const Analysis& analysis, const MemoryCurve& curve, size_t top);
// Needs no other file. `title` is the run's.
std::string explanation_page(const std::string& title, const Profile& profile, const Analysis& analysis,
                             const MemoryCurve& curve);

}  // namespace bgl::profile
