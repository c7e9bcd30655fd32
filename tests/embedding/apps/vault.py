from typing import Protocol

from wolkvox_async import OpenEngine, Operation, Parts, Token, load_tenants, open_engine


class Vault(Protocol):  # whatever you keep secrets in
    async def read(self, path: str) -> str | None: ...


class VaultTokens:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def resolve(self, operation: Operation) -> Token | None:
        text = await self._vault.read(operation.path)
        return None if text is None else Token(text)


async def opened(vault: Vault, servers: dict[str, str]) -> OpenEngine:
    """Return an engine over operations by their paths, such as {"acme/bogota": "0010"}."""
    tenants: dict[str, list[dict[str, object]]] = {}
    for path, server in servers.items():
        tenant, _, name = path.partition("/")
        token = Token(await vault.read(path) or "no-token-yet")
        tenants.setdefault(tenant, []).append({"name": name, "server": server, "token": token})
    described = {
        "defaults": {"apis": ["interactions"]},
        "tenants": [{"name": name, "operations": operations} for name, operations in tenants.items()],
    }
    return open_engine(load_tenants(described), parts=Parts(tokens=VaultTokens(vault)))
