#include <string>

#include "serve/api.h"

namespace bgl::serve {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

constexpr const char* kPage = R"html(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>MODEL_NAME</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 44rem; margin: 0 auto; padding: 1rem; }
  #log > div { white-space: pre-wrap; margin: .6rem 0; padding: .6rem .8rem; border-radius: .6rem; overflow-wrap: anywhere; }
  .user { background: #8883; } .model { border: 1px solid #8885; } .error { color: #c33; }
  form { display: flex; gap: .5rem; position: sticky; bottom: 0; padding: .6rem 0; background: Canvas; }
  textarea { flex: 1; font: inherit; padding: .5rem; } button { font: inherit; padding: .5rem 1rem; }
  small { color: #888; }
</style>
<h1>MODEL_NAME</h1>
<p><small>A model continues text; it does not know whether what it says is true. It gives no medical advice.</small></p>
<label><input type="checkbox" id="chat"> as a chat</label>
<label>temperature <input type="number" id="temperature" value="0.7" min="0" max="2" step="0.1"></label>
<label>tokens <input type="number" id="tokens" value="128" min="1" max="4096"></label>
<div id="log"></div>
<form id="form"><textarea id="text" rows="2" placeholder="Write here"></textarea><button>Send</button></form>
<script>
const log = document.getElementById("log"), messages = [];
function show(kind, text) { const d = document.createElement("div"); d.className = kind; d.textContent = text; log.append(d); return d; }
document.getElementById("form").addEventListener("submit", async event => {
  event.preventDefault();
  const box = document.getElementById("text"), text = box.value, chat = document.getElementById("chat").checked;
  if (!text) return;
  box.value = ""; show("user", text); messages.push({role: "user", content: text});
  const out = show("model", "");
  const key = localStorage.getItem("api_key");
  const body = {stream: true, temperature: +document.getElementById("temperature").value, max_tokens: +document.getElementById("tokens").value};
  if (chat) body.messages = messages; else body.prompt = text;
  try {
    const answer = await fetch(chat ? "/v1/chat/completions" : "/v1/completions",
      {method: "POST", headers: {"Content-Type": "application/json", ...(key ? {Authorization: "Bearer " + key} : {})}, body: JSON.stringify(body)});
    if (answer.status == 401) { localStorage.setItem("api_key", prompt("API key") || ""); throw new Error("send it again with the key"); }
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    const reader = answer.body.getReader(), decoder = new TextDecoder(); let held = "";
    for (;;) {
      const {done, value} = await reader.read(); if (done) break;
      held += decoder.decode(value, {stream: true});
      for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) {
        const data = held.slice(6, end); if (data == "[DONE]") continue;
        const j = JSON.parse(data); if (j.error) throw new Error(j.error.message);
        const c = j.choices[0]; if (c) out.textContent += chat ? (c.delta.content || "") : c.text;
      }
    }
    messages.push({role: "assistant", content: out.textContent});
  } catch (e) { out.className = "error"; out.textContent = e.message; messages.pop(); }
});
</script>
</html>
)html";

}  // namespace

std::string chat_page(const std::string& model_name) {
  std::string page = kPage;
  const std::string mark = "MODEL_NAME", name = escaped(model_name);
  for (size_t at = 0; (at = page.find(mark, at)) != std::string::npos; at += name.size()) page.replace(at, mark.size(), name);
  return page;
}

}  // namespace bgl::serve
