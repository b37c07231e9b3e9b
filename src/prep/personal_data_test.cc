#include "prep/personal_data.h"

#include <gtest/gtest.h>

#include <random>

namespace bgl::prep {
namespace {

std::string found(const std::string& text) {
  std::string out;
  for (const PersonalSpan& s : find_personal_data(text)) {
    out += std::string(personal_kind_name(s.kind)) + "[" + text.substr(s.begin, s.end - s.begin) + "]";
  }
  return out;
}

TEST(PersonalData, Mail) {
  EXPECT_EQ(found("Write to anna.m-b+x@mail.example.org, or bob@uni.de."), "mail[anna.m-b+x@mail.example.org]mail[bob@uni.de]");
  EXPECT_EQ(found("<a@b.co>"), "mail[a@b.co]");
  EXPECT_EQ(found("@decorator, x@y, a@b.c1, .@x.org, user@host:~$, 5 @ 3.50"), "");
}

TEST(PersonalData, Addresses) {
  EXPECT_EQ(found("from 8.8.8.8 and 172.15.0.1, [2a00:1450:4001:81b::200e]:80"),
            "ip[8.8.8.8]ip[172.15.0.1]ip[2a00:1450:4001:81b::200e]");
  EXPECT_EQ(found("ping 2606:4700::1111 now"), "ip[2606:4700::1111]");
  EXPECT_EQ(found("10.1.2.3 127.0.0.1 192.168.1.1 172.16.9.9 169.254.1.1 224.0.0.1 192.0.2.7 255.255.255.0"), "");
  EXPECT_EQ(found("1.2.3.4.5, v8.8.8.8, 256.1.1.1, 08.8.8.8, lib.8.8.8.8, 8.8.8"), "");
  EXPECT_EQ(found("std::string fe80::1 ::1 2001:db8::5 12:30:45 face::bead abc::def 00:1a:2b:3c:4d:5e"), "");
}

TEST(PersonalData, Cards) {
  // The numbers that issuers publish for tests.
  EXPECT_EQ(found("4111 1111 1111 1111, 5555-5555-5555-4444; 378282246310005"),
            "card[4111 1111 1111 1111]card[5555-5555-5555-4444]card[378282246310005]");
  EXPECT_EQ(found("6011111111111117 30569309025904 3530111333300000"),
            "card[6011111111111117]card[30569309025904]card[3530111333300000]");
  EXPECT_EQ(found("4111 1111 1111 1112"), "") << "the checksum is wrong";
  EXPECT_EQ(found("9111111111111111 1234567890123456 x4111111111111111 41111111111111111111"), "");
}

TEST(PersonalData, Phones) {
  EXPECT_EQ(found("+49 30 901820, +1 (212) 555-2368 or +86-10-6276-1234."),
            "phone[+49 30 901820]phone[+1 (212) 555-2368]phone[+86-10-6276-1234]");
  EXPECT_EQ(found("(212) 736-5000 212-736-5000 212.736.5000 13812345678"),
            "phone[(212) 736-5000]phone[212-736-5000]phone[212.736.5000]phone[13812345678]");
  EXPECT_EQ(found("Tel: 030/901820, fax. 901 820; \xE7\x94\xB5\xE8\xAF\x9D: 6276 1234"),
            "phone[030/901820]phone[901 820]phone[6276 1234]");
  EXPECT_EQ(found("1+2345678901234567, ISBN 978-3-16-148410-0, 2024-05-01, 1,234,567 and 12345678, 112-736-5000, 3.14159265"),
            "");
}

TEST(PersonalData, MaskedOrDropped) {
  std::string text = "Mail a@b.org from 8.8.4.4 or [2a00:1450::5]; card 4111111111111111, call +49 30 901820!";
  int64_t masked[kPersonalKinds] = {};
  PrivacyRules rules;
  rules.fill(Privacy::kMask);
  EXPECT_FALSE(protect_personal_data(rules, text, masked));
  EXPECT_EQ(text, "Mail name@example.com from 192.0.2.1 or [2001:db8::1]; card 0000 0000 0000 0000, call +1 555 0100!");
  EXPECT_EQ(std::vector<int64_t>(masked, masked + 4), (std::vector<int64_t>{1, 2, 1, 1}));
  text = "a@b.org 4111111111111111";
  rules[static_cast<size_t>(PersonalKind::kMail)] = Privacy::kKeep;
  rules[static_cast<size_t>(PersonalKind::kCard)] = Privacy::kDrop;
  const std::optional<Drop> drop = protect_personal_data(rules, text, masked);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->rule + " " + drop->value, "personal_card 1");
}

// Any bytes: spans lie in order inside the text, and what was masked is not found again as anything but a mask.
TEST(PersonalData, AnyBytes) {
  const std::string parts[] = {"@", "a.b", "1", "22", "::",   ":",    "2a00", "+", "(",
                               ")", " ",   "-", ".",  "4111", "Tel ", "\xE7", "x", "\n"};
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (int i = 0; i < 25; ++i) text += parts[random() % std::size(parts)];
    size_t at = 0;
    for (const PersonalSpan& s : find_personal_data(text)) {
      ASSERT_LE(at, s.begin) << text;
      ASSERT_LT(s.begin, s.end) << text;
      ASSERT_LE(s.end, text.size()) << text;
      at = s.end;
    }
  }
}

}  // namespace
}  // namespace bgl::prep
