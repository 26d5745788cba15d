import pytest

from kafkalite.model.errors import InvalidGroupIdError
from kafkalite.model.group_name import MAX_LENGTH, check_group_id


@pytest.mark.parametrize("group", ["g", "a b c", "...", "größe", "😀", "x" * MAX_LENGTH])
def test_any_text_that_can_be_written_is_a_group(group: str) -> None:
    check_group_id(group)


@pytest.mark.parametrize(
    "group", ["", "a/b", ".", "..", "x" * (MAX_LENGTH + 1), "a\nb", "a\0", "\x7f", "\ud800"]
)
def test_what_cannot_be_seen_or_written_is_none(group: str) -> None:
    with pytest.raises(InvalidGroupIdError, match="The group id is invalid"):
        check_group_id(group)
