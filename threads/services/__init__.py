"""All writes to threads, by subject; callers write ``services.post_message``."""

from threads.services.approvals import (
    Answer,
    answer_approval,
    answer_approvals,
    mark_answer_delivered,
    mark_shown,
)
from threads.services.attachments import drop_file, keep_file, part_of, prune_unsent
from threads.services.attempts import (
    Unreachable,
    claim_run,
    release_leases,
    renew_leases,
    requeue_run,
    rest_run,
    restart_run,
    retry_runs,
    take_over,
    wake_run,
)
from threads.services.background import (
    Due,
    forget_background,
    hold_background,
    review_background,
    stop_task,
)
from threads.services.deletion import BATCHES, purge_deleted, restore_thread
from threads.services.handing_over import hand_over_threads
from threads.services.leaving import Chats, UnknownChoice, remove_member
from threads.services.levels import LevelSet, set_level
from threads.services.messages import NewMessage, post_message
from threads.services.plans import carry_out_plan
from threads.services.queue import QueueChange, change_queued, withdraw_queued
from threads.services.revoked_access import stop_revoked_runs
from threads.services.rules import remove_rule
from threads.services.runs import (
    Became,
    cancel,
    end_overdue_stops,
    finish_run,
    mark_stop_delivered,
    rest_stop,
)
from threads.services.steers import mark_steer_delivered, steer_queued, try_steer
from threads.services.sweeping import end_stuck_runs, expire_queued_runs, prune_events
from threads.services.threads import (
    create_thread,
    delete_thread,
    mark_seen,
    name_thread,
    rename_thread,
)
from threads.services.unassigned_runs import end_unassigned_runs, mark_unassigned_runs
from threads.services.unsent import send_unsent

__all__ = [
    "BATCHES",
    "Answer",
    "Became",
    "Chats",
    "Due",
    "LevelSet",
    "NewMessage",
    "QueueChange",
    "UnknownChoice",
    "Unreachable",
    "answer_approval",
    "answer_approvals",
    "cancel",
    "carry_out_plan",
    "change_queued",
    "claim_run",
    "create_thread",
    "delete_thread",
    "drop_file",
    "end_overdue_stops",
    "end_stuck_runs",
    "end_unassigned_runs",
    "expire_queued_runs",
    "finish_run",
    "forget_background",
    "hand_over_threads",
    "hold_background",
    "keep_file",
    "mark_answer_delivered",
    "mark_seen",
    "mark_shown",
    "mark_steer_delivered",
    "mark_stop_delivered",
    "mark_unassigned_runs",
    "name_thread",
    "part_of",
    "post_message",
    "prune_events",
    "prune_unsent",
    "purge_deleted",
    "release_leases",
    "remove_member",
    "remove_rule",
    "rename_thread",
    "renew_leases",
    "requeue_run",
    "rest_run",
    "rest_stop",
    "restart_run",
    "restore_thread",
    "retry_runs",
    "review_background",
    "send_unsent",
    "set_level",
    "steer_queued",
    "stop_revoked_runs",
    "stop_task",
    "take_over",
    "try_steer",
    "wake_run",
    "withdraw_queued",
]
