"""Where a model's training data came from, and who must not trade by it."""

from pine.core.config import Secret
from pine.core.config.webhook import leads_here
from pine.core.errors import ModelError
from pine.strategies.models.fleet import Fleet


def refuse_generated(strategy: str, fleet: Fleet, webhook: Secret) -> None:
    """Raise `ModelError` if models that were trained on a generated market would post to a real webhook."""
    generated = fleet.generated()
    if not generated or not webhook or leads_here(webhook):
        return
    raise ModelError(
        f"strategy {strategy}: its models of {', '.join(generated)} were trained on a generated market, and its "
        f"webhook is a real one; train them on recorded data (pine train {strategy}), set model: none, or take the "
        "webhook out"
    )
