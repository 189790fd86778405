"""Expressions of Jinja and Python, rendered by the environment that transformers compiles chat templates in.

The clock is Python's own `strftime` of the moment at which the clock of templates stands still in steady.
"""

from datetime import datetime
from pathlib import Path

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

from cases import write_json

MESSAGES = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "hm?"}]},
    {"role": "assistant", "content": "it's red", "score": 1.5, "tools": None},
    {"role": "user", "content": [{"type": "text", "text": "why?"}]},
]
NOW = datetime(2024, 7, 26)
EXPRESSIONS = """\
'%s and %s' % ('a', 1)
'%s' % 'x'
'%d%%' % 42
'%5d|%-5d|%05d|%+d|% d' % (42, 42, 42, 42, 42)
'%i %u %d' % (3, 4, 3.9)
'%x %X %o %#x %#o' % (255, 255, 8, 255, 8)
'%.3d' % 5
'%f %.2f %10.3f|%-10.1f|%010.2f' % (1.5, 2.345, 3.14159, 2.25, -1.5)
'%e %.2E %g %G %g %g' % (12345.678, 0.00012, 0.0001, 1e20, 100000, 1000000)
'%#g %#.0f' % (1.0, 2.0)
'%s %r' % ('it', "it's")
'%r %a' % ('é', 'é')
'%s %s %s' % (none, true, 1.0)
'%s' % [1, 'a']
'%s' % ([1, 'a'],)
'%(name)s is %(age)03d' % {'name': 'Ann', 'age': 7}
'%s' % {'a': 1}
'%.2s|%5.1s|%-4s|' % ('abc', 'abc', 'ab')
'%c%c' % (65, 'b')
'%*d|%-*d|' % (5, 42, 5, 42)
'%s'
'%s %s' % 'a'
'%s' % ('a', 'b')
'%d' % 'a'
'%q' % 1
'a' % ()
'100%' ~ ' sure'
7 % 3
-7 % 3
7 % -3
7.5 % 2
-7.5 % 2
2 * 7 % 4
10 % 4 * 3
10 % 4 ~ 10 % 3
2 ** 3 % 5
1 + 10 % 4
true % 2
messages | length % 2
(messages | length) % 2 == 0
-messages | length % 2
[1, 2] % 2
1 ~ 2 ~ 'a' ~ none ~ true ~ 1.5
[1, 'a'] ~ {'b': none}
1 + 2 ~ 3 + 4
1 ~ 2 * 3
'a' ~ (1, 2)
('a', 'b')
('a',)
(1)
()
[]
{}
[(1, 2), ('a', [3])]
[1, 2.0, 'x', none, true, [false], {'k': 'v'}]
['it\\'s', "say \\"hi\\"", 'both \\' and "']
['a\\nb', 'tab\\t', 'back\\\\slash', 'é', '三', '\\u200b', '\\x07', '🙂']
{'a': 1, 'b': [1, 2], 'c': {'d': none}}
[1e16, 1e15, 123456789.123, 0.0001, 0.00001, 1.0, -0.0, 1e100]
1e16
0.00001
1.5
100.0
none
true
undefined_name
[undefined_name]
messages[0].content
messages[0]
messages[1].keys()
messages[1].values()
messages[1].items()
messages[1].items() | list
messages[1] | list
messages[1].keys() | list
messages[1] | dictsort
messages | map(attribute='role') | list
[1, 2, 3] | string
[1, 2, 3] | join('-')
[1, 'a', none, [2]] | join(', ')
messages | join('+', attribute='role')
['b', 'a'] | sort
[3, 1, 2] | sort(reverse=true)
'abc' | list
'hello' | length
{'a': 1} | string
none | string
1.0 | string
'%s-%s' | format('a', 'b')
'%(x)s' | format(x='a')
'{} {}'.format('a', 1)
'{0}{1}{0}'.format('a', 'b')
'{x:>5}|{y:.2f}'.format(x='a', y=1.234)
'a-b-c'.partition('-')
'abc'.partition('-')
'a-b-c'.rpartition('-')
'abc'.rpartition('-')
'a-b-c'.partition('-')[2]
'a-b'.partition('')
'ab'.ljust(5) ~ '|'
'ab'.ljust(5, '*')
'ab'.rjust(5, '.')
'ab'.center(5, '-')
'abc'.center(6, '-')
'ab'.center(7, '-')
'abc'.center(8, '-')
'ab'.ljust(1)
'ab'.ljust(5, 'xy')
'5'.zfill(3)
'-5'.zfill(4)
'+5'.zfill(1)
'prefix-x'.removeprefix('prefix-')
'x-suffix'.removesuffix('-suffix')
'x'.removesuffix('')
'a b  c'.split()
'  a b  '.split()
' a b c '.split(none, 1)
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.split(sep=',', maxsplit=1)
'a,b,c'.rsplit(',', 1)
' a b c '.rsplit(none, 1)
''.split()
''.split(',')
'a,,b'.split(',')
'a b'.split('')
'a\\nb\\r\\nc'.splitlines()
'a\\nb\\n'.splitlines(true)
'abcabc'.find('c')
'abcabc'.find('c', 3)
'abcabc'.find('x')
'aéc'.find('c')
'abcabc'.rfind('b')
'abcabc'.index('c')
'abc'.index('x')
'abcabc'.rindex('a')
'abcabc'.count('bc')
'aaaa'.count('aa')
'abcabc'.count('a', 1)
'abc'.count('')
'-'.join(['a', 'b'])
'-'.join([1, 2])
'-'.join('abc')
'hello world'.title()
"they're bill's".title()
'HELLO wORLD'.capitalize()
'éa'.capitalize()
'Hello'.swapcase()
'Straße'.casefold()
'a\\tb'.expandtabs(4)
'a\\tb'.expandtabs()
'abc'.islower()
'ab1'.islower()
'123'.islower()
'ABC'.isupper()
'AB1'.isupper()
''.isupper()
'Hello World'.istitle()
'Hello world'.istitle()
'   '.isspace()
''.isspace()
'abc'.isalpha()
'ab1'.isalpha()
''.isalpha()
'ab1'.isalnum()
''.isalnum()
'123'.isdigit()
'12a'.isdigit()
''.isdigit()
'123'.isdecimal()
'½'.isnumeric()
'abc'.isascii()
'é'.isascii()
'Abc'.upper()
'ß'.upper()
'ABC'.lower()
'  a '.strip()
'xxaxx'.strip('x')
'xyaxy'.lstrip('xy')
'xyaxy'.rstrip('xy')
'aXbX'.replace('X', '-')
'aXbX'.replace('X', '-', 1)
'abc'.startswith('ab')
'abc'.startswith(('x', 'a'))
'abc'.endswith(('x', 'c'))
'abc'.startswith('b', 1)
'b' in ('a', 'b')
'c' not in ['a', 'b']
'a' in {'a': 1}
'ell' in 'hello'
(1, 2) == (1, 2)
[1] + [2]
(1, 2)[0]
(1, 2) | length
[1, 2].index(2)
[1, 2].index(3)
[1, 1, 2].count(1)
{'a': 1}.get('a')
{'a': 1}.get('b')
{'a': 1}.get('b', 'd')
{'a': 1}.copy()
'abc'.nonsense()
{'a': 1, 'b': [1, 2.5, none]} | tojson
{'b': 1, 'a': 2} | tojson(sort_keys=true)
{'a': [1, {'b': 'é'}], 'c': [], 'd': {}} | tojson(indent=2)
{'a': 'é🙂'} | tojson(ensure_ascii=true)
{'a': [1, 2]} | tojson(separators=(',', ':'))
{'a': [1, 2]} | tojson(indent=1, separators=(',', ':'))
'<b> & "q"' | tojson
(1, 'a') | tojson
1.0 | tojson
'a' * 3
[1, 2] * 2
'abc'[1:]
'abc'[::-1]
'abc'[-1]
[1, 2, 3][:2]
'a' if false
'a' if 1 % 2 else 'b'
'yes' if 'a' ~ 'b' == 'ab' else 'no'
'x' and 'a' ~ 'b'
not 'a' % ()
1 < 2 < 3
1 == 1.0
'a' < 'b'
'A'|lower ~ 'B'|lower
'a%sb' % 'X' | upper
('a%sb' % 'x') | upper
'a b' | title
'hello' | capitalize
'  x ' | trim
'abc' | replace('b', 'X')
'abc' | first ~ 'abc' | last
[1, none, 2] | select | list
[3, 4] | sum
[3, 4] | max
5 | default('d')
undefined_name | default('d')
'' | default('d', true)
-5 | abs
3.7 | int
'42' | int + 1
3 | float
2.567 | round(1)
'a,b' | replace(',', ';')
messages | selectattr('role', 'equalto', 'user') | list | length
messages | rejectattr('role', 'equalto', 'user') | map(attribute='role') | join(',')
['a', 'b'] | reverse | list
'abc' | reverse
[1, 2, 3, 4, 5] | batch(2) | list
[1, 1, 2] | unique | list
{'a': 1} | items | list
'x' is string
5 is number
none is none
undefined_name is defined
[1] is sequence
{} is mapping
4 is divisibleby 2
4 is even
'abc' is in ['abc']
range(3) | list
range(5, 1, -2) | list
raise_exception('x')
1 / 2
7 // 2
7 // -2
-7 // 2
7.5 // 2
-7.5 // 2
1 // 0
1 / 0
1.0 / 0
5 % 0
5.0 % 0
true / 2
7 // 2 * 2 / 4
'a' / 2
2 ** 10
4 / 2
10 // 3 ~ ''
'a' + 1
""".splitlines()

