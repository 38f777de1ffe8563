"""What `prep adapter info` says about a file, as lines and rows."""

from __future__ import annotations

from typing import Any


def facts(found: dict[str, Any]) -> dict[str, str]:
    """What stands above the tables, line by line."""
    tags, hashes = found["metadata"].get("tags", {}), found["hashes"]
    state = {True: "", False: "; the file says another, so its weights were changed", None: "; the file has none"}
    return {
        "file": found["file"],
        "size": f"{found['bytes'] / 2**20:.1f} MiB" if found["bytes"] >= 2**20 else f"{found['bytes'] / 2**10:.1f} KiB",
        "base": found["base"] or "not in the file",
        "algorithm": counted(found["algorithms"]),
        "layers": counted(found["parts"]),
        "rank": counted(found["ranks"]) or "none",
        "alpha": counted(found["alphas"]) or "none",
        "alpha / rank": counted(found["scales"]) or "none",
        **({"textual inversions": ", ".join(found["embeddings"])} if found["embeddings"] else {}),
        "precision": counted(found["dtypes"]),
        "norm": "depends on the base model; give --base" if found["norm"] is None else f"{found['norm']:.4g}",
        **{name: value for name, value in found["metadata"].items() if name != "tags"},
        **({"tags": ", ".join(f"{tag} {count}" for tag, count in tags.items())} if tags else {}),
        "AutoV3 hash": hashes["autov3"] + state[hashes["matches"]],
    }


def counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def client_rows(clients: dict[str, Any]) -> list[dict[str, Any]]:
    """A row per program: whether it renders the file as it was trained, and what it ignores or does otherwise."""
    rows = []
    for client, state in clients.items():
        wrong = [f"{number(count, 'layer')}: {why}" for why, count in state["layers_wrong"].items()]
        ignored = [f"{number(count, 'key')}: {why}" for why, count in state["keys_ignored"].items()]
        why = "; ".join([*ignored, *wrong])
        rows.append({"client": client, "renders it": "yes" if state["renders"] else "no", "why not": why})
    return rows
