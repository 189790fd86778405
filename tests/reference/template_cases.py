"""Chat templates in the constructs that published ones use, rendered by transformers."""

from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

import expression_cases
from cases import write_json

VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}

PARTS = """\
{% macro parts(content) %}
    {%- if content is string %}{{ content }}{% else %}
        {%- for part in content %}
            {%- if part.type == 'image' %}<image>{% elif part['type'] == 'text' %}{{ part.text }}{% endif %}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
"""

TEMPLATES = {
    "turns": PARTS
    + """\
{% for message in messages %}
<|{{ message.role }}|>
{{ parts(message.content) }}<|end|>
{% endfor %}
{% if add_generation_prompt %}
<|assistant|>
{% endif %}
""",
    "inline": "{% for m in messages %}{{ m['role'] | upper }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "{{ '<image>\\n' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '\\n' if not loop.last }}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}",
    "generation-marks": PARTS
    + """\
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- generation -%}
        {{ parts(message.content) + eos_token }}
        {%- endgeneration -%}
    {%- else %}
        {{- '[INST] ' + parts(message.content) + ' [/INST]' }}
    {%- endif %}
{%- endfor %}
""",
    "namespace-and-loop-controls": PARTS
    + """\
{% set ns = namespace(system='', seen=0) %}
{% for message in messages %}
    {% if message.role == 'system' %}
        {% set ns.system = message.content %}
        {% continue %}
    {% endif %}
    {% set ns.seen = ns.seen + 1 %}
    {% if ns.seen > 2 %}{% break %}{% endif %}
{{ ns.seen }}/{{ loop.index0 }} {{ message['role'].upper() }}: {{ parts(message.content) | trim }}
{% endfor %}
{{ ns.system if ns.system else 'no system' }}{{ ' >' if add_generation_prompt else '' }}
""",
    "python-methods": PARTS
    + """\
{%- for message in messages -%}
{%- for key, value in message.items() if key != 'content' %}{{ key.title() ~ '=' ~ value.strip().replace('s', 'S') }};{% endfor %}
{{- ' '.join(parts(message.content).split()) }}
{{- ' yes' if message.role.startswith('us') and not message.role.endswith('x') else ' no' }}
{%- if message.get('note') is not none %} {{ message.get('note', 'none').lstrip() }}{% endif %}
{{- message.name if message.name is defined else '' }}
{% endfor %}
""",
    "json": PARTS
    + """\
{% for message in messages %}
{{ parts(message.content) }} {{ {'role': message.role, 'list': [1, 2.5, true, none], 'text': "it's <b>"} | tojson }}
{{ message.role | tojson }} {{ [1, {'a': 'é'}] | tojson(indent=2) }}
{% endfor %}
""",
    "slices-and-tests": PARTS
    + """\
{%- if messages[0].role == 'system' %}{% set system, rest = messages[0].content, messages[1:] %}{% else %}{% set system, rest = 'default', messages %}{% endif -%}
{{ system }}|{{ rest | length }}|{% for m in rest %}{{ parts(m.content) }}{% if loop.first and not loop.last %}+{% endif %}{% endfor %}|
{{- (rest | last).role }}|{{ rest | map(attribute='role') | join(',') }}|{{ 'a' in ['a', 'b'] }}|{{ 7 // 2 }}|{{ 7 % 4 }}|{{ undefined_name | default('d') }}
""",
    "string-content": """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '### Human: ' + message['content'] }}
{% else %}
{{ '### Assistant: ' + message['content'] + eos_token }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}### Assistant:{% endif %}
""",
}

QUESTION = "  Is 3 < 5 & \"so\"?  Größe 三 "


def ask(text: str, string: bool) -> list[dict]:
    content = f"<image>\n{text}" if string else [{"type": "image"}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, template in TEMPLATES.items():
        string = name == "string-content"
        one = ask(QUESTION, string)
        several = [
            {"role": "system", "content": "be brief"},
            *ask("first?", string),
            {"role": "assistant", "content": "yes", "note": "  sure"},
            *ask(" second?\n", string),
        ]

        def render(messages, add_generation_prompt):
            return render_jinja_template([messages], chat_template=template, add_generation_prompt=add_generation_prompt, **VARIABLES)[0][0]

        rows.append(
            {
                "name": name,
                "template": template,
                "question": QUESTION,
                "prompt": render(one, True),
                "conversation": several,
                "rendered": render(several, False),
            }
        )
    write_json(folder / "templates.json", {"variables": VARIABLES, "cases": rows}, rows="cases")
    expression_cases.make(folder)
