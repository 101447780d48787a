"""The section `web`: the page, the JSON interface, and what watches over the daemon."""

from triage.settings.section import Port, Section


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 8042
