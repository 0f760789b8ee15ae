"""`completion`: a shell's completion of commands and flags, made of the parser itself."""

import argparse
from collections.abc import Iterator

_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"
_SCRIPT = """# Completion of {name} for bash: source it, or put it into the folder of bash-completion.
_{function}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" word words
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$command $word" in
{commands}        esac
    done
    case "$command" in
{words}        *) words="" ;;
    esac
    case "$command $before" in
{values}    esac
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
}}
complete -o default -F _{function} {name}
"""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write a script for bash or zsh that completes a parser's commands and flags, and files where none fits."""
    commands, words, values = "", "", ""
    for path, each in parsers(parser):
        *above, name = path or ("",)
        if path:
            commands += f'            "{" ".join(above)} {name}") command="{" ".join(path)}" ;;\n'
        words += f'        "{" ".join(path)}") words="{" ".join(_words(each))}" ;;\n'
        for flag, offered in _values(each):
            values += f'        "{" ".join(path)} {flag}") words="{" ".join(offered)}" ;;\n'
    zsh = _ZSH if shell == "zsh" else ""
    return zsh + _SCRIPT.format(
        name=parser.prog, function=parser.prog.replace("-", "_"), commands=commands, words=words, values=values
    )


def parsers(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Give a parser and all below it, with the commands that lead to each."""
    yield path, parser
    for name, each in _below(parser).items():
        yield from parsers(each, (*path, name))


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def _words(parser: argparse.ArgumentParser) -> list[str]:
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    choices = [str(one) for action in parser._actions if not action.option_strings for one in action.choices or ()]
    return [*choices, *flags]


def _values(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """Give the flags whose values are known, or some of them, with these."""
    for action in parser._actions:
        offered = list(map(str, action.choices or getattr(action.type, "offered", None) or ()))
        yield from ((flag, offered) for flag in action.option_strings if offered)
