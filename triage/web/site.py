"""What the answers are made from: the settings, the stores, and how the daemon is."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, cast

from fastapi import Depends, Request

from triage.settings import Settings
from triage.store.database import Database
from triage.store.spool import Spool
from triage.web.condition import Condition
from triage.web.department import Figures
from triage.web.feed import Feed
from triage.web.gallery import Gallery
from triage.web.health import Health
from triage.web.limits import LogIns
from triage.web.looks import Looks


@dataclass(kw_only=True)
class Site:
    """One daemon's side of the web; every answer gets it from `of_request`."""

    settings: Settings
    database: Database
    spool: Spool
    feed: Feed
    condition: Condition
    log_ins: LogIns = field(default_factory=LogIns)
    gallery: Gallery = field(default_factory=Gallery)
    looks: Looks = field(default_factory=Looks)
    figures: Figures = field(init=False)

    def __post_init__(self) -> None:
        self.figures = Figures(self.database)

    @cached_property
    def health(self) -> Health:
        """How the stores are, asked without piling up."""
        return Health(self.database, self.spool, self.settings.spool.min_free)


def of_request(request: Request) -> Site:
    """Return the site that is asked."""
    return cast("Site", request.app.state.site)


Here = Annotated[Site, Depends(of_request)]
