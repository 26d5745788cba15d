"""`kafkalite configs`: kafka-configs, the settings of topics and brokers."""

import argparse
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.client_properties import load_properties
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
)
from kafkalite.cli.failure import CommandError
from kafkalite.model.topic_name import check_topic_name
from kafkalite.wire.admin_messages import ConfigDescription

_TOPICS: Final = "topics"
_BROKERS: Final = "brokers"
_NOT_BUILT: Final = ("users", "clients", "ips", "client-metrics", "groups")


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-configs' options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument("--describe", action="store_true", help="print settings")
    parser.add_argument("--alter", action="store_true", help="change settings")
    parser.add_argument("--entity-type", help="topics or brokers")
    parser.add_argument("--entity-name", help="the topic, or the broker's id")
    parser.add_argument(
        "--entity-default", action="store_true", help="the settings that all brokers share"
    )
    parser.add_argument("--topic", help="short for --entity-type topics --entity-name")
    parser.add_argument("--broker", help="short for --entity-type brokers --entity-name")
    parser.add_argument(
        "--broker-defaults",
        action="store_true",
        help="short for --entity-type brokers --entity-default",
    )
    parser.add_argument(
        "--all", action="store_true", help="describe all settings and not only those set here"
    )
    parser.add_argument(
        "--add-config",
        metavar="K=V,..",
        help="set these; square brackets hold a value that has commas: k=[a,b]",
    )
    parser.add_argument("--add-config-file", metavar="FILE", help="set what this file says")
    parser.add_argument("--delete-config", metavar="K,..", help="remove these")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Describe or alter; gives the exit code."""
    _check(args.parser, args)
    if args.entity_type == _TOPICS and args.entity_name is not None:
        check_topic_name(args.entity_name)
    with Administration.of(args) as admin:
        if args.alter:
            _alter(admin, args)
        else:
            _describe(admin, args)
    return 0


def _check(parser: CommandParser, args: argparse.Namespace) -> None:
    """Command lines that make no sense end here; the short forms become long ones."""
    if args.describe == args.alter:
        parser.error("Command must include exactly one action: --describe, --alter.")
    check_connection_arguments(parser, args)
    _expand_short_forms(parser, args)
    _check_entity(parser, args)
    if args.describe:
        parser.refuse(args, ["add-config", "add-config-file", "delete-config"], "describe")
        return
    parser.refuse(args, ["all"], "alter")
    if args.entity_name is None and not args.entity_default:
        parser.error("--entity-name or --entity-default must be specified with --alter")
    if (args.add_config, args.add_config_file, args.delete_config) == (None, None, None):
        parser.error(
            "At least one of --add-config, --add-config-file or --delete-config must be specified "
            "with --alter"
        )
    if args.add_config is not None and args.add_config_file is not None:
        parser.error("Only one of --add-config and --add-config-file can be used")


def _check_entity(parser: CommandParser, args: argparse.Namespace) -> None:
    parser.require(args, ["entity-type"])
    if args.entity_type in _NOT_BUILT:
        raise CommandError(f"Settings of {args.entity_type} are not supported yet.")
    if args.entity_type not in {_TOPICS, _BROKERS}:
        parser.error(f"Invalid entity type {args.entity_type}: it is topics or brokers")
    if args.entity_default and args.entity_type == _TOPICS:
        raise CommandError("The defaults of topics are settings of the brokers: set them there.")
    name = args.entity_name
    if name is None:
        return
    if args.entity_default:
        parser.error("An entity is either --entity-name or --entity-default")
    if args.entity_type == _BROKERS and not (name.isascii() and name.isdecimal()):
        parser.error(
            f"The entity name for brokers must be a valid integer broker id, but it is: {name}"
        )


def _expand_short_forms(parser: CommandParser, args: argparse.Namespace) -> None:
    for given, kind, name in (
        (args.topic is not None, _TOPICS, args.topic),
        (args.broker is not None, _BROKERS, args.broker),
        (args.broker_defaults, _BROKERS, None),
    ):
        if not given:
            continue
        if args.entity_type is not None or args.entity_default:
            parser.error("Name one entity, in one way")
        args.entity_type, args.entity_name = kind, name
        args.entity_default = name is None


def _alter(admin: Administration, args: argparse.Namespace) -> None:
    changes: dict[str, str | None] = {}
    if args.add_config is not None:
        changes.update(_parse_settings(args.add_config))
    changes.update(load_properties(args.add_config_file))
    removed = [key.strip() for key in (args.delete_config or "").split(",") if key.strip()]
    both = sorted(changes.keys() & set(removed))
    if both:
        raise CommandError(f"Settings to add and to delete at once: {','.join(both)}")
    if removed:
        present = {entry.name for entry in _own_settings(admin, args)}
        missing = [key for key in removed if key not in present]
        if missing:
            raise CommandError(f"Invalid config(s): {','.join(missing)}")
    changes.update(dict.fromkeys(removed))
    if args.entity_type == _TOPICS:
        admin.alter_topic_config(args.entity_name, changes)
        print(f"Completed updating config for topic {args.entity_name}.")
        return
    admin.alter_broker_config(changes, _broker_id(args))
    if args.entity_default:
        print("Completed updating default config for brokers in the cluster.")
    else:
        print(f"Completed updating config for broker {args.entity_name}.")


def _own_settings(admin: Administration, args: argparse.Namespace) -> list[ConfigDescription]:
    """What is set at the entity itself."""
    if args.entity_type == _TOPICS:
        return admin.describe_topic_config(args.entity_name)
    source = f"DYNAMIC_{'DEFAULT_' if args.entity_default else ''}BROKER_CONFIG"
    return [
        entry
        for entry in admin.describe_broker_config(_broker_id(args))
        if any(synonym.source == source for synonym in entry.synonyms) or entry.source == source
    ]


def _broker_id(args: argparse.Namespace) -> int | None:
    """None: it is about all brokers."""
    return None if args.entity_name is None else int(args.entity_name)


def _describe(admin: Administration, args: argparse.Namespace) -> None:
    which = "All" if args.all else "Dynamic"
    if args.entity_type == _TOPICS:
        names = [args.entity_name]
        if args.entity_name is None:
            names = [topic.name for topic in admin.list_topics()]
        for name in names:
            settings = admin.describe_topic_config(name, include_all=args.all)
            print(f"{which} configs for topic {name} are:")
            _print_settings(settings)
        return
    one = _broker_id(args)
    brokers = [] if one is None else [one]
    if one is None and not args.entity_default:
        brokers = sorted(broker.id for broker in admin.describe_cluster().brokers)
    for broker in brokers:
        settings = admin.describe_broker_config(broker, include_all=args.all)
        print(f"{which} configs for broker {broker} are:")
        _print_settings(settings)
    if args.entity_name is None:
        settings = admin.describe_broker_config(include_all=args.all)
        print("Default configs for brokers in the cluster are:")
        _print_settings(settings)


def _print_settings(settings: list[ConfigDescription]) -> None:
    for entry in settings:
        synonyms = ", ".join(
            f"{synonym.source}:{synonym.name}={_shown(synonym.value)}" for synonym in entry.synonyms
        )
        print(
            f"  {entry.name}={_shown(entry.value)} sensitive={str(entry.sensitive).lower()} "
            f"synonyms={{{synonyms}}}"
        )


def _shown(value: str | None) -> str:
    return "null" if value is None else value


def _parse_settings(text: str) -> dict[str, str]:
    """`k=v,k=[v,v]` as a dictionary."""
    settings: dict[str, str] = {}
    for part in _split_outside_brackets(text):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            raise CommandError(
                "requirement failed: Invalid entity config: all configs to be added must be in "
                'the format "key=val".'
            )
        if value.startswith("[") and value.endswith("]"):
            value = value[1:-1]
        settings[key] = value
    return settings


def _split_outside_brackets(text: str) -> list[str]:
    parts = [""]
    depth = 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]
