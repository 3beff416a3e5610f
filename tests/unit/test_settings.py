from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.alert_rules import NO_RULES, AlertRules, LoadedRules
from domain.azure.restore_scopes import RestoreScopes
from domain.recovery.plan import LoadedPlans
from domain.restore.polling import Limits
from settings import Settings, SettingsError
from tests.support.plans import a_group, a_plan

ENDPOINT = "AZURE_RESOURCE_MANAGER_ENDPOINT"
VERSION = "AZURE_BACKUP_API_VERSION"
REQUESTS, RESULTS, EVENTS = "RESTORE_REQUESTS_QUEUE", "RESTORE_RESULTS_QUEUE", "RESTORE_EVENTS_QUEUE"
POLL_MIN, POLL_MAX = "RESTORE_JOB_POLL_MIN_SECONDS", "RESTORE_JOB_POLL_MAX_SECONDS"
DEADLINE = "RESTORE_DEADLINE_HOURS"
IDENTITY = "AZURE_CLIENT_ID"
WINDOW = "RESTORE_ADOPTION_WINDOW_SECONDS"
RULES = "AUTO_RESTORE_RULES"
PLANS = "RECOVERY_PLANS"
MOST = "RESTORE_MAX_RUNNING_PER_VAULT"
HISTORY = "RESTORE_HISTORY_DAYS"
SCOPES = "RESTORE_SCOPES"
EASYAUTH = "RESTORE_TRUST_EASYAUTH"
WEBHOOK, SECRET = "RESTORE_WEBHOOK_URL", "RESTORE_WEBHOOK_SECRET"
ALL = (
    ENDPOINT,
    VERSION,
    REQUESTS,
    RESULTS,
    EVENTS,
    POLL_MIN,
    POLL_MAX,
    DEADLINE,
    WINDOW,
    RULES,
    PLANS,
    MOST,
    HISTORY,
    SCOPES,
    EASYAUTH,
    WEBHOOK,
    SECRET,
)
DEFAULTS = Settings(
    resource_manager_endpoint="https://management.azure.com",
    backup_api_version="2025-08-01",
    requests_queue="restore-requests",
    results_queue="restore-results",
    events_queue="restore-events",
    job_poll_min_s=15.0,
    job_poll_max_s=60.0,
    deadline_hours=None,
    adoption_window_s=120.0,
    auto_restore_rules=LoadedRules(source=None, rules=NO_RULES),
    recovery_plans=LoadedPlans(source=None, plans={}),
    max_running_per_vault=50,
    history_days=90,
    webhook_url=None,
    webhook_secret=None,
)


def problems(env: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize("env", [{}, dict.fromkeys(ALL, ""), dict.fromkeys(ALL, "  ")])
def test_what_is_left_out_or_empty_has_its_default(env: dict[str, str]) -> None:
    assert Settings.from_env(env) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        (ENDPOINT, "https://management.usgovcloudapi.net/", "resource_manager_endpoint", None),
        (ENDPOINT, "http://127.0.0.1:8080", "resource_manager_endpoint", "http://127.0.0.1:8080"),
        (ENDPOINT, "http://127.8.9.1:8080/", "resource_manager_endpoint", "http://127.8.9.1:8080"),
        (ENDPOINT, "http://localhost", "resource_manager_endpoint", "http://localhost"),
        (ENDPOINT, "HTTP://LocalHost:1", "resource_manager_endpoint", "http://localhost:1"),
        (ENDPOINT, "http://[::1]:8080", "resource_manager_endpoint", "http://[::1]:8080"),
        (VERSION, "2026-10-01", "backup_api_version", "2026-10-01"),
        (VERSION, "2019-05-13-preview", "backup_api_version", "2019-05-13-preview"),
        (REQUESTS, "a-1", "requests_queue", "a-1"),
        (RESULTS, "q" * 63, "results_queue", "q" * 63),
        (EVENTS, "status-changes", "events_queue", "status-changes"),
        (POLL_MIN, "0.05", "job_poll_min_s", 0.05),
        (POLL_MAX, " 90 ", "job_poll_max_s", 90.0),
        (DEADLINE, "0.5", "deadline_hours", 0.5),
        (WINDOW, "0", "adoption_window_s", 0.0),
        (WINDOW, "1.5", "adoption_window_s", 1.5),
        (
            RULES,
            '{"rules": []}',
            "auto_restore_rules",
            dataclasses.asdict(LoadedRules(source="setting", rules=NO_RULES)),
        ),
        (PLANS, '{"plans": []}', "recovery_plans", dataclasses.asdict(LoadedPlans(source="setting", plans={}))),
        (MOST, "1", "max_running_per_vault", 1),
        (HISTORY, "3650", "history_days", 3650),
        (EASYAUTH, "true", "trust_easyauth", True),
        (EASYAUTH, "TRUE", "trust_easyauth", True),
        (EASYAUTH, "false", "trust_easyauth", False),
    ],
)
def test_a_good_value_is_taken(name: str, text: str, field: str, value: Any) -> None:
    expected = text.rstrip("/") if value is None else value

    assert dataclasses.asdict(Settings.from_env({name: text})) == {**dataclasses.asdict(DEFAULTS), field: expected}


