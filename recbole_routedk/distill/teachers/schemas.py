"""The JSON that each task asks for, as a JSON schema for endpoints that can hold a model to one."""

from __future__ import annotations

from typing import Any

from recbole_routedk.distill.teachers.protocol import Task

_TEXT: dict[str, Any] = {"type": "string"}
_POSITIONS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _record(**properties: dict[str, Any]) -> dict[str, Any]:
    # "strict" structured output wants every property required and no others.
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ANSWER_SCHEMAS: dict[Task, dict[str, Any]] = {
    Task.BUNDLES: _record(bundles=_list_of(_POSITIONS)),
    Task.CAUSES: _record(causes=_list_of(_TEXT)),
    Task.RULES: _record(
        rules=_list_of(
            _record(
                rule=_TEXT,
                verdict={"type": "string", "enum": ["together", "apart", "general"]},
                left=_TEXT,
                right=_TEXT,
            )
        )
    ),
    Task.THOUGHT: _record(
        # [position, position, affinity]: strict schemas know no tuples of unlike types.
        related=_list_of({"type": "array", "items": {"type": "number"}}),
        intents=_list_of(_record(intent=_TEXT, items=_POSITIONS)),
    ),
    Task.INTENTS: _record(intents=_list_of(_TEXT)),
    Task.ADVICE: _record(rules=_list_of(_TEXT)),
}
