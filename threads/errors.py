"""The errors of threads, each with a hint at what to do."""

from __future__ import annotations

from mesh.lib.errors import AppError


class TierUnavailable(AppError):
    code = "tier_unavailable"
    text = "There is no such tier."
    hint = "Send fast, smart or thinking as the tier."


class NoProviderKey(TierUnavailable):
    text = "Decopilot can't answer: this organization has no key of an AI provider."
    hint = "An owner or admin adds one in the settings, under AI providers."


class NoModelAtTier(TierUnavailable):
    text = "No model is set for this tier of Decopilot."
    hint = "Choose another tier, or have an admin set a model in the settings, under AI providers."


class ModelUnavailable(AppError):
    code = "model_not_offered"
    text = "The agent's program does not offer this model."
    hint = "Choose one that it offers, or send an empty model: then the tier decides."


class EffortUnavailable(AppError):
    code = "effort_not_offered"
    text = "The agent's program has no such effort."
    hint = "Choose one that it has, or send an empty effort: then the program's own applies."


class ModeUnavailable(AppError):
    code = "mode_unavailable"
    text = "Mesh has no such mode."
    hint = "Send default or plan as mode, or leave it out."


class LevelUnavailable(AppError):
    code = "level_unavailable"
    text = "This agent's program can't plan without changing anything."
    hint = "Choose “Ask before edit”, or another agent."
    status = 409


class TemperatureUnsupported(AppError):
    code = "temperature_unsupported"
    text = "This agent's program does not accept a temperature."
    hint = "Leave temperature out, or ask Decopilot."


class AgentMismatch(AppError):
    code = "agent_mismatch"
    text = "The thread belongs to another agent."
    hint = "Start a new chat to talk to that agent."


class HarnessUnknown(AppError):
    code = "unknown_harness"
    text = "There is no such harness."
    hint = "Send claude-code or demo as harnessId, or leave it out."


class AgentHasNoFiles(AppError):
    code = "agent_has_no_files"
    text = "This agent has no repository, so no program on a machine can work for it."
    hint = "Ask Decopilot, or give the agent a repository or a folder."
    status = 409


class FolderElsewhere(AppError):
    code = "folder_elsewhere"
    text = "This agent's folder is on another machine."
    hint = "Leave linkId out, or send the machine that has the folder."
    status = 409


class BadBranch(AppError):
    code = "bad_branch"
    text = "This can't be the name of a branch."
    hint = "Send a name that git takes, such as deco/quiet-otter, or leave it out."


class KindUnavailable(AppError):
    code = "sandbox_kind_unavailable"
    text = "This kind of sandbox is not available here."
    hint = "Send remote-user as sandboxProviderKind, or leave it out."


class ApprovalAnswered(AppError):
    code = "approval_answered"
    text = "The question was already answered differently."
    hint = "You need not do anything: the first answer counts."
    status = 409


class QuestionWithdrawn(AppError):
    code = "question_withdrawn"
    text = "The agent took this question back, so your answer was not used."
    hint = "You need not do anything: if the agent still needs it, it asks again."
    status = 409


class NoRule(AppError):
    code = "no_rule"
    text = "This can't be allowed permanently: one rule can't describe it, or it is no permission."
    hint = "Allow it once."
    status = 409


class TooManyRules(AppError):
    code = "too_many_rules"
    text = "This thread has too many rules already."
    hint = "Remove rules that you don't need, or allow it once."
    status = 409


class RunOver(AppError):
    code = "run_over"
    text = "The run has ended or was stopped; its question is no longer open."
    hint = "Send a new message."
    status = 409


class AlreadyDispatched(AppError):
    code = "already_dispatched"
    text = "The message is no longer waiting: it was sent to the agent, or was stopped."
    hint = "Send a new message, or stop the agent."
    status = 409


class NotTheAuthor(AppError):
    code = "not_the_author"
    text = "Somebody else wrote that message."
    hint = "Its author can change it; you can send a message of your own."
    status = 403


class CannotSteer(AppError):
    code = "cannot_steer"
    text = "This agent takes no messages while it works."
    hint = "The message goes out in its turn, when the answer is done."
    status = 409


