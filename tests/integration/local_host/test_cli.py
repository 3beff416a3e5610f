from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from local_host.cli import main
from tests.integration.local_host.stage import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SAMPLE = "tests.support.sample_app.sample_functions"
A_FUNCTION_APP = "import azure.functions as f\napp = f.FunctionApp()\n"
TINY = """
import os
import threading
import azure.functions as func

app = func.FunctionApp()

@app.route(route="setting")
def setting(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ["FROM_FILE"] + os.environ["FROM_BOTH"])

@app.route(route="stuck")
def stuck(req: func.HttpRequest) -> func.HttpResponse:
    print("stuck", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An app's root, the current directory, with a host.json and nothing else."""
    path, environment = list(sys.path), dict(os.environ)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    yield tmp_path
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)


def ask_in_vain(url: str) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=60)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which must not start, and return its one line."""
    assert main(["--port", "0", "--no-queues", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("local host: ").strip()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_when_told(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    heard = list[str]()

    def stop_when_ready() -> None:
        heard.append(eventually(lambda: capsys.readouterr().out))
        os.kill(os.getpid(), number)

    stopper = threading.Thread(target=stop_when_ready)
    stopper.start()
    code = main(["--port", "0", "--no-queues", "--app", SAMPLE])
    stopper.join()

    assert code == 0
    assert heard[0].startswith("local host listening on http://127.0.0.1:")


def test_as_a_process_it_serves_the_app_of_the_directory_and_stops_even_if_a_function_does_not(place: Path) -> None:
    (place / "function_app.py").write_text(TINY)
    (place / "local.settings.json").write_text(json.dumps({"Values": {"FROM_FILE": "file ", "FROM_BOTH": "file"}}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FROM_BOTH": "environment"}
    command = [sys.executable, "-m", "local_host", "--port", "0"]

    with (
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        requests.Session() as session,
    ):
        assert process.stdout
        announced = process.stdout.readline().strip()
        url = announced.removeprefix("local host listening on ")
        answer = session.get(f"{url}/api/setting", timeout=10)
        asking = threading.Thread(target=ask_in_vain, args=(f"{url}/api/stuck",))
        asking.start()
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        asking.join()

    assert answer.text == "file environment"
    assert process.returncode == 0
    assert "no longer waited for: stuck" in err


def test_each_problem_of_an_app_that_cannot_start_has_its_own_line(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "unset_app.py").write_text(
        "error = ValueError()\nerror.problems = ('ONE must be a number', 'TWO must be a URL')\nraise error"
    )

    assert main(["--port", "0", "--no-queues", "--app", "unset_app"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "local host: cannot import unset_app: ONE must be a number",
        "local host: cannot import unset_app: TWO must be a URL",
    ]


@pytest.mark.usefixtures("place")
def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert (
            refused(capsys, "--app", SAMPLE, "--port", port)
            == f"cannot listen on 127.0.0.1:{port}: Address already in use"
        )


@pytest.mark.usefixtures("place")
def test_an_engine_that_does_not_answer_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_host.joined._PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"

        assert refused(capsys, "--app", SAMPLE, "--engine", address) == f"no engine answers at {address}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read host.json: No such file or directory"),
        ("{", "host.json is not JSON: Expecting property name"),
        ("[]", "host.json is not a JSON object"),
        (
            '{"extensions": {"queues": {"messageEncoding": "rot13"}}}',
            "'rot13' is neither base64 nor none",
        ),
        ('{"extensions": []}', "host.json: extensions is not a JSON object"),
        ('{"extensions": {"queues": {"batchSize": 33}}}', "batchSize 33 is not a whole number from 1 to 32"),
        ('{"extensions": {"queues": {"maxDequeueCount": "5"}}}', "maxDequeueCount '5' is not a whole number from 1"),
        ('{"extensions": {"queues": {"visibilityTimeout": "soon"}}}', "visibilityTimeout 'soon' is not a time span"),
    ],
)
def test_a_host_json_that_cannot_serve_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], content: str | None, told: str
) -> None:
    if content is None:
        (place / "host.json").unlink()
    else:
        (place / "host.json").write_text(content)

    assert told in refused(capsys, "--app", SAMPLE)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        ("nonsense", "is not JSON"),
        ('{"Values": []}', "Values is not a JSON object"),
    ],
)
def test_a_settings_file_that_cannot_serve_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], content: str | None, told: str
) -> None:
    if content is not None:
        (place / "mine.json").write_text(content)

    told_line = refused(capsys, "--app", SAMPLE, "--settings", "mine.json")

    assert "mine.json" in told_line
    assert told in told_line


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        (
            "double_app",
            f"{A_FUNCTION_APP}for route in 'ab':\n    @app.route(route=route)\n    def same(req): ...",
            "the app's functions cannot be listed: Function same does not have a unique function name",
        ),
        ("absent_app", None, "cannot import absent_app: No module named 'absent_app'"),
        (
            "wrong_app",
            "raise ValueError('RESTORE_DEADLINE_HOURS is\\nnot a number')",
            "RESTORE_DEADLINE_HOURS is not a number",
        ),
        ("mute_app", "raise ValueError", "cannot import mute_app: ValueError"),
        ("leaving_app", "raise SystemExit('settings are wrong')", "cannot import leaving_app: settings are wrong"),
        ("empty_app", "", "empty_app holds no function app"),
        (
            "blobs_app",
            (f"{A_FUNCTION_APP}@app.blob_trigger(arg_name='b', path='a/b', connection='C')\ndef seen(b): ..."),
            "function seen: the local host has no blobTrigger",
        ),
        (
            "blob_app",
            (
                "import azure.functions as f\napp = f.FunctionApp()\n@app.route()\n"
                "@app.blob_input(arg_name='b', path='a/b', connection='C')\ndef look(req, b): ..."
            ),
            "function look: the local host has no binding blob (b)",
        ),
    ],
)
def test_an_app_that_cannot_be_hosted_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], name: str, source: str | None, told: str
) -> None:
    if source is not None:
        (place / f"{name}.py").write_text(source)

    assert told in refused(capsys, "--app", name)


def test_settings_do_not_replace_what_the_environment_has(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_BOTH", "environment")
    (place / "local.settings.json").write_text(json.dumps({"Values": {"FROM_FILE": 1, "FROM_BOTH": "file"}}))
    (place / "telling_app.py").write_text(
        "import os\nraise ValueError(os.environ['FROM_FILE'] + os.environ['FROM_BOTH'])"
    )

    assert refused(capsys, "--app", "telling_app") == "cannot import telling_app: 1environment"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "99999"], "99999 is no port"),
        (["--port", "-1"], "--port"),
        (["--port", "abc"], "abc is no port"),
        (["--prot", "1"], "--prot"),
        (["--engine", "10.0.0.4:7072"], "10.0.0.4:7072 is no engine's address; give 127.0.0.1:PORT"),
        (["--engine", "127.0.0.1:0"], "127.0.0.1:0 is no engine's address"),
        (["--engine", "127.0.0.1"], "--engine"),
        (["--function-key", " "], "the function key must not be empty"),
    ],
)
def test_a_wrong_option_is_one_line(options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)

    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert complaint in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("values", [{"A=B": "1"}, {"A": "nul\x00"}])
def test_a_setting_that_no_environment_holds_is_one_line(
    values: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"Values": values}), encoding="utf-8")

    assert main(["--settings", str(settings)]) == 1

    told = capsys.readouterr().err
    assert "cannot be put into the environment" in told
    assert told.count("\n") == 1
