"""``make package``, but for the installation of the real packages, which needs a package index."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.package import (
    PACKAGES,
    PackageError,
    check_files,
    check_indexing,
    check_size,
    deployed_files,
    install_packages,
    listing,
    main,
    package_files,
    untracked_files,
    write_zip,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[3]
ROOT_FILES = {"LICENSE", "function_app.py", "host.json", "requirements.txt", "settings.py"}


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what git tracks here, or would track."""
    return _copy_project(tmp_path / "project")


def _copy_project(target: Path) -> Path:
    for name in _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def _zip_of(project: Path, target: Path, more: dict[str, Path] | None = None) -> Path:
    write_zip(target, {name: project / name for name in deployed_files(project)} | (more or {}))
    return target


def _append(file: Path, line: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def _remove_line(file: Path, part: str) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if part not in line), encoding="utf-8")


def _described_as_deployed() -> set[str]:
    """Return the folders in CONTRIBUTING's table above the composition root, below which nothing is deployed."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {
        row.split("/")[0]
        for row in re.findall(r"^\| `([a-z_/]+)`", text.partition("| `function_app.py`")[0], re.MULTILINE)
    }


class TestFiles:
    def test_deployed_is_what_contributing_says(self, project: Path) -> None:
        folders = [project / name for name in _described_as_deployed()]
        files = {str(file.relative_to(project)) for folder in folders for file in folder.rglob("*") if file.is_file()}

        assert set(deployed_files(project)) == ROOT_FILES | {name for name in files if not name.endswith("/ruff.toml")}

    def test_what_tools_leave_behind_is_not_deployed(self, project: Path) -> None:
        before = deployed_files(project)
        for name in (
            ".env",
            ".azure/production/.env",
            ".python_packages/lib/site-packages/requests/__init__.py",
            "local.settings.json",
            "domain/__pycache__/codec.cpython-313.pyc",
            "project_env/pyvenv.cfg",
            "__blobstorage__/1",
            "__azurite_db_queue__.json",
            "dist/azure-vm-restore-0.1.0.zip",
        ):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text("")

        assert deployed_files(project) == before

    @pytest.mark.parametrize("name", ["local.settings.json", "domain/Local.Settings.test.json", "a.env", ".env.local"])
    def test_settings_of_this_machine_are_refused_whatever_is_ignored(
        self, project: Path, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        (project / name).write_text("{}")
        _append(project / ".funcignore", f"!/{name}")

        assert main(["--source"], project) == 1
        assert f"{name} may hold secrets" in capsys.readouterr().err
        assert not (project / "dist").exists()

    @pytest.mark.parametrize("target", ["nowhere", "../outside.txt", "..", "domain"])
    def test_what_is_no_file_of_the_project_is_refused(
        self, project: Path, capsys: pytest.CaptureFixture[str], target: str
    ) -> None:
        (project / "../outside.txt").write_text("secret")
        (project / "link").symlink_to(target)

        assert main(["--source"], project) == 1
        assert "link is no file of the project" in capsys.readouterr().err

    def test_a_link_within_the_project_is_packed(self, project: Path) -> None:
        (project / "line.py").symlink_to("settings.py")
        (project / "größe 1.txt").write_text("")

        files = deployed_files(project)
        check_files(project, files)

        assert {"line.py", "größe 1.txt"} <= set(files)

    def test_an_error_of_the_file_system_is_one_line(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (project / ".funcignore").unlink()

        assert main(["--source"], project) == 1
        assert ".funcignore" in capsys.readouterr().err

    def test_files_unknown_to_git_are_named_but_not_the_configuration(self, project: Path) -> None:
        _git(project, "init", "--quiet")
        _git(project, "add", "--all")
        configuration = {"auto_restore_rules.json", "recovery_plans.json"}
        for name in ("stray.py", "domain/stray.py", "tests/stray.py", *configuration):
            (project / name).write_text("")

        files = deployed_files(project)

        assert configuration <= set(files)
        assert untracked_files(project, files) == ["domain/stray.py", "stray.py"]

    def test_outside_a_repository_no_file_is_unknown_to_git(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

        assert untracked_files(tmp_path, ["stray.py"]) == []


class TestZip:
    def test_the_same_files_give_the_same_bytes(self, project: Path, tmp_path: Path) -> None:
        other = _copy_project(tmp_path / "other")
        for file in other.rglob("*.py"):
            file.touch()
            file.chmod(0o700)

        first, second = _zip_of(project, tmp_path / "1.zip"), _zip_of(other, tmp_path / "2.zip")

        assert first.read_bytes() == second.read_bytes()
        with zipfile.ZipFile(first) as archive:
            assert archive.namelist() == deployed_files(project)

    def test_packages_come_without_what_differs_from_machine_to_machine(self, tmp_path: Path) -> None:
        for name in ("one/__init__.py", "one/__pycache__/x.pyc", "bin/one", "one-1.dist-info/RECORD", "one/bin/x.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")

        assert set(package_files(tmp_path)) == {f"{PACKAGES}/one/__init__.py", f"{PACKAGES}/one/bin/x.py"}

    def test_the_list_names_folders_their_sizes_and_the_largest_packages(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(bytes(2000))
        contents = {"app/a": "a", "app/b/c": "a", "host.json": "a", f"{PACKAGES}/grpc/x.so": "a"}
        write_zip(tmp_path / "x.zip", {name: tmp_path / path for name, path in contents.items()})

        lines = [line.split() for line in listing(tmp_path / "x.zip").splitlines()]

        assert [line[:3] for line in lines[1:5]] == [
            [".python_packages/", "1", "2,000"],
            ["app/", "2", "4,000"],
            ["host.json", "1", "2,000"],
            ["in", "all", "4"],
        ]
        assert lines[-1][:3] == ["largest", "packages:", "grpc"]

    def test_a_zip_above_the_limit_is_refused(self, tmp_path: Path) -> None:
        made = tmp_path / "x.zip"
        made.write_bytes(bytes(2 * 1024 * 1024 + 1))

        check_size(made, max_mib=3)
        with pytest.raises(PackageError, match="larger than 2 MiB"):
            check_size(made, max_mib=2)


class TestIndexing:
    def test_a_whole_zip_is_listed_indexed_and_written(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--source"], project) == 0

        [made] = (project / "dist").iterdir()
        output = capsys.readouterr().out
        assert made.name == "azure-vm-restore-0.1.0-source.zip"
        assert re.search(r"^domain/ +\d+", output, re.MULTILINE)
        assert re.search(r"indexes \d\d functions", output)
        with zipfile.ZipFile(made) as archive:
            assert archive.namelist() == deployed_files(project)

    def test_a_module_left_behind_is_named_and_no_zip_is_written(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _append(project / ".funcignore", "domain/codec.py")

        assert main(["--source"], project) == 1

        assert "No module named 'domain.codec'" in capsys.readouterr().err
        assert not (project / "dist").exists()

    def test_a_package_that_requirements_do_not_name_is_found(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pins = project / "requirements.txt"
        pins.write_text(
            re.sub(r"^requests==.*\n", "", pins.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8"
        )

        assert main(["--source"], project) == 1

        assert "No module named 'requests'" in capsys.readouterr().err

    def test_a_function_that_only_the_project_has_is_named(self, project: Path, tmp_path: Path) -> None:
        other = _copy_project(tmp_path / "other")
        _remove_line(other / "function_app.py", "history.blueprint")
        made = _zip_of(other, tmp_path / "x.zip")

        with pytest.raises(PackageError, match="not the same in the zip and in the project: purge_history;"):
            check_indexing(project, made, tmp_path / "scratch", loadable=True)

    def test_packages_in_the_zip_are_those_that_are_loaded_where_they_can_be(
        self, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        broken = tmp_path / "broken.py"
        broken.write_text("raise ImportError('made for another machine')")
        made = _zip_of(project, tmp_path / "x.zip", {f"{PACKAGES}/azure/functions/__init__.py": broken})

        assert check_indexing(project, made, tmp_path / "1", loadable=False)
        assert "indexed with those of .venv" in capsys.readouterr().out
        with pytest.raises(PackageError, match="made for another machine"):
            check_indexing(project, made, tmp_path / "2", loadable=True)


class TestInstallation:
    """With a package index that is a folder."""

    @pytest.fixture
    def index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        index = tmp_path / "index"
        index.mkdir()
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
        return index

    def test_wheels_are_those_of_the_deployment_whatever_this_machine_is(self, index: Path, tmp_path: Path) -> None:
        for tag in (
            "cp313-cp313-manylinux_2_17_x86_64",
            "cp313-cp313-manylinux_2_34_x86_64",
            "cp313-cp313-manylinux_2_28_aarch64",
            "cp313-cp313-macosx_11_0_arm64",
            "cp314-cp314-manylinux_2_17_x86_64",
        ):
            _add_wheel(index, "native", tag)

        install_packages(_requirements(tmp_path, "native==1.0"), tmp_path / "into")

        assert (tmp_path / "into/native.py").read_text() == "# cp313-cp313-manylinux_2_17_x86_64"

    def test_a_package_without_a_wheel_is_refused(
        self, index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with tarfile.open(index / "source_only-1.0.tar.gz", "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("source_only-1.0/setup.py"), io.BytesIO())

        with pytest.raises(PackageError, match="needs a wheel for that platform"):
            install_packages(_requirements(tmp_path, "source-only==1.0"), tmp_path / "into")

        assert "source-only==1.0" in capfd.readouterr().err

    def test_a_package_that_is_not_pinned_is_refused(self, index: Path, tmp_path: Path) -> None:
        _add_wheel(index, "first", "py3-none-any", needs=["second>=1"])
        _add_wheel(index, "second", "py3-none-any")

        with pytest.raises(PackageError, match="pip also needed second; pin"):
            install_packages(_requirements(tmp_path, "first==1.0"), tmp_path / "into")


def _requirements(folder: Path, text: str) -> Path:
    file = folder / "requirements.txt"
    file.write_text(f"# the closure\n{text}\n")
    return file


def _add_wheel(index: Path, name: str, tag: str, needs: Iterable[str] = ()) -> None:
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0"] + [f"Requires-Dist: {one}" for one in needs]
    files = {
        f"{name}.py": f"# {tag}",
        f"{name}-1.0.dist-info/METADATA": "\n".join(metadata),
        f"{name}-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}",
    }
    with zipfile.ZipFile(index / f"{name}-1.0-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "".join(f"{path},,\n" for path in files))
