"""How long members are waited for."""

from collections.abc import Iterable, Mapping

from kafkalite.groups.state import Member


class MemberTimers:
    """When each member was heard of last, and since when one lets go of nothing that it has to."""

    def __init__(self) -> None:
        """Begin without members."""
        self.next_ms: int | None = None
        """The earliest moment at which somebody may have to be given up, or an earlier one."""
        self._heard_ms: dict[str, int] = {}
        self._asked_ms: dict[str, int] = {}

    def heard(self, member: Member, now_ms: int) -> None:
        """It lives."""
        self._heard_ms[member.id] = now_ms
        self._expect(now_ms + member.session_timeout_ms)

    def asked_to_release(self, member: Member, now_ms: int) -> None:
        """It has something to let go of, and knows or will soon know; or it no longer has."""
        if member.to_release:
            asked_ms = self._asked_ms.setdefault(member.id, now_ms)
            self._expect(asked_ms + member.rebalance_timeout_ms)
        else:
            self._asked_ms.pop(member.id, None)

    def has_released(self, member: Member) -> None:
        """It let go of something, so it is given its time anew for the rest."""
        self._asked_ms.pop(member.id, None)

    def forget(self, member_id: str) -> None:
        """It is no member any more."""
        self._heard_ms.pop(member_id, None)
        self._asked_ms.pop(member_id, None)

    def begin(self, members: Iterable[Member], now_ms: int) -> None:
        """These are the members now; who was not known has its whole time from now on."""
        self.next_ms = None
        heard, self._heard_ms = self._heard_ms, {}
        asked, self._asked_ms = self._asked_ms, {}
        for member in members:
            self.heard(member, heard.get(member.id, now_ms))
            self.asked_to_release(member, asked.get(member.id, now_ms))

    def expired(self, members: Mapping[str, Member], now_ms: int) -> list[str]:
        """Who was waited for long enough; sets `next_ms` by the others."""
        self.next_ms = None
        gone = []
        for member in members.values():
            deadline_ms = self._heard_ms[member.id] + member.session_timeout_ms
            asked_ms = self._asked_ms.get(member.id)
            if asked_ms is not None:
                deadline_ms = min(deadline_ms, asked_ms + member.rebalance_timeout_ms)
            if deadline_ms <= now_ms:
                gone.append(member.id)
            else:
                self._expect(deadline_ms)
        return gone

    def _expect(self, deadline_ms: int) -> None:
        if self.next_ms is None or deadline_ms < self.next_ms:
            self.next_ms = deadline_ms
