"""Programs of code nodes, run without a server."""

from __future__ import annotations

import asyncio

from orchestra_magic.local.sandbox.execution import Limits
from orchestra_magic.local.sandbox.runner import Sandbox


def run(code, values=None, **limits):
    async def once():
        sandbox = Sandbox()
        try:
            return await sandbox.run(code, values or {}, Limits(**limits))
        finally:
            await sandbox.close()

    return asyncio.run(once())
