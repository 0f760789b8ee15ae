"""Say what every section of the configuration has in common."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from aggregator.document.secrets import SecretFilePath, SecretSource, SecretText


class Section(BaseModel):
    """Hold the keys of one mapping of the file: strict, complete and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    # What is said of a key that is none.
    unknown: ClassVar[str] = "unknown key"


class PasswordSection(Section):
    """Add the two ways to give a password."""

    password: SecretText | None = None
    password_file: SecretFilePath | None = None

    @property
    def secret(self) -> SecretSource | None:
        """Give the password's source, or None when there is no password."""
        return self.password_file or self.password
