from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.azure.disks import Disk, RestoredDisk, difference, restored_disks

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
END = START + timedelta(minutes=2)


def a_disk(name: str = "web-01-datadisk-000", **members: Any) -> Disk:
    return Disk(**{"name": name, "is_os_disk": False, "created": END, **members})


class TestReading:
    def test_as_compute_sends_it(self) -> None:
        body = {
            "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/a",
            "name": "a",
            "tags": {"RSVaultBackup": "job-1", "team": "web"},
            "properties": {"osType": "Linux", "timeCreated": "2026-11-23T08:00:00.1234567+00:00", "diskSizeGB": 127},
        }

        disk = Disk.from_api(body)

        assert (disk.name, disk.is_os_disk, disk.disk_id, disk.size_gb) == ("a", True, body["id"], 127)
        assert disk.created == START.replace(microsecond=123456)
        assert disk.made_by_job == "job-1"

    def test_where_it_is_and_what_it_is_for(self) -> None:
        body = {
            "location": "westeurope",
            "zones": ["2"],
            "managedBy": "/vm",
            "properties": {
                "osType": "Windows",
                "securityProfile": {"securityType": "TrustedLaunch"},
                "hyperVGeneration": "V2",
            },
        }

        disk = Disk.from_api(body)

        assert (disk.location, disk.zone, disk.attached_to) == ("westeurope", "2", "/vm")
        assert (disk.os_type, disk.security_type, disk.generation) == ("Windows", "TrustedLaunch", "V2")

    @pytest.mark.parametrize(
        ("disk", "zone", "is_out_of_reach"),
        [
            ({"location": "West Europe"}, None, False),
            ({"location": "westeurope", "zone": "1"}, "1", False),
            ({"location": "westeurope", "zone": "1"}, "2", True),
            ({"location": "westeurope", "zone": "1"}, None, True),
            ({"location": "westeurope"}, "1", True),
            ({"location": "westeurope", "is_zone_redundant": True}, "1", False),
            ({"location": "northeurope", "is_zone_redundant": True}, None, True),
            ({}, "1", False),  # Azure does not say where it is
        ],
    )
    def test_the_vms_that_can_have_it(self, disk: dict[str, Any], zone: str | None, is_out_of_reach: bool) -> None:
        assert a_disk(**disk).is_out_of_reach("westeurope", zone) is is_out_of_reach
        assert not a_disk(**disk).is_out_of_reach("", zone)

    @pytest.mark.parametrize(("sku", "is_redundant"), [("Premium_ZRS", True), ("Premium_LRS", False), (None, False)])
    def test_its_redundancy(self, sku: str | None, is_redundant: bool) -> None:
        assert Disk.from_api({"sku": {"name": sku}}).is_zone_redundant is is_redundant

    @pytest.mark.parametrize(
        ("tag", "is_made"),
        [("job-1", True), ("JOB-1", True), ("/vaults/v/backupJobs/job-1/", True), ("job-2", False), (None, False)],
    )
    def test_the_job_that_made_it(self, tag: str | None, is_made: bool) -> None:
        assert Disk(name="a", is_os_disk=True, made_by_job=tag).is_made_by("job-1") is is_made

    def test_no_job_has_made_a_disk_without_a_tag(self) -> None:
        assert not Disk(name="a", is_os_disk=True).is_made_by("")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": 5, "id": ["a"], "tags": None, "properties": None},
            {"tags": ["RSVaultBackup"], "properties": {"timeCreated": "soon", "diskSizeGB": "127"}},
            {"tags": {"RSVaultBackup": 7}, "properties": {"diskSizeGB": True}},
            {"tags": {"RSVaultBackup": " "}, "properties": {"diskSizeGB": -1}},
            {"location": 5, "zones": "1", "managedBy": {}, "properties": {"securityProfile": "x"}},
            {"zones": [None], "properties": {"securityProfile": {"securityType": {}}}},
        ],
    )
    def test_whatever_is_missing(self, body: dict[str, Any]) -> None:
        assert Disk.from_api(body) == Disk(name="", is_os_disk=False)

    @pytest.mark.parametrize(
        ("name", "is_os_disk", "lun"),
        [
            ("web01-datadisk-006-20260113-215044", False, 6),
            ("WEB01-DataDisk-000-20260113-215044", False, 0),
            ("datadisk-009-datadisk-001-20260113-215044", False, 1),
            ("web01-osdisk-20260113-215044", True, None),
            ("web01-datadisk-001-20260113-215044", True, None),
            ("web01-data", False, None),
            ("web01-datadisk-99999-20260113-215044", False, None),
        ],
    )
    def test_a_restored_data_disk_has_its_lun_in_its_name(self, name: str, is_os_disk: bool, lun: int | None) -> None:
        shown = RestoredDisk.of(Disk(name=name, is_os_disk=is_os_disk, disk_id="/d", size_gb=4))

        assert shown == RestoredDisk(id="/d", name=name, is_os=is_os_disk, lun=lun, size_gb=4)


