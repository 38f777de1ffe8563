"""The options that belong to some algorithms only, in groups that come together."""

from __future__ import annotations

OPTIONS = (
    *("rank", "alpha", "conv_rank", "conv_alpha", "block_ranks", "block_alphas"),
    *("factor", "decompose_both", "full_matrix", "dora", "rank_stabilized", "tucker", "rank_unit"),
    *("rank_dropout", "network_dropout", "train_norm", "scale_weight_norms"),
)
"""All of them, in the order in which they are checked."""
RANK = frozenset({"rank", "conv_rank", "block_ranks"})
SCALE = frozenset({"alpha", "conv_alpha", "block_alphas", "rank_stabilized"})
CHANGES = frozenset({"network_dropout", "train_norm"})
"""Of every algorithm that changes what linear layers and convolutions give."""
LOW_RANK = RANK | SCALE | CHANGES | {"scale_weight_norms"}

NO_RANK = dict.fromkeys(sorted(RANK), "has no rank")
NO_SCALE = dict.fromkeys(sorted(SCALE), "is not scaled by alpha / rank")
NO_MAGNITUDE = {"dora": "has no direction to take a magnitude"}
NO_CORE = {"tucker": "has no core to decompose"}
NO_RANKS_TO_DROP = {"rank_dropout": "has no ranks that could be left out"}
NO_FACTORS = {"scale_weight_norms": "has no product of factors to scale"}
NOT_LOW_RANK = NO_SCALE | NO_MAGNITUDE | NO_CORE | NO_RANKS_TO_DROP