@pytest.mark.parametrize("around", ["\r", "\r\n", "\ufeff", "\xa0", " \t"])
def test_white_space_around_a_value_is_dropped(around: str) -> None:
    env = {name: f"{around}{text}{around}" for name, text in ((REQUESTS, "a-1"), (IDENTITY, "1-2"), (DEADLINE, "2"))}
    settings = Settings.from_env(env)

    assert (settings.requests_queue, settings.client_id, settings.deadline_hours) == ("a-1", "1-2", 2)


@pytest.mark.parametrize("name", [REQUESTS, IDENTITY, ENDPOINT, DEADLINE, WEBHOOK])
def test_a_hidden_character_is_named(name: str) -> None:
    [problem] = problems({SECRET: "s", name: "a\u200bb"})

    assert "contains U+200B at position 2" in problem


@pytest.mark.parametrize("url", ["https://hooks.example/x?sig=1", "http://127.0.0.1:9/hook", "http://localhost/hook"])
def test_a_webhook_with_its_secret_is_taken(url: str) -> None:
    settings = Settings.from_env({WEBHOOK: url, SECRET: "s3cret"})

    assert (settings.webhook_url, settings.webhook_secret) == (url, "s3cret")


BAD = [
    *((ENDPOINT, text) for text in ["management.azure.com", "ftp://x", "http://management.azure.com", "https://"]),
    *((ENDPOINT, text) for text in ["https://x/path", "https://x?y", "https://x/?", "https://x#y", "https://u:p@x"]),
    *((ENDPOINT, text) for text in ["https://x:port", "https://x:0", "https://[x", "https://x\\y", "https://a b"]),
    *(
        (ENDPOINT, text)
        for text in ["http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.0.0.1"]
    ),
    *((VERSION, text) for text in ["latest", "2025-8-1", "2025-08-01-beta", "2025-08-01&x=y", "٢٠٢٥-08-01"]),
    *((REQUESTS, text) for text in ["ab", "q" * 64, "Upper", "a--b", "-ab", "ab-", "a_b", "ä-queue", "a.b"]),
    *((RESULTS, text) for text in ["ab", "UPPER", "two words"]),
    *((EVENTS, text) for text in ["ab", "UPPER", "two words"]),
    *((POLL_MIN, text) for text in ["0", "-1", "nan", "inf", "soon", "1e1", "1_0", "86401"]),
    *((POLL_MAX, text) for text in ["0", "0.0", "infinity"]),
    *((DEADLINE, text) for text in ["0", "-24", "PT24H", "9000", "9" * 400]),
    *((WINDOW, text) for text in ["-1", "two", "86401"]),
    *((MOST, text) for text in ["0", "-1", "1.5", "many", "9" * 5000]),
    *((HISTORY, text) for text in ["0", "-1", "1.5", "P90D", "3651", "9" * 5000]),
    *((WEBHOOK, text) for text in ["http://hooks.example/x", "hooks.example", "https://user:pw@hooks.example/x"]),
]


