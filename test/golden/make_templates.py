"""Writes text/templates.json: chat templates and what transformers renders from them.

    pip install transformers==5.24.0 jinja2==3.1.6
    python make_templates.py

Each case is [template, variables, result], the result null where rendering fails. The templates are written for this
test: snippets of one feature each, then the files of text/templates, in the style of common chat models.
"""

import json
from datetime import datetime
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

HERE = Path(__file__).parent / "text"

DATA = {
    "s": "  Hello, wörld!  ",
    "word": "abcabc",
    "empty": "",
    "n": 7,
    "x": 2.5,
    "yes": True,
    "nothing": None,
    "items": [3, 1, 2],
    "names": ["bob", "Alice", "carol", "alice"],
    "d": {"b": 1, "a": [1, "two", None, True, 1.5], "C": {"k": "<v> & 'q'"}},
    "people": [
        {"name": "Ann", "age": 30, "on": True},
        {"name": "Bob", "age": 25, "on": False},
        {"name": "Cyd", "on": True},
    ],
    "html": "<a href=\"x\">é & 'q' \u2028 😀</a>",
    "lines": "one\ntwo\r\nthree\n",
}

SNIPPETS = """
{{ 'abc'.lstrip('a') }}|{{ '\\n\\n  x  \\n\\n'.strip('\\n') }}|{{ 'xxabcxx'.strip('x') }}|{{ 'abc]'.rstrip(']c') }}|{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip(none) }}
{{ 'a,b,,c'.split(',') }}|{{ '  a b  c '.split() }}|{{ 'a-b-c'.split('-', 1) }}|{{ 'a-b-c'.rsplit('-', 1) }}|{{ 'a-b-c'.rsplit('-') }}|{{ ' a  b c'.split(none, 1) }}|{{ 'a-b'.split(sep='-', maxsplit=1) }}
{{ 'a.b.c'.partition('.') }}|{{ 'a.b.c'.rpartition('.') }}|{{ 'abc'.partition('x') }}|{{ 'abc'.rpartition('x') }}
{{ lines.splitlines() }}|{{ lines.splitlines(true) }}
{{ 'abcabc'.find('c') }}|{{ 'abcabc'.rfind('c') }}|{{ 'abc'.find('z') }}|{{ 'abcabc'.index('b') }}|{{ 'abcabc'.count('b') }}|{{ 'abcabc'.find('a', 1) }}
{{ 'abc'.index('z') }}
{{ 'abc'.startswith('ab') }}|{{ 'abc'.endswith(('x', 'bc')) }}|{{ 'abc'.startswith('b', 1) }}|{{ 'abc'.startswith(('q',)) }}
{{ 'aaa'.replace('a', 'b', 2) }}|{{ 'aaa'.replace('a', '$&') }}|{{ 'ab'.replace('', '-') }}|{{ 'aaa' | replace('a', 'b', 1) }}|{{ 'a1a' | replace('1', 2) }}
{{ 'hello wORLD it\\'s'.title() }}|{{ 'hello wORLD it\\'s' | title }}|{{ 'hELLO'.capitalize() }}|{{ 'hELLO' | capitalize }}|{{ 'ß'.upper() }}|{{ 'AbC'.swapcase() }}|{{ 'É'.lower() }}
{{ 'abc'.upper() ~ 'DEF'.lower() ~ 1 ~ 2.0 ~ none ~ true }}
{{ '{} and {}'.format(1, 'b') }}|{{ '{0}{1}{0}'.format('a', 'b') }}|{{ '{name}'.format(name='n') }}|{{ '{{}}'.format() }}
{{ '%s is %d' % ('a', 3) }}|{{ '%s' % 'x' }}|{{ '%05.2f' % 3.14159 }}|{{ '%s' | format('y') }}|{{ '%x' % 255 }}|{{ '100%%' % () }}
{{ '-'.join(['a', 'b']) }}|{{ ['a', 1, none] | join('-') }}|{{ people | join(', ', attribute='name') }}|{{ [] | join }}|{{ 'abc' | join('.') }}
{{ 'abc'.isdigit() }}|{{ '12'.isdigit() }}|{{ 'ab'.isalpha() }}|{{ 'a1'.isalnum() }}|{{ ' '.isspace() }}|{{ 'AB'.isupper() }}|{{ 'ab'.islower() }}|{{ ''.isdigit() }}
{{ 'a'.center(5) }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}|{{ '7'.zfill(3) }}
{{ 'prefix-x'.removeprefix('prefix-') }}|{{ 'x.txt'.removesuffix('.txt') }}
{{ 'a\\tb'.expandtabs(4) }}
{{ 'hello'[1:3] }}|{{ 'hello'[::-1] }}|{{ 'hello'[-3:] }}|{{ 'hello'[::2] }}|{{ 'hello'[:-1] }}|{{ 'hello'[-1] }}|{{ 'hello'[4:1:-1] }}|{{ '😀ab'[0] }}|{{ '😀ab'[1:] }}|{{ '😀ab' | length }}|{{ '😀ab'[::-1] }}
{{ items[::-1] }}|{{ items[1:] }}|{{ items[-1] }}|{{ items[:10] }}|{{ items[::2] }}|{{ items[5:] }}
{{ items[10] }}|{{ 'abc'[10] }}|{{ d['zzz'] }}|{{ d.zzz }}
{{ items[10].x }}
{{ undefined_thing }}|{{ undefined_thing is defined }}|{{ undefined_thing | default('d') }}|{{ not undefined_thing }}|{{ undefined_thing == undefined_other }}
{{ undefined_thing.attribute }}
{{ undefined_thing + 'x' }}
{{ undefined_thing ~ 'x' }}|{% for i in undefined_thing %}x{% endfor %}|{{ undefined_thing | length }}|{{ undefined_thing | join }}
{{ undefined_function() }}
{{ 'x' in undefined_thing }}|{{ undefined_thing or 'or' }}|{{ undefined_thing and 'and' }}
{{ '' | default('d') }}|{{ '' | default('d', true) }}|{{ none | default('d') }}|{{ none | default('d', boolean=true) }}|{{ false | d('x', true) }}
{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7 / 2 }}|{{ 6 / 2 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 7.5 // 2 }}|{{ 1 / 3 }}|{{ 0.1 + 0.2 }}|{{ 3 * 1.0 }}|{{ 1e3 }}|{{ 2 ** 0.5 }}
{{ 1 / 0 }}
{{ 'a' * 3 }}|{{ 3 * 'a' }}|{{ [1] * 2 }}|{{ [1] + [2] }}|{{ 'a' 'b' }}|{{ 'a' + 'b' }}
{{ 'a' + 1 }}
{{ 1 + true }}|{{ true + true }}|{{ 1 == true }}|{{ 1 == 1.0 }}|{{ '1' == 1 }}|{{ [1] == [1] }}|{{ {'a': 1} == {'a': 1} }}|{{ none == none }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}
{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 1 < 'a' }}
{{ 1 in [1, 2] }}|{{ 'a' in 'abc' }}|{{ 'a' not in 'abc' }}|{{ 'b' in d }}|{{ 'zz' in d }}|{{ [1] in [[1]] }}|{{ not 1 in [1] }}
{{ true }}|{{ True }}|{{ false }}|{{ none }}|{{ None }}|{{ 1.0 }}|{{ 1.5 }}|{{ 1e20 }}|{{ 1e16 }}|{{ 1e-7 }}|{{ 123456789012345.0 }}|{{ -0.0 }}
{{ d }}|{{ items }}|{{ (1, 2) }}|{{ (1,) }}|{{ [] }}|{{ {} }}|{{ ['a\\'b', "a\\"b", 'a\\nb', 'é'] }}|{{ [none, true, 1.0] }}|{{ () }}
{{ d | tojson }}|{{ html | tojson }}|{{ 'é' | tojson(ensure_ascii=true) }}|{{ '😀' | tojson(ensure_ascii=true) }}|{{ [] | tojson(indent=2) }}|{{ {} | tojson(indent=2) }}|{{ 1.0 | tojson }}|{{ none | tojson }}|{{ 'a\\x7fb\\u0001' | tojson }}
{{ d | tojson(indent=4) }}|{{ d | tojson(indent=0) }}|{{ d | tojson(sort_keys=true) }}|{{ d | tojson(separators=(',', ':')) }}|{{ d | tojson(true, 2) }}
{{ {1: 'a', none: 'b', false: 'c'} | tojson }}|{{ (1, 2) | tojson }}
{{ 1e20 | tojson }}|{{ 1e-7 | tojson }}|{{ 123456789.0 | tojson }}
{{ undefined_thing | tojson }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}|{% for k in d %}{{ k }};{% endfor %}|{{ d.keys() | list }}|{{ d.values() | list }}|{{ d.get('b') }}|{{ d.get('q', 'dd') }}|{{ d.get('q') }}|{{ d | items | list }}
{{ d.items() }}|{{ d.keys() }}|{{ d.values() }}
{{ d | dictsort }}|{{ d | dictsort(true) }}|{{ {'a': 2, 'b': 1} | dictsort(by='value') }}|{{ {'a': 2, 'b': 1} | dictsort(false, 'key', true) }}
{{ names | sort }}|{{ names | sort(case_sensitive=true) }}|{{ names | sort(reverse=true) }}|{{ people | sort(attribute='name', reverse=true) | map(attribute='name') | list }}|{{ items | sort }}
{{ names | unique | list }}|{{ names | unique(case_sensitive=true) | list }}|{{ [1, 1, 2] | unique | list }}
{{ people | selectattr('on') | map(attribute='name') | list }}|{{ people | rejectattr('on') | map(attribute='name') | join(',') }}|{{ people | selectattr('age', 'defined') | map(attribute='name') | list }}|{{ people | selectattr('name', 'equalto', 'Bob') | list }}|{{ people | selectattr('age', 'gt', 26) | list | length }}|{{ people | map(attribute='age', default=0) | list }}
{{ people | selectattr('name', '==', 'Ann') | first }}|{{ items | select('gt', 1) | list }}|{{ items | reject('odd') | list }}|{{ items | select | list }}|{{ [0, 1, '', 'a'] | select | list }}|{{ names | map('upper') | list }}|{{ names | map('replace', 'a', 'x') | list }}
{{ people | groupby('on') | list | length }}|{% for g, l in people | groupby('on') %}{{ g }}:{{ l | map(attribute='name') | join(',') }};{% endfor %}
{{ items | first }}|{{ items | last }}|{{ [] | first }}|{{ items | length }}|{{ items | count }}|{{ items | sum }}|{{ items | max }}|{{ items | min }}|{{ items | reverse | list }}|{{ 'abc' | reverse }}|{{ people | sum(attribute='age', start=0) if false else 1 }}
{{ 'abc' | first }}|{{ 'abc' | last }}|{{ 'abc' | list }}|{{ d | list }}|{{ d | length }}|{{ (1, 2) | list }}
{{ '  a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 'a b c' | wordcount }}|{{ 'hello' | upper | lower }}|{{ -3 | abs }}|{{ 3.7 | int }}|{{ '12' | int }}|{{ 'x' | int }}|{{ 'x' | int(5) }}|{{ '1.5' | float }}|{{ 3 | float }}|{{ 2.567 | round(2) }}|{{ 2.5 | round }}|{{ 2.1 | round(method='ceil') }}|{{ 42 | string }}|{{ 3 | string | length }}|{{ '0x1f' | int(0, 16) }}
{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\nb\\n\\nc' | indent(width=3, blank=true) }}|{{ 'a\\nb' | indent('> ') }}
{{ html | escape }}|{{ html | e }}|{{ 'a b/c?é' | urlencode }}|{{ html | safe }}
{{ 'a long text of many words' | truncate(10) }}|{{ 'abc' | truncate(10) }}|{{ 'a long text of many words' | truncate(9, true, '..', 0) }}
{{ items | batch(2) | list }}|{{ items | slice(2) | list }}|{{ items | batch(2, 'x') | list }}
{{ 'hello' | list | join('-') }}|{{ 'ab' | center(6) }}|{{ people | map(attribute='name') | map('lower') | join }}|{{ [[1, 2], [3]] | map('first') | list }}|{{ people | map('attr', 'name') | list }}
{{ 3 is odd }}|{{ 3 is even }}|{{ 4 is divisibleby(2) }}|{{ 4 is divisibleby 2 }}|{{ 'a' is string }}|{{ 1 is number }}|{{ 1 is integer }}|{{ 1.0 is float }}|{{ true is boolean }}|{{ true is integer }}|{{ true is number }}|{{ d is mapping }}|{{ items is sequence }}|{{ 'a' is sequence }}|{{ d is sequence }}|{{ items is iterable }}|{{ 1 is iterable }}|{{ none is none }}|{{ 1 is not none }}|{{ 'a' is in ['a'] }}|{{ 1 is eq 1 }}|{{ 1 is sameas 1 }}|{{ 'ABC' is upper }}|{{ 'abc' is lower }}|{{ true is true }}|{{ 1 is true }}|{{ false is false }}|{{ namespace is callable }}|{{ 'x' is undefined }}|{{ 2 is gt 1 }}|{{ 2 is lt(1) }}|{{ 2 is ne 1 }}|{{ 'upper' is filter }}|{{ 'odd' is test }}
{{ 'a' is equalto 'a' }}|{{ 1 is ge 1 }}|{{ 1 is greaterthan 0 }}|{{ 5 is not divisibleby 2 }}|{{ x is defined and x is not none }}
{% set ns = namespace(count=0, found=false) %}{% for i in items %}{% set ns.count = ns.count + i %}{% endfor %}{{ ns.count }}|{{ ns.found }}|{{ ns.zzz is defined }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.a %}block{% endset %}{{ ns.a }}{{ ns['b'] }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = i %}{{ x }}{% endfor %}{{ x }}|{% if true %}{% set y = 5 %}{% endif %}{{ y }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set t = (1, 2) %}{{ t[0] }}|{% set block %}  text {{ n }} {% endset %}[{{ block }}]|{% set f | upper %}abc{% endset %}{{ f }}
{% for i in range(3) %}{{ i }}{% if i == 1 %}{% break %}{% endif %}{% endfor %}|{% for i in range(5) %}{% if i is odd %}{% continue %}{% endif %}{{ i }}{% endfor %}|{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}|{{ range(3) | list }}|{{ range(2, 9, 3) | list }}|{{ range(4)[-1] }}|{{ range(5) | length }}
{% for i in items %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for i in items %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}|{% for i in [1, 2, 3] if i > 1 %}{{ i }}{{ loop.index }}{{ loop.length }}{% endfor %}|{% for i in [1] %}{% break %}{% else %}none{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{% if i is number %}{{ i }}{% else %}({{ loop(i) }}){% endif %}{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}|{% for c in 'ab😀' %}{{ c }},{% endfor %}|{% for (a, b) in [(1, 2)] %}{{ a + b }}{% endfor %}|{% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c='y') }}|{{ m(1, 3, 'z') }}|{{ m() }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}
{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body{% endcall %}|{% macro l(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) l([1, 2]) %}<{{ x }}>{% endcall %}
{% macro outer(x) %}{% if x > 0 %}{{ x }}{{ outer(x - 1) }}{% endif %}{% endmacro %}{{ outer(3) }}
{% macro a() %}{{ n }}{% endmacro %}{% set n = 9 %}{{ a() }}
{% macro a() %} x {% endmacro %}{{ a() | trim }}|{{ a() is string }}|{{ (a() ~ 'y') | length }}
{{ raise_exception('no') }}
{% if false %}{{ raise_exception('no') }}{% endif %}ok
{% generation %}gen {{ n }}{% endgeneration %}|{%- generation -%} x {%- endgeneration -%} |{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}
{% filter upper %}abc{{ n }}{% endfilter %}|{% filter replace('a', 'b') %}aaa{% endfilter %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}
{% raw %}{{ not rendered }}{% endraw %}|{# a comment {{ x }} #}|{{ '{{' }}|{{ '%}' }}
{% do items.append(4) %}
{{ items.append(4) }}
{{ d.update({'x': 1}) }}
{{ d.pop('b') }}
{{ items.index(1) }}|{{ items.count(3) }}|{{ items.copy() }}
{{ 'yes' if n > 5 else 'no' }}|{{ 'yes' if n > 50 }}|{{ ('a' if true else 'b') ~ 'c' }}|{{ 1 if false else 2 if false else 3 }}
{% if n > 5 and not empty or false %}a{% elif n %}b{% else %}c{% endif %}|{% if empty %}a{% elif nothing %}b{% else %}c{% endif %}|{% if items %}t{% endif %}|{% if {} %}t{% else %}f{% endif %}|{% if 0.0 %}t{% else %}f{% endif %}
{{ d.a[1] }}|{{ d['a'][2] }}|{{ d.C.k }}|{{ d['C']['k'] }}|{{ people[0].name }}|{{ people[-1]['name'] }}|{{ d.a.0 }}|{{ d | attr('a') }}
{{ -n }}|{{ +n }}|{{ - 3 }}|{{ n - 3 }}|{{ n -3 }}|{{ n-3 }}|{{ not n }}|{{ -items[0] }}|{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ 2 + 3 * 4 }}|{{ (2 + 3) * 4 }}|{{ -1 | abs }}|{{ 10 - 2 - 3 }}|{{ 2 * 3 % 4 }}|{{ 'a' ~ 1 + 2 }}
{{ {'a': 1, 'b': {'c': [1, 2]}} }}|{{ {'a': 1}['a'] }}|{{ {'a': 1}.a }}|{{ {'a': {'b': 1}}}}|{{ dict(a=1, b='x') }}|{{ dict({'a': 1}, b=2) | tojson }}|{{ [1, 2,] }}|{{ {'a': 1,} }}
{{ 'line\\nbreak' }}|{{ 'tab\\t' }}|{{ 'q\\'q' }}|{{ "d\\"d" }}|{{ 'u\\u00e9' }}|{{ 'x\\x41' }}|{{ '\\\\' }}|{{ '\\d' }}|{{ '\\a' | length }}|{{ '\\101' }}
{{ 1_000 }}|{{ 0x1F }}|{{ 0b11 }}|{{ 0o17 }}|{{ 1.5e3 }}|{{ 9007199254740991 }}
{{ [1, 2, 3] | tojson }}|{{ items is not string and items is iterable }}|{{ d.a is not string }}|{{ (n is number) and (n is not string) }}
{{ namespace(a=1).a }}|{{ joiner is defined }}|{{ cycler is defined }}|{{ range is callable }}
{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b{% set c = cycler('x', 'y') %}{{ c.next() }}{{ c.next() }}{{ c.current }}
{% for i in range(100000) %}{% endfor %}ok
{% for i in range(100001) %}{% endfor %}ok
{{ 'abc'.__class__ }}
{{ ''.__class__.__mro__ }}
{{ s | nosuchfilter }}
{{ s is nosuchtest }}
{{ s.nosuchmethod() }}
{{ 1 | upper }}|{{ true | string }}|{{ none | string }}|{{ 1.0 | string }}|{{ [1] | string }}|{{ none | upper }}|{{ 5 | trim }}|{{ 12 | length if false else 0 }}
{{ n.x is defined }}|{{ nothing.x is defined }}
{%- for m in people -%} {{- m.name -}} {%- endfor -%}
  {% if true %}
    indented
  {% endif %}
  {{ n }}
  {#- c -#}
  end
{%+ if true %}plus{% endif +%}
 x
{% set z = '''triple''' %}
{{ "a" if "a" is in ["a"] else "b" }}|{{ "%s" | format("x") }}|{{ loop is defined }}
{% if 'a' in items | map('string') | list %}x{% endif %}|{{ '1' in items | map('string') | list }}|{{ items | map('string') | join }}
{{ 'a,b' | replace(',', '') | upper }}|{{ x | round | int }}
{% set parts = 'a</think>b'.split('</think>') %}{{ parts[0].split('<think>')[-1].lstrip('\\n') }}|{{ parts[-1].lstrip('\\n') }}|{{ parts | last }}
{% set ns = namespace(multi=true, last=2) %}{% for m in people[::-1] %}{% set index = (people | length - 1) - loop.index0 %}{% if ns.multi and m.on and not (m.name.startswith('<t>') and m.name.endswith('</t>')) %}{% set ns.multi = false %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}
{{ (people | length) - 1 }}|{{ people | length - 1 }}|{{ people | length > 2 }}|{{ not people | length }}|{{ people|length == 3 and people|first is mapping }}
{{ 'a' if x else }}
{% for %}
{% if true %}
{{ 'unclosed }}
{% endfor %}
{{ 1 + }}
{% nosuchtag %}
{% include 'x' %}
{% import 'x' as y %}
{% block b %}in block{% endblock %}
{{ caller is defined }}|{{ varargs is defined }}
{{ s|length }}|{{ s | length is eq 17 }}|{{ [s, s] | map('length') | list }}|{{ names | map('first') | join('') }}
{{ '%.2f' | format(3.14159) }}|{{ '%5s|%-5s|' | format('a', 'b') }}|{{ '%+d' % 5 }}|{{ '%e' % 12345.678 }}|{{ '%r' % 'a' }}|{{ '%c' % 65 }}|{{ '%(a)s' % {'a': 1} }}
{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}'.format('a', 'b', 'c', 42, 3.14159, 1234567) }}|{{ '{0[a]} {1.x}'.format({'a': 1}, 2) if false else '' }}
{{ 10 is divisibleby 5 and 3 is odd }}|{{ 1 is odd or nosuch is defined }}
{{ d.C | length }}|{{ d.C is mapping and d.C.k is defined and d.C.k is string }}|{{ d.a | select('string') | list }}|{{ d.a | reject('none') | list }}|{{ d.a | rejectattr('x', 'defined') | list }}
{% set q = [] %}{% set q = q + ['a'] %}{% set q = q + ['b'] %}{{ q }}|{% set m = {'a': 1} %}{% set m = dict(m, **{'b': 2}) %}{{ m }}
{{ range(1, 4) | map('string') | join('+') }}|{{ range(3) | sum }}|{{ range(3) }}|{{ [range(2)] }}
{{ messages is defined }}|{{ messages is defined and messages[0] }}|{{ (messages or [])[0] is defined }}
""".strip("\n").split("\n")

