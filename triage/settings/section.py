"""What every section of the settings is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TEN_YEARS = 315_360_000
Seconds = Annotated[float, Field(le=TEN_YEARS, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
