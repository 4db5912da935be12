"""What is looked at before anything runs; nothing is ever posted, bought or started for it."""

from pine.ops.preflight.looks import Finding, Look, Said, State, run

__all__ = ["Finding", "Look", "Said", "State", "run"]
