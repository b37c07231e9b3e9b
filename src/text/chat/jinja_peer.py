"""Renders templates with jinja2, set up as Hugging Face transformers does, for chat_template_test.

Usage: jinja_peer.py FILE     lines of {"template": ..., "variables": {...}}; prints lines of {"text": ...} or {"error": ...}
"""
import json
import sys

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
for line in open(sys.argv[1], encoding="utf-8"):
    case = json.loads(line)
    try:
        print(json.dumps({"text": environment.from_string(case["template"]).render(**case["variables"])}))
    except Exception as error:  # whatever a template can raise is an error of its
        print(json.dumps({"error": str(error)}))
