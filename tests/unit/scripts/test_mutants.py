from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from scripts.mutants import ALL_TESTS, ROOT, SUBJECTS, MutantsError, Score, prepare, scores_of, selected_tests

if TYPE_CHECKING:
    from pathlib import Path


def test_every_default_path_and_its_tests_are_there() -> None:
    for path, tests in SUBJECTS.items():
        assert (ROOT / path).exists()
        assert all((ROOT / test).exists() for test in tests)


def test_a_path_has_its_own_tests_and_any_other_path_all_of_the_domain() -> None:
    path = next(iter(SUBJECTS))

    assert selected_tests([path, path]) == list(SUBJECTS[path])
    assert selected_tests(["domain/times.py", path]) == [*ALL_TESTS, *SUBJECTS[path]]


def test_the_work_tree_is_copied_and_the_copy_set_up_for_these_paths(tmp_path: Path) -> None:
    copy = prepare(
        tmp_path / "copy", ["domain/errors.py", "telemetry/restores.py", "domain"], ["tests/unit/domain/test_errors.py"]
    )

    settings = tomllib.loads((copy / "pyproject.toml").read_text())["tool"]["mutmut"]
    assert settings["source_paths"] == ["domain", "telemetry"]
    assert settings["only_mutate"] == ["domain/errors.py", "telemetry/restores.py", "domain/*"]
    assert settings["pytest_add_cli_args_test_selection"] == ["tests/unit/domain/test_errors.py"]
    assert {"activities", "orchestrations", "settings.py"} <= set(settings["also_copy"])
    assert not {"domain", "telemetry"} & set(settings["also_copy"])
    assert not (copy / ".venv").exists()


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MutantsError, match=r"there is no domain/absent\.py"):
        prepare(tmp_path / "copy", ["domain/absent.py"], [])


def test_a_score_counts_what_no_test_reaches_as_survived() -> None:
    results = """
    domain.guards.x_take__mutmut_1: killed
    domain.guards.x_take__mutmut_2: timeout
    domain.guards.x_take__mutmut_3: survived
    domain.times.x_parse__mutmut_1: no tests
    """

    assert scores_of(results) == {
        "domain.guards": Score(2, ("domain.guards.x_take__mutmut_3",)),
        "domain.times": Score(0, ("domain.times.x_parse__mutmut_1",)),
    }
    assert scores_of(results)["domain.guards"].percent == pytest.approx(200 / 3)
