from typing import Any

from wolkvox_async import DateRange, Engine


async def campaign(engine: Engine, operation: str, campaign_id: str, first: str, last: str) -> list[Any]:
    """Return the history of a campaign, `first` and `last` day included; 31 days at most."""
    days = DateRange(first, last)
    result = await engine.read(operation, "campaign/detail", dates=days, params={"campaign_id": campaign_id})
    if result.error is not None:
        raise RuntimeError(result.error.message)
    if result.truncated:
        raise RuntimeError("more rows than one answer holds: ask for fewer days, or use engine.fetch()")
    return result.rows
