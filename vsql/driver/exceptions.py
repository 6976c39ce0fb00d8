"""PEP 249's exceptions as attributes of a connection, for code that gets one and no module."""

from vsql.core import errors


class Exceptions:
    """The hierarchy of PEP 249, section "Optional DB API Extensions"."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError
