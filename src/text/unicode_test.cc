#include "text/unicode.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace bgl::text {
namespace {

// Code points that normal forms treat in ways of their own, besides any.
int32_t random_codepoint(std::mt19937& random) {
  static constexpr struct {
    int32_t first, last;
  } kRanges[] = {{0x20, 0x7E},      {0xA0, 0x24F},      {0x300, 0x345},     {0x370, 0x52F},     {0x591, 0x65F},
                 {0x900, 0xDFF},    {0xE00, 0xEFF},     {0x1000, 0x109F},   {0x1100, 0x11FF},   {0x1E00, 0x1FFF},
                 {0x2000, 0x218F},  {0x3040, 0x30FF},   {0x3130, 0x33FF},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
                 {0xFB00, 0xFFEF},  {0x11080, 0x1135F}, {0x1D400, 0x1D7FF}, {0x1F300, 0x1F6FF}, {0x80, 0xD7FF},
                 {0xE000, 0x10FFFF}};
  const auto& range = kRanges[random() % std::size(kRanges)];
  return range.first + static_cast<int32_t>(random() % static_cast<uint32_t>(range.last - range.first + 1));
}

TEST(Unicode, FoldingIsLowerCaseOfTheNormalForm) {
  for (int32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text = "A";
    append_utf8(text, c);
    ASSERT_EQ(nfkc_lower(text), to_lower(nfkc(text))) << c;
  }
  std::mt19937 random(4);
  for (int round = 0; round < 30000; ++round) {
    std::string text;
    for (size_t n = 1 + random() % 12; n > 0; --n) append_utf8(text, random_codepoint(random));
    ASSERT_EQ(nfkc_lower(text), to_lower(nfkc(text))) << text;
  }
  EXPECT_EQ(nfkc_lower("E\xCC\x81\xFF"), to_lower(nfkc("E\xCC\x81\xFF"))) << "invalid bytes";
}

TEST(Unicode, RunsOfAscii) {
  for (size_t before = 0; before < 20; ++before) {
    const std::string text = std::string(before, 'a') + "\xC3\xA9" + std::string(9, 'b');
    EXPECT_EQ(ascii_end(text, 0), before);
    EXPECT_EQ(ascii_end(text, before), before);
    EXPECT_EQ(ascii_end(text, before + 2), text.size());
    EXPECT_TRUE(is_valid_utf8(text));
    EXPECT_FALSE(is_valid_utf8(text.substr(0, before + 1)));
    EXPECT_EQ(repair_utf8(text.substr(0, before + 1)), std::string(before, 'a') + "\xEF\xBF\xBD");
  }
}

TEST(Unicode, LowerCaseOfEveryByte) {
  for (size_t shift = 0; shift < 9; ++shift) {
    std::string text(shift, 'x'), wanted = text;
    for (int c = 0; c < 256; ++c) {
      text += static_cast<char>(c);
      wanted += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    EXPECT_EQ(lower_ascii(text), wanted) << shift;
  }
}

}  // namespace
}  // namespace bgl::text
