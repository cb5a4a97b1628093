"""The types of nodes. A new one is a subclass of :class:`~.base.NodeType` in the table below."""

from __future__ import annotations

from .base import Call, Node, NodeError, NodeType, Outcome, Services
from .code import CodeNode
from .conditional import ConditionalNode
from .integration import IntegrationNode
from .knowledge_retrieval import KnowledgeRetrievalNode
from .model import ModelNode

__all__ = ["TYPES", "Call", "Node", "NodeError", "NodeType", "Outcome", "Services"]

TYPES: dict[str, NodeType] = {
    kind.name: kind
    for kind in (CodeNode(), ConditionalNode(), IntegrationNode(), KnowledgeRetrievalNode(), ModelNode())
}