class NothingRuns(AppError):
    code = "nothing_runs"
    text = "No agent is working in this thread, so the message goes out in its turn."
    hint = "You need not do anything."
    status = 409


class TooManyQueued(AppError):
    code = "too_many_queued"
    text = "Too many messages are waiting in this thread."
    hint = "Wait for an answer, or stop the thread; then send it again."
    status = 429


class BadCursor(AppError):
    code = "bad_cursor"
    text = "The number to start from is not a number."
    hint = "Send the id of the last event that you have, or leave it out."


class BadPageCursor(AppError):
    code = "bad_page_cursor"
    text = "The page cursor is not from this list."
    hint = "Leave page out to start with the newest, then send `older` or `newer` of a response."


class CursorTooOld(AppError):
    code = "cursor_too_old"
    text = "The events after that number were removed; their answers are stored."
    hint = "Read the thread's messages, and continue from the cursor that comes with them."
    status = 410


class BadRunId(AppError):
    code = "bad_run_id"
    text = "The run's id is not valid."
    hint = "Send the runId from the response to the message."


class BadSdkVersion(AppError):
    code = "bad_sdk_version"
    text = "Mesh does not speak that version of the AI SDK."
    hint = "Send sdk=6 or sdk=7, or leave it out for 6."


class MessageChanged(AppError):
    code = "message_changed"
    text = "A message with that id was sent before, with other words."
    hint = "Send the message under an id of its own."
    status = 409


class ThreadPurged(AppError):
    code = "thread_purged"
    text = "This chat was deleted too long ago to be restored."
    hint = "Start a new chat."
    status = 410


class MessageIdTaken(AppError):
    code = "message_id_taken"
    text = "This chat already has an answer or a run with that id."
    hint = "Send the message under an id of its own, or without one."
    status = 409


class NotBegun(AppError):
    code = "not_begun"
    text = "This chat has no sandbox yet."
    hint = "Send a message first: it decides where the chat runs."
    status = 409


class FileTooLarge(AppError):
    code = "file_too_large"
    text = "The file is too large."
    hint = "Send a picture of up to 9 MB, or a text of up to 256 kB."
    status = 413


class UploadTooLarge(FileTooLarge):
    text = "The file is larger than 20 MiB."
    hint = "Copy it onto that machine in another way."


class PictureDamaged(AppError):
    code = "picture_damaged"
    text = "The picture is damaged or incomplete."
    hint = (
        "Open it in another program. If it looks right there, save it as PNG or JPEG and send that."
    )
    status = 422


class PictureTooLarge(AppError):
    code = "picture_too_large"
    text = "The picture has more than 50 megapixels."
    hint = "Scale it down, then send it again: models see no more than a few megapixels."
    status = 413


class FileUnsupported(AppError):
    code = "file_unsupported"
    text = "This is neither a picture nor a text."
    hint = "Send PNG, JPEG, GIF, WebP, HEIC or AVIF, or a text file in UTF-8."
    status = 415


class FileEmpty(AppError):
    code = "file_empty"
    text = "The file is empty."
    hint = "Send a file that is not empty."


class FileUnknown(AppError):
    code = "unknown_file"
    text = "A file of the message does not exist: it was not uploaded, or is not yours."
    hint = "Attach it again. Mesh fetches nothing from other addresses."


class TooManyFiles(AppError):
    code = "too_many_files"
    text = "These files are too many, or too large, for one message."
    hint = "Send up to 10 files with a message, 15 MB in all."


class TooManyUnsent(AppError):
    code = "too_many_unsent"
    text = "You have too many unsent files."
    hint = "Send or remove some; an unsent file is removed after a day."
    status = 429


class FilesNotTaken(AppError):
    code = "files_not_taken"
    text = "This agent can't take such files."
    hint = "Choose another agent, or send the message without them."
    status = 409


class UnknownTask(AppError):
    code = "unknown_task"
    text = "Nothing of that name runs in the background."
    hint = "It may have ended; look at the chat again."
    status = 404
