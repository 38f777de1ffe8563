"""What A1111, Forge, ComfyUI and diffusers do with an adapter file: which keys they read, and which layers they show as trained.

Written from the published behaviour of the clients (web UI 1.10's networks extension, Forge's and ComfyUI's weight
adapters of 2025 and 2026, diffusers 0.42), so that a file can be held against all of them without one installed.
"""
