"""The web server of the desk: who may speak with it, how it answers, how it starts and stops.

May import: `pipeline.core`, `pipeline.review`'s other rooms from `app` alone.
"""