@pytest.mark.parametrize(("name", "text"), BAD, ids=lambda text: text[:40].encode("ascii", "replace").decode())
def test_a_bad_value_is_refused_by_name(name: str, text: str) -> None:
    (problem,) = problems({SECRET: "s", name: text})

    assert problem.startswith(f"{name} must be ")
    assert len(problem) < 200


def test_every_problem_is_told_at_once() -> None:
    found = problems({ENDPOINT: "x", REQUESTS: "X", POLL_MIN: "no", MOST: "0", WEBHOOK: "https://hooks.example"})

    assert [problem.split()[0] for problem in found] == [ENDPOINT, REQUESTS, POLL_MIN, MOST, SECRET]


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({REQUESTS: "same-queue", RESULTS: "same-queue"}, RESULTS),
        ({RESULTS: "restore-requests"}, RESULTS),
        ({EVENTS: "restore-requests"}, EVENTS),
        ({EVENTS: "restore-results"}, EVENTS),
        ({EVENTS: "same-queue", RESULTS: "same-queue"}, EVENTS),
        ({POLL_MIN: "61"}, POLL_MIN),
        ({POLL_MIN: "3", POLL_MAX: "2"}, POLL_MIN),
        ({WEBHOOK: "https://hooks.example/x"}, SECRET),
        ({WEBHOOK: "https://hooks.example/x", SECRET: " "}, SECRET),
    ],
)
def test_settings_that_contradict_each_other_are_refused(env: dict[str, str], name: str) -> None:
    (problem,) = problems(env)

    assert problem.startswith(f"{name} must ")


@given(st.dictionaries(st.sampled_from(ALL), st.text()))
def test_any_environment_gives_settings_or_named_problems(env: dict[str, str]) -> None:
    found: tuple[str, ...] = ()
    try:
        settings = Settings.from_env(env)
    except SettingsError as error:
        found = error.problems
    else:
        assert settings.limits(rehydrates=False).job_poll_min_s <= settings.job_poll_max_s
        assert (settings.auto_restore_rules.rules is None) == bool(settings.auto_restore_rules.problems)
        assert (settings.recovery_plans.plans is None) == bool(settings.recovery_plans.problems)

    assert all(problem.split()[0].rstrip(":") in ALL for problem in found)


def test_no_value_is_quoted() -> None:
    env = {
        **dict.fromkeys(ALL, "v3ry-Secret!"),
        RULES: '{"v3ry-Secret"',
        WEBHOOK: "http://hooks.example/?sig=v3ry-Secret!",
    }

    assert "v3ry-Secret" not in "".join(problems(env))
    good = {WEBHOOK: "https://hooks.example/?sig=v3ry-Secret", SECRET: "v3ry-Secret"}
    assert "v3ry-Secret" not in repr(Settings.from_env(good))


@pytest.mark.parametrize(
    ("hours", "rehydrates", "seconds"),
    [("", False, 86_400), ("", True, 172_800), ("0.5", False, 1800), ("1", True, 3600)],
)
def test_the_deadline_is_longer_for_an_archived_point_unless_it_is_set(
    hours: str, rehydrates: bool, seconds: float
) -> None:
    settings = Settings.from_env({DEADLINE: hours})

    assert settings.deadline_s(rehydrates) == seconds
    assert settings.limits(rehydrates) == Limits(
        job_poll_min_s=15.0, job_poll_max_s=60.0, deadline_s=seconds, adoption_window_s=120.0, max_per_vault=50
    )


