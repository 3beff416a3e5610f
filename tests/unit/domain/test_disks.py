from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.azure.disks import Disk, difference, made_by

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
END = START + timedelta(minutes=2)


def a_disk(name: str = "web-01-datadisk-000", **members: Any) -> Disk:
    return Disk(**{"name": name, "is_os_disk": False, "created": END, **members})


class TestReading:
    def test_as_compute_sends_it(self) -> None:
        body = {"name": "a", "properties": {"osType": "Linux", "timeCreated": "2026-11-23T08:00:00.1234567+00:00"}}

        disk = Disk.from_api(body)

        assert (disk.name, disk.is_os_disk) == ("a", True)
        assert disk.created == START.replace(microsecond=123456)

    @pytest.mark.parametrize("body", [{}, {"name": 5, "properties": None}, {"properties": {"timeCreated": "soon"}}])
    def test_whatever_is_missing(self, body: dict[str, Any]) -> None:
        assert Disk.from_api(body) == Disk(name="", is_os_disk=False)


class TestMadeBy:
    @pytest.mark.parametrize("created", [START, END, END + timedelta(minutes=5)])
    def test_the_vms_name_and_the_jobs_time(self, created: datetime) -> None:
        disk = a_disk("WEB-01-osdisk", created=created)

        assert made_by([disk], vm_name="Web-01", since=START, until=END) == [disk]

    @pytest.mark.parametrize(
        "other",
        [
            a_disk("web-011-datadisk-000"),
            a_disk("web-01"),
            a_disk("sql-01-datadisk-000"),
            a_disk(created=None),
            a_disk(created=START - timedelta(microseconds=1)),
            a_disk(created=END + timedelta(minutes=6)),
        ],
    )
    def test_others_are_left_out(self, other: Disk) -> None:
        assert made_by([other], vm_name="web-01", since=START, until=END) == []


class TestDifference:
    OS = a_disk("web-01-osdisk", is_os_disk=True)

    @pytest.mark.parametrize("asked", [[0, 1], [-1, 0, 1]])
    def test_none_where_as_many_data_disks_came_as_were_asked_for(self, asked: list[int]) -> None:
        assert difference(asked, [self.OS, a_disk("a"), a_disk("b")]) is None

    @pytest.mark.parametrize("asked", [[], [-1]])
    def test_the_os_disk_alone(self, asked: list[int]) -> None:
        assert difference(asked, [self.OS]) is None

    def test_all_disks_though_one_was_asked_for(self) -> None:
        found = difference([1], [self.OS, a_disk("a"), a_disk("b")])

        assert found == (
            "The data disks of LUN [1] were requested, but 2 data disks were restored: a, b. Check them before use."
        )

    def test_none_though_one_was_asked_for(self) -> None:
        assert "0 data disks were restored: none" in (difference([1], [self.OS]) or "")

    def test_none_that_can_be_identified(self) -> None:
        assert "could not be identified" in (difference([0], []) or "")

    def test_no_os_disk_though_one_comes_with_every_restore(self) -> None:
        assert (difference([-1, 0], [a_disk("a")]) or "").startswith("No OS disk was restored")