# Cases of more than one line, and of line ends.
LONGER = [
    "{% if true %}\r\nA\r\n{% endif %}\r\n{{ n }}\r\n",
    "a\r\nb\rc\r\n",
    "a\n\n",
    "a\r\n\r\n",
    "  {% if true %}  \n  x\n  {% endif %}\n  y",
    "\t{%- if true %}\n x {% endif -%}\n\n y\n",
    "  {# comment #}\nx\n  {# comment #} y",
    "x  {% if true %}a{% endif %}\n\n{{ n }}\n\n",
    "{{ n }}\n{{ n }}\n",
    "{%- set a = 1 -%}\n\n  {{- a }}  \n",
    "  {%+ if true %}a{%+ endif %}\nb",
    "{% if true +%}\nx\n{% endif %}",
    "  {{ n }}\n  {{- n -}}\n  z",
    "{% raw %}\n  {{ x }}\n{% endraw %}\ny",
    "{%- raw -%}\n  {{ x }}\n{%- endraw -%}\ny",
    "{% set t = 'a\nb' %}{{ t }}",
    "{% set t = 'a\r\nb' %}{{ t }}",
    "{% macro m(\n  a,\n  b=1\n) %}\n{{ a }}{{ b }}\n{% endmacro %}\n{{ m(2) }}",
    "{{\n  n\n  + 1\n}}",
    "{% for m in people %}\n{% if loop.first %}\nF\n{% else %}\nN\n{% endif %}\n{% endfor %}\nE\n",
    "{%- generation %}\n x\n{%- endgeneration %}\n y",
    "  {% generation %}\n x\n  {% endgeneration %}\n y",
    "\u00a0 {% if true %}x{% endif %}",
    "a \u00a0\n{%- if true %}x{% endif -%}\u2003 b\x1c",
    "\u2028{% if true %}x{% endif %}",
    "{{ '\u2028' | length }}{{ n }}\u2028  {% if true %}x{% endif %}",
    "# {{ n }}\n## x\n",
    "{% for x in [1, 2] -%}\n  {{ x }}\n{%- endfor %}\n",
    "{{ '-%}' }}{{ '#}' }}{% set a = '{%- x -%}\n' %}{{ a }}",
    "{{ '%}\n' }}x",
    "{{ 'a' }}{#- x\n -#}\n b",
    "text only",
    "",
    "\n",
    "{{ n }}}",
    "{ {{ n }} } {% if true %}{}{% endif %} }}",
]


