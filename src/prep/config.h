// What to prepare, as TOML:
//
//   [prep]
//   heldout_share = 0.02          # of the documents, chosen by content; they never train
//   memory_mb = 1024              # for the hashes of documents that are compared
//   [limits]                      # of one document: what passes them is dropped with rule "over_limit"
//   document_bytes = 16777216     # of a page, a line of jsonl, a record of warc, unpacked
//   nodes = 500000                # elements, attributes and texts of a page
//   depth = 1024                  # elements inside one another
//   seconds = 30                  # of a core for one page; the one limit that a slower machine may meet earlier
//   unpack_ratio = 200            # a .gz or .zst that gives over 64 MiB may not be more than 200 times its size
//   [personal_data]               # "keep", "mask" or "drop" (the document), for each kind; see personal_data.h
//   mail = "keep"                 # also ip, phone, card; a source may say otherwise in [source.personal_data]
//   [decontaminate]
//   against = ["eval.jsonl"]      # files of evaluation texts; see decontaminate.h
//   fields = ["text"]             # of a line of jsonl, each a text
//   words = 13                    # that a document may not share in a row
//   words_min = 8                 # of an evaluation text that counts
//   [dedup]
//   exact = true                  # same text after lower case and without punctuation
//   near = true                   # MinHash: words = 5, bands = 14, rows = 8 (as FineWeb: about 75 % alike)
//   [[source]]
//   name = "handbook"             # unique
//   domain = "general"
//   licence = "GPL-2+"
//   match = ["general/handbook/**/*.html"]   # paths: * within a folder, ** across, ?, [a-z], {a,b}
//   exclude = ["**/index.html"]
//   optional = true               # that no path matches is no error
//   reader = "html"               # or found by the file's name; see text/readers.h
//   text_field = "text"           # of jsonl; also id_field = "id", title_field = "title", url_field = "url"
//   select = '\(Med\.\)'          # RE2: only documents whose text matches
//   languages = ["en"]            # empty: any; see language.h
//   language_share = 0            # of the text that must be in that language; FineWeb takes 0.65
//   language_sample = 0           # bytes that are looked at, from the middle; 0: all
//   filters = ["gopher_quality", "c4"]       # groups or rules; see filters.h; absent: every group
//   skip = ["gopher_stop_words"]  # rules or groups that do not apply
//   [source.rules]
//   gopher_words_min = 20         # another threshold than the paper's
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "prep/filters.h"
#include "prep/personal_data.h"
#include "text/documents/limits.h"

namespace bgl::prep {

struct SourceConfig {
  std::string name, domain, licence, reader, select;
  std::vector<std::string> match, exclude, languages;
  std::string text_field = "text", id_field = "id", title_field = "title", url_field = "url";
  bool optional = false;
  double language_share = 0;
  int64_t language_sample = 0;
  PrivacyRules privacy = {};
  RuleSet rules;
};

struct DecontaminateConfig {
  std::vector<std::string> against, fields = {"text"};
  int words = 13, words_min = 8;
};

struct DedupConfig {
  bool exact = true, near = true;
  int words = 5, bands = 14, rows = 8;
};

struct PrepConfig {
  double heldout_share = 0.02;
  int64_t memory_mb = 1024;
  text::ReadLimits limits;
  DecontaminateConfig decontaminate;
  DedupConfig dedup;
  std::vector<SourceConfig> sources;
  std::string resolved;  // the whole configuration with every default, as TOML
};

// Every error names file and line: unknown keys, unknown rules, patterns that do not parse, two sources of one name.
Result<PrepConfig> load_config(const std::string& path, std::span<const std::string> sets = {});
Result<PrepConfig> parse_config(Config config);

}  // namespace bgl::prep
