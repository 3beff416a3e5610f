"""``make package``: builds the zip that is deployed and checks that the app in it can be indexed.

The zip holds the files that ``.funcignore`` does not exclude, and the packages of ``requirements.txt`` for Linux x86_64
and the Python of the deployment, whatever machine builds it. With ``--source`` it holds no packages: Azure installs
them then (a remote build). The same files give the same zip, byte for byte, on the same version of zlib.

The zip appears in ``dist/`` only when all checks pass. The exit code is 1 when one does not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import defaultdict
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name
from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scripts.indexing import Bindings

PYTHON: Final = "3.13"
"""The Python of the deployment."""
PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux_2_12_x86_64", "manylinux_2_5_x86_64")
"""Which wheels can be loaded there, best first: glibc 2.28 or older."""
TARGET: Final = f"Linux x86_64, Python {PYTHON}"
PACKAGES: Final = ".python_packages/lib/site-packages"
MAX_ZIP_MIB: Final = 40
CONFIGURATION: Final = frozenset({"auto_restore_rules.json", "recovery_plans.json"})
"""Files that are deployed on purpose and kept out of git on purpose."""
_SECRETS: Final = ("local.settings*.json", "*.env", ".env*")
_WORKER_LIBRARY: Final = ("azure-functions-runtime", "azurefunctions-extensions-base")
_MIB: Final = 1024 * 1024
_LARGEST_SHOWN: Final = 5
_LOG_LINES_SHOWN: Final = 20
_ROOT: Final = Path(__file__).parents[1]


class PackageError(Exception):
    """Why there is no zip, and what to do about it."""


def main(argv: Sequence[str] | None = None, project: Path = _ROOT) -> int:
    """Run the command for the app in the folder ``project``; return the exit code."""
    options = _parse(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="package-") as scratch:
            made = _build(project, Path(scratch), with_packages=not options.source)
            target = project / "dist" / made.name
            target.parent.mkdir(exist_ok=True)
            part = target.with_name(f".{made.name}.{os.getpid()}")  # two builds at once must not write one file
            shutil.copyfile(made, part)
            part.replace(target)
    except (PackageError, OSError) as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(f"package: wrote {target.relative_to(project)}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.package", description="Builds the zip that is deployed.")
    parser.add_argument("--source", action="store_true", help="without packages, for a remote build by Azure")
    return parser.parse_args(argv)


def _build(project: Path, scratch: Path, *, with_packages: bool) -> Path:
    files = deployed_files(project)
    check_files(project, files)
    for name in untracked_files(project, files):
        print(f"package: warning: git does not track {name}, but it is deployed; delete it or add it to .funcignore")
    contents = {name: project / name for name in files}
    if with_packages:
        install_packages(project / "requirements.txt", scratch / "packages")
        contents |= package_files(scratch / "packages")
    made = scratch / f"azure-vm-restore-{_version(project)}{'' if with_packages else '-source'}.zip"
    write_zip(made, contents)
    print(listing(made))
    check_size(made)
    names = check_indexing(project, made, scratch, loadable=loads_target())
    print(f"package: Microsoft's worker library indexes {len(names)} functions of the app in the zip")
    return made


def deployed_files(project: Path) -> list[str]:
    """Return the files of the project, relative to it, that ``.funcignore`` does not exclude, sorted."""
    ignored = GitIgnoreSpec.from_lines((project / ".funcignore").read_text(encoding="utf-8").splitlines())
    found: list[str] = []
    for folder, folders, names in project.walk():
        place = folder.relative_to(project).as_posix().removeprefix(".")
        prefix = f"{place}/" if place else ""
        # Packages of an earlier build by another tool are left out: this build installs its own.
        folders[:] = [
            name
            for name in folders
            if prefix + name != ".python_packages" and not ignored.match_file(f"{prefix}{name}/")
        ]
        found += [prefix + name for name in names if not ignored.match_file(prefix + name)]
    return sorted(found)


def check_files(project: Path, files: Iterable[str]) -> None:
    """Raise ``PackageError`` if one of the files may hold secrets by its name, or is no file of the project.

    Whatever ``.funcignore`` says: a changed pattern must not publish the settings of this machine, nor a link what it
    points to.
    """
    for name in files:
        path = project / name
        if any(fnmatch(path.name.lower(), pattern) for pattern in _SECRETS):
            raise PackageError(f"{name} may hold secrets and is never deployed; add it to .funcignore")
        if not path.is_file() or not path.resolve().is_relative_to(project.resolve()):
            raise PackageError(
                f"{name} is no file of the project, or a link out of it; remove it or add it to .funcignore"
            )


def untracked_files(project: Path, files: Iterable[str]) -> list[str]:
    """Return those of the files that git does not track, except ``CONFIGURATION``; none outside a git repository."""
    try:
        answer = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return sorted(set(files) - set(answer.stdout.split("\0")) - CONFIGURATION)


def install_packages(requirements: Path, into: Path) -> None:
    """Install the pinned packages for the deployment's platform; raise ``PackageError`` if one has no wheel for it."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(into), "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    if subprocess.run([*command, "-r", str(requirements)], check=False).returncode:
        raise PackageError(
            f"pip could not install requirements.txt for {TARGET} (see above). Is a package index reachable? Each line "
            "needs a wheel for that platform, or one of pure Python; pin a version that has it"
        )
    pinned = {canonicalize_name(Requirement(line).name) for line in _pins(requirements)}
    chosen = {canonicalize_name(package.name) for package in distributions(path=[str(into)])} - pinned
    if chosen:
        raise PackageError(f"pip also needed {', '.join(sorted(chosen))}; pin each of them in requirements.txt")


