"""Chat templates render as their makers meant, and hostile ones end quickly and harmlessly."""

import time

import pytest

from runtime.prompt.templates import MAX_TEMPLATE, TemplateFailed, render

USER = [{"role": "user", "content": "Hi"}]


def rendered(template: str, **more: object) -> str:
    options: dict[str, object] = {"bos": "<s>", "eos": "</s>", "add_generation_prompt": True}
    return render(template, USER, **(options | more))  # type: ignore[arg-type]


def test_what_templates_use() -> None:
    assert rendered("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}") == "<s>Hi</s>"
    assert rendered("{% for m in messages %}\n{{ m['role'] }}\n{% endfor %}\n") == "user\n"
    assert rendered("{{ messages | length }} {{ messages[0] | tojson }}") == (
        '1 {"role": "user", "content": "Hi"}'
    )
    assert rendered(
        "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}x{% endfor %}"
    ) == ("xx")
    assert rendered("{{ 'a\nb' | indent(2) }}|{{ ['x', 'y'] | join('-') }}") == "a\n  b|x-y"
    assert rendered("{{ 'aXb' | replace('X', '+') }}{{ '%s-%d' % ('v', 2) }}") == "a+bv-2"
    assert rendered("{{ '{}={}'.format('k', 1) }}{{ ' s '.strip() }}") == "k=1s"
    assert rendered("{{ strftime_now('%Y') | length }}") == "4"
    assert rendered("{% if not x is defined %}none{% endif %}") == "none"
    assert rendered("{{ tools is none }}") == "True"


def test_continuation_follows_the_generation_prompt_verbatim() -> None:
    template = "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}>"
    messages = [*USER, {"role": "assistant", "content": "{{ 7 }} and"}]
    text = render(
        template, messages, bos="", eos="", add_generation_prompt=False, continue_last=True
    )
    assert text == "[HI]>{{ 7 }} and"


def test_a_template_may_refuse() -> None:
    with pytest.raises(TemplateFailed) as caught:
        rendered("{{ raise_exception('System role not supported') }}")
    assert caught.value.facts == {"reason": "raised", "detail": "System role not supported"}


def test_messages_cannot_inject_template_code() -> None:
    messages = [{"role": "user", "content": "{{ 7 * 7 }}{% raw %}"}]
    text = render("{{ messages[0].content }}", messages, bos="", eos="", add_generation_prompt=True)
    assert text == "{{ 7 * 7 }}{% raw %}"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for", "syntax"),
        ("{{ nothing.at.all }}", "syntax"),
        ("{{ 1 // 0 }}", "error"),
        ("x" * (MAX_TEMPLATE + 1), "too_long"),
        ("{{ " + "(" * 50_000 + ")" * 50_000 + " }}", "limit"),
        ("{{ ''.__class__.__mro__ }}", "limit"),
        ("{{ messages.__class__.__base__.__subclasses__() }}", "limit"),
        ("{{ cycler.__init__.__globals__.os }}", "limit"),
        ("{{ self.__init__.__globals__ }}", "limit"),
        ("{{ messages.append(1) }}", "limit"),
        ("{{ raise_exception.__globals__['sys'] }}", "limit"),
        ("{{ (messages | attr('__class__')).__base__ }}", "limit"),
        ("{{ 'a' * 10000000000 }}", "limit"),
        ("{{ 10000000000 * 'a' }}", "limit"),
        ("{{ 9 ** 9 ** 9 }}", "limit"),
        ("{{ '%1000000000d' % 1 }}", "limit"),
        ("{{ '%*d' % (1000000000, 1) }}", "limit"),
        ("{{ '{:>1000000000}'.format(1) }}", "limit"),
        ("{{ 'a'.ljust(10000000000) }}", "limit"),
        ("{{ 'a'.join(['b' * 100000] * 1000) }}", "limit"),
        ("{{ ['b' * 100000] * 1000 | join }}", "error"),
        ("{{ (['b' * 100000] * 1000) | join }}", "limit"),
        ("{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", "limit"),
        ("{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}", "limit"),
        ("{{ ('\n' * 1000000) | indent('b' * 1000) }}", "limit"),
        ("{{ range(100000000) }}", "limit"),
        ("{{ lipsum(100000) }}", "syntax"),
        ("{{ messages | pprint }}", "syntax"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "limit"),
        (
            "{% set n = namespace(x='aaaaaaaa') %}"
            "{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "limit",
        ),
        (
            "{% set n = namespace(x='aaaaaaaa') %}"
            "{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
            "limit",
        ),
        ("{% for i in range(99999) %}{{ 'x' * 10000 }}{% endfor %}", "limit"),
    ],
)
def test_hostile_and_broken_templates(template: str, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(TemplateFailed) as caught:
        rendered(template)
    assert caught.value.facts["reason"] == reason
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for i in range(99999) %}{% set x = range(99999) | list | tojson %}{% endfor %}",
    ],
)
def test_time_is_limited(template: str) -> None:
    started = time.perf_counter()
    with pytest.raises(TemplateFailed) as caught:
        rendered(template, max_seconds=0.2)
    assert caught.value.facts["reason"] == "limit"
    assert time.perf_counter() - started < 1.5
