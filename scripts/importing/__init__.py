"""How cases come in from outside: case scripts (commands, every guard holds) and tables of old systems (facts).

A bad row never stops an import: it goes to the rejects file with its line number and the reason, and the summary
counts it. The same file imported again adds nothing: each line's command id is derived from the file's content.
"""

from api.commands import BY_NAME as BY_NAME
from api.commands import AnyCommand as AnyCommand
from api.commands import arms as arms
from api.commands import own_stream as own_stream
from api.commands import read_command as read_command
from api.commands import structs_in as structs_in
from api.commands import type_at as type_at
from api.commands import words_of as words_of
from scripts.importing.cases import Line as Line
from scripts.importing.cases import Script as Script
from scripts.importing.cases import import_script as import_script
from scripts.importing.mapping import Mapping as Mapping
from scripts.importing.mapping import Verdict as Verdict
from scripts.importing.mapping import read_mapping as read_mapping
from scripts.importing.reconciling import SILENT as SILENT
from scripts.importing.review import Review as Review
from scripts.importing.review import review_table as review_table
from scripts.importing.rows import import_table as import_table
from scripts.importing.summary import BadSource as BadSource
from scripts.importing.summary import Kept as Kept
from scripts.importing.summary import Reconciled as Reconciled
from scripts.importing.summary import Reject as Reject
from scripts.importing.summary import Stopped as Stopped
from scripts.importing.summary import Summary as Summary
