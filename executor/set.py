"""SET, SHOW and RESET. Imported when the first one comes: who only queries does without."""

from vsql.core.changes import Change, PutSetting
from vsql.core.settings import DEFAULTS, canonical, checked
from vsql.executor.result import Result
from vsql.executor.session_settings import EXTERNAL_ACCESS, SessionSettings
from vsql.executor.show import show_settings
from vsql.grammar.utility_statements import ResetSetting, SetSetting, ShowSetting


def run_setting(
    statement: ShowSetting | ResetSetting | SetSetting, settings: SessionSettings
) -> tuple[Result, tuple[Change, ...]]:
    """Show or change settings; returns the change that SET GLOBAL makes to the database."""
    match statement:
        case ShowSetting(name):
            return show_settings(settings.current, canonical(name) if name else None), ()
        case ResetSetting(name):
            all_but_one = [own for own in DEFAULTS if own != EXTERNAL_ACCESS]
            for own in all_but_one if name is None else [canonical(name)]:
                settings.put(own, DEFAULTS[own])
            return Result("RESET"), ()
        case SetSetting(name, written, scope):
            own = canonical(name)
            value = DEFAULTS[own] if written.lower() == "default" else checked(name, written)
            settings.put(own, value, local=scope == "local")
            return Result("SET"), (PutSetting(own, str(value)),) if scope == "global" else ()
