#include "text/encoding.h"

#include <gtest/gtest.h>

namespace bgl::text {
namespace {

TEST(Encoding, MarksDeclarationsAndGuesses) {
  using namespace std::string_view_literals;
  EXPECT_EQ(to_utf8("\xEF\xBB\xBFh\xC3\xA9", false).text, "h\xC3\xA9");
  EXPECT_EQ(to_utf8("\xFF\xFEh\0\xE9\0"sv, false).text, "h\xC3\xA9");
  EXPECT_EQ(to_utf8("\xFE\xFF\0h\0\xE9"sv, false).text, "h\xC3\xA9");
  EXPECT_EQ(to_utf8("h\xC3\xA9", false).charset, "utf-8");
  EXPECT_EQ(to_utf8("h\xE9 \x93q\x94", false).text, "h\xC3\xA9 \xE2\x80\x9Cq\xE2\x80\x9D");
  EXPECT_EQ(to_utf8("h\xE9", false).charset, "windows-1252");
  EXPECT_EQ(to_utf8("<meta charset=\"koi8-r\">\xD4", true).text, "<meta charset=\"koi8-r\">\xD1\x82");
  EXPECT_EQ(to_utf8("<?xml version='1.0' encoding='iso-8859-2'?>\xB1", true).charset, "iso-8859-2");
  EXPECT_EQ(to_utf8("<META http-equiv=Content-Type content=\"text/html; charset=ISO-8859-1\">\x80", true).charset,
            "windows-1252");
  EXPECT_EQ(to_utf8("<meta charset=gb2312>\xCE\xD2", true).text.substr(21), "\xE6\x88\x91");
}

TEST(Encoding, BrokenBytesBecomeReplacementCharacters) {
  EXPECT_EQ(to_utf8("<meta charset=utf-8>\xC3(", true).text, "<meta charset=utf-8>\xEF\xBF\xBD(");
  EXPECT_EQ(to_utf8("<meta charset=no-such>\xE9", true).text, "<meta charset=no-such>\xC3\xA9") << "unknown names are ignored";
}

}  // namespace
}  // namespace bgl::text