TEMPLATES = [
    "{% for k, v in messages[1].items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for a, b in [(1, 2), (3, 4)] %}{{ a ~ b }}{% endfor %}",
    "{% set a, b = 'x-y'.partition('-')[::2] %}{{ a ~ b }}",
    "{% set (a, b) = (1, 2) %}{{ a + b }}",
    "{% set x = '%03d' % 7 %}{{ x }}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + loop.index % 2 %}{% endfor %}{{ ns.n }}",
    "{% for m in messages if loop.index0 % 2 == 0 %}{{ m.role }}{% endfor %}",
    "{% for m in messages %}{% if loop.index0 % 2 == 1 %}{{ m.role ~ loop.index }}{% endif %}{% endfor %}",
    "{% macro f(a, b=3 % 2) %}{{ '%s:%s' % (a, b) }}{% endmacro %}{{ f('x') }}{{ f('y', 2 ~ 3) }}",
    "{% macro g() %}<{{ caller('z') }}>{% endmacro %}{% call(x) g() %}{{ x ~ '%' }}{% endcall %}",
    "{% raw %}{{ 'a' % b }}{% endraw %}{# {{ 1 % 0 }} #}{{ '}}' ~ '%}' }}",
    "{{- 'a' ~ 'b' -}}  {%- if 'a' ~ 'b' == 'ab' -%} yes {%- endif -%}",
    "{{ {'a': {'b': 1 % 2}} }}{{ {'a': ('x' ~ 'y')}['a'] }}",
    "{{ ('a' ~\n 'b') % () }}\n{{ 1 %\n 2 }}",
    "{% set x %}a{{ 5 % 3 }}b{% endset %}{{ x ~ x }}",
    "{% filter upper %}{{ 'a' ~ 'b' }}{% endfilter %}",
    "{% for c in 'ab' | list %}{{ loop.index }}{{ c }}{{ ',' if not loop.last }}{% endfor %}",
    "{% if messages[0].content is string %}s{% elif messages[0].content is iterable %}i{% endif %}",
]

