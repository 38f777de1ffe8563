"""What `prep train --dry-run` tells, and `prep train` before it begins: no torch here, and no model is loaded."""
