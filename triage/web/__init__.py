"""The page of the reading room, the JSON interface under it, and what watches over the daemon.

A process of its own (`triage.web.serve`), which the daemon starts and watches
(`triage.web.process`): whatever a browser asks for, the receiver feels nothing of it.
"""
