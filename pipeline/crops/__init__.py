"""How a picture is scaled and cut for training, and what that costs.

- `ladder`: the training sizes and which of them a picture gets; `shortladder` looks for fewer that lose nothing
- `anchors` moves the crop, to `focus`, where the detail is, or to what a person names
- `fits`: what came of it for a whole set; `contactsheet` draws it, with names in `lettering` of any script
"""