CLOCK = [
    "%d", "%-d", "%_d", "%e", "%m", "%-m", "%_m", "%Y", "%y", "%-y", "%C", "%b", "%B", "%^b", "%h", "%a", "%A", "%^A", "%H", "%-H", "%_H",
    "%I", "%-I", "%k", "%l", "%M", "%-M", "%S", "%p", "%P", "%f", "%j", "%-j", "%u", "%w", "%U", "%W", "%V", "%G", "%g", "%D", "%F", "%T",
    "%R", "%r", "%c", "%x", "%X", "%n", "%t", "%z", "%Z", "%%", "%d %B %Y, %H:%M", "Today: %A %-d. %b %Y", "no date", "%0e",
]


def render(template: str) -> str | None:
    """The text, or nothing where Jinja or Python raises."""
    try:
        return _compile_jinja_template(template).render(messages=MESSAGES)
    except Exception:  # noqa: BLE001: templates raise whatever Python does
        return None


def make(folder: Path) -> None:
    rows = [{"template": template, "rendered": render(template)} for template in ["{{ " + e + " }}" for e in EXPRESSIONS] + TEMPLATES]
    rows += [{"template": "{{ strftime_now('" + text + "') }}", "rendered": NOW.strftime(text)} for text in CLOCK]
    versions = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
    write_json(folder / "expressions.json", {**versions, "messages": MESSAGES, "cases": rows}, rows="cases")


if __name__ == "__main__":
    make(Path(__file__).resolve().parent / "templates")
