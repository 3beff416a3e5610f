"""What can go wrong with the calls of a VM to Compute."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.reading import Node

ALWAYS = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeFailure:
    """An error of the named actions, or of all that write: at once, or as the end of the accepted operation."""

    code: str
    message: str
    actions: tuple[str, ...]
    count: int
    refused: bool

    @classmethod
    def read(cls, node: Node) -> ComputeFailure:
        """Read a failure and close its node."""
        failure = cls(
            code=node.text("code"),
            message=node.text("message", "The simulator was told that this goes wrong."),
            actions=node.texts("actions"),
            count=node.whole("count", ALWAYS),
            refused=node.flag("refused"),
        )
        node.close()
        return failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long the named actions take, or all that write."""

    seconds: float
    actions: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Delay:
        """Read a delay and close its node."""
        delay = cls(seconds=node.number("seconds"), actions=node.texts("actions"))
        node.close()
        return delay


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOutcome:
    """How the scripts of run commands end on a VM."""

    exit_code: int = 0
    output: str = ""
    error: str = ""
    seconds: float = 2.0

    @classmethod
    def read(cls, node: Node) -> ScriptOutcome:
        """Read an outcome and close its node."""
        outcome = cls(
            exit_code=node.whole("exitCode", 0, least=0),
            output=node.text("output", ""),
            error=node.text("error", ""),
            seconds=node.number("seconds", 2.0),
        )
        node.close()
        return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeFaults:
    """The switches of one VM that concern Compute."""

    failed: ComputeFailure | None = None
    slow: Delay | None = None
    script: ScriptOutcome = ScriptOutcome()

    @classmethod
    def read(cls, node: Node) -> ComputeFaults:
        """Read the switches by their JSON names; the node stays open for further ones."""
        return cls(
            failed=ComputeFailure.read(node.node("computeFailed")) if node.has("computeFailed") else None,
            slow=Delay.read(node.node("slowCompute")) if node.has("slowCompute") else None,
            script=ScriptOutcome.read(node.node_or_empty("runCommand")),
        )