JOB = "1c661a13-0000"
JOB_ID = f"/subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v/backupJobs/{JOB}"


def found(*disks: Disk, job_id: str = JOB, vm_names: tuple[str, ...] = ("Web-01",)) -> list[Disk]:
    return restored_disks(disks, job_id=job_id, vm_names=vm_names, since=START, until=END)


class TestByTag:
    @pytest.mark.parametrize("tag", [JOB, JOB.upper(), JOB_ID, JOB_ID.upper(), f"{JOB_ID}/", f" {JOB} "])
    @pytest.mark.parametrize("key", ["RSVaultBackup", "rsvaultbackup", "RSVAULTBACKUP"])
    def test_a_disk_with_the_jobs_tag_is_its_own_whatever_its_name_and_time(self, tag: str, key: str) -> None:
        disk = Disk.from_api({"name": "anything", "tags": {key: tag}})
        around = [
            a_disk(),
            a_disk("web01-osdisk-1", made_by_job="another"),
            a_disk("web-01-data", made_by_job=f"{JOB}1"),
        ]

        assert found(*around, disk) == [disk]

    def test_without_a_tagged_disk_those_of_other_jobs_are_still_not_its_own(self) -> None:
        own = a_disk()

        assert found(own, a_disk("web-01-datadisk-001", made_by_job="another")) == [own]

    def test_a_job_without_a_name_owns_no_tagged_disk(self) -> None:
        assert found(a_disk(made_by_job="/"), job_id="") == []


class TestByNameAndTime:
    @pytest.mark.parametrize("created", [START, END, END + timedelta(minutes=5)])
    @pytest.mark.parametrize("name", ["WEB-01-osdisk", "web01-osdisk-20261123-080000", "Web01-datadisk-000-1"])
    def test_the_vms_name_with_or_without_dashes_and_the_jobs_time(self, name: str, created: datetime) -> None:
        disk = a_disk(name, created=created)

        assert found(disk) == [disk]

    def test_the_name_of_the_new_vm_counts_too(self) -> None:
        disk = a_disk("web01restored-osdisk-1")

        assert found(disk, vm_names=("web-01", "web-01-restored")) == [disk]

    @pytest.mark.parametrize(
        "other",
        [
            a_disk("web-011-datadisk-000"),
            a_disk("web011-datadisk-000"),
            a_disk("web-01"),
            a_disk("sql-01-datadisk-000"),
            a_disk("-datadisk-000"),
            a_disk(created=None),
            a_disk(created=START - timedelta(microseconds=1)),
            a_disk(created=END + timedelta(minutes=6)),
        ],
    )
    def test_others_are_left_out(self, other: Disk) -> None:
        assert found(other) == []
        assert found(other, vm_names=("web-01", "---")) == []

    def test_more_than_a_vm_can_have_are_cut(self) -> None:
        assert len(found(*[a_disk(f"web-01-datadisk-{number}") for number in range(1000)])) == 100


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
