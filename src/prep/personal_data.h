// Personal data in a text, found by hand-written scanners and masked, or the document dropped:
//
//   mail   name@host.tld                                                        -> name@example.com
//   ip     a public IPv4 or IPv6 address; private, local and documentation ones stay  -> 192.0.2.1, 2001:db8::1
//   card   13 to 19 digits of an issuer's prefix and length whose Luhn sum (ISO/IEC 7812-1) is right  -> 0000 0000 0000 0000
//   phone  +CC..., (ddd) ddd-dddd, ddd-ddd-dddd, a Chinese mobile number, and 6 to 15 digits after "Tel", "Phone", "Fax",
//          "Mobile" or "电话"                                                   -> +1 555 0100
//
// Precision goes before recall: what is not plainly one of these stays.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prep/filters.h"

namespace bgl::prep {

enum class PersonalKind : uint8_t { kMail, kIp, kPhone, kCard };
inline constexpr size_t kPersonalKinds = 4;
// "mail", "ip", "phone", "card".
const char* personal_kind_name(PersonalKind kind);

enum class Privacy : uint8_t { kKeep, kMask, kDrop };
// "keep", "mask", "drop"; nullopt for anything else.
std::optional<Privacy> privacy_of(std::string_view name);

// By PersonalKind.
using PrivacyRules = std::array<Privacy, kPersonalKinds>;

struct PersonalSpan {
  size_t begin = 0, end = 0;  // bytes of the text
  PersonalKind kind = PersonalKind::kMail;
};
// In order, none over another. A card is not a phone number, an address is not either.
std::vector<PersonalSpan> find_personal_data(std::string_view text);

// Masks what `rules` say, and counts it; or the rule that drops the document ("personal_mail", ...) with the number found.
std::optional<Drop> protect_personal_data(const PrivacyRules& rules, std::string& text,
                                          std::span<int64_t, kPersonalKinds> masked);

}  // namespace bgl::prep
