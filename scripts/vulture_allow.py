"""Names that nothing in src/ calls, each group with who does or will. Read by vulture only; nothing runs it.

A name that is no longer defined in src/ is removed from here by hand.
"""

from typing import Any

seen: Any = None

# Called by a library under this very name.
seen.ignore_aliases  # PyYAML's dumper
seen.settings_customise_sources  # pydantic-settings
seen.capture_signals  # uvicorn's server: we handle signals ourselves

# Governance that is tested and ready; its commands and pages come with the accounts page.
seen.close_account
seen.set_password
seen.engage  # until then the kill switch is its file
seen.engaged
seen.reset_breaker

# Seams that the next rooms stand on.
seen.for_agent  # agents: the context of one that works for a person
seen.similar_lessons  # knowledge
seen.load_folder  # runbooks of the user's own
seen.list_runs  # fleet: what waits and runs
seen.compact  # the sandbox's answer "410 Gone", asked for by tests
seen.set_fault  # the sandbox: broken machines of scenarios
