"""What adapter files call a layer: kohya's and LyCORIS' keys, diffusers', PEFT's; which of them each client reads; blocks.

Written from the published behaviour of the clients (web UI 1.10's networks extension, Forge's and ComfyUI's weight adapters of
2025 and 2026, diffusers 0.42), so that a file can be held against all of them without one installed. No torch.
May import: what `train.adapters` may.
"""
