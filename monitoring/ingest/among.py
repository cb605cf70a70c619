"""`filter(pk__among=ids)`: as `__in`, with one parameter for any number of values, which Django handles one by one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from django.db import models


@models.Field.register_lookup
class Among(models.Lookup):
    """For numbers and texts; a moment or a UUID is not written the same everywhere."""

    lookup_name = "among"
    prepare_rhs = False

    def __init__(self, lhs: Any, rhs: Collection[Any]) -> None:
        super().__init__(lhs, list(rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        if connection.vendor == "postgresql":
            return f"{column} = ANY(%s)", [*parameters, self.rhs]
        return f"{column} IN (SELECT value FROM json_each(%s))", [*parameters, orjson.dumps(self.rhs).decode()]  # noqa: S608  (our own column)