def test_the_sample_has_every_setting_and_can_be_used_as_it_is() -> None:
    sample = json.loads((Path(__file__).parents[2] / "local.settings.sample.json").read_text())["Values"]

    assert set(ALL) <= set(sample)
    assert Settings.from_env(sample) == dataclasses.replace(
        DEFAULTS, resource_manager_endpoint="http://127.0.0.1:8080", deadline_hours=24.0
    )
    assert sample["IDENTITY_ENDPOINT"] == "http://127.0.0.1:8080/msi/token"
    assert sample["IDENTITY_HEADER"] == "simulator"


def scopes(**members: Any) -> RestoreScopes:
    return Settings.from_env({SCOPES: json.dumps(members)}).restore_scopes


class TestRestoreScopes:
    SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
    OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222"
    GROUP = f"{SUBSCRIPTION}/resourceGroups/web-rg"
    VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/v1"
    ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/a1"
    VM = f"{OTHER}/resourceGroups/db-rg/providers/Microsoft.Compute/virtualMachines/vm1"
    NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/n1"

    def test_each_member_takes_its_kinds(self) -> None:
        assert scopes(
            vaultIds=[self.VAULT],
            targetResourceGroupIds=[self.GROUP],
            stagingScopes=[self.ACCOUNT, self.GROUP],
            virtualNetworkIds=[self.NETWORK],
            virtualMachineScopes=[self.OTHER, self.GROUP, self.VM],
            inPlaceScopes=[self.GROUP, self.VM],
            readsTemplates=True,
        ) == RestoreScopes(
            vault_ids=(self.VAULT,),
            target_resource_group_ids=(self.GROUP,),
            staging_scopes=(self.ACCOUNT, self.GROUP),
            virtual_network_ids=(self.NETWORK,),
            virtual_machine_scopes=(self.OTHER, self.GROUP, self.VM),
            in_place_scopes=(self.GROUP, self.VM),
            reads_templates=True,
        )

    def test_ids_are_trimmed_and_come_once_whatever_their_case(self) -> None:
        assert scopes(vaultIds=[f" {self.VAULT}/ ", self.VAULT.upper(), self.VAULT]).vault_ids == (self.VAULT,)

    @pytest.mark.parametrize("staging", [{}, {"stagingScopes": []}, {"stagingScopes": None}])
    def test_the_target_groups_are_the_staging_scopes_if_there_are_no_others(self, staging: dict[str, Any]) -> None:
        assert scopes(targetResourceGroupIds=[self.GROUP], **staging).staging_scopes == (self.GROUP,)

    def test_subscriptions_are_those_of_vaults_and_readable_vms(self) -> None:
        found = scopes(vaultIds=[self.VAULT], virtualMachineScopes=[self.VM, self.VM.upper()])

        assert found.subscriptions == (self.SUBSCRIPTION, self.OTHER)
        assert scopes(inPlaceScopes=[self.VM], targetResourceGroupIds=[self.GROUP]).subscriptions == ()

    def test_every_problem_is_named_with_its_member_and_index(self) -> None:
        text = json.dumps({"vaultIds": [self.VAULT, self.VM, 3], "vaults": [], "stagingScopes": self.ACCOUNT})

        found = problems({SCOPES: text, DEADLINE: "x"})

        assert [problem.split(" must ")[0].split(" is ")[0] for problem in found] == [
            DEADLINE,
            f"{SCOPES}: vaultIds[1]",
            f"{SCOPES}: vaultIds[2]",
            f"{SCOPES}: vaults",
            f"{SCOPES}: stagingScopes",
        ]
        assert "a Microsoft.RecoveryServices/vaults, such as /subscriptions/<id>/" in found[1]
        assert not any(self.VM in problem for problem in found)

    @pytest.mark.parametrize(
        "text", ["{", "[]", '"{}"', '{"vaultIds": [], "vaultIds": []}', '{"vaultIds": NaN}', "NaN"]
    )
    def test_only_a_strict_json_object_is_taken(self, text: str) -> None:
        (problem,) = problems({SCOPES: text})

        assert problem.startswith(SCOPES)


def loaded(text: str) -> LoadedRules:
    return Settings.from_env({RULES: text}).auto_restore_rules


