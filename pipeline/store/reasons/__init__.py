"""Why something was decided: a code for each reason, an enum for each stage, and the words for both.

A decision carries a code and data; `wording` alone turns them into English. To add a reason, add a member to its stage's
enum and its words below it.
May import: `pipeline.core`.
"""