def result(template: str, variables: dict):
    try:
        return _compile_jinja_template(template).render(**variables)
    except Exception:
        return None


def conversations(template: str):
    tools = [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather \"now\" in <b>a</b> city & its sea.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "Zürich"}, "days": {"type": "integer"}},
                    "required": ["city"],
                },
            },
        },
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]
    call = {"id": "abc123def", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}
    chats = [
        [{"role": "user", "content": " Hi \n"}],
        [{"role": "system", "content": "Be\r\nbrief.\n"}, {"role": "user", "content": "a 'b' \"c\" <d> 😀"}],
        [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\n2"},
            {"role": "user", "content": "3"},
        ],
        [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "W?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "{\"c\": 3}", "name": "get_weather", "tool_call_id": "abc123def"},
            {"role": "tool", "content": "{\"c\": 4}", "name": "now", "tool_call_id": "abc123def"},
            {"role": "assistant", "content": "Cold.", "reasoning_content": "so\n"},
            {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": " then?"}]},
        ],
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call, call]}],
        [{"role": "assistant", "content": "first"}, {"role": "user", "content": ""}],
        [{"role": "system", "content": "alone"}],
        [],
    ]
    specials = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    for chat in chats:
        for given in ({}, {"add_generation_prompt": True}, {"tools": tools, "add_generation_prompt": True}):
            variables = {"tools": None, "add_generation_prompt": False, **specials, **given, "messages": chat}
            yield variables


