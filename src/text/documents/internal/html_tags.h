// The elements of HTML that the parser and the extractor tell apart, and sets of them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace bgl::text {

enum class HtmlTag : uint8_t {
  kText,   // no element: text
  kOther,  // an element not named here
  kRoot,
  // clang-format off
  kA, kAddress, kArea, kArticle, kAside, kAudio, kBase, kBlockquote, kBody, kBr, kButton, kCanvas, kCaption, kCenter, kCol, kDd,
  kDetails, kDir, kDiv, kDl, kDt, kEmbed, kFieldset, kFigcaption, kFigure, kFooter, kForm, kFrame, kH1, kH2, kH3, kH4, kH5, kH6,
  kHead, kHeader, kHr, kHtml, kIframe, kImg, kInput, kKeygen, kLi, kLink, kMain, kMap, kMath, kMenu, kMeta, kNav, kNoembed,
  kNoframes, kNoscript, kObject, kOl, kOption, kP, kParam, kPath, kPlaintext, kPre, kScript, kSection, kSelect, kSource, kStyle,
  kSummary, kSvg, kTable, kTbody, kTd, kTemplate, kTextarea, kTfoot, kTh, kThead, kTitle, kTr, kTrack, kUl, kVideo, kWbr, kXmp,
  // clang-format on
  kCount
};

// A set of tags, a bit each.
class TagSet {
 public:
  constexpr TagSet(std::initializer_list<HtmlTag> tags) {
    for (const HtmlTag tag : tags) bits_[index(tag) / 64] |= uint64_t{1} << index(tag) % 64;
  }
  constexpr bool has(HtmlTag tag) const { return bits_[index(tag) / 64] >> index(tag) % 64 & 1; }

 private:
  static constexpr unsigned index(HtmlTag tag) { return static_cast<unsigned>(tag); }
  uint64_t bits_[2] = {};
};
static_assert(static_cast<unsigned>(HtmlTag::kCount) <= 128);

// The tag of this name in any case; kOther for a name not listed.
HtmlTag tag_of_name(std::string_view name);
// In lower case; empty for kText, kOther and kRoot.
std::string_view name_of_tag(HtmlTag tag);

// 1 to 6 of a heading, else 0.
constexpr int heading_level(HtmlTag tag) {
  return tag >= HtmlTag::kH1 && tag <= HtmlTag::kH6 ? static_cast<int>(tag) - static_cast<int>(HtmlTag::kH1) + 1 : 0;
}

}  // namespace bgl::text
