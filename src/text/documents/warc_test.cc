#include <gtest/gtest.h>
#include <libdeflate.h>

#include "text/documents/internal/reader_parts.h"
#include "text/documents/reading_for_test.h"
#include "text/files/decompress.h"

namespace bgl::text {
namespace {

std::string gzipped(const std::string& text) {
  libdeflate_compressor* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(c, text.size()), '\0');
  out.resize(libdeflate_gzip_compress(c, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

std::string record(const std::string& type, const std::string& headers, const std::string& content) {
  return "WARC/1.0\r\nWARC-Type: " + type + "\r\n" + headers + "Content-Length: " + std::to_string(content.size()) +
         "\r\n\r\n" + content + "\r\n\r\n";
}
std::string response(const std::string& id, const std::string& http) {
  return record("response",
                "WARC-Record-ID: <urn:uuid:" + id + ">\r\nWARC-Target-URI: http://a.org/" + id +
                    "\r\nContent-Type: application/http; msgtype=response\r\n",
                http);
}
std::string ok(const std::string& headers, const std::string& body) { return "HTTP/1.1 200 OK\r\n" + headers + "\r\n" + body; }

std::vector<std::string> texts(const ReadResult& read) {
  std::vector<std::string> out;
  for (const Document& d : read.documents) out.push_back(d.text);
  return out;
}

TEST(Warc, ResponsesResourcesAndConversions) {
  const std::string file =
      record("warcinfo", "Content-Type: application/warc-fields\r\n", "software: x\r\n") +
      record("request", "Content-Type: application/http; msgtype=request\r\n", "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n") +
      response("1", ok("Content-Type: text/html; charset=ISO-8859-1\r\n", "<title>T</title><p>caf\xE9 au lait")) +
      response("2", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<p>gone") +
      response("3", ok("Content-Type: image/png\r\n", "\x89PNG")) +
      response("4", ok("content-type:\r\n text/plain\r\n", "plain text")) + response("5", ok("X: y\r\n", "\n<p>unnamed</p>")) +
      record("resource", "Content-Type: text/html\r\n", "<p>resource</p>") +
      record("conversion", "Content-Type: text/plain\r\nWARC-Target-URI: http://a.org/w\r\n", "wet text") +
      record("metadata", "", "a: b\r\n");
  for (const bool gz : {false, true}) {
    const ReadResult read = read_bytes("warc", "a.warc", gz ? gzipped(file) : file);
    EXPECT_EQ(texts(read), (std::vector<std::string>{"caf\xC3\xA9 au lait", "plain text", "unnamed", "resource", "wet text"}));
    EXPECT_EQ(read.documents[0].id, "urn:uuid:1");
    EXPECT_EQ(read.documents[0].url, "http://a.org/1");
    EXPECT_EQ(read.documents[0].title, "T");
    EXPECT_EQ(read.documents[3].id, "a.warc#8");
    ASSERT_EQ(read.faults.size(), 2u);
    EXPECT_EQ(read.faults[0].rule + " " + read.faults[0].why, "http_status 404");
    EXPECT_EQ(read.faults[1].rule + " " + read.faults[1].why, "media_type image/png");
    EXPECT_EQ(read.faults[1].id, "urn:uuid:3");
  }
}

TEST(Warc, AMemberARecord) {
  std::string file;
  for (int i = 0; i < 300; ++i) {
    file += gzipped(
        response(std::to_string(i), ok("Content-Type: text/plain\r\n", "body " + std::to_string(i) + std::string(5000, '.'))));
  }
  const ReadResult read = read_bytes("warc", "a.warc.gz", file);
  ASSERT_EQ(read.documents.size(), 300u);
  EXPECT_EQ(read.documents[299].text.substr(0, 9), "body 299.");
}

TEST(Warc, CodedBodies) {
  const std::string page = "<p>" + std::string(3000, 'y') + "</p>";
  const std::string html = "Content-Type: text/html\r\n";
  const std::string packed = gzipped(page);
  const auto body = [&](const std::string& headers, const std::string& content) {
    const ReadResult read = read_bytes("warc", "a", response("1", ok(html + headers, content)));
    return read.documents.size() == 1 ? read.documents[0].text : read.fault();
  };
  EXPECT_EQ(body("Content-Encoding: gzip\r\n", packed), std::string(3000, 'y'));
  EXPECT_EQ(body("Content-Encoding: gzip\r\n", page), std::string(3000, 'y')) << "undone by the crawler";
  EXPECT_EQ(body("Transfer-Encoding: chunked\r\n", "5;x=y\r\n<p>ab\r\n4\r\ncdef\r\n0\r\n\r\n"), "abcdef");
  EXPECT_EQ(body("Transfer-Encoding: chunked\r\n", page), std::string(3000, 'y')) << "undone by the crawler";
  EXPECT_EQ(body("Content-Encoding: br\r\n", "\x8B\x03\x80\xFF\xFE binary"),
            "unreadable: a: content encoding 'br' is not known");
  EXPECT_EQ(undo_chunked("3\r\nabc\r\nzz"), "abc") << "cut: what there is";
}

TEST(Warc, BadRecordsCostThemselves) {
  const std::string good = response("g", ok("Content-Type: text/plain\r\n", "good"));
  const ReadResult junk = read_bytes("warc", "a", good + "no record\r\nat all\r\n" + good);
  EXPECT_EQ(texts(junk), (std::vector<std::string>{"good", "good"}));
  EXPECT_EQ(junk.fault().substr(0, 33), "unreadable: a: no WARC record bet");
  const ReadResult unmeasured = read_bytes("warc", "a", "WARC/1.0\r\nWARC-Type: response\r\n\r\nlost\r\n\r\n" + good);
  EXPECT_EQ(texts(unmeasured), (std::vector<std::string>{"good"}));
  EXPECT_EQ(unmeasured.faults[0].why, "a: the record at offset 0 of the content has no Content-Length");
  const ReadResult cut = read_bytes("warc", "a", good + good.substr(0, good.size() - 20));
  EXPECT_EQ(texts(cut), (std::vector<std::string>{"good"}));
  EXPECT_EQ(cut.fault(), "unreadable: a: the file ends inside a record");
  ReadOptions small;
  small.limits.document_bytes = 200;
  const ReadResult big =
      read_bytes("warc", "a", response("b", ok("Content-Type: text/plain\r\n", std::string(5000, 'x'))) + good, small);
  EXPECT_EQ(texts(big), (std::vector<std::string>{"good"}));
  EXPECT_EQ(big.fault(), "over_limit: a: a record of 5045 bytes, more than 200");
}

}  // namespace
}  // namespace bgl::text