def package_files(folder: Path) -> dict[str, Path]:
    """Return the installed files by their names in the zip.

    Commands (``bin``) name the Python that installed them, and the lists of files (``RECORD``) hold the digests of the
    commands: both would differ from machine to machine, and nothing in Azure reads them.
    """
    return {
        f"{PACKAGES}/{name.as_posix()}": folder / name
        for name in (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        if name.parts[0] != "bin" and name.name != "RECORD" and "__pycache__" not in name.parts
    }


def write_zip(target: Path, contents: Mapping[str, Path]) -> None:
    """Write the zip: sorted names, one time and one mode for all files."""
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name)  # 1980-01-01 00:00
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as on Unix
            archive.writestr(entry, contents[name].read_bytes(), zipfile.ZIP_DEFLATED)


def listing(made: Path) -> str:
    """Return a table of what is in the zip: by folder, and the largest packages."""
    folders: dict[str, list[zipfile.ZipInfo]] = defaultdict(list)
    packages: dict[str, int] = defaultdict(int)
    with zipfile.ZipFile(made) as archive:
        for entry in archive.infolist():
            folder, slash, _ = entry.filename.partition("/")
            folders[folder + slash].append(entry)
            if entry.filename.startswith(f"{PACKAGES}/"):
                packages[entry.filename.removeprefix(f"{PACKAGES}/").partition("/")[0]] += entry.compress_size
    lines = [f"{'':<22}{'files':>6}{'bytes':>12}{'in the zip':>12}"]
    lines += [_row(name, folders[name]) for name in sorted(folders)]
    lines.append(_row("in all", [entry for entries in folders.values() for entry in entries]))
    lines.append(f"{made.name}: {made.stat().st_size / _MIB:.1f} MiB of at most {MAX_ZIP_MIB} MiB")
    if packages:
        largest = sorted(packages, key=lambda name: -packages[name])[:_LARGEST_SHOWN]
        lines.append("largest packages: " + ", ".join(f"{name} {packages[name] / _MIB:.1f} MiB" for name in largest))
    return "\n".join(lines)


def check_size(made: Path, max_mib: float = MAX_ZIP_MIB) -> None:
    """Raise ``PackageError`` if the zip is larger than allowed."""
    if made.stat().st_size > max_mib * _MIB:
        raise PackageError(
            f"the zip is larger than {max_mib} MiB, so each new instance would start late: leave out what the list "
            "above shows and the app does not need (.funcignore, requirements.txt)"
        )


def check_indexing(project: Path, made: Path, scratch: Path, *, loadable: bool) -> list[str]:
    """Return the names of the functions that are indexed in the unpacked zip, with nothing else on the path.

    Raise ``PackageError`` if the app cannot be imported there, or if its functions or their bindings are not those of
    the project. If this machine cannot load the packages in the zip (``loadable``), or the zip has none, the same
    versions from ``.venv`` take their place, so files left behind are found on every machine.
    """
    app, worker, ours = scratch / "app", scratch / "worker", scratch / "ours"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(app)
    link_installed(_pins(project / "requirements.txt"), ours)
    link_installed(_WORKER_LIBRARY, worker)
    packages = app / PACKAGES
    if not packages.exists():
        packages = ours
    elif not loadable:
        print(f"package: this machine cannot load packages for {TARGET}; the app is indexed with those of .venv")
        packages = ours
    deployed = _index(app, packages, worker, "the app in the zip")
    expected = _index(project, ours, worker, "this project")
    differing = sorted(name for name in deployed.keys() | expected.keys() if deployed.get(name) != expected.get(name))
    if differing:
        raise PackageError(
            f"these functions are not the same in the zip and in the project: {', '.join(differing)}; "
            "see what .funcignore leaves out"
        )
    return list(deployed)


def link_installed(requirements: Iterable[str], into: Path) -> None:
    """Fill a folder with links to the files of packages that are installed here, and of no others."""
    sources: dict[Path, Path] = {}
    for line in requirements:
        name = Requirement(line).name
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            raise PackageError(f"{name} is not installed in .venv; run `make setup`") from None
        commands = {file for file in files if ".." in file.parts}
        sources |= {into / file: Path(str(file.locate())).absolute() for file in files if file not in commands}
    for folder in {link.parent for link in sources}:
        folder.mkdir(parents=True, exist_ok=True)
    for link, source in sources.items():
        link.symlink_to(source)


def _index(app: Path, packages: Path, worker: Path, what: str) -> dict[str, Bindings]:
    command = [sys.executable, "-I", "-S", "-B", str(_ROOT / "scripts/indexing.py")]
    # An empty environment: no setting of this shell decides what is indexed.
    done = subprocess.run(
        [*command, str(app), str(packages), str(worker)], env={}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        end = "\n".join(f"  | {line}" for line in done.stderr.splitlines()[-_LOG_LINES_SHOWN:])
        raise PackageError(
            f"Microsoft's worker library cannot index {what}. If a module is missing, .funcignore leaves it out or "
            f"requirements.txt does not name its package. The log ends:\n{end}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def loads_target() -> bool:
    """Return whether this Python on this machine can load the packages of the deployment."""
    tag = f"cp{PYTHON.replace('.', '')}"
    return f"{tag}-{tag}-{PLATFORMS[0]}" in {str(tag) for tag in sys_tags()}


def _pins(requirements: Path) -> list[str]:
    lines = requirements.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _row(name: str, entries: Sequence[zipfile.ZipInfo]) -> str:
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    return f"{name:<22}{len(entries):>6}{size:>12,}{packed:>12,}"


def _version(project: Path) -> str:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


if __name__ == "__main__":
    raise SystemExit(main())
