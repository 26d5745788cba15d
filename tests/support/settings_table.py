"""The table of a client's settings as its page of docs/client has it."""

from kafkalite.client.settings import ClientSettings, declared


def settings_table(kind: type[ClientSettings]) -> str:
    """Markdown: a row for each setting of `kind`."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    rows += [
        f"| `{setting.key}` | {_shown(setting.default)} | {setting.doc} |"
        for setting in declared(kind)
    ]
    return "\n".join(rows)


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if default is None:
        return "not set"
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) or "empty"