def times():
    directives = "a A b B c C d D e F g G h H I j k l m M p P r R S T u U V w W x X y Y %".split()
    text = "|".join("%" + d for d in directives) + "|%-d|%-m|%-H|%-I|%-j|%q"
    for moment in [
        [2024, 2, 29, 0, 5, 9],
        [2025, 1, 1, 12, 0, 0],
        [2026, 11, 29, 23, 59, 59],
        [2023, 1, 1, 1, 1, 1],
        [2020, 12, 31, 13, 30, 0],
        [1999, 7, 4, 11, 45, 30],
    ]:
        yield [moment, text, datetime(*moment).strftime(text)]


def main():
    snippets = [[t, result(t, DATA)] for t in [*SNIPPETS, *LONGER]]
    chats = {}
    variables = list(conversations(""))
    for file in sorted((HERE / "templates").glob("*.jinja")):
        template = file.read_bytes().decode()
        chats[file.stem] = [result(template, given) for given in variables]
    HERE.joinpath("templates.json").write_text(
        json.dumps({"times": list(times()), "data": DATA, "snippets": snippets, "variables": variables, "chats": chats}, ensure_ascii=False, indent=0) + "\n"
    )
    failed = sum(r is None for _, r in snippets)
    print(len(snippets), "snippets,", failed, "of them refused;", len(chats), "templates")


if __name__ == "__main__":
    main()