def rules_of(found: LoadedRules) -> AlertRules:
    assert found.problems == ()
    assert found.rules is not None
    return found.rules


def problems_of(text: str) -> tuple[str, ...]:
    """Return what is wrong with rules; they stop the alerts, not the app."""
    found = loaded(text)
    assert found.rules is None
    assert all(problem.startswith(RULES) and problem.isprintable() for problem in found.problems)
    return found.problems


class TestRules:
    RULE: ClassVar = {"name": "no databases", "match": {"sourceResourceIds": ["*/sql-*"]}, "deny": True}

    @pytest.mark.parametrize("bom", ["", "\ufeff"])
    def test_a_file(self, tmp_path: Path, bom: str) -> None:
        path = tmp_path / "rules.json"
        path.write_text(bom + json.dumps({"rules": [self.RULE]}), encoding="utf-8")

        assert [rule.name for rule in rules_of(loaded(str(path))).rules] == ["no databases"]
        assert loaded(str(path)).source == str(path)

    def test_a_file_in_the_app_whatever_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        settings = Settings.from_env({RULES: "auto_restore_rules.sample.json", PLANS: "recovery_plans.sample.json"})

        assert rules_of(settings.auto_restore_rules).rules

    def test_the_json_itself(self) -> None:
        read = loaded(json.dumps({"rules": [self.RULE]}))

        assert [rule.restore for rule in rules_of(read).rules] == [None]
        assert read.source == "setting"

    @pytest.mark.parametrize("text", ["", "auto_restore_rules.json"])
    def test_the_default_file_may_be_missing(self, text: str) -> None:
        assert loaded(text) == LoadedRules(source=None, rules=NO_RULES)

    @pytest.mark.parametrize(
        "text", ["no_such_file.json", "tests", "{", '{"rules": NaN', "{}}", '{"rules": [], "rules": []}', "bad.bin"]
    )
    def test_what_cannot_be_read(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "bad.bin").write_bytes(b"\xff\xfe\xff")
        text = str(tmp_path / text) if text == "bad.bin" else text

        [problem] = problems_of(text)
        assert problem.startswith("AUTO_RESTORE_RULES must be ")

    def test_json_with_a_mark_at_its_begin(self) -> None:
        assert rules_of(loaded("\ufeff" + json.dumps({"rules": [self.RULE]}))).rules

    @pytest.mark.parametrize(
        ("text", "source", "why"),
        [
            ("no_such_file.json", "no_such_file.json", "no_such_file.json cannot be read: No such file or directory"),
            ("tests", "setting", "the file that it names cannot be read: Is a directory"),
            ("[]", "setting", "No such file or directory"),
            ('[{"name": "hunter2.json', "setting", "No such file or directory"),
            ("hunter2", "setting", "No such file or directory"),
            ("pyproject.toml", "pyproject.toml", "pyproject.toml is not JSON: "),
            ("no\nsuch" + "x" * 5000, "setting", "File name too long"),
            ("a\0b", "setting", "null byte"),
            ('{"hunter2', "setting", "the JSON is not JSON"),
        ],
    )
    def test_a_problem_names_the_file_only_if_the_setting_is_a_path(self, text: str, source: str, why: str) -> None:
        [problem] = problems_of(text)

        assert loaded(text).source == source
        assert problem.startswith("AUTO_RESTORE_RULES must be a JSON file of rules in the app, or the JSON itself")
        assert why in problem
        assert "hunter2" not in problem
        assert len(problem) < 500

    def test_every_problem_names_its_place_and_quotes_no_value(self) -> None:
        restore = {"recoveryType": "hunter2", "storageAccountId": "hunter2", "reason": "{hunter2}", "vaultId": 5}
        rules = [{**self.RULE, "dney": True}, {**self.RULE, "name": 5}, {"name": "hunter2", "restore": restore}]
        found = problems_of(json.dumps({"rules": rules, "strom": {}}))

        assert [problem.split()[:2] for problem in found] == [
            ["AUTO_RESTORE_RULES:", place]
            for place in (
                *("rules[0].dney", "rules[1].name"),
                *(f"rules[2].restore.{name}" for name in ("reason", "recoveryType", "storageAccountId", "vaultId")),
                "strom",
            )
        ]
        assert "hunter2" not in "".join(found)
        assert "hunter2" not in repr(Settings.from_env({RULES: json.dumps({"rules": rules})}))

    def test_broken_rules_do_not_hide_problems_of_other_settings(self) -> None:
        [problem] = problems({RULES: "{", MOST: "0"})

        assert problem.startswith(MOST)


