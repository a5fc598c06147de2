"""What every part of an assessment is."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen part of an assessment, of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
