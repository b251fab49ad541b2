"""Conversations as transformers writes them by templates of every kind: `python3 chat.py` writes `chat.json`.

The templates are this project's own; between them they use what those of well-known models do.
"""

import json
import sys

import jinja2
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

TEMPLATES = {
    "marked turns": """{% for message in messages %}
{{ '<|start|>' + message['role'] + '\n' + message['content'] + '<|end|>' + '\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|start|>assistant\n' }}
{% endif %}
""",
    "headers and a trimmed content": """{{- bos_token }}
{%- for message in messages %}
    {{- '<|head|>' + message.role + '<|tail|>\n\n' + message.content | trim + eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|head|>assistant<|tail|>\n\n' }}{%- endif %}
""",
    "the system in the first question": """{%- if messages[0]['role'] == 'system' -%}
  {%- set system = messages[0].content.strip() ~ '\n\n' -%}
  {%- set rest = messages[1:] -%}
{%- else -%}
  {%- set system = '' -%}
  {%- set rest = messages -%}
{%- endif -%}
{{ bos_token }}
{%- for message in rest -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('user and assistant must take turns') }}
  {%- endif -%}
  {%- if message.role == 'user' -%}
    {{ '[Q] ' + (system if loop.first else '') + message.content + ' [/Q]' }}
  {%- elif message.role == 'assistant' -%}
    {{ ' ' + message.content.strip() + eos_token }}
  {%- endif -%}
{%- endfor -%}
""",
    "a namespace, a macro and marks": """{%- macro turn(role, text) -%}
<{{ role.upper() }}>{{ text }}</{{ role.upper() }}>
{%- endmacro -%}
{%- set state = namespace(questions=0, last=none) -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}{%- set state.questions = state.questions + 1 -%}{%- endif -%}
  {%- set state.last = message.role -%}
  {%- if message.role == 'assistant' -%}
    {% generation %}{{ turn(message.role, message.content) }}{% endgeneration %}
  {%- else -%}
{{ turn(message.role, message.content) }}
  {%- endif -%}
{%- endfor -%}
{{ '\n' ~ state.questions ~ ' ' ~ state.last }}
{%- if add_generation_prompt and state.last is not none %}{{ '\n<ASSISTANT>' }}{% endif %}
""",
    "filters and tests": """{{ messages | length }} {{ messages | map(attribute='role') | join(', ') }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{%- if tools is not none and tools is defined %} tools{% endif %}
{%- if pad_token is defined %} {{ pad_token }}{% endif %}
{%- if date is not defined %} {{ date | default('no date') }}{% endif %}
{{ messages[-1].content.split(' ')[0].replace('a', 'A') }} {{ messages[-1]['content'][:3] }}
{%- for message in messages if message.content.startswith('W') or message.content.endswith('.') %}
{{ loop.index }}{{ '.' if loop.last else ',' }}
{%- endfor %}
""",
    "json": """{{ messages | tojson }}
{{ messages[0] | tojson(indent=2) }}
{{ {'n': 1.5, 'list': [1, 2], 'text': "it's <b> & ü"} | tojson }}
""",
    "control of loops": """{%- for message in messages -%}
  {%- if message.role == 'system' %}{% continue %}{% endif -%}
  {%- if loop.index > 3 %}{% break %}{% endif -%}
  {{ message.content }}{% if not loop.last and loop.nextitem.role != message.role %} / {% endif %}
{%- endfor %}

  {%- for key, value in messages[0].items() %}
  {{ key }}={{ value }}
  {%- endfor %}
""",
    "space around blocks": """  {% if true %}
  a
  {%- if true %}

  b
    {% endif +%}
  c  {% if true %}  d {% endif %}
  {# a note #}
e
{% endif %}
""",
}

CONVERSATIONS = [
    [("user", "What is the sea?"), ("assistant", "Salt water.")],
    [
        ("system", " Answer in a word. "),
        ("user", "Who sails?"),
        ("assistant", "  The old man.\n"),
        ("user", "Why? It's <late> & far"),
        ("assistant", "Für \"a\" fish\\"),
    ],
    [("user", "one"), ("user", "two")],
]


def main():
    inner = Tokenizer(WordLevel({"<unk>": 0}, "<unk>"))
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **tokens)
    cases = []
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in conversation]
            for asks in (False, True):
                try:
                    text = tokenizer.apply_chat_template(
                        messages, chat_template=template, tokenize=False, add_generation_prompt=asks
                    )
                    outcome = {"text": text}
                except jinja2.exceptions.TemplateError as error:
                    outcome = {"error": str(error)}
                cases.append({"template": name, "messages": messages, "asks": asks, **outcome})
    written = {
        "versions": {
            "python": sys.version.split()[0],
            "transformers": transformers.__version__,
            "jinja2": jinja2.__version__,
        },
        "tokens": tokens,
        "templates": TEMPLATES,
        "cases": cases,
    }
    with open("chat.json", "w", encoding="utf-8") as file:
        json.dump(written, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