def loaded_plans(text: str) -> LoadedPlans:
    return Settings.from_env({PLANS: text}).recovery_plans


class TestPlansOfRules:
    RULE: ClassVar = json.dumps({"rules": [{"name": "all", "plan": "SHOP"}]})
    SHOP: ClassVar = json.dumps({"plans": [a_plan(name="Shop")]})

    def test_a_rule_may_name_a_configured_plan(self) -> None:
        found = Settings.from_env({RULES: self.RULE, PLANS: self.SHOP}).auto_restore_rules

        assert rules_of(found).rules[0].plan == "SHOP"

    @pytest.mark.parametrize("plans", ["", json.dumps({"plans": [a_plan(name="office")]})])
    def test_rules_that_name_a_plan_which_is_not_there_cannot_be_used(self, plans: str) -> None:
        found = Settings.from_env({RULES: self.RULE, PLANS: plans}).auto_restore_rules

        assert found.rules is None
        assert found.problems == ("AUTO_RESTORE_RULES: rules[0].plan names no plan of RECOVERY_PLANS",)

    def test_plans_that_cannot_be_used_leave_the_rules_in_force(self) -> None:
        settings = Settings.from_env({RULES: self.RULE, PLANS: "{}"})

        assert settings.recovery_plans.plans is None
        assert rules_of(settings.auto_restore_rules).rules[0].plan == "SHOP"

    def test_the_sample_rules_name_plans_of_the_sample(self) -> None:
        env = {RULES: "auto_restore_rules.sample.json", PLANS: "recovery_plans.sample.json"}

        assert any(rule.plan for rule in rules_of(Settings.from_env(env).auto_restore_rules).rules)


class TestPlans:
    def test_a_file_and_the_json_itself(self, tmp_path: Path) -> None:
        path, text = tmp_path / "plans.json", json.dumps({"plans": [a_plan(name="Shop")]})
        path.write_text(text, encoding="utf-8")

        for setting, source in ((str(path), str(path)), (text, "setting")):
            found = loaded_plans(setting)
            assert (found.source, found.problems, found.plans and list(found.plans)) == (source, (), ["shop"])

    def test_the_sample(self) -> None:
        found = loaded_plans("recovery_plans.sample.json")

        assert found.problems == ()
        assert found.plans

    @pytest.mark.parametrize("text", ["", "recovery_plans.json"])
    def test_the_default_file_may_be_missing(self, text: str) -> None:
        assert loaded_plans(text) == LoadedPlans(source=None, plans={})

    @pytest.mark.parametrize("text", ["no_such_file.json", "tests", "{", '{"plans": NaN'])
    def test_what_cannot_be_read_says_what_is_wanted(self, text: str) -> None:
        found = loaded_plans(text)

        [problem] = found.problems
        assert found.plans is None
        assert problem.startswith("RECOVERY_PLANS must be a JSON file of recovery plans in the app, or the JSON itself")

    def test_plans_are_checked_whole(self) -> None:
        plans = [a_plan(maxRunning=0), a_plan(a_group("web", after=["db"]), name="other", plan=1)]
        found = loaded_plans(json.dumps({"plans": plans}))

        assert found.plans is None
        assert [problem.split()[:2] for problem in found.problems] == [
            ["RECOVERY_PLANS:", place] for place in ("plans[0].maxRunning", "plans[1].plan")
        ]
        assert Settings.from_env({PLANS: json.dumps({"plans": plans})}).auto_restore_rules.problems == ()
